"""Reading a run folder. ``evaluation.json`` must be there; the page does without what else is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from pydantic import TypeAdapter, ValidationError

from limbeck.core.errors import LimbeckError
from limbeck.core.files import DONE, read_json
from limbeck.evaluate.current import require_evaluated, step_folders
from limbeck.evaluate.judged import EVALUATION
from limbeck.report.disputes import Disputes, read_disputes
from limbeck.report.facts import (
    DevScore,
    Evaluation,
    Forerunner,
    Journal,
    LayerMapping,
    Parity,
    Run,
    Step,
    Term,
)
from limbeck.report.forest_facts import Forest
from limbeck.report.label_sets import read_set_disputes
from limbeck.report.samples import Samples, read_samples
from limbeck.report.scored import ScoreDisputes, read_score_disputes
from limbeck.report.tagged import TagDisputes, read_tag_disputes
from limbeck.report.transfer_text import read_transfer_text

Facts = TypeVar("Facts")


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        LimbeckError: It is no run folder, the run is not evaluated, or a file in it is damaged.
    """
    require_evaluated(folder)
    journals = tuple(_journals(folder))
    recipe_text, recipe = read_recipe(folder / "recipe.yaml")
    run = Run(
        folder=folder,
        name=str(recipe.get("name") or folder.resolve().name),
        evaluation=_valid(Evaluation, folder / "evaluation" / EVALUATION),
        journals=journals,
        earlier=tuple(_earlier(folder)),
        teachers=tuple(_teachers(folder)),
        doctors=dict(_doctors(folder)),
        mappings=dict(_mappings(folder)),
        forerunners=tuple(_forerunners(folder)),
        disputes=None,
        samples=None,
        text=read_transfer_text(folder / "evaluation" / "transfer_text.json"),
        measures=dict(_measures(folder)),
        modes=_modes(folder / "study"),
        data=_object(folder / "prepared" / "prepared.json"),
        parity=tuple(_parity(folder / "bundle" / "bundle.json")),
        recipe=recipe,
        recipe_text=recipe_text,
        versions=_object(folder / "versions.json"),
        steps=tuple(_steps(folder)),
    )
    if run.translating:
        return replace(run, samples=_samples(run))
    return replace(run, disputes=_disputes(run), forests=dict(_forests(run)))


def _disputes(run: Run) -> Disputes | TagDisputes | ScoreDisputes | None:
    predictions = run.folder / "evaluation" / "predictions.parquet"
    if not (predictions.is_file() and run.student and run.teacher):
        return None
    labels, models = run.evaluation.labels, _shown_models(run)
    if run.evaluation.task == "regression":
        return read_score_disputes(predictions, models)
    if run.tagging:
        return read_tag_disputes(predictions, labels, models)
    read = read_set_disputes if run.evaluation.task == "multilabel" else read_disputes
    return read(predictions, labels, models)


def _samples(run: Run) -> Samples | None:
    predictions = run.folder / "evaluation" / "predictions.parquet"
    if not (predictions.is_file() and run.student):
        return None
    return read_samples(predictions, _shown_models(run), run.evaluation.test.language)


def _shown_models(run: Run) -> dict[str, tuple[str, int | None]]:
    """Name and seed of teacher, student and control, by role: of each the seed that is best on dev."""
    best = {each.name: _best_seed(run, each.name) for each in (run.student, run.control) if each}
    return {
        each.role: (each.name, best.get(each.name))
        for each in (run.teacher, run.student, run.control)
        if each
    }


def _forests(run: Run) -> Iterator[tuple[str, Forest]]:
    """Of each method whose students are forests, the one with the best dev score."""
    for name in dict.fromkeys(name for name, _, _ in _students(run.folder)):
        path = run.folder / "students" / name / f"seed-{_best_seed(run, name)}" / "forest.json"
        if path.is_file():
            yield name, _valid(Forest, path)


def _measures(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What was measured of each distilled text, by its folder."""
    for path in sorted(folder.rglob("measures.json")):
        yield path.parent.relative_to(folder).as_posix(), _object(path)


def _modes(folder: Path) -> tuple[dict[str, Any], str]:
    """What the study of modes found, and its picture."""
    path = folder / "modes.svg"
    return _object(folder / "modes.json"), path.read_text(encoding="utf-8") if path.is_file() else ""


def _best_seed(run: Run, name: str) -> int | None:
    """The seed with the best dev score, the first of equals; without journals the first seed."""
    seeds = {model.seed: 0.0 for model in run.evaluation.models if model.name == name}
    for journal in run.journals:
        if journal.name == name and journal.seed in seeds and (best := journal.best(run.metric)):
            seeds[journal.seed] = best.scores[run.metric] or 0.0
    return max(seeds, key=lambda seed: seeds[seed], default=None)


def _valid(kind: type[Facts], path: Path) -> Facts:
    """What a JSON file holds, as facts of this kind.

    Raises:
        LimbeckError: It does not hold them.
    """
    try:
        return TypeAdapter(kind).validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        message = str(first["msg"])
        raise LimbeckError(f"'{key}': {message[0].lower()}{message[1:]}", where=path) from None


def _journals(folder: Path) -> Iterator[Journal]:
    if (path := folder / "teacher" / "journal.jsonl").is_file():
        yield _journal(path, "teacher", None)
    for name, seed, student in _students(folder):
        if (path := student / "journal.jsonl").is_file():
            yield _journal(path, name, seed)


def _earlier(folder: Path) -> Iterator[Journal]:
    """Those of the stages before the last, which lie in folders inside."""
    for name, seed, student in _students(folder):
        for path in sorted(student.glob("*/journal.jsonl")):
            yield replace(_journal(path, name, seed), stage=path.parent.name)


def _teachers(folder: Path) -> Iterator[Journal]:
    """Those of an ensemble's members, and of the successors of the teacher, by the method that trains them."""
    for path in sorted((folder / "teacher").glob("member-*/journal.jsonl")):
        yield replace(_journal(path, "teacher", None), stage=path.parent.name)
    for path in sorted((folder / "successors").glob("*/*/journal.jsonl")):
        yield replace(_journal(path, path.parents[1].name, None), stage=path.parent.name)


def _forerunners(folder: Path) -> Iterator[Forerunner]:
    for pattern in ("teacher/member-*/trained.json", "successors/*/*/trained.json"):
        for path in sorted(folder.glob(pattern)):
            found, name = _object(path), path.parent.relative_to(folder).as_posix()
            yield Forerunner(name, *(found.get(key) for key in ("parameters", "steps", "dev_score")))


def _students(folder: Path) -> list[tuple[str, int, Path]]:
    """Method, seed and folder of every student, in order."""
    found = (folder / "students").glob("*/seed-*")
    numbered = [(path.parent.name, path.name.removeprefix("seed-"), path) for path in found]
    return sorted((name, int(seed), path) for name, seed, path in numbered if seed.isdigit())


def _journal(path: Path, name: str, seed: int | None) -> Journal:
    dev: list[DevScore] = []
    losses: list[tuple[int, float]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            if entry["kind"] == "dev":
                dev.append(DevScore(int(entry["step"]), entry["scores"], bool(entry.get("best"))))
            elif entry["kind"] == "step":
                losses.append((int(entry["step"]), float(entry["loss"])))
        except (ValueError, KeyError, TypeError):
            raise LimbeckError("not a line of a journal", where=path, line=number) from None
    return Journal(name, seed, tuple(dev), np.array(losses, dtype=np.float64).reshape(-1, 2))


def _doctors(folder: Path) -> Iterator[tuple[str, tuple[Term, ...]]]:
    """Of each method's first seed, the terms of every stage; those before the last are named with their stage."""
    for name, student in _first_seeds(folder):
        terms = [
            _term(term, "" if path.parent == student else f"{path.parent.name}: ")
            for path in [*sorted(student.glob("*/doctor.json")), student / "doctor.json"]
            for term in _object(path).get("terms", [])
        ]
        if terms:
            yield name, tuple(terms)


def _term(term: dict[str, Any], stage: str) -> Term:
    return Term(stage + str(term["name"]), *(term.get(key) for key in ("value", "grad_norm", "share")))


def _mappings(folder: Path) -> Iterator[tuple[str, LayerMapping]]:
    """Of each method, the layers that its stages compared."""
    for name, student in _first_seeds(folder):
        for path in sorted(student.rglob("layers.json")):
            found = _object(path)
            if {"student", "teacher", "pairs"} <= found.keys():
                pairs = tuple((own, theirs) for own, theirs in found["pairs"])
                yield name, LayerMapping(found["student"], found["teacher"], pairs)
                break


def _first_seeds(folder: Path) -> Iterator[tuple[str, Path]]:
    seen: set[str] = set()
    for name, _, student in _students(folder):
        if name not in seen:
            seen.add(name)
            yield name, student


def _parity(path: Path) -> Iterator[Parity]:
    for precision, values in _object(path).get("parity", {}).items():
        told = (values.get(key) for key in ("largest_difference", "changed", "sentences", "bleu"))
        yield Parity(precision, *told)


def _steps(folder: Path) -> Iterator[Step]:
    """Finished steps in the order of a run."""
    for step in (*step_folders(folder), folder / "evaluation"):
        if content := _object(step / DONE):
            name = step.relative_to(folder).as_posix()
            yield Step(name, content.get("seconds"), content.get("inputs"))


def read_recipe(path: Path) -> tuple[str, dict[str, Any]]:
    """The recipe as text and as values; leniently, for another version's run still deserves its report."""
    if not path.is_file():
        return "", {}
    text = path.read_text(encoding="utf-8")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        raise LimbeckError("not valid YAML", where=path) from None
    return text, values if isinstance(values, dict) else {}


def _object(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where the file is missing."""
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict):
        raise LimbeckError("a JSON object is expected here", where=path)
    return content
