"""Learning curves and reliability diagrams, as SVG in small panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from limbeck.report import words
from limbeck.report.facts import Bin, Calibration, Journal
from limbeck.report.svg import Scale, around, drawing, frame, gutter, path, tag

PANEL = (360.0, 260.0)
"""Width and height of one small picture, in pixels of a phone."""

LOSS_POINTS = 120
"""Points of a loss curve; longer ones are averaged down to so many."""


@dataclass(frozen=True)
class Curve:
    """One journal with its class in the style sheet."""

    journal: Journal
    style: str

    @property
    def title(self) -> str:
        """The model and its seed; of a teacher or a successor, its stage."""
        journal = self.journal
        which = journal.stage if journal.seed is None else f"seed {journal.seed}"
        return f"{journal.name}, {which}" if which else journal.name

    def scores(self, metric: str) -> list[tuple[int, float]]:
        """Steps and dev scores."""
        return [
            (each.step, score) for each in self.journal.dev if (score := each.scores.get(metric)) is not None
        ]


def dev_curves(curves: Sequence[Curve], metric: str, teacher: float | None) -> Markup | None:
    """The dev score by step of every seed, the teacher's best as a level; None where no seed was scored twice."""
    points = [(curve, curve.scores(metric)) for curve in curves]
    values = [value for _, each in points for _, value in each] + ([] if teacher is None else [teacher])
    if not any(len(each) > 1 for _, each in points):
        return None
    y = Scale(*around(values, 0.08, words.least_reach(metric)), PANEL[1] - 42, 12, most=words.most(metric))
    name = words.METRICS.get(metric, metric)
    shown = words.axis_of(metric)
    last = max(step for _, each in points for step, _ in each) or 1
    x = Scale(0, last, gutter(y, shown), PANEL[0] - 14)
    level = () if teacher is None else (_level(teacher, metric, x, y),)
    lines = [line for curve, each in points if each for line in _dev_curve(curve, each, metric, x, y)]
    return drawing(
        *PANEL, f"{name} on dev by step", [*frame(x, y, "step", words.axis, shown), *level, *lines]
    )


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
    low, high = around(every[:, 1].tolist(), 0.06)
    y = Scale(min(low, 0.0) if every[:, 1].min() < 0 else 0.0, high, PANEL[1] - 42, 12)
    x = Scale(0, float(every[:, 0].max()) or 1, gutter(y, words.axis), PANEL[0] - 14)
    lines = [
        tag(
            "g",
            tag(
                "title",
                f"{curve.title}: {_ends(losses)}",
            ),
            path([(x(step), y(loss)) for step, loss in losses], class_="line"),
            class_=f"curve {curve.style}",
        )
        for curve, losses in shown
    ]
    what = f"Training loss of {curves[0].journal.name} by step"
    return drawing(*PANEL, what, [*frame(x, y, "step", words.axis, words.axis), *lines])


def _ends(losses: NDArray[np.float64]) -> str:
    return f"{words.significant(losses[0, 1])} at first, {words.significant(losses[-1, 1])} at last"


def _averaged(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of neighbouring steps, at most ``LOSS_POINTS`` of them; not-a-number is left out."""
    finite = losses[np.isfinite(losses).all(axis=1)]
    if len(finite) <= LOSS_POINTS:
        return finite
    return np.stack([part.mean(axis=0) for part in np.array_split(finite, LOSS_POINTS)])


def reliability(calibration: Calibration, name: str, style: str, unit: str = "sentence") -> Markup:
    """Accuracy against confidence by bins; a dot's area is its share of sentences, or of other units."""
    width, height = 300.0, 268.0
    x, y = Scale(0, 1, 44, width - 14), Scale(0, 1, height - 42, 12)
    bins = [each for each in calibration.bins if each.count and each.accuracy is not None]
    largest = max((each.count for each in bins), default=1)
    diagonal = path([(x(0), y(0)), (x(1), y(1))], class_="diagonal")
    middles = [(x(_confidence(each)), y(each.accuracy or 0.0)) for each in bins]
    dots = [
        tag(
            "g",
            tag("title", _bin_title(each, unit)),
            tag("circle", cx=across, cy=down, r=3 + 8 * (each.count / largest) ** 0.5, class_="area"),
            tag("circle", cx=across, cy=down, r=1.8, class_="mark"),
        )
        for each, (across, down) in zip(bins, middles, strict=True)
    ]
    line = [path(middles, class_="line")] if len(middles) > 1 else []
    ground = frame(x, y, "confidence, %", words.axis_percent, words.axis_percent)
    return drawing(
        width,
        height,
        f"Reliability of {name}",
        [*ground, diagonal, tag("g", *line, *dots, class_=f"curve place {style}")],
    )


def _confidence(each: Bin) -> float:
    return (each.low + each.high) / 2 if each.confidence is None else each.confidence


def _bin_title(each: Bin, unit: str) -> str:
    held = words.plural(each.count, unit)
    confidence, accuracy = words.score("accuracy", _confidence(each)), words.score("accuracy", each.accuracy)
    ends = f"{words.fixed(100 * each.low, 0)} to {words.fixed(100 * each.high, 0)}%"
    return f"{held} with confidence {ends}: mean {confidence}, accuracy {accuracy}"
