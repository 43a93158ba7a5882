"""The page of an analysis, of one run or of several side by side, and the same as Markdown.

All of it is made from ``analysis.json``: :func:`write` needs no run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from limbeck import __version__
from limbeck.core import fingerprint
from limbeck.core.files import read_json
from limbeck.report import analysed_markdown, curves, figures, words
from limbeck.report.analysed_names import for_people
from limbeck.report.analysed_pictures import cells_bar, dot_at, flow_picture
from limbeck.report.analysed_words import (
    KINDS,
    OF_TRANSLATIONS,
    PARTS,
    Amounts,
    Link,
    cell_names,
    fitted_temperature,
    headline,
    key_figures,
    together_headline,
    untested,
)
from limbeck.report.facts import Bin, Calibration
from limbeck.report.filling import fill, write_both
from limbeck.report.joined import address
from limbeck.report.svg import Scale
from limbeck.report.transfer_text import histogram
from limbeck.report.views import STYLES, Panel

STYLE = {"teacher": "teacher", "student": "s1", "control": "control"}
FIRST = 12
"""Slices and words that are shown before others are folded away."""


@dataclass(frozen=True)
class SliceLine:
    """A slice in the table.

    Attributes:
        row: Of ``analysis.json``.
        gap: To the teacher (or the control, where there is no teacher).
        pictures: Its interval, and that of its excess, drawn on one scale with all others.
        clear: Whether the student loses clearly more here than elsewhere.
    """

    row: Mapping[str, Any]
    gap: Mapping[str, float]
    pictures: tuple[Markup, Markup]
    clear: bool


def write(content: Mapping[str, Any], out: Path) -> Path:
    """Write the page, and Markdown beside it under the same name.

    Args:
        content: Of ``analysis.json``.
        out: The page.

    Returns:
        The page's path.

    Raises:
        LimbeckError: It cannot be written.
    """
    told = for_people(content)
    html = render_together(told) if "runs" in told else render(told)
    return write_both(out, html, analysed_markdown.render(told, page=out.name))


def evaluated(run_folder: Path) -> str:
    """Fingerprint of the evaluation that an analysis is about."""
    return fingerprint.sha256(run_folder / "evaluation" / "evaluation.json")[: fingerprint.LENGTH]


def of_run(run_folder: Path, page: Path) -> Link | None:
    """What a run's report tells of its analysis; None where there is none, or it is about an older evaluation.

    Args:
        run_folder: The run's.
        page: The report that links to it.
    """
    told = run_folder / "analysis" / "analysis.json"
    target = told.with_suffix(".html")
    if not (told.is_file() and target.is_file()):
        return None
    content = read_json(told)
    if content.get("evaluation") != evaluated(run_folder):
        return None
    return Link(headline(content), address(target, page))


def render(of: Mapping[str, Any]) -> str:
    """The page of one run."""
    amounts = Amounts.of(of)
    main = "teacher" if "teacher" in of["cast"] else "control"
    return fill(
        "analysed.html.jinja",
        title=f"{of['run']}, what was lost",
        name=of["run"],
        version=__version__,
        of=of,
        main=main,
        styles=STYLE,
        amounts=amounts,
        headline=headline(of),
        fitted_temperature=fitted_temperature,
        untested=untested(of),
        figures=key_figures(of),
        cells=[
            (each, cell_names(each, of), cells_bar(each["mean"], cell_names(each, of)))
            for each in of["cells"]
        ],
        lines=list(_lines(of, main, amounts)),
        first=FIRST,
        words_told=[_words(each) for each in of["words"]],
        flows=[(each, flow_picture(each, (_role(of, each["before"]), "student"))) for each in of["flows"]],
        calibration=list(_calibration(of)),
        sharpness=list(_sharpness(of)),
        overlaps=_overlaps(of["overlap"]),
        reading=_by_kind(of["reading"]),
        kinds=OF_TRANSLATIONS if of["task"] == "translation" else KINDS,
        parts=PARTS,
        of_models=_shares(of),
    )


def render_together(of: Mapping[str, Any]) -> str:
    """The page of several runs."""
    amounts = Amounts.of(of["runs"][0])
    styles = {student: f"s{number % STYLES + 1}" for number, student in enumerate(of["students"])}
    scale = _scale(gap for row in of["slices"] for gap in row["gaps"].values())
    return fill(
        "analysed_runs.html.jinja",
        title="What was lost, run by run",
        name=words.plural(len(of["runs"]), "run"),
        version=__version__,
        of=of,
        styles=styles,
        amounts=amounts,
        headline=together_headline(of),
        rows=[
            (
                row,
                {
                    student: _gap_picture(row["name"], gap, scale, amounts, row["unit"])
                    for student, gap in row["gaps"].items()
                },
            )
            for row in of["slices"]
        ],
        cell_names=cell_names,
        overlaps=_overlaps(of["overlap"]),
    )


# Slices.


def _lines(of: Mapping[str, Any], main: str, amounts: Amounts) -> Iterator[SliceLine]:
    ranked = of["slices"]["ranked"]
    scale = _scale(row["gaps"][main] for row in ranked)
    for row in ranked:
        gap = row["gaps"][main]
        pictures = (
            _gap_picture(row["name"], gap, scale, amounts, row["unit"]),
            _gap_picture(row["name"], gap, scale, amounts, row["unit"], "excess_"),
        )
        yield SliceLine(row, gap, pictures, gap["excess"] < 0 and gap["excess_adjusted"] < 0.05)


def _scale(gaps: Any) -> Scale:
    ends = [abs(gap[key]) for gap in gaps for key in ("low", "high", "excess_low", "excess_high")]
    reach = max(ends, default=0.0) or 0.01
    return Scale(-reach, reach, 6, 94)


def _gap_picture(
    name: str, gap: Mapping[str, float], scale: Scale, amounts: Amounts, unit: str, what: str = ""
) -> Markup:
    middle, low, high = gap[what.rstrip("_") or "gap"], gap[f"{what}low"], gap[f"{what}high"]
    shown, *ends = (amounts.gap(value, unit) for value in (middle, low, high))
    told = "more than elsewhere" if what else "gap"
    title = f"{name}, {told}: {shown}, interval {' to '.join(ends)}"
    return figures.interval_bar(low, middle, high, scale, title)


def _words(of: Mapping[str, Any]) -> dict[str, Any]:
    """N-grams of one length with their z drawn, both sides on one scale."""
    reach = max((abs(word["z"]) for side in ("lost", "kept") for word in of[side]), default=1.0)
    sides = {
        side: [
            (word, dot_at(word["z"], reach, f"{word['text']}: z {words.fixed(word['z'], 1)}"))
            for word in of[side]
        ]
        for side in ("lost", "kept")
    }
    return {**of, **sides}


def _calibration(of: Mapping[str, Any]) -> Iterator[Panel]:
    """The student's reliability before and after."""
    unit = {"tagging": "word", "multilabel": "decision"}.get(of["task"], "sentence")
    for row in of["calibration"]:
        if row["name"] != of["cast"]["student"]:
            continue
        for when, told in (
            ("before", "before"),
            ("after", f"after, T = {fitted_temperature(row['temperature'][0])}"),
        ):
            bins = [Bin(**each) for each in row[when]["bins"]]
            error = row[when]["ece"][0]
            picture = curves.reliability(Calibration(error, bins), f"{row['name']}, {told}", "s1", unit)
            yield Panel(f"Student, {told}", "s1", f"ECE {words.fixed(error, 3)}", picture)


def _sharpness(of: Mapping[str, Any]) -> Iterator[Panel]:
    """The teacher's confidence at each temperature, with that at one as a line."""
    rows, units = of["sharpness"], "words" if of["task"] == "tagging" else "texts"
    plain = next((row["bins"] for row in rows if row["temperature"] == 1), None)
    for row in rows:
        title = f"T = {words.axis(row['temperature'])}"
        others = None if row["temperature"] == 1 else plain
        note = "as the recipe has it" if row["in_recipe"] else ""
        picture = histogram(row["bins"], others, f"the test set at {title}", "T = 1", units)
        yield Panel(title, "", note, picture)


def _overlaps(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Markup | None]]:
    """Each overlap with its interval drawn around what luck would give."""
    known = [row for row in rows if row["share"] is not None]
    reach = (
        max((abs(row[end] - row["luck"]) for row in known for end in ("low", "high")), default=0.0) or 0.01
    )
    scale = Scale(-reach, reach, 6, 94)
    return [(row, _overlap_picture(row, scale) if row["share"] is not None else None) for row in rows]


def _overlap_picture(row: Mapping[str, Any], scale: Scale) -> Markup:
    low, middle, high = (row[key] - row["luck"] for key in ("low", "share", "high"))
    title = (
        f"{row['of']} and {row['over']}: {words.percent(row['share'])}, by luck {words.percent(row['luck'])}"
    )
    return figures.interval_bar(low, middle, high, scale, title)


def _role(of: Mapping[str, Any], name: str) -> str:
    roles: dict[str, str] = {model: role for role, model in of["cast"].items()}
    return roles[name]


def _by_kind(reading: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    kinds = dict.fromkeys(one["kind"] for one in reading)
    return [(kind, [one for one in reading if one["kind"] == kind]) for kind in kinds]


def _shares(of: Mapping[str, Any]) -> str:
    """How agreement is told: in per cent, but for correlations."""
    return "correlation" if of["task"] == "regression" else "share"
