"""Transfer text as Markdown: a table of its kinds, and some of each to read."""

from __future__ import annotations

from collections.abc import Iterator

from limbeck.report import words
from limbeck.report.markdown_parts import table, text
from limbeck.report.transfer_text import DROPPED, Answered, Kind, TextSample, TextView

SHOWN, LONGEST = 3, 200
"""Texts of each kind, and characters of each; the page has more texts."""


def transfer_text(view: TextView) -> Iterator[str]:
    """The section below its heading."""
    rows = [
        [
            text(title),
            *(text(cell) if head == DROPPED else cell for head, cell in zip(view.heads, cells, strict=True)),
        ]
        for title, cells in view.rows
    ]
    yield table(["Text", *view.heads], rows)
    for kind in view.kinds:
        yield f"Of {text(kind.title)}:"
        yield _samples(kind)


def _samples(kind: Kind) -> str:
    return "\n".join(f"- {_sample(sample)}" for sample in kind.samples[:SHOWN])


def _sample(sample: TextSample) -> str:
    made = _answered(sample.made)
    return made if sample.of is None else f"{_answered(sample.of)} → {made}"


def _answered(of: Answered) -> str:
    shown = of.text if len(of.text) <= LONGEST else of.text[: LONGEST - 1] + "…"
    said = "" if of.label is None else f" ({text(of.label)} {words.percent(of.confidence, 0)})"
    return text(shown) + said
