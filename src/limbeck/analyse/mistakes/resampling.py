"""Sums over units on resamples of the texts that they stand in: what all intervals of an analysis are made of.

Texts are drawn, not units: the entities of a sentence come and go together (Efron and Tibshirani 1993, "An Introduction
to the Bootstrap", section 8.4: what is drawn must be independent). Draws are those of the run's own evaluation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluate.bootstrap import draws
from limbeck.evaluate.metrics import Floats, Ints


def by_text(values: NDArray[np.floating] | NDArray[np.bool_], texts: Ints) -> Floats:
    """Sums over the units of each text that has any, ``(units, columns) -> (texts, columns)``."""
    _, of = np.unique(texts, return_inverse=True)
    sums = np.zeros((int(of.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, of, values)
    return sums


def drawn_sums(sums: Floats, resamples: int, seed: int = 0) -> Floats:
    """Sums over texts on resamples of them, ``(texts, columns) -> (resamples, columns)``.

    Args:
        sums: What each text adds.
        resamples: How many times the texts are drawn anew.
        seed: Of the draws.
    """
    texts, columns = sums.shape
    pieces = draws(np.arange(texts), texts, max(columns, 1), resamples, seed)
    return np.concatenate([drawn.astype(np.float64) @ sums for drawn in pieces])


def ratio(above: Floats, below: Floats) -> Floats:
    """A quotient; nan where it is by zero: a resample may miss all of a slice."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))


def ends(values: Floats, interval: float) -> tuple[float, float]:
    """Ends of the percentile interval, over those resamples on which there is a value."""
    low, high = np.nanquantile(values, [(1 - interval) / 2, (1 + interval) / 2])
    return float(low), float(high)
