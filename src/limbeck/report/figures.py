"""Quality against latency, intervals and large confusion matrices, as SVG.

Pictures have no colours of their own: classes name the series, the page's style sheet paints them. Every
number in a picture is also in its ``title``, which browsers show on hovering and read aloud.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from limbeck.report import words
from limbeck.report.svg import Scale, around, drawing, frame, gutter, path, tag

SQUARE = 14
"""Side of a pair's square in a heat map, in pixels."""
LETTER = 7.2
"""About how wide a letter of a name is."""


@dataclass(frozen=True)
class Place:
    """One model on one engine, in the plot of quality against latency.

    Attributes:
        name: The model.
        style: Its class in the style sheet.
        engine: A key of ``words.ENGINES``.
        latency: Median milliseconds a sentence.
        quality: Mean of the score that decides, on test.
        deviation: Its standard deviation over seeds, or None.
        bytes: Size on disk, or None.
    """

    name: str
    style: str
    engine: str
    latency: float
    quality: float
    deviation: float | None
    bytes: int | None


def quality_against_latency(
    places: Sequence[Place], width: float, height: float, metric: str = "accuracy"
) -> Markup:
    """The metric against log latency; a circle's area is the bytes on disk, its mark the engine."""
    largest = max((place.bytes or 0 for place in places), default=0) or 1
    reach = min(width, height) * 0.085

    def radius(place: Place) -> float:
        return max(3.5, reach * float(np.sqrt((place.bytes or 0) / largest)))

    upwards = words.axis_of(metric)
    low, high = _latency_ends([place.latency for place in places])
    quality = [place.quality + sign * (place.deviation or 0) for place in places for sign in (-1, 1)]
    y = Scale(*around(quality, 0.22, words.least_reach(metric)), height - 42, 12, most=words.most(metric))
    x = Scale(low, high, gutter(y, upwards), width - 14, log=True)
    # Large circles first, so that small ones stay in sight and in reach.
    ordered = sorted(places, key=lambda place: -(place.bytes or 0))
    circles = [_place(place, x, y, radius(place), metric) for place in ordered]
    return drawing(
        width,
        height,
        f"{words.METRICS[metric]} on test against milliseconds a sentence",
        [
            *frame(x, y, "milliseconds a sentence (median, log scale)", words.axis, upwards),
            *_joined(places, x, y),
            *circles,
            *(_names(places, x, y, radius) if width > 500 else ()),
        ],
    )


def _latency_ends(values: Sequence[float]) -> tuple[float, float]:
    """Room for circles on both sides, in ratios."""
    low, high = min(values), max(values)
    ratio = max((high / low) ** 0.12, 1.5)
    return low / ratio, high * ratio


def _place(place: Place, x: Scale, y: Scale, radius: float, metric: str) -> Markup:
    across, down = x(place.latency), y(place.quality)
    deviation = f" ± {words.score(metric, place.deviation)}" if place.deviation else ""
    title = (
        f"{place.name} in {words.ENGINES.get(place.engine, place.engine)}: {words.significant(place.latency)} ms, "
        f"{words.in_text(metric)} {words.score(metric, place.quality)}{deviation}, {words.size(place.bytes)}"
    )
    reach = [y(place.quality + sign * (place.deviation or 0)) for sign in (-1, 1)]
    whisker = path([(across, each) for each in reach]) if place.deviation else Markup()
    return tag(
        "g",
        tag("title", title),
        tag("circle", cx=across, cy=down, r=radius, class_="area"),
        whisker,
        mark(place.engine, across, down),
        class_=f"place {place.style}",
    )


def mark(engine: str, x: float, y: float, size: float = 3.2) -> Markup:
    """An engine's mark: a dot for PyTorch, a square for ONNX, a diamond for int8."""
    if engine == "pytorch":
        return tag("circle", cx=x, cy=y, r=size * 0.95, class_="mark")
    if engine == "onnx":
        return tag(
            "rect", x=x - size * 0.9, y=y - size * 0.9, width=size * 1.8, height=size * 1.8, class_="mark"
        )
    corners = f"M{x:.1f},{y - size * 1.35:.1f}l{size * 1.35:.1f},{size * 1.35:.1f}"
    rest = f"l{-size * 1.35:.1f},{size * 1.35:.1f}l{-size * 1.35:.1f},{-size * 1.35:.1f}z"
    return tag("path", d=corners + rest, class_="mark")


def _by_name(places: Sequence[Place]) -> dict[str, list[Place]]:
    """Places of each model, quickest first."""
    grouped: dict[str, list[Place]] = {}
    for place in sorted(places, key=lambda place: place.latency):
        grouped.setdefault(place.name, []).append(place)
    return grouped


def _joined(places: Sequence[Place], x: Scale, y: Scale) -> Iterator[Markup]:
    """A thin line through the engines of one model."""
    for group in _by_name(places).values():
        if len(group) > 1:
            ends = (group[0], group[-1])
            yield path([(x(p.latency), y(p.quality)) for p in ends], class_=f"joint {group[0].style}")


def _names(places: Sequence[Place], x: Scale, y: Scale, radius: Callable[[Place], float]) -> Iterator[Markup]:
    """Models' names in the picture: towards its middle, and never on top of one another."""
    middle = (x.start + x.end) / 2
    taken: list[tuple[float, float, float]] = []
    groups = sorted(_by_name(places).values(), key=lambda group: y(group[0].quality))
    for group in groups:
        left = x(group[0].latency) + x(group[-1].latency) < 2 * middle
        end = group[-1] if left else group[0]
        across = x(end.latency) + (1 if left else -1) * (radius(end) + 7)
        down = y(end.quality) + 4
        begins, ends = sorted((across, across + (1 if left else -1) * LETTER * len(end.name)))
        while any(begins < to and since < ends and abs(down - other) < 15 for since, to, other in taken):
            down += 2
        taken.append((begins, ends, down))
        anchor = "start" if left else "end"
        yield tag("text", end.name, x=across, y=down, text_anchor=anchor, class_=f"name {end.style}")


def heat_map(labels: Sequence[str], counts: NDArray[np.int64]) -> Markup:
    """A confusion matrix of many classes: one square a pair, shaded by its share of the row.

    Args:
        labels: The classes.
        counts: Gold by predicted, ``(classes, classes)``.
    """
    margin = 8 + 6.4 * min(18, max(len(label) for label in labels))
    width = SQUARE * len(labels)
    ground = tag("rect", x=margin, y=margin, width=width, height=width, class_="ground")
    return drawing(
        margin + width + 4,
        margin + width + 4,
        "Confusion matrix: gold down, predicted across",
        [ground, *_class_names(labels, margin), *_squares(labels, counts, margin)],
        "natural heat",
    )


def _class_names(labels: Sequence[str], margin: float) -> Iterator[Markup]:
    """Each class beside its row and above its column."""
    for index, label in enumerate(labels):
        middle = margin + SQUARE * (index + 0.5) + 3.5
        title, shown = tag("title", label), _short(label)
        yield tag("text", title, shown, x=margin - 5, y=middle, text_anchor="end")
        yield tag("text", title, shown, transform=f"translate({middle:.1f},{margin - 5:.1f})rotate(-90)")


def _squares(labels: Sequence[str], counts: NDArray[np.int64], margin: float) -> Iterator[Markup]:
    """One for each pair that there is."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for gold, said in np.argwhere(counts):
        share = shares[gold, said]
        told = f"{labels[gold]} taken for {labels[said]}: {counts[gold, said]} ({words.percent(share)})"
        yield tag(
            "rect",
            tag("title", told),
            x=margin + SQUARE * int(said) + 0.5,
            y=margin + SQUARE * int(gold) + 0.5,
            width=SQUARE - 1,
            height=SQUARE - 1,
            fill_opacity=float(0.15 + 0.85 * share**0.7),
            class_="hit" if gold == said else "miss",
        )


def _short(label: str, length: int = 18) -> str:
    return label if len(label) <= length else label[: length - 1] + "…"


def interval_bar(low: float, middle: float, high: float, scale: Scale, title: str) -> Markup:
    """One interval on a scale that it shares with others, with a line at zero."""
    clear = "clear" if low > 0 or high < 0 else "unclear"
    return drawing(
        scale.end + scale.start,
        20,
        title,
        [
            tag("title", title),
            path([(scale(0), 1), (scale(0), 19)], class_="zero"),
            path([(scale(low), 10), (scale(high), 10)], class_="line"),
            tag("circle", cx=scale(middle), cy=10, r=3.5, class_="mark"),
        ],
        f"natural bar {clear}",
    )


def key_mark(engine: str) -> Markup:
    """An engine's mark by itself, for the key under a plot."""
    return drawing(12, 12, words.ENGINES[engine], [mark(engine, 6.0, 6.0)], "natural key-mark")
