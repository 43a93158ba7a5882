"""Transfer text: of each kind how much there is, what the teacher says of it, and some of it to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError

from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json
from limbeck.report import words
from limbeck.report.svg import Scale, drawing, frame, path, tag

SIZE = (300.0, 200.0)
"""Width and height of a histogram, in pixels."""
GOLD = "gold"
TITLES = {GOLD: "gold text", "unlabelled": "unlabelled text"}
"""Names of text that no rewriter made, for people."""
DROPPED = "Dropped"
"""The column that holds words."""
SHOWN_QUANTILES = ("0.1", "0.5", "0.9")


@dataclass(frozen=True)
class Answered:
    """A text with its gold, and what the teacher says of it; None where that is not known."""

    text: str
    gold: str | None
    label: str | None
    confidence: float | None


@dataclass(frozen=True)
class TextSample:
    """A text, and the one that it was made of, if any."""

    made: Answered
    of: Answered | None
    origin: str


@dataclass(frozen=True)
class Confidence:
    """The teacher's largest probability over some texts.

    Attributes:
        texts: How many.
        mean: Of it.
        quantiles: By share.
        bins: Histogram of equal steps from 0 to 1.
        labels: Share of the texts that each label was chosen for.
    """

    texts: int
    mean: float
    quantiles: dict[str, float]
    bins: list[int]
    labels: dict[str, float]


@dataclass(frozen=True)
class Kind:
    """Texts of one origin: how many were kept and dropped (by reason), and their words on average."""

    name: str
    kept: int
    dropped: dict[str, int]
    words: float | None
    confidence: Confidence | None
    samples: list[TextSample]

    @property
    def title(self) -> str:
        """Its name for people."""
        return TITLES.get(self.name, self.name)

    @property
    def drawn(self) -> int | None:
        """How many there were before any was dropped; None of gold, whose cleaning is told elsewhere."""
        return None if self.name == GOLD else self.kept + sum(self.dropped.values())


@dataclass(frozen=True)
class TransferText:
    """``transfer_text.json``."""

    kinds: list[Kind]


@dataclass(frozen=True)
class TextView:
    """The section, arranged.

    Attributes:
        heads: Names of the columns.
        rows: A row a kind: its title, then cells as they are shown.
        histograms: Titles and pictures, one of each kind that the teacher was asked about.
        kinds: Those with samples to show.
        compared: Whether the histograms show gold text as a line.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    histograms: tuple[tuple[str, Markup], ...]
    kinds: tuple[Kind, ...]
    compared: bool


def read_transfer_text(path: Path) -> TransferText | None:
    """The file's content; None where there is none.

    Raises:
        LimbeckError: It is damaged.
    """
    if not path.is_file():
        return None
    try:
        return TypeAdapter(TransferText).validate_python(read_json(path))
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the file"
        raise LimbeckError(f"'{key}' is not as 'limbeck evaluate' writes it", where=path) from None


def text_view(found: TransferText | None) -> TextView | None:
    """Arrange the section; None where there is nothing to tell."""
    if found is None or not found.kinds:
        return None
    gold = next((kind.confidence.bins for kind in found.kinds if kind.name == GOLD and kind.confidence), None)
    asked = any(kind.confidence for kind in found.kinds)
    heads = ("Drawn", "Kept", "Kept, %", DROPPED, "Words")
    return TextView(
        heads=(*heads, "Confidence, %", "10th", "Median", "90th") if asked else heads,
        rows=tuple(
            (kind.title, (*_counts(kind), *(_confidence(kind) if asked else ()))) for kind in found.kinds
        ),
        histograms=tuple(
            (kind.title, histogram(kind.confidence.bins, None if kind.name == GOLD else gold, kind.title))
            for kind in found.kinds
            if kind.confidence
        ),
        kinds=tuple(kind for kind in found.kinds if kind.samples and kind.name != GOLD),
        compared=gold is not None,
    )


def _counts(kind: Kind) -> tuple[str, ...]:
    drawn = kind.drawn
    return (
        words.MISSING if drawn is None else words.count(drawn),
        words.count(kind.kept),
        _in_percent(kind.kept / drawn if drawn else None),
        words.MISSING if drawn is None else words.listed(kind.dropped.items()) or "none",
        words.fixed(kind.words, 1),
    )


def _confidence(kind: Kind) -> tuple[str, ...]:
    found = kind.confidence
    values = [found.mean, *(found.quantiles[share] for share in SHOWN_QUANTILES)] if found else [None] * 4
    return tuple(map(_in_percent, values))


def _in_percent(share: float | None) -> str:
    return words.fixed(None if share is None else 100 * share, 1)


def histogram(
    bins: Sequence[int],
    others_bins: Sequence[int] | None,
    title: str,
    line_of: str = "gold text",
    units: str = "texts",
) -> Markup:
    """Shares of texts by the teacher's confidence, in bars; those of others as a line.

    Args:
        bins: What the bars show: texts by confidence, from 0 to 1.
        others_bins: What the line shows; None draws none.
        title: Of the text.
        line_of: What the line is of.
        units: What is counted.
    """
    shares, others = _shares(bins), None if others_bins is None else _shares(others_bins)
    top = max([*shares, *(others or ())])
    x, y = Scale(0, 1, 44, SIZE[0] - 14), Scale(0, top * 1.08 or 1.0, SIZE[1] - 42, 12)
    width = (x(1) - x(0)) / len(shares)
    bars = [
        tag(
            "rect",
            tag(
                "title",
                _bar_title(
                    number,
                    len(shares),
                    f"{words.percent(share)} of the {units}",
                    "" if others is None else f"; of {line_of} {words.percent(others[number])}",
                ),
            ),
            x=x(0) + number * width + 1,
            y=y(share),
            width=width - 2,
            height=y(0) - y(share),
            class_="area",
        )
        for number, share in enumerate(shares)
    ]
    line = [path(_steps(others, x, y), class_="diagonal")] if others else []
    ground = frame(x, y, "confidence, %", words.axis_percent, words.axis_percent)
    return drawing(
        *SIZE, f"The teacher's confidence in {title}", [*ground, tag("g", *bars, class_="place s1"), *line]
    )


def _shares(bins: Sequence[int]) -> list[float]:
    total = sum(bins) or 1
    return [count / total for count in bins]


def _steps(shares: Sequence[float], x: Scale, y: Scale) -> list[tuple[float, float]]:
    """The outline of bars, from left to right."""
    edges = np.linspace(0, 1, len(shares) + 1).tolist()
    return [
        (x(edge), y(share))
        for number, share in enumerate(shares)
        for edge in (edges[number], edges[number + 1])
    ]


def _bar_title(number: int, bins: int, share: str, of_others: str) -> str:
    ends = f"{words.percent(number / bins, 0)} to {words.percent((number + 1) / bins, 0)}"
    return f"confidence {ends}: {share}{of_others}"
