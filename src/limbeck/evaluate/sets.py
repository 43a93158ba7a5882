"""Sets of labels: micro- and macro-F1, exact match, and the scores of each label by itself.

The scores depend on a text only through counts that are added up over texts: of each label whether it is rightly
there, whether it was predicted, whether it is gold; and whether the whole set is right. Axes are ``(..., numbers)``
with ``3 labels + 2`` numbers: hits, predicted and gold of every label, then sets that are right, and texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluate.bootstrap import SumMetric
from limbeck.evaluate.entities import TypeScore, f1, precision, recall
from limbeck.evaluate.metrics import Floats, Ints

Bits = NDArray[np.bool_]
"""Whether a text has a label, ``(..., examples, labels)``."""


def set_counts(gold: Bits, predicted: Bits) -> Ints:
    """What each text adds, ``(..., examples, labels) -> (..., examples, 3 labels + 2)``.

    Args:
        gold: ``(examples, labels)``.
        predicted: ``(..., examples, labels)``.
    """
    truth = np.broadcast_to(gold, predicted.shape)
    right = (truth == predicted).all(axis=-1, keepdims=True)
    return np.concatenate([truth & predicted, predicted, truth, right, np.ones_like(right)], axis=-1).astype(
        np.int64
    )


def _of_labels(counts: Ints | Floats) -> tuple[Floats, Floats, Floats]:
    """Hits, predicted and gold of each label, each ``(..., labels)``."""
    labels = (counts.shape[-1] - 2) // 3
    hits, predicted, gold = np.split(np.asarray(counts[..., : 3 * labels], dtype=np.float64), 3, axis=-1)
    return hits, predicted, gold


def _f1(hits: Floats, predicted: Floats, gold: Floats) -> Floats:
    either = predicted + gold
    return np.asarray(np.divide(2 * hits, either, out=np.zeros_like(either), where=either > 0))


def micro_f1(counts: Ints | Floats) -> Floats:
    """F1 over all labels of all texts together, ``(..., numbers) -> (...)``; 0 where none is gold or predicted."""
    return _f1(*(each.sum(axis=-1) for each in _of_labels(counts)))


def macro_f1(counts: Ints | Floats) -> Floats:
    """Unweighted mean of the labels' F1, ``(..., numbers) -> (...)``.

    A label that is neither gold nor predicted counts as 0 (scikit-learn's ``average="macro", zero_division=0``).
    """
    return np.asarray(_f1(*_of_labels(counts)).mean(axis=-1))


def subset_accuracy(counts: Ints | Floats) -> Floats:
    """Share of texts whose whole set of labels is right, ``(..., numbers) -> (...)``."""
    return np.asarray(np.asarray(counts[..., -2], dtype=np.float64) / counts[..., -1])


SET_METRICS: Mapping[str, SumMetric] = {
    "micro_f1": micro_f1,
    "macro_f1": macro_f1,
    "subset_accuracy": subset_accuracy,
}
"""By the names that recipes and results use, the one that decides first."""


def by_label(counts: Ints, labels: Sequence[str]) -> list[TypeScore]:
    """Scores of each label by itself, in their order.

    Args:
        counts: Sums over texts, ``(numbers,)``.
        labels: Their names.
    """
    rows = []
    for name, *numbers in zip(
        labels, *(each.astype(int).tolist() for each in _of_labels(counts)), strict=True
    ):
        hits, predicted, gold = numbers
        of = np.array([hits, predicted, gold])
        scores = float(precision(of)), float(recall(of)), float(f1(of))
        rows.append(TypeScore(name, *scores, gold, predicted, hits))
    return rows
