"""Analyse: what students of finished runs lost and where, a page a run, and one more for several side by side.

A run's analysis is written to its folder ``analysis``: ``analysis.json``, and the same to be read as ``analysis.md``
and ``analysis.html``. Nothing is trained; models are asked about dev and some transfer text, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from limbeck.analyse.mistakes import agreement
from limbeck.analyse.mistakes.analysis import analyse as analyse_answers
from limbeck.analyse.mistakes.units import cast_of, units_of
from limbeck.core import progress
from limbeck.core.files import write_json
from limbeck.core.recipe import Analysis
from limbeck.core.schema import validate
from limbeck.core.tasks import OF_SENTENCES
from limbeck.evaluate.kept import Kept
from limbeck.pipeline.asking import ANALYSIS, agreement_by_source
from limbeck.pipeline.beside import gather
from limbeck.pipeline.compare import Judged, check_same_test, evaluation_of, read_runs
from limbeck.report.analysed import evaluated, write as write_page
from limbeck.report.page import renew
from limbeck.transfer.transfer_set import TransferSet


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """What was found, and where it is written.

    Attributes:
        content: Of ``analysis.json``: of one run, or of several side by side.
        page: The HTML page.
    """

    content: Mapping[str, Any]
    page: Path


def analyse(
    folders: Sequence[Path],
    *,
    settings: Mapping[Path, Analysis] | None = None,
    slices: Mapping[str, str] | None = None,
    student: str | None = None,
    ask_models: bool = True,
    out: Path | None = None,
) -> Analysed:
    """Analyse one run, or several that answered the same test set.

    Args:
        folders: Of runs that are evaluated.
        settings: What to look into, by the run's folder; by default what its recipe says under ``analyse``.
        slices: More slices, by name.
        student: Which student of each run is looked at; by default its first.
        ask_models: Ask the runs' models about dev and transfer text, where that was not done before.
        out: Of several runs, the page; by default ``analysis.html`` where the first run lies.

    Raises:
        LimbeckError: A folder is no evaluated run or named twice, several runs differ in task or test set, there is
            no such student, or a slice cannot be found.
    """
    runs = [_with_pairs(run) for run in read_runs(folders)]
    check_same_test(runs)
    chosen = {run.name: _settings(run, (settings or {}).get(run.folder), slices or {}) for run in runs}
    found = [_one(run, chosen[run.name], student, ask_models) for run in runs]
    pages = [_write(run, content) for run, content in zip(runs, found, strict=True)]
    if len(runs) == 1:
        return Analysed(found[0], pages[0])
    content = _together(runs, found, chosen[runs[0].name])
    page = out or folders[0].resolve().parent / "analysis.html"
    _write_pages(page if page.suffix.lower() in (".html", ".htm") else page / "analysis.html", content)
    return Analysed(content, page)


def _settings(run: Judged, given: Analysis | None, slices: Mapping[str, str]) -> Analysis:
    """What a run's recipe says under ``analyse``, and more slices."""
    where = run.folder / "recipe.yaml"
    own = given or validate(Analysis, run.recipe.get("analyse") or {}, where=where, prefix="analyse")
    return own.model_copy(update={"slices": {**own.slices, **slices}})


def _with_pairs(run: Judged) -> Judged:
    """With both texts of pairs by themselves, where the run still holds its test set."""
    path = run.folder / "prepared" / "test.arrow"
    if run.kept.task not in OF_SENTENCES or not path.is_file():
        return run
    by_id = {one.id: one for one in TransferSet.load(path.parent, "test").examples}
    examples = [
        there if (there := by_id.get(one.id)) is not None and there.shown == one.text else one
        for one in run.kept.examples
    ]
    return replace(run, kept=replace(run.kept, examples=examples))


def _one(run: Judged, settings: Analysis, student: str | None, ask_models: bool) -> dict[str, Any]:
    cast = cast_of(run.kept, student)
    known = gather(run.folder, run.kept, cast.student, settings.rare, ask_models=ask_models)
    evaluation = evaluation_of(run.recipe)
    content = analyse_answers(run.kept, settings, evaluation, student=student, beside=known.beside)
    missing = content["missing"]
    sources = [] if known.asked is None else agreement_by_source(run.kept, known.asked, cast.all)
    if not sources:
        missing.setdefault(
            "sources", "only models of whole texts are held against the teacher on transfer text"
        )
    progress.say(f"analyse   {run.name}: {content['slices']['tried']} slices tried, {_first(content)}")
    of = {"run": run.name, "folder": str(run.folder), "evaluation": evaluated(run.folder)}
    return {**of, **content, "sources": sources}


def _first(content: Mapping[str, Any]) -> str:
    ranked = content["slices"]["ranked"]
    return f"first of them {ranked[0]['name']}" if ranked else "none large enough"


# Several runs.


def _together(
    runs: Sequence[Judged], found: Sequence[Mapping[str, Any]], settings: Analysis
) -> dict[str, Any]:
    """What is told of several runs beside the pages of each."""
    merged, students = _merged(runs, found)
    units = units_of(merged, settings)[0]
    teacher = _teacher(runs[0], found[0])
    evaluation = evaluation_of(runs[0].recipe)
    pairs = [(one, two) for one in students for two in students if one != two] if teacher else []
    return {
        "runs": [{key: one[key] for key in KEPT} for one in found],
        "students": students,
        "task": merged.task,
        "examples": len(merged.examples),
        "slices": _side_by_side(found, students),
        "agreement": agreement.agreement(merged),
        "overlap": [
            asdict(agreement.overlap(units, str(teacher), *pair, evaluation.resamples, evaluation.interval))
            for pair in pairs
        ],
        "teacher": teacher,
    }


KEPT = ("run", "folder", "cast", "overall", "cells", "settings", "missing")
"""What the page of several runs tells of each."""


def _merged(runs: Sequence[Judged], found: Sequence[Mapping[str, Any]]) -> tuple[Kept, list[str]]:
    """The cast of all runs under names of their own (RUN:MODEL), a teacher of several once; and the students."""
    said: dict[str, Any] = {}
    for run, one in zip(runs, found, strict=True):
        for role, name in one["cast"].items():
            if role != "teacher" or run.kept.said[name] not in said.values():
                said[f"{run.name}:{name}"] = run.kept.said[name]
    students = [f"{one['run']}:{one['cast']['student']}" for one in found]
    return replace(runs[0].kept, said=said), students


def _teacher(run: Judged, one: Mapping[str, Any]) -> str | None:
    name = one["cast"].get("teacher")
    return None if name is None else f"{run.name}:{name}"


def _side_by_side(found: Sequence[Mapping[str, Any]], students: Sequence[str]) -> list[dict[str, Any]]:
    """Slices that all runs tried, with every student's gap to its own teacher (or control), as the first run ranks.

    Rare words, say, are others where runs have learnt from other text: a slice is shared where its units are the same.
    """
    tables = [
        {(row["unit"], row["name"], row["members"]): row for row in one["slices"]["ranked"]} for one in found
    ]
    shared = [key for key in tables[0] if all(key in table for table in tables)]
    return [
        {
            "name": tables[0][key]["name"],
            "unit": tables[0][key]["unit"],
            "size": tables[0][key]["size"],
            "gaps": {
                student: _main(table[key]["gaps"]) for student, table in zip(students, tables, strict=True)
            },
        }
        for key in shared
    ]


def _main(gaps: Mapping[str, Any]) -> Any:
    return gaps.get("teacher") or gaps["control"]


# Pages.


def _write(run: Judged, content: Mapping[str, Any]) -> Path:
    page = _write_pages(run.folder / ANALYSIS / "analysis.html", content)
    renew(run.folder)
    return page


def _write_pages(page: Path, content: Mapping[str, Any]) -> Path:
    write_json(page.with_suffix(".json"), content)
    return write_page(content, page)
