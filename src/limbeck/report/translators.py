"""What is told of translators alone, arranged for the page: BLEU by source length, lengths, faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from limbeck.report import words
from limbeck.report.facts import Run
from limbeck.report.measures import Table
from limbeck.report.samples import SampleGroup
from limbeck.report.svg import Scale, around, drawing, frame, gutter, path, tag


@dataclass(frozen=True)
class LengthLine:
    """A model's BLEU in every bin."""

    name: str
    style: str
    bleu: tuple[float, ...]


@dataclass(frozen=True)
class LengthView:
    """BLEU by source length, drawn for a laptop and for a phone, and in numbers.

    Attributes:
        bins: Of each its words, e.g. ``9–11``, and its sentences.
        lines: The models, teacher first.
    """

    bins: tuple[tuple[str, int], ...]
    lines: tuple[LengthLine, ...]
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class FaultRow:
    """A model's faults, means over its seeds; None where nobody counted."""

    name: str
    style: str
    length_ratio: float | None
    repeated: float | None
    copies: float | None
    empty: float | None
    passes: float | None


def length_view(run: Run, styles: Mapping[str, str], ordered: Sequence[str]) -> LengthView | None:
    """BLEU by length; None where it was not counted."""
    lengths = run.evaluation.lengths
    if lengths is None or not lengths.bins:
        return None
    bins = tuple((_span(each.low, each.high), each.examples) for each in lengths.bins)
    lines = tuple(
        LengthLine(run.shown(name), styles[name], tuple(lengths.bleu[name]))
        for name in ordered
        if name in lengths.bleu
    )
    return LengthView(bins, lines, _drawn(bins, lines, 1040.0, 360.0), _drawn(bins, lines, 360.0, 300.0))


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def _drawn(
    bins: Sequence[tuple[str, int]], lines: Sequence[LengthLine], width: float, height: float
) -> Markup:
    """One line a model over bins of the same width."""
    values = [value for line in lines for value in line.bleu]
    low, high = around(values, 0.08, 2.0)
    y = Scale(max(0.0, low), high, height - 42, 12)
    x = Scale(-0.5, len(bins) - 0.5, gutter(y, words.axis), width - 14)
    places = [float(number) for number in range(len(bins))]
    ground = frame(x, y, "words of the source", lambda value: bins[int(value)][0], words.axis, places)
    drawn = [part for line in lines for part in _line(line, bins, x, y)]
    return drawing(width, height, "BLEU on test by the length of the source", [*ground, *drawn])


def _line(line: LengthLine, bins: Sequence[tuple[str, int]], x: Scale, y: Scale) -> tuple[Markup, Markup]:
    points = [(x(float(number)), y(value)) for number, value in enumerate(line.bleu)]
    dots = [
        tag(
            "g",
            tag("title", f"{line.name}, {span} words: BLEU {words.score('bleu', value)} on {sentences}"),
            tag("circle", cx=across, cy=down, r=3.2, class_="dot"),
        )
        for (across, down), value, (span, sentences) in zip(
            points,
            line.bleu,
            [(span, words.plural(number, "sentence")) for span, number in bins],
            strict=True,
        )
    ]
    return (
        tag("g", path(points, class_="line"), class_=f"curve {line.style}"),
        tag("g", *dots, class_=f"curve {line.style}"),
    )


def fault_rows(run: Run, styles: Mapping[str, str], ordered: Sequence[str]) -> tuple[FaultRow, ...]:
    """The references' row, then one a model."""
    rows = []
    for name in ("reference", *ordered):
        seeds = [each for each in run.evaluation.faults if each.name == name]
        if not seeds:
            continue
        row = FaultRow(
            name="references" if name == "reference" else run.shown(name),
            style=styles.get(name, "plain"),
            length_ratio=_mean(each.length_ratio for each in seeds),
            repeated=_mean(each.repeated for each in seeds),
            copies=_mean(each.copies for each in seeds),
            empty=_mean(each.empty for each in seeds),
            passes=run.passes(name),
        )
        rows.append(row)
    return tuple(rows)


def pair_table(report: Mapping[str, Any]) -> Table | None:
    """Pairs and words of each set, as ``prepare`` counted them.

    Args:
        report: ``prepared.json``: ``pairs``, ``sides``, ``length_ratio``, ``references``, ``languages`` by set.

    Returns:
        None where nothing is translated.
    """
    pairs = report.get("pairs") or {}
    if not pairs:
        return None
    sides = report.get("sides") or {}
    columns: dict[str, dict[str, str]] = {
        "Pairs": _counts(pairs),
        "Words": _counts({name: of.get("text") for name, of in sides.items()}),
        "Words of translations": _counts({name: of.get("target") for name, of in sides.items()}),
        "Length ratio": {name: words.fixed(of, 3) for name, of in (report.get("length_ratio") or {}).items()},
    }
    references = report.get("references") or {}
    if max(references.values(), default=0) > 1:
        columns["References at most"] = _counts(references)
    languages = report.get("languages") or {}
    for language in dict.fromkeys(one for of in languages.values() for one in of):
        columns[f"In {language}"] = _counts({name: of.get(language, 0) for name, of in languages.items()})
    rows = tuple((name, tuple(of.get(name, words.MISSING) for of in columns.values())) for name in pairs)
    return Table(tuple(columns), rows)


def _counts(numbers: Mapping[str, int | None]) -> dict[str, str]:
    return {name: words.count(number) for name, number in numbers.items()}


GROUPS = {
    ("control", True): "Where the student gains most over the control",
    ("control", False): "Where it loses most to the control",
    ("teacher", True): "Where it betters the teacher most",
    ("teacher", False): "Where it falls furthest behind the teacher",
    ("", False): "Picked at random",
}
"""Headings of the groups of sentences: whom the student is compared with, and whether it is better."""


def group_title(group: SampleGroup) -> str:
    """The heading of a group of sentences."""
    return GROUPS[group.over, group.wins]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
