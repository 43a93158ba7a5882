"""Correlations of scores with gold, and their paired bootstrap.

Pearson's depends on texts only through sums of moments, Spearman's is Pearson's of the ranks (equal scores share the
mean of theirs). A resample is how often each text came, ``(resamples, examples)``: of these counts the moments are
products with matrices, and the ranks cumulated sums, so that each resample is scored just as the test set is, its
ties included, without a loop over resamples. Where gold or predictions are constant, a correlation is not defined; here
it is 0, so that a model that says the same of every text is never picked.

Axes are ``resamples``, ``models``, ``examples``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluate.bootstrap import Resampled, draws
from limbeck.evaluate.metrics import Floats

LEAST = 1e-12
"""Share of the second moment below which a variance is a rounding error."""


def pearson(
    gold: NDArray[np.floating], predicted: NDArray[np.floating], counts: Floats | None = None
) -> Floats:
    """Pearson's correlation; 0 where either is constant.

    Args:
        gold: ``(examples,)``, or of each resample ``(resamples, examples)``.
        predicted: In the same shape.
        counts: How often each example counts, ``(resamples, examples)``; None for once each.

    Returns:
        A number, or one a resample, ``(resamples,)``.
    """
    weights = np.ones(gold.shape) if counts is None else counts
    total = weights.sum(-1, keepdims=True)
    x = gold - (weights * gold).sum(-1, keepdims=True) / total
    y = predicted - (weights * predicted).sum(-1, keepdims=True) / total
    products = (weights * x * y).sum(-1), (weights * x * x).sum(-1), (weights * y * y).sum(-1)
    of_both, of_gold, of_predicted = products
    largest = [total[..., 0] * np.square(each).max(-1) for each in (np.abs(gold), np.abs(predicted))]
    varies = (of_gold > LEAST * largest[0]) & (of_predicted > LEAST * largest[1])
    scale = np.sqrt(of_gold) * np.sqrt(of_predicted)
    return np.asarray(np.divide(of_both, scale, out=np.zeros_like(scale), where=varies))


def spearman(
    gold: NDArray[np.floating], predicted: NDArray[np.floating], counts: Floats | None = None
) -> Floats:
    """Spearman's correlation: Pearson's of the ranks; 0 where either is constant.

    Args:
        gold: ``(examples,)``.
        predicted: ``(examples,)``.
        counts: How often each example counts, ``(resamples, examples)``; None for once each.
    """
    weights = np.ones((1, len(gold))) if counts is None else counts
    found = pearson(ranks(gold, weights), ranks(predicted, weights), weights)
    return found[0] if counts is None else found


def ranks(values: NDArray[np.floating], counts: Floats) -> Floats:
    """The rank of each example among all that a resample holds, equal ones sharing the mean of theirs.

    Args:
        values: ``(examples,)``.
        counts: How often each is there, ``(resamples, examples)``.

    Returns:
        ``(resamples, examples)``, from 1; of an example that is not there, a rank that counts for nothing.
    """
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.add.reduceat(counts[:, order], starts, axis=1)  # (resamples, groups)
    return np.asarray((np.cumsum(sizes, axis=1) - sizes / 2 + 0.5)[:, group])


CORRELATIONS: Mapping[str, Callable[..., Floats]] = {"pearson": pearson, "spearman": spearman}
"""By the names that recipes and results use, the one that decides first."""


def rmse(gold: NDArray[np.floating], predicted: NDArray[np.floating]) -> float:
    """The root of the mean squared error, in the unit of the scores."""
    return float(np.sqrt(np.mean(np.square(predicted - gold))))


def resampled_correlations(
    gold: NDArray[np.floating],
    predicted: NDArray[np.floating],
    metrics: Sequence[str] = tuple(CORRELATIONS),
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Resampled:
    """Correlate all models with gold on the same resamples of the test set.

    Args:
        gold: Scores, ``(examples,)``.
        predicted: Those of each model, ``(models, examples)``.
        metrics: Of ``CORRELATIONS``.
        resamples: How many times the test set is drawn anew.
        seed: Of the draws.
    """
    exact, said = gold.astype(np.float64), predicted.astype(np.float64)
    pieces: dict[str, list[Floats]] = {name: [] for name in metrics}
    for drawn in draws(np.arange(len(gold)), len(gold), len(gold), resamples, seed):
        counts = drawn.astype(np.float64)
        for name in metrics:
            pieces[name].append(_on_resamples(name, exact, said, counts))
    return Resampled(
        observed={name: np.array([CORRELATIONS[name](exact, one) for one in said]) for name in metrics},
        drawn={name: np.concatenate(parts) for name, parts in pieces.items()},
    )


def _on_resamples(name: str, gold: Floats, predicted: Floats, counts: Floats) -> Floats:
    """One correlation of every model on some resamples, ``(resamples, models)``."""
    if name == "pearson":
        return _by_moments(gold, predicted, counts)
    of_gold = ranks(gold, counts)
    return np.stack([pearson(of_gold, ranks(one, counts), counts) for one in predicted], axis=1)


def _by_moments(gold: Floats, predicted: Floats, counts: Floats) -> Floats:
    """Pearson's correlation by sums of moments, ``(resamples, models)``; around the means, that little is cancelled."""
    examples = len(gold)
    x, y = gold - gold.mean(), predicted - predicted.mean(axis=1, keepdims=True)
    mean_x, mean_y = counts @ x[:, None] / examples, counts @ y.T / examples
    of_gold = counts @ np.square(x)[:, None] / examples - mean_x**2
    of_predicted = counts @ np.square(y).T / examples - mean_y**2
    of_both = counts @ (x * y).T / examples - mean_x * mean_y
    largest = np.square(gold).max(), np.square(predicted).max(axis=1)
    varies = (of_gold > LEAST * largest[0]) & (of_predicted > LEAST * largest[1])
    scale = np.sqrt(np.maximum(of_gold, 0)) * np.sqrt(np.maximum(of_predicted, 0))
    return np.asarray(np.divide(of_both, scale, out=np.zeros_like(of_both), where=varies))
