"""The pictures, as SVG without colours of its own: classes name the series, the page's style sheet paints them.

Every number in a picture is also in its ``title``, which browsers show on hovering and read aloud.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from limbeck.report import words
from limbeck.report.facts import ENGINES, Bin, Calibration, Journal
from limbeck.report.svg import Scale, around, drawing, path, tag

PANEL = (360.0, 260.0)
"""Width and height of one small picture, in pixels of a phone."""

LOSS_POINTS = 120
"""Points of a loss curve; longer ones are averaged down to so many."""


@dataclass(frozen=True)
class Place:
    """One model on one engine, in the plot of quality against latency.

    Attributes:
        name: The model.
        style: Its class in the style sheet.
        engine: A key of ``ENGINES``.
        latency: Median milliseconds a sentence.
        quality: Mean accuracy on test.
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


def quality_against_latency(places: Sequence[Place], width: float, height: float) -> Markup:
    """Accuracy against the logarithm of latency; a circle's area is the bytes on disk, its mark the engine."""
    largest = max((place.bytes or 0 for place in places), default=0) or 1
    reach = min(width, height) * 0.085
    low, high = _latency_ends([place.latency for place in places])
    quality = [place.quality + sign * (place.deviation or 0) for place in places for sign in (-1, 1)]
    x = Scale(low, high, 44, width - 14, log=True)
    y = Scale(*around(quality, 0.22, 0.02), height - 42, 12)
    # Large circles first, so that small ones stay in sight and in reach.
    ordered = sorted(places, key=lambda place: -(place.bytes or 0))
    circles = [_place(place, x, y, max(3.5, reach * ((place.bytes or 0) / largest) ** 0.5)) for place in ordered]
    return drawing(
        width,
        height,
        "Accuracy on test against milliseconds a sentence",
        [
            *_frame(x, y, "milliseconds a sentence (median, log scale)", words.significant, _percent),
            *_joined(places, x, y),
            *circles,
            *(_names(places, x, y) if width > 500 else ()),
        ],
    )


def _latency_ends(values: Sequence[float]) -> tuple[float, float]:
    """Room for circles on both sides, in ratios."""
    low, high = min(values), max(values)
    ratio = max((high / low) ** 0.12, 1.5)
    return low / ratio, high * ratio


def _place(place: Place, x: Scale, y: Scale, radius: float) -> Markup:
    across, down = x(place.latency), y(place.quality)
    deviation = f" ± {words.score('accuracy', place.deviation)}" if place.deviation else ""
    title = (
        f"{place.name} in {ENGINES.get(place.engine, place.engine)}: {words.significant(place.latency)} ms, "
        f"accuracy {words.score('accuracy', place.quality)}{deviation}, {words.size(place.bytes)}"
    )
    whisker = (
        tag("path", d=f"M{across:.1f},{y(place.quality - place.deviation):.1f}V{y(place.quality + place.deviation):.1f}")
        if place.deviation
        else Markup()
    )
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
        return tag("rect", x=x - size * 0.9, y=y - size * 0.9, width=size * 1.8, height=size * 1.8, class_="mark")
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


def _names(places: Sequence[Place], x: Scale, y: Scale) -> Iterator[Markup]:
    """Models' names in the picture: towards its middle, and never on top of one another."""
    middle = (x.start + x.end) / 2
    taken: list[tuple[bool, float]] = []
    groups = sorted(_by_name(places).values(), key=lambda group: y(group[0].quality))
    for group in groups:
        left = x(group[0].latency) + x(group[-1].latency) < 2 * middle
        end = group[-1] if left else group[0]
        across = x(end.latency) + (24 if left else -40)
        down = y(end.quality) + 4
        while any(side == left and abs(down - other) < 15 for side, other in taken):
            down += 2
        taken.append((left, down))
        anchor = "start" if left else "end"
        yield tag("text", end.name, x=across, y=down, text_anchor=anchor, class_=f"name {end.style}")


@dataclass(frozen=True)
class Curve:
    """One journal with its class in the style sheet."""

    journal: Journal
    style: str

    @property
    def title(self) -> str:
        """The model and its seed."""
        return self.journal.name if self.journal.seed is None else f"{self.journal.name}, seed {self.journal.seed}"


def dev_curves(curves: Sequence[Curve], metric: str, teacher: float | None) -> Markup | None:
    """The dev score by step of every seed; the teacher's best as a level."""
    points = [
        (curve, [(point.step, point.scores[metric] or 0.0) for point in curve.journal.dev if metric in point.scores])
        for curve in curves
    ]
    values = [value for _, each in points for _, value in each] + ([] if teacher is None else [teacher])
    if not any(each for _, each in points):
        return None
    x = Scale(0, max(step for _, each in points for step, _ in each) or 1, 44, PANEL[0] - 14)
    y = Scale(*around(values, 0.08, 0.02), PANEL[1] - 42, 12)
    name = words.METRICS.get(metric, metric)
    shown = _percent if metric in words.IN_PERCENT else words.significant
    level = () if teacher is None else (_level(teacher, metric, x, y),)
    lines = [line for curve, each in points if each for line in _dev_curve(curve, each, metric, x, y)]
    return drawing(*PANEL, f"{name} on dev by step", [*_frame(x, y, "step", words.significant, shown), *level, *lines])


def _level(value: float, metric: str, x: Scale, y: Scale) -> Markup:
    title = tag("title", f"teacher: best dev score {words.score(metric, value)}")
    line = path([(x.start, y(value)), (x.end, y(value))], class_="line")
    name = tag("text", "teacher", x=x.start + 4, y=y(value) - 5, class_="name teacher")
    return tag("g", title, line, name, class_="level teacher")


def _dev_curve(
    curve: Curve, points: list[tuple[int, float]], metric: str, x: Scale, y: Scale
) -> tuple[Markup, Markup]:
    step, best = max(points, key=lambda point: point[1])
    told = ", ".join(f"{words.score(metric, value)} at step {words.count(step)}" for step, value in points)
    line = path([(x(step), y(value)) for step, value in points], class_="line")
    dot = tag("circle", cx=x(step), cy=y(best), r=3.0, class_="dot")
    title = f"{curve.title}: best {words.score(metric, best)} at step {words.count(step)}"
    return (
        tag("g", tag("title", f"{curve.title}: {told}"), line, class_=f"curve {curve.style}"),
        tag("g", tag("title", title), dot, class_=f"curve {curve.style}"),
    )


def loss_curves(curves: Sequence[Curve]) -> Markup | None:
    """The training loss by step of one method's seeds, averaged down to what a picture can show."""
    shown = [(curve, _averaged(curve.journal.losses)) for curve in curves]
    shown = [(curve, losses) for curve, losses in shown if len(losses)]
    if not shown:
        return None
    every = np.concatenate([losses for _, losses in shown])
    x = Scale(0, float(every[:, 0].max()) or 1, 44, PANEL[0] - 14)
    low, high = around(every[:, 1].tolist(), 0.06)
    y = Scale(min(low, 0.0) if every[:, 1].min() < 0 else 0.0, high, PANEL[1] - 42, 12)
    lines = [
        tag(
            "g",
            tag("title", f"{curve.title}: {words.significant(losses[0, 1])} at first, {words.significant(losses[-1, 1])} at last"),
            path([(x(step), y(loss)) for step, loss in losses], class_="line"),
            class_=f"curve {curve.style}",
        )
        for curve, losses in shown
    ]
    frame = _frame(x, y, "step", words.significant, words.significant)
    return drawing(*PANEL, f"Training loss of {curves[0].journal.name} by step", [*frame, *lines])


def _averaged(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of neighbouring steps, at most ``LOSS_POINTS`` of them; not-a-number is left out."""
    finite = losses[np.isfinite(losses).all(axis=1)]
    if len(finite) <= LOSS_POINTS:
        return finite
    return np.stack([part.mean(axis=0) for part in np.array_split(finite, LOSS_POINTS)])


def reliability(calibration: Calibration, name: str, style: str) -> Markup:
    """Accuracy against confidence by bins; a dot's area is its share of sentences, the diagonal is honesty."""
    width, height = 300.0, 268.0
    x, y = Scale(0, 1, 44, width - 14), Scale(0, 1, height - 42, 12)
    bins = [each for each in calibration.bins if each.count and each.accuracy is not None]
    largest = max((each.count for each in bins), default=1)
    diagonal = path([(x(0), y(0)), (x(1), y(1))], class_="diagonal")
    middles = [(x(_confidence(each)), y(each.accuracy or 0.0)) for each in bins]
    dots = [
        tag(
            "g",
            tag("title", _bin_title(each)),
            tag("circle", cx=across, cy=down, r=3 + 8 * (each.count / largest) ** 0.5, class_="area"),
            tag("circle", cx=across, cy=down, r=1.8, class_="mark"),
        )
        for each, (across, down) in zip(bins, middles, strict=True)
    ]
    line = [path(middles, class_="line")] if len(middles) > 1 else []
    frame = _frame(x, y, "confidence, %", _percent, _percent)
    return drawing(
        width, height, f"Reliability of {name}", [*frame, diagonal, tag("g", *line, *dots, class_=f"curve place {style}")]
    )


def _confidence(each: Bin) -> float:
    return (each.low + each.high) / 2 if each.confidence is None else each.confidence


def _bin_title(each: Bin) -> str:
    held = words.plural(each.count, "sentence")
    confidence, accuracy = words.score("accuracy", _confidence(each)), words.score("accuracy", each.accuracy)
    return f"{held} with confidence {_percent(each.low)} to {_percent(each.high)}%: mean {confidence}, accuracy {accuracy}"


def heat_map(labels: Sequence[str], counts: NDArray[np.int64]) -> Markup:
    """A confusion matrix of many classes: one square a pair, shaded by its share of the row.

    Args:
        labels: The classes.
        counts: Gold by predicted, ``(classes, classes)``.
    """
    side, margin = 14, 8 + 6.4 * min(18, max(len(label) for label in labels))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    extent = margin + side * len(labels) + 4

    def middle(index: int) -> float:
        return margin + side * (index + 0.5)

    names = [
        part
        for index, label in enumerate(labels)
        for part in (
            tag("text", tag("title", label), _short(label), x=margin - 5, y=middle(index) + 3.5, text_anchor="end"),
            tag("text", tag("title", label), _short(label), transform=f"translate({middle(index) + 3.5:.1f},{margin - 5:.1f})rotate(-90)"),
        )
    ]
    cells = [
        tag(
            "rect",
            tag("title", f"{labels[gold]} taken for {labels[said]}: {words.count(counts[gold, said])} ({words.percent(shares[gold, said])})"),
            x=margin + side * int(said) + 0.5,
            y=margin + side * int(gold) + 0.5,
            width=side - 1,
            height=side - 1,
            fill_opacity=float(0.12 + 0.88 * shares[gold, said]),
            class_="hit" if gold == said else "miss",
        )
        for gold, said in np.argwhere(counts)
    ]
    ground = tag("rect", x=margin, y=margin, width=side * len(labels), height=side * len(labels), class_="ground")
    return drawing(extent, extent, "Confusion matrix: gold down, predicted across", [ground, *names, *cells], "natural heat")


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


def _percent(value: float) -> str:
    """A share as a number of per cent, for axes."""
    return f"{round(100 * value, 6):g}".replace("-", words.MINUS)


def _frame(
    x: Scale, y: Scale, x_title: str, x_text: Callable[[float], str], y_text: Callable[[float], str]
) -> Iterable[Markup]:
    """Grid, ticks and the title of the lower axis; what goes upwards is said above the picture."""
    for value in y.ticks():
        down = y(value)
        yield path([(x.start, down), (x.end, down)], class_="grid")
        yield tag("text", y_text(value), x=x.start - 7, y=down + 4, text_anchor="end", class_="tick")
    for value in x.ticks(4 if x.end < 500 else 8):
        across = x(value)
        yield path([(across, y.start), (across, y.start + 4)], class_="grid")
        yield tag("text", x_text(value), x=across, y=y.start + 17, text_anchor="middle", class_="tick")
    yield path([(x.start, y.start), (x.end, y.start)], class_="axis")
    yield tag("text", x_title, x=(x.start + x.end) / 2, y=y.start + 35, text_anchor="middle", class_="axis-title")


def key_mark(engine: str) -> Markup:
    """An engine's mark by itself, for the key under a plot."""
    return drawing(12, 12, ENGINES[engine], [mark(engine, 6.0, 6.0)], "natural key-mark")
