"""What the page's template loops over: facts arranged in rows, with their pictures beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from limbeck.report import curves, figures, forest, mapping, scatter, words
from limbeck.report.analysed_words import Link
from limbeck.report.by_type import TypeTable, type_tables
from limbeck.report.data_table import DataTable, data_table
from limbeck.report.facts import Cost, Gain, Journal, Run, Summary
from limbeck.report.measures import MeasureView, measure_view
from limbeck.report.modes import ModesView, modes_view
from limbeck.report.scored import ScoreDisputes
from limbeck.report.svg import Scale
from limbeck.report.tagged import TagDisputes
from limbeck.report.transfer_text import TextView, text_view
from limbeck.report.translators import (
    FaultRow,
    LengthView,
    fault_rows,
    length_view,
)

MANY_CLASSES = 12
"""With more classes than this a confusion matrix is a picture with its numbers in titles, not a table."""

TOO_MANY_CLASSES = 250
"""With more classes than this a picture helps nobody: only the pairs most often confused are told."""

STYLES = 6
"""Colours there are for methods."""


@dataclass(frozen=True)
class Plot:
    """Quality against latency, drawn for a laptop and for a phone, and who is in it."""

    metric: str
    wide: Markup
    narrow: Markup
    key: tuple[tuple[str, str], ...]
    engines: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True)
class Panel:
    """A small picture with its heading."""

    title: str
    style: str
    note: str
    picture: Markup


@dataclass(frozen=True)
class Confused:
    """A pair of classes that a model takes for each other."""

    gold: str
    said: str
    count: int
    share: float


@dataclass(frozen=True)
class Confusion:
    """A model's confusion matrix: a table of few classes, a picture of many, and the worst pairs of many.

    Attributes:
        rows: Gold label with, for each predicted one: count, share of the row, whether it is right.
    """

    title: str
    style: str
    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, float, bool], ...]], ...]
    picture: Markup | None
    worst: tuple[Confused, ...]


@dataclass(frozen=True)
class RunView:
    """One run, arranged for the page."""

    key: str
    run: Run
    headline: words.Headline
    date: str
    styles: Mapping[str, str]
    metrics: tuple[str, ...]
    gains: tuple[tuple[Gain, Markup], ...]
    plot: Plot | None
    dev: Panel | None
    losses: tuple[Panel, ...]
    teachers: tuple[Panel, ...]
    mappings: tuple[Panel, ...]
    reliability: tuple[Panel, ...]
    confusions: tuple[Confusion, ...]
    types: tuple[TypeTable, ...]
    type_styles: Mapping[str, str]
    data: DataTable | None
    text: TextView | None
    lengths: LengthView | None
    faults: tuple[FaultRow, ...]
    measures: MeasureView | None
    modes: ModesView | None
    forests: tuple[forest.ForestView, ...]
    scatters: tuple[Panel, ...]
    analysis: Link | None = None

    @property
    def roles(self) -> dict[str, str]:
        """A class of the style sheet by role, of the models whose sentences are shown."""
        shown = (self.run.teacher, self.run.student, self.run.control)
        return {each.role: self.styles[each.name] for each in shown if each}

    def over_control(self, summary: Summary) -> Gain | None:
        """The gain over the control, by the score that decides."""
        return self.run.gain(summary.name, self.run.control.name) if self.run.control else None


def view(run: Run, key: str) -> RunView:
    """Arrange one run; ``key`` keeps its anchors apart from other runs'."""
    styles = _styles(run)
    measured = (run.folder / "evaluation" / "evaluation.json").stat().st_mtime
    return RunView(
        key=key,
        run=run,
        headline=words.headline(run),
        date=f"{datetime.fromtimestamp(measured, tz=UTC):%-d %B %Y}",
        styles=styles,
        metrics=_metrics(run),
        gains=_gains(run),
        plot=plot(
            [place for each in run.evaluation.summary for place in _places(run, each, styles)], run.main
        ),
        dev=_dev(run, styles),
        losses=tuple(_losses(run, styles)),
        teachers=tuple(_teachers(run, styles)),
        mappings=tuple(_mappings(run, styles)),
        reliability=tuple(_reliability(run, styles)),
        confusions=tuple(_confusions(run, styles)),
        types=type_tables(run, styles),
        type_styles=_type_styles(run),
        data=data_table(run),
        text=text_view(run.text),
        lengths=length_view(run, styles, _ordered(run, styles)),
        faults=fault_rows(run, styles, _ordered(run, styles)),
        measures=measure_view(run.measures),
        modes=modes_view(*run.modes),
        forests=tuple(
            forest.view(run.forests[name], run.shown(name), styles[name])
            for name in _ordered(run, styles)
            if name in run.forests
        ),
        scatters=tuple(_scatters(run, styles)),
    )


def _styles(run: Run) -> dict[str, str]:
    """A class of the style sheet for each model; the headline's student has the first colour."""
    students = sorted(run.of_role("student"), key=lambda each: each is not run.student)
    numbered = {each.name: f"s{index % STYLES + 1}" for index, each in enumerate(students)}
    return numbered | {each.name: each.role for each in run.evaluation.summary if each.role != "student"}


def _type_styles(run: Run) -> dict[str, str]:
    """A colour for each type of span, in turn; the commonest types have colours of their own."""
    types = run.disputes.types if isinstance(run.disputes, TagDisputes) else ()
    return {kind: f"s{index % STYLES + 1}" for index, kind in enumerate(types)}


def _metrics(run: Run) -> tuple[str, ...]:
    found = {metric: None for each in run.evaluation.summary for metric in each.mean}
    return tuple(sorted(found, key=lambda name: [*words.METRICS, name].index(name)))


def _gains(run: Run) -> tuple[tuple[Gain, Markup], ...]:
    """Every comparison with its interval drawn, on one scale so that they can be compared."""
    gains = run.evaluation.gains
    reach = max((abs(value) for gain in gains for value in (gain.low, gain.high)), default=0.0) or 0.01
    scale = Scale(-reach, reach, 6, 174)
    return tuple(
        (gain, figures.interval_bar(gain.low, gain.gain, gain.high, scale, _told(run, gain)))
        for gain in gains
    )


def _told(run: Run, gain: Gain) -> str:
    amount = words.difference(gain.metric, gain.gain)
    pair = f"{run.shown(gain.of)} over {run.shown(gain.over)}"
    return f"{pair}, {gain.metric}: {amount}, interval {words.spread(gain)}"


def _places(run: Run, summary: Summary, styles: Mapping[str, str]) -> Iterator[figures.Place]:
    for cost in run.costs(summary.name):
        if place := place_of(run, summary, cost, styles.get(summary.name, "s1")):
            yield place


def place_of(
    run: Run, summary: Summary, cost: Cost, style: str, name: str | None = None
) -> figures.Place | None:
    """A model's place in the plot, if its quality and latency are known."""
    quality, deviation = summary.mean.get(run.main), summary.deviation.get(run.main)
    if quality is None or cost.p50_ms is None or cost.p50_ms <= 0:
        return None
    deviation = deviation if summary.seeds > 1 else None
    shown = name or run.shown(summary.name)
    return figures.Place(shown, style, cost.engine, cost.p50_ms, quality, deviation, cost.bytes)


def plot(places: Sequence[figures.Place], metric: str = "accuracy") -> Plot | None:
    """Quality against latency for both widths of screen."""
    if not places:
        return None
    engines = [engine for engine in words.ENGINES if any(place.engine == engine for place in places)]
    return Plot(
        metric=metric,
        wide=figures.quality_against_latency(places, 1040.0, 430.0, metric),
        narrow=figures.quality_against_latency(places, 360.0, 380.0, metric),
        key=tuple({place.name: place.style for place in places}.items()),
        engines=tuple((words.ENGINES[engine], figures.key_mark(engine)) for engine in engines),
    )


def _dev(run: Run, styles: Mapping[str, str]) -> Panel | None:
    seeds = [curves.Curve(each, styles[each.name]) for each in run.journals if _is_trained(each, styles)]
    best = [
        point.scores[run.metric]
        for each in run.journals
        if each.seed is None and (point := each.best(run.metric))
    ]
    picture = curves.dev_curves(seeds, run.metric, best[0] if best else None)
    if picture is None:
        return None
    return Panel(_on_dev(run), "", "", picture)


def _on_dev(run: Run) -> str:
    unit = ", %" if run.metric in words.IN_PERCENT else ""
    return f"{words.METRICS.get(run.metric, run.metric)} on dev{unit}"


def _is_trained(journal: Journal, styles: Mapping[str, str]) -> bool:
    return journal.seed is not None and journal.name in styles


def _losses(run: Run, styles: Mapping[str, str]) -> Iterator[Panel]:
    """One picture a method and stage."""
    for name in _ordered(run, styles):
        mine = [each for each in (*run.earlier, *run.journals) if each.name == name and each.seed is not None]
        for stage in dict.fromkeys(each.stage for each in mine):
            seeds = [curves.Curve(each, styles[name]) for each in mine if each.stage == stage]
            if picture := curves.loss_curves(seeds):
                of_stage = f", {stage}" if stage else ""
                yield Panel(f"Loss of {run.shown(name)}{of_stage}", styles[name], "", picture)


def _teachers(run: Run, styles: Mapping[str, str]) -> Iterator[Panel]:
    """Dev score and loss of an ensemble's members and of successors, in a picture for each method that has some."""
    for name in dict.fromkeys(each.name for each in run.teachers):
        mine = [each for each in run.teachers if each.name == name]
        style, many = styles.get(name, "teacher"), ", ".join(each.stage for each in mine)
        seen = [curves.Curve(each, style) for each in mine]
        for what, picture in (
            (_on_dev(run), curves.dev_curves(seen, run.metric, None)),
            ("Loss", curves.loss_curves(seen)),
        ):
            if picture:
                yield Panel(f"{what} of {run.shown(name)}: {many}", style, "", picture)


def _mappings(run: Run, styles: Mapping[str, str]) -> Iterator[Panel]:
    for name in _ordered(run, styles):
        if found := run.mappings.get(name):
            yield Panel(f"Layers of {run.shown(name)}", styles[name], "", mapping.layers(found, styles[name]))


def _ordered(run: Run, styles: Mapping[str, str]) -> list[str]:
    """Models as they are read: teacher, the headline's student, control, the rest."""
    rank = {"teacher": 0, "s1": 1, "control": 2}
    return sorted(styles, key=lambda name: rank.get(styles[name], 3))


def _reliability(run: Run, styles: Mapping[str, str]) -> Iterator[Panel]:
    for name in _ordered(run, styles):
        if calibration := run.evaluation.calibration.get(name):
            note = f"ECE {words.fixed(calibration.ece, 3)}"
            shown = run.shown(name)
            unit = "decision" if run.of_sets else "sentence"
            yield Panel(shown, styles[name], note, curves.reliability(calibration, shown, styles[name], unit))


def _scatters(run: Run, styles: Mapping[str, str]) -> Iterator[Panel]:
    """Of models that give scores: teacher, student and control against gold, on one scale."""
    found = run.disputes
    if not isinstance(found, ScoreDisputes):
        return
    names = {each.role: each.name for each in (run.teacher, run.student, run.control) if each}
    every = np.concatenate([found.gold, *found.said.values()])
    ends = float(every.min()), float(every.max())
    for role, said in found.said.items():
        shown, style = run.shown(names[role]), styles[names[role]]
        yield Panel(shown, style, "", scatter.against_gold(found.gold, said, ends, shown, style))


def _confusions(run: Run, styles: Mapping[str, str]) -> Iterator[Confusion]:
    for name in _ordered(run, styles):
        counts = np.array(run.evaluation.confusion.get(name, []), dtype=np.int64)
        if counts.size:
            yield _confusion(run.shown(name), styles[name], tuple(run.evaluation.labels), counts)


def _confusion(name: str, style: str, labels: tuple[str, ...], counts: NDArray[np.int64]) -> Confusion:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(labels) <= MANY_CLASSES
    rows = tuple(
        (label, tuple((int(counts[g, p]), float(shares[g, p]), g == p) for p in range(len(labels))))
        for g, label in enumerate(labels)
    )
    wrong = counts - np.diag(np.diag(counts))
    pairs = [
        np.unravel_index(flat, wrong.shape) for flat in np.argsort(-wrong, axis=None, kind="stable")[:12]
    ]
    worst = tuple(
        Confused(labels[g], labels[p], int(wrong[g, p]), float(shares[g, p])) for g, p in pairs if wrong[g, p]
    )
    drawn = not few and len(labels) <= TOO_MANY_CLASSES
    picture = figures.heat_map(labels, counts) if drawn else None
    return Confusion(name, style, labels, rows if few else (), picture, () if few else worst)
