"""Numbers and findings as people write them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limbeck.core.tasks import IN_POINTS

if TYPE_CHECKING:
    from limbeck.report.facts import Cost, Gain, Number, Run, Summary

ENGINES = {"pytorch": "PyTorch", "onnx": "ONNX", "onnx-int8": "ONNX int8"}
"""Names of engines for people, from the one that trains to the one that is deployed."""

METRICS = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "mcc": "MCC",
    "binary_f1": "F1",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "rmse": "RMSE",
    "micro_f1": "Micro F1",
    "subset_accuracy": "Exact match",
    "f1": "Entity F1",
    "precision": "Precision",
    "recall": "Recall",
    "token_accuracy": "Token accuracy",
    "bleu": "BLEU",
    "chrf": "chrF",
    "agreement": "Agreement",
    "teacher_bleu": "BLEU to teacher",
    "teacher_pearson": "Pearson to teacher",
    "ece": "ECE",
}
"""Short names of metrics, in the order of columns."""

IN_TEXT = {
    "macro_f1": "macro F1",
    "mcc": "MCC",
    "binary_f1": "F1",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "rmse": "RMSE",
    "micro_f1": "micro F1",
    "f1": "entity F1",
    "bleu": "BLEU",
    "chrf": "chrF",
    "teacher_bleu": "BLEU to the teacher",
    "ece": "ECE",
}
"""Names of metrics within a sentence, where they are not just the small letters of ``METRICS``."""

AS_THEY_ARE = frozenset({"mcc", "ece", "pearson", "spearman", "rmse", "teacher_pearson"})
"""Metrics that are told with decimals, neither in per cent nor in points."""
IN_PERCENT = frozenset(METRICS) - AS_THEY_ARE - IN_POINTS
MISSING = "–"
MINUS = "\N{MINUS SIGN}"
TIGHT = "\N{NO-BREAK SPACE}"
"""Between a number and its unit."""

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def in_text(metric: str) -> str:
    """A metric's name within a sentence."""
    return IN_TEXT.get(metric, METRICS.get(metric, metric).lower())


def known(value: Number) -> bool:
    """Whether there is a number at all."""
    return value is not None and math.isfinite(value)


def fixed(value: Number, digits: int, plus: bool = False) -> str:
    """A number with so many decimals and a proper minus; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    rounded = round(value, digits) or 0.0
    return f"{rounded:{'+' if plus and rounded else ''},.{digits}f}".replace("-", MINUS)


def score(metric: str, value: Number) -> str:
    """A metric's value: in per cent or points with one decimal, or three decimals."""
    return _in_unit(metric, value)


def difference(metric: str, value: Number) -> str:
    """A metric's difference with its sign, in points where the metric is in per cent or in points."""
    return _in_unit(metric, value, plus=True)


def _in_unit(metric: str, value: Number, plus: bool = False) -> str:
    if value is not None and metric in IN_PERCENT:
        return fixed(100 * value, 1, plus)
    return fixed(value, 1 if metric in IN_POINTS else 3, plus)


def axis_of(metric: str) -> Callable[[float], str]:
    """How a metric's values are written beside an axis."""
    return axis_percent if metric in IN_PERCENT else axis


def most(metric: str) -> float:
    """The largest value that a metric can have."""
    return 1.0 if metric in IN_PERCENT else 100.0 if metric in IN_POINTS else math.inf


def least_reach(metric: str) -> float:
    """Two points: an axis spans no less, for what differs by less would look large."""
    return 2.0 if metric in IN_POINTS else 0.02


def spread(gain: Gain) -> str:
    """An interval, e.g. ``+1.9 to +3.5``."""
    return f"{difference(gain.metric, gain.low)} to {difference(gain.metric, gain.high)}"


def percent(share: Number, digits: int = 1) -> str:
    """A share of one, e.g. ``98.1%``."""
    return MISSING if share is None or not math.isfinite(share) else f"{fixed(100 * share, digits)}%"


def share(value: Number) -> str:
    """A small share as a number of per cent, e.g. ``0.31``; only nothing at all is called 0."""
    return MISSING if value is None else "0" if value == 0 else fixed(100 * value, 2)


def count(value: Number) -> str:
    """A whole number, with commas."""
    return fixed(value, 0)


def mean_count(value: Number) -> str:
    """A mean of whole numbers: with a decimal where it is none itself, so that halves are not rounded away."""
    return fixed(value, 0 if value is None or float(value).is_integer() else 1)


def significant(value: Number) -> str:
    """About three significant digits, without exponents for what people meet."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e9:
        digits, power = f"{value:.1e}".split("e")
        return f"{digits.replace('-', MINUS)} × 10{str(int(power)).translate(RAISED)}"
    exponent = int(f"{value:.2e}".partition("e")[2])
    return fixed(value, max(0, 2 - exponent))


def axis(value: Number) -> str:
    """A round number beside an axis."""
    return MISSING if value is None else f"{value:,.10g}".replace("-", MINUS)


def axis_percent(value: float) -> str:
    """A share as a number of per cent, for axes."""
    return f"{round(100 * value, 6):g}".replace("-", MINUS)


def p_value(p: Number) -> str:
    """A p-value with three decimals; what rounds to nothing is only called small."""
    return "< 0.001" if p is not None and p < 0.0005 else fixed(p, 3)


def size(value: Number) -> str:
    """Bytes, e.g. ``6.1 MB``, in powers of a thousand."""
    if value is None:
        return MISSING
    for unit in ("bytes", "kB", "MB"):
        if abs(value) < 999.5:
            return f"{count(value) if unit == 'bytes' else significant(value)}{TIGHT}{unit}"
        value /= 1000
    return f"{significant(value)}{TIGHT}GB"


def duration(seconds: Number) -> str:
    """A time, e.g. ``4 min 05 s``."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 60:
        return f"{significant(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def times(ratio: float) -> str:
    """A ratio of two or more as a whole number from ten on, else with one decimal."""
    return fixed(ratio, 0 if ratio >= 9.95 else 1)


def plural(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def listed(counts: Iterable[tuple[str, int]]) -> str:
    """Counts with their reasons, e.g. ``915 duplicate, 3 empty``."""
    return ", ".join(f"{count(number)} {reason}" for reason, number in counts)


def seeds(summary: Summary) -> str:
    """How many seeds a mean runs over."""
    return "one seed" if summary.seeds == 1 else f"mean of {summary.seeds} seeds"


@dataclass(frozen=True)
class Figure:
    """One number of the headline, set large: what it is, and what it rests on."""

    value: str
    what: str
    basis: str


@dataclass(frozen=True)
class Headline:
    """What a run found.

    Attributes:
        sentence: What was kept and what was gained.
        basis: What the sentence rests on, one sentence each.
        figures: The same numbers, set large.
    """

    sentence: str
    basis: tuple[str, ...]
    figures: tuple[Figure, ...]


def headline(run: Run) -> Headline:
    """What was kept, what was gained, and on what grounds; no more than the numbers bear."""
    student = run.student
    if student is None:
        sentence = "No student was evaluated in this run: there is nothing to compare yet."
        return Headline(sentence, (), ())
    said = [part for part in (_kept(run, student), _faster(run, student), _smaller(run, student)) if part]
    parts = [phrase for phrase, _ in said]
    sentence = ", ".join(parts)
    gained = _gained(run, student)
    sentence = (
        f"{sentence[:1].upper()}{sentence[1:]}; {gained[0]}." if parts else f"{gained[0].capitalize()}."
    )
    figures = [figure for _, figure in said]
    if gained[1]:
        figures.append(gained[1])
    return Headline(sentence, tuple(_basis(run, student)), tuple(figures))


def _kept(run: Run, student: Summary) -> tuple[str, Figure] | None:
    quality, name = student.mean.get(run.main), in_text(run.main)
    if run.teacher is None or not known(student.retention):
        if not known(quality):
            return None
        shown = score(run.main, quality) + ("%" if run.main in IN_PERCENT else "")
        said = f"{shown} accurate on test" if run.main == "accuracy" else f"{name} of {shown} on test"
        return said, Figure(shown, f"{name} on test", seeds(student))
    shown = percent(student.retention)
    teachers = run.teacher.mean.get(run.main)
    basis = f"{score(run.main, quality)} against {score(run.main, teachers)}"
    return f"kept {shown} of the teacher's {name}", Figure(shown, f"of the teacher's {name}", basis)


def _faster(run: Run, student: Summary) -> tuple[str, Figure] | None:
    ours = run.deployed(student.name)
    if ours is None or ours.p50_ms is None or ours.p50_ms <= 0:
        return None
    theirs = run.cost(run.teacher.name, "pytorch") if run.teacher else None
    milliseconds = f"{significant(ours.p50_ms)}{TIGHT}ms"
    if theirs is None or theirs.p50_ms is None:
        return f"{milliseconds} a sentence", Figure(milliseconds, "a sentence", ENGINES[ours.engine])
    ratio = theirs.p50_ms / ours.p50_ms
    basis = f"{milliseconds} against {significant(theirs.p50_ms)}{TIGHT}ms"
    if ratio >= 1:
        return f"{times(ratio)} times faster", Figure(f"{times(ratio)}×", "faster", basis)
    return f"{times(1 / ratio)} times slower", Figure(f"{times(1 / ratio)}×", "slower", basis)


def _smaller(run: Run, student: Summary) -> tuple[str, Figure] | None:
    ours = run.deployed(student.name)
    if ours is None or not ours.bytes:
        return None
    theirs = run.cost(run.teacher.name, "pytorch") if run.teacher else None
    if theirs is None or not theirs.bytes:
        return f"{size(ours.bytes)} on disk", Figure(size(ours.bytes), "on disk", ENGINES[ours.engine])
    ratio = theirs.bytes / ours.bytes
    shown = (
        f"1/{count(ratio)}"
        if ratio >= 1.95
        else percent(1 / ratio, 0)
        if ratio >= 1
        else f"{times(1 / ratio)} times"
    )
    return f"{shown} of the bytes" if ratio >= 1 else f"{shown} the bytes", Figure(
        shown,
        "of the bytes" if ratio >= 1 else "the bytes",
        f"{size(ours.bytes)} against {size(theirs.bytes)}",
    )


def _gained(run: Run, student: Summary) -> tuple[str, Figure | None]:
    """The gain over the control, called a gain only where its interval is clear of zero."""
    if run.control is None:
        return "no control was trained, so what the teacher's answers gained is not known", None
    gain = run.gain(student.name, run.control.name)
    if gain is None:
        return "what that gains over the same student without a teacher was not computed", None
    interval = f"{percent(run.interval, 0)} interval {spread(gain)}"
    amount = difference(run.main, gain.gain)
    unit = f"in {in_text(run.main)}" if run.main in AS_THEY_ARE else "points"
    figure = Figure(amount, f"{unit} over the same student without a teacher", interval)
    if gain.low > 0:
        return f"{amount} {unit} over the same student without a teacher, {interval}", figure
    if gain.high < 0:
        amount = amount.removeprefix(MINUS)
        return f"but {amount} {unit} worse than the same student without a teacher, {interval}", figure
    unclear = f"the difference from the same student without a teacher, {amount} {unit}, is not clear of zero"
    return f"{unclear} ({interval})", figure


def _basis(run: Run, student: Summary) -> list[str]:
    tested = plural(run.evaluation.test.examples, "test sentence")
    kind = (run.recipe.get("student") or {}).get("kind")
    student_is = f"a {kind} student" if kind else "the student"
    basis = [f"{student.name} teaches {student_is}; {seeds(student)} on {tested}."]
    if len(run.of_role("student")) > 1:
        chosen = f"It is the best of the methods by {in_text(run.metric)} on dev, so test did not choose it."
        named = math.isfinite(run.dev_score(student.name))
        basis.append(chosen if named else "It is the first method of the recipe.")
    if warning := _no_better_than_guessing(run, student):
        basis.append(warning)
    if warning := _weak_teacher(run):
        basis.append(warning)
    ours = run.deployed(student.name)
    if ours and known(ours.p50_ms):
        basis.append(_speed_basis(run, ours))
    return basis


def _no_better_than_guessing(run: Run, student: Summary) -> str | None:
    """A warning where the commonest class alone would have scored as well: shares of such accuracies say little."""
    counts = next(iter(run.evaluation.confusion.values()), None)
    accuracy = student.mean.get("accuracy")
    if counts is None or accuracy is None:
        return None
    most, label = max(zip(map(sum, counts), run.evaluation.labels, strict=False))
    share = most / run.evaluation.test.examples
    if accuracy > share:
        return None
    return f"Beware: always answering '{label}' would be right on {percent(share)} of these sentences too."


def _weak_teacher(run: Run) -> str | None:
    """A warning where the control, which learns from the same labels, scores as well as the teacher."""
    if run.teacher is None or run.control is None:
        return None
    theirs, controls = run.teacher.mean.get(run.main), run.control.mean.get(run.main)
    if theirs is None or controls is None or not theirs <= controls:
        return None
    return (
        f"Beware: the teacher scores {score(run.main, theirs)}, and the student without it "
        f"{score(run.main, controls)}. Who knows no more has little to teach: train it longer, or choose another one."
    )


def _speed_basis(run: Run, ours: Cost) -> str:
    how = (
        f"Speed is the median of one sentence at a time on one thread: the student in {ENGINES[ours.engine]}"
    )
    teacher = run.teacher.name if run.teacher else ""
    theirs = run.cost(teacher, "pytorch")
    if theirs is None or not known(theirs.p50_ms):
        return f"{how}; the teacher was not timed."
    best = next((c for e in ("onnx-int8", "onnx") if (c := run.cost(teacher, e)) and known(c.p50_ms)), None)
    if best is None or best.p50_ms is None or not ours.p50_ms:
        return f"{how}, the teacher in PyTorch."
    ratio = best.p50_ms / ours.p50_ms
    compared = f"{times(ratio)} times faster" if ratio >= 1 else f"{times(1 / ratio)} times slower"
    return f"{how}, the teacher in PyTorch; against the teacher in {ENGINES[best.engine]} it is {compared}."


def pretty(value: Any) -> str:
    """A JSON-like value, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
