"""Calibration: does a model that is 80% sure turn out right 80% of the time?

Predictions are put into bins of equal width by their confidence (the largest probability); the expected
calibration error is the mean gap between confidence and accuracy, weighted by the bins' sizes:

    ECE = sum_m (n_m / n) |accuracy(m) - confidence(m)|

Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et al. 2017, "On
Calibration of Modern Neural Networks", eq. 3. Bin m of M holds confidences in ((m - 1)/M, m/M].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluate.metrics import BINS, Floats


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram.

    Attributes:
        low: Confidences in the bin are above this.
        high: They are at most this.
        count: How many predictions fell into it.
        confidence: Their mean confidence; None in an empty bin.
        accuracy: The share of them that is right; None in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def softmax(logits: NDArray[np.floating]) -> Floats:
    """Probabilities ``(..., classes)`` of logits ``(..., classes)``; a logit may be minus infinity."""
    exact = logits.astype(np.float64)
    odds = np.exp(exact - exact.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def reliability(probabilities: Floats, gold: NDArray[np.integer], bins: int = BINS) -> list[Bin]:
    """The bins of a reliability diagram, from the least confident to the most.

    Args:
        probabilities: ``(examples, classes)``.
        gold: Class numbers, ``(examples,)``.
        bins: How many bins.
    """
    return binned(probabilities.max(axis=-1), probabilities.argmax(axis=-1) == gold, bins)


def binned(confidence: Floats, right: NDArray[np.bool_], bins: int = BINS) -> list[Bin]:
    """The same of answers with their confidence, which need not be the largest there is.

    Args:
        confidence: ``(answers,)``.
        right: Whether each is, ``(answers,)``.
        bins: How many bins.
    """
    edges = np.linspace(0, 1, bins + 1)
    # Rounding may carry a sum of probabilities a hair above one: such a confidence stays in the last bin.
    number = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(number, minlength=bins)
    filled = np.maximum(count, 1)
    mean_confidence = np.bincount(number, weights=confidence, minlength=bins) / filled
    mean_right = np.bincount(number, weights=right, minlength=bins) / filled
    return [
        Bin(
            low=float(edges[m]),
            high=float(edges[m + 1]),
            count=int(count[m]),
            confidence=float(mean_confidence[m]) if count[m] else None,
            accuracy=float(mean_right[m]) if count[m] else None,
        )
        for m in range(bins)
    ]


def ece(bins: Sequence[Bin]) -> float:
    """Expected calibration error of a reliability diagram, between 0 and 1."""
    gaps = (
        b.count * abs(b.accuracy - b.confidence)
        for b in bins
        if b.accuracy is not None and b.confidence is not None
    )
    return sum(gaps) / max(1, sum(b.count for b in bins))
