"""Accuracy, macro-F1, Matthews correlation and agreement, each with a signature.

The first three depend on a confusion matrix only through three counts a class: how often it was predicted
rightly (``hits``), how often it is gold, how often it was predicted. Writing them over these counts rather
than over the matrix lets the bootstrap hold ``3 K`` numbers a resample instead of ``K²``. Axes are
``(..., classes)``; the leading ones (models, resamples) are free.

A signature says how a score was counted, in the spirit of sacrebleu (Post 2018, "A Call for Clarity in
Reporting BLEU Scores"): two scores may be compared where their signatures are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What the metrics read off a confusion matrix.

    Attributes:
        hits: Examples of a class that were predicted as that class, ``(..., classes)``.
        gold: Examples of a class, ``(..., classes)``.
        predicted: Examples predicted as a class, ``(..., classes)``.
    """

    hits: Floats
    gold: Floats
    predicted: Floats

    @classmethod
    def of(cls, confusion: NDArray[np.integer] | Floats) -> Counts:
        """Counts of confusion matrices ``(..., gold classes, predicted classes)``."""
        exact = np.asarray(confusion, dtype=np.float64)
        hits = np.diagonal(exact, axis1=-2, axis2=-1)
        return cls(hits, gold=exact.sum(axis=-1), predicted=exact.sum(axis=-2))


Metric = Callable[[Counts], Floats]


def confusion(gold: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> Ints:
    """Confusion matrices of one or many sets of predictions.

    Args:
        gold: Class numbers, ``(examples,)``.
        predicted: Class numbers, ``(..., examples)``.
        classes: How many classes there are.

    Returns:
        Counts ``(..., classes, classes)``: rows are gold, columns predicted.
    """
    leading = predicted.shape[:-1]
    cell = (gold.astype(np.int64) * classes + predicted).reshape(-1, gold.shape[0])
    first = np.arange(cell.shape[0], dtype=np.int64)[:, None] * classes**2
    counts = np.bincount((cell + first).ravel(), minlength=cell.shape[0] * classes**2)
    return counts.reshape(*leading, classes, classes)


def accuracy(counts: Counts) -> Floats:
    """Share of examples predicted rightly, ``(...)``."""
    return np.asarray(counts.hits.sum(axis=-1) / counts.gold.sum(axis=-1))


def macro_f1(counts: Counts) -> Floats:
    """Unweighted mean of the classes' F1, ``(...)``.

    It runs over all classes of the recipe; one that is neither gold nor predicted counts as 0
    (scikit-learn's ``average="macro", zero_division=0``).
    """
    either = counts.gold + counts.predicted
    f1 = np.divide(2 * counts.hits, either, out=np.zeros_like(either), where=either > 0)
    return np.asarray(f1.mean(axis=-1))


def mcc(counts: Counts) -> Floats:
    """Matthews correlation for any number of classes, ``(...)``; 0 where gold or predictions are constant.

    Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient", eq. 8.
    """
    total = counts.gold.sum(axis=-1)
    covariance = counts.hits.sum(axis=-1) * total - (counts.gold * counts.predicted).sum(axis=-1)
    of_gold = total**2 - (counts.gold**2).sum(axis=-1)
    of_predicted = total**2 - (counts.predicted**2).sum(axis=-1)
    scale = np.sqrt(of_gold) * np.sqrt(of_predicted)
    return np.asarray(np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0))


def binary_f1(positive: int) -> Metric:
    """F1 of one of two classes, ``(...)``; 0 where it is neither gold nor predicted.

    Args:
        positive: Its number.
    """

    def score(counts: Counts) -> Floats:
        either = (counts.gold + counts.predicted)[..., positive]
        hits = 2 * counts.hits[..., positive]
        return np.asarray(np.divide(hits, either, out=np.zeros_like(either), where=either > 0))

    return score


METRICS: Mapping[str, Metric] = {"accuracy": accuracy, "macro_f1": macro_f1, "mcc": mcc}
"""The metrics that compare predictions with gold, by the names that recipes and results use."""


def agreement(predicted: NDArray[np.integer], teacher: NDArray[np.integer]) -> Floats:
    """Share of examples on which predictions ``(..., examples)`` equal the teacher's ``(examples,)``."""
    return np.asarray((predicted == teacher).mean(axis=-1))


BINS = 15
"""Bins of the expected calibration error (Guo et al. 2017)."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "accuracy": (),
    "macro_f1": ("average:macro", "zero:0"),
    "mcc": (),
    "binary_f1": ("average:binary", "zero:0"),
    "pearson": ("constant:0",),
    "spearman": ("ties:mean", "constant:0"),
    "rmse": (),
    "teacher_pearson": ("with:teacher", "constant:0"),
    "micro_f1": ("average:micro", "zero:0"),
    "subset_accuracy": (),
    "agreement": ("with:teacher",),
    "ece": (f"bins:{BINS}", "norm:1"),
    "f1": ("spans:conlleval", "average:micro", "zero:0"),
    "precision": ("spans:conlleval", "average:micro", "zero:0"),
    "recall": ("spans:conlleval", "average:micro", "zero:0"),
    "token_accuracy": (),
}
"""How each score is counted, as its signature tells it."""


@dataclass(frozen=True, slots=True)
class Score:
    """A number that says how it was counted."""

    name: str
    value: float
    signature: str

    def __str__(self) -> str:
        return f"{self.signature} = {self.value:.4f}"


def signature(name: str, *, examples: int, labels: int | None = None, unit: str = "") -> str:
    """How a score was counted, e.g. ``accuracy|examples:1821|labels:2|limbeck:0.1.0``.

    Args:
        name: Which score.
        examples: How many test examples.
        labels: How many labels the models know; None of models without labels.
        unit: What was counted, where that is not whole examples and the name does not say so.
    """
    units = (f"unit:{unit}",) if unit else ()
    known = () if labels is None else (f"labels:{labels}",)
    version = f"limbeck:{metadata.version('limbeck')}"
    return "|".join((name, *OPTIONS[name], *units, f"examples:{examples}", *known, version))


def metrics_for(labels: Sequence[str], metric: str, positive: str | None = None) -> dict[str, Metric]:
    """The scores of classifiers: those that all have, and F1 of one of two classes where that decides.

    Args:
        labels: Names of the classes.
        metric: The one that decides.
        positive: The class whose F1 is meant; None is the second.

    Raises:
        LimbeckError: There are not two classes, or none of that name.
    """
    if metric != "binary_f1":
        return dict(METRICS)
    if len(labels) != 2:
        fix = "Choose macro_f1"
        raise LimbeckError(
            f"binary_f1 is of two classes, and there are {len(labels)}", where="metric", fix=fix
        )
    if positive is not None and positive not in labels:
        raise LimbeckError(
            f"no class is called '{positive}'; there are {' and '.join(labels)}", where="positive"
        )
    return {**METRICS, "binary_f1": binary_f1(1 if positive is None else list(labels).index(positive))}


def score(name: str, gold: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> Score:
    """The score of that name (one of ``METRICS``) for one set of predictions ``(examples,)``."""
    value = METRICS[name](Counts.of(confusion(gold, predicted, classes)))
    return Score(name, float(value), signature(name, examples=len(gold), labels=classes))
