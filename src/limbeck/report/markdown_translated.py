"""What is told of translators alone, as Markdown: by length, faults, measures, and a few sentences."""

from __future__ import annotations

from collections.abc import Iterator

from limbeck.report import words
from limbeck.report.markdown_parts import table, text
from limbeck.report.measures import Table
from limbeck.report.samples import Piece, Rendering, Sample, Samples
from limbeck.report.translators import FaultRow, LengthView, group_title
from limbeck.report.views import RunView

SHOWN = 2
"""Sentences of each kind; the page has more."""


def translated(each: RunView, level: str) -> Iterator[str]:
    """The sections of a translation run; nothing of another task's.

    Args:
        each: The run.
        level: The hashes of a section's heading.
    """
    if each.lengths:
        yield f"{level} BLEU by words of the source"
        yield _lengths(each.lengths)
    if each.faults:
        yield f"{level} Lengths and faults"
        yield _faults(each.faults)
    if each.measures:
        yield f"{level} Measures of the text"
        yield measured(each.measures.measures)
        if each.measures.smoothings:
            yield "F(d) by smoothing:"
            yield measured(each.measures.smoothings)
        if each.measures.reading:
            yield text(each.measures.reading)
    if each.modes:
        yield f"{level} In which language"
        yield measured(each.modes.table, "Model")
    if each.run.samples:
        yield f"{level} Sentences side by side"
        yield from _samples(each.run.samples)


def _lengths(lengths: LengthView) -> str:
    rows = [["Sentences", *(words.count(number) for _, number in lengths.bins)]]
    rows += [
        [text(line.name), *(words.score("bleu", value) for value in line.bleu)] for line in lengths.lines
    ]
    return table(["Words", *(span for span, _ in lengths.bins)], rows)


def measured(of: Table, first: str = "Text") -> str:
    """A table of measures; ``first`` heads the column of names."""
    return table([first, *map(text, of.heads)], [[text(name), *values] for name, values in of.rows])


def _faults(rows: tuple[FaultRow, ...]) -> str:
    heads = ["Translations of", "Length ratio", "Repeated words, %", "Copies, %", "Empty, %", "Passes"]
    return table(
        heads,
        [
            [
                text(row.name),
                words.fixed(row.length_ratio, 3),
                *(words.share(share) for share in (row.repeated, row.copies, row.empty)),
                words.fixed(row.passes, 1),
            ]
            for row in rows
        ],
    )


def _samples(samples: Samples) -> Iterator[str]:
    for tally in samples.tallies:
        better, alike, worse = (words.count(number) for number in (tally.better, tally.alike, tally.worse))
        yield (
            f"{text(samples.student)} against the {tally.over}, by chrF: better on {better}, as good on {alike}, "
            f"worse on {worse}."
        )
    for group in samples.groups:
        if group.samples:
            yield f"{group_title(group)}:"
            yield "\n".join(_sample(sample) for sample in group.samples[:SHOWN])


def _sample(sample: Sample) -> str:
    lines = [f"- {text(sample.source)}"]
    lines += [f"  - reference: {text(reference)}" for reference in sample.references]
    lines += [
        f"  - {one.role} (BLEU {words.fixed(one.bleu, 0)}, chrF {words.fixed(one.chrf, 0)}): {_words(one)}"
        for one in sample.renderings
    ]
    return "\n".join(lines)


def _words(one: Rendering) -> str:
    said = any(piece.kind != "missing" for piece in one.pieces)
    return " ".join(map(_piece, one.pieces)) if said else "nothing"


def _piece(piece: Piece) -> str:
    """Words that the reference lacks in bold; a sign where words of it are missing."""
    if piece.kind == "missing":
        return "‸"
    return f"**{text(piece.text)}**" if piece.kind == "other" else text(piece.text)
