"""What a run folder says, as plain frozen dataclasses. The rest of the room reads these and no file.

``evaluation/evaluation.json`` must be there; whatever else is missing is None or empty, and the page does without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json
from limbeck.report.disputes import Disputes, read_disputes

ENGINES = {"pytorch": "PyTorch", "onnx": "ONNX", "onnx-int8": "ONNX int8"}
"""Names of engines for people, from the one that trains to the one that is deployed."""

Number = float | None


@dataclass(frozen=True)
class Test:
    """The test set: its size, and how many sentences teacher and student each read cut short."""

    examples: int
    truncated: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelScores:
    """Scores of one trained model; ``seed`` is None for a teacher."""

    name: str
    role: str
    scores: dict[str, Number]
    seed: int | None = None


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation over seeds; ``retention`` is accuracy as a share of the teacher's."""

    name: str
    role: str
    seeds: int
    mean: dict[str, Number]
    deviation: dict[str, Number] = field(default_factory=dict)
    retention: Number = None


@dataclass(frozen=True)
class Gain:
    """A paired bootstrap: how much more of a metric one model has than another."""

    of: str
    over: str
    metric: str
    gain: float
    low: float
    high: float
    p: Number = None
    resamples: int | None = None


@dataclass(frozen=True)
class Cost:
    """What one model costs on one engine: milliseconds a sentence, sentences a second, bytes on disk."""

    name: str
    engine: str
    parameters: int | None = None
    bytes: int | None = None
    p50_ms: Number = None
    p95_ms: Number = None
    per_second: Number = None
    times_faster: Number = None


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence lies in one interval, their mean confidence and their accuracy."""

    low: float
    high: float
    count: int
    confidence: Number = None
    accuracy: Number = None


@dataclass(frozen=True)
class Calibration:
    """A reliability diagram."""

    ece: Number
    bins: list[Bin]


@dataclass(frozen=True)
class Evaluation:
    """``evaluation.json``; ``confusion`` is counts, gold by predicted, of the seed with the best dev score."""

    labels: list[str]
    test: Test
    models: list[ModelScores]
    summary: list[Summary]
    signatures: dict[str, str] = field(default_factory=dict)
    gains: list[Gain] = field(default_factory=list)
    cost: list[Cost] = field(default_factory=list)
    calibration: dict[str, Calibration] = field(default_factory=dict)
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class DevScore:
    """Scores on dev after a step."""

    step: int
    scores: dict[str, Number]
    best: bool


@dataclass(frozen=True)
class Journal:
    """How one model's training went; ``losses`` is (steps, 2): step number and loss."""

    name: str
    seed: int | None
    dev: tuple[DevScore, ...]
    losses: NDArray[np.float64]

    def best(self, metric: str) -> DevScore | None:
        """The evaluation with the highest score, or None where there was none."""
        scored = [point for point in self.dev if point.scores.get(metric) is not None]
        return max(scored, key=lambda point: point.scores[metric] or 0.0, default=None)


@dataclass(frozen=True)
class Term:
    """The loss doctor on one term of a loss at the first step; ``share`` is its part of the gradient norms."""

    name: str
    value: Number
    grad_norm: Number
    share: Number


@dataclass(frozen=True)
class Parity:
    """How far a bundle's file is from PyTorch: largest relative difference of a logit, share of changed predictions."""

    engine: str
    largest_difference: Number
    changed: Number


@dataclass(frozen=True)
class Step:
    """A finished step: its folder's name, seconds taken, and the fingerprints of what it was made from."""

    name: str
    seconds: Number
    inputs: Any


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        data: ``prepared.json``, as it is.
        doctors: The loss doctor's terms by method, of its first seed.
        recipe: The resolved recipe's values.
        recipe_text: The same as it was written.
    """

    folder: Path
    name: str
    evaluation: Evaluation
    journals: tuple[Journal, ...]
    doctors: dict[str, tuple[Term, ...]]
    disputes: Disputes | None
    data: dict[str, Any]
    parity: tuple[Parity, ...]
    recipe: dict[str, Any]
    recipe_text: str
    versions: dict[str, Any]
    steps: tuple[Step, ...]

    @property
    def metric(self) -> str:
        """The metric that picked checkpoints on dev."""
        return str((self.recipe.get("train") or {}).get("metric", "accuracy"))

    @property
    def interval(self) -> float:
        """Coverage of the bootstrap's intervals, e.g. 0.95."""
        return float((self.recipe.get("evaluate") or {}).get("interval", 0.95))

    def of_role(self, role: str) -> list[Summary]:
        """Summaries of the teacher, the students or the control."""
        return [each for each in self.evaluation.summary if each.role == role]

    @property
    def teacher(self) -> Summary | None:
        """The teacher, if it was evaluated."""
        return next(iter(self.of_role("teacher")), None)

    @property
    def control(self) -> Summary | None:
        """The same student without a teacher, if one was trained."""
        return next(iter(self.of_role("control")), None)

    @property
    def student(self) -> Summary | None:
        """The student that the headline is about: the best on dev, so that test does not choose it."""
        return max(self.of_role("student"), key=lambda each: self.dev_score(each.name), default=None)

    def dev_score(self, name: str) -> float:
        """Mean over seeds of the best dev score; minus infinity where no journal tells."""
        best = [journal.best(self.metric) for journal in self.journals if journal.name == name]
        scores = [point.scores[self.metric] or 0.0 for point in best if point]
        return float(np.mean(scores)) if scores else -np.inf

    def costs(self, name: str) -> list[Cost]:
        """What a model costs on each engine.

        Students and control of one run are built alike, so that one of them may have been measured for all.
        """
        own = [cost for cost in self.evaluation.cost if cost.name == name]
        teachers = {each.name for each in self.of_role("teacher")}
        if own or name in teachers:
            return own
        others = [cost for cost in self.evaluation.cost if cost.name not in teachers]
        return [cost for cost in others if cost.name == others[0].name]

    def cost(self, name: str, engine: str) -> Cost | None:
        """What a model costs on one engine, if it was measured."""
        return next((cost for cost in self.costs(name) if cost.engine == engine), None)

    def deployed(self, name: str) -> Cost | None:
        """The cost of the form that is meant for use: int8 where there is one, else ONNX, else PyTorch."""
        return next((c for engine in reversed(ENGINES) if (c := self.cost(name, engine))), None)

    def gain(self, of: str, over: str, metric: str = "accuracy") -> Gain | None:
        """The gain of one model over another, if it was computed."""
        gains = self.evaluation.gains
        return next((g for g in gains if (g.of, g.over, g.metric) == (of, over, metric)), None)


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        LimbeckError: It is no run folder, the run is not evaluated, or a file in it is damaged.
    """
    if not folder.is_dir():
        raise LimbeckError("no such run folder", where=folder)
    evaluation = _evaluation(folder / "evaluation" / "evaluation.json")
    journals = tuple(_journals(folder))
    recipe_text, recipe = _recipe(folder / "recipe.yaml")
    run = Run(
        folder=folder,
        name=str(recipe.get("name") or folder.resolve().name),
        evaluation=evaluation,
        journals=journals,
        doctors=dict(_doctors(folder)),
        disputes=None,
        data=_object(folder / "prepared" / "prepared.json"),
        parity=tuple(_parity(folder / "bundle" / "bundle.json")),
        recipe=recipe,
        recipe_text=recipe_text,
        versions=_object(folder / "versions.json"),
        steps=tuple(_steps(folder)),
    )
    return replace(run, disputes=_disputes(run))


def _disputes(run: Run) -> Disputes | None:
    predictions = run.folder / "evaluation" / "predictions.parquet"
    if not (predictions.is_file() and run.student and run.teacher):
        return None
    best = {each.name: _best_seed(run, each.name) for each in (run.student, run.control) if each}
    return read_disputes(predictions, run.evaluation.labels, run.teacher.name, run.student.name, best)


def _best_seed(run: Run, name: str) -> int | None:
    """The seed with the best dev score, the first of equals; without journals the first seed."""
    seeds = {model.seed: 0.0 for model in run.evaluation.models if model.name == name}
    for journal in run.journals:
        if journal.name == name and journal.seed in seeds and (best := journal.best(run.metric)):
            seeds[journal.seed] = best.scores[run.metric] or 0.0
    return max(seeds, key=lambda seed: seeds[seed], default=None)


def _evaluation(path: Path) -> Evaluation:
    if not path.is_file():
        fix = "Run 'limbeck evaluate' or 'limbeck distill' first"
        raise LimbeckError("this run has not been evaluated", where=path.parent.parent, fix=fix)
    try:
        return TypeAdapter(Evaluation).validate_python(read_json(path))
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
    seen: set[str] = set()
    for name, _, student in _students(folder):
        content = _object(student / "doctor.json")
        if name in seen or not content:
            continue
        seen.add(name)
        keys = ("value", "grad_norm", "share")
        yield name, tuple(Term(str(t["name"]), *(t.get(key) for key in keys)) for t in content.get("terms", []))


def _parity(path: Path) -> Iterator[Parity]:
    for precision, values in _object(path).get("parity", {}).items():
        yield Parity(precision, values.get("largest_difference"), values.get("changed"))


def _steps(folder: Path) -> Iterator[Step]:
    """Finished steps in the order of a run."""
    students = [student.relative_to(folder) for _, _, student in _students(folder)]
    early = (Path("prepared"), Path("rewritten"), Path("teacher"))
    for step in (*early, *students, Path("bundle"), Path("evaluation")):
        if content := _object(folder / step / "done.json"):
            yield Step(step.as_posix(), content.get("seconds"), content.get("inputs"))


def _recipe(path: Path) -> tuple[str, dict[str, Any]]:
    """The recipe as text and as values; read leniently, for a run of another version still deserves its report."""
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
