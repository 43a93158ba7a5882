"""Paired bootstrap: is the gain of one model over another more than luck in the choice of test sentences?

Draw as many test sentences as there are, with replacement; score every model on the same draw; note the
difference; repeat. Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation"; Efron and
Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13 (percentile interval).

A model trained under several seeds counts as the mean of its seeds' scores, and all seeds are scored on the
same draws: sentences are resampled, seeds are not. The interval therefore speaks of other test sentences for
these trained models, not of other seeds; the deviation over seeds stands beside it for that.

Axes are ``resamples, models, classes``. Sentences with the same gold and the same predictions from all models
are exchangeable, so a draw is kept as how often each such *kind* of sentence came, ``(resamples, kinds)``.
One product with a sparse matrix then gives the counts that all metrics read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from limbeck.evaluate.metrics import METRICS, Counts, Floats, Ints, Metric, confusion

DRAWN_AT_ONCE = 4_000_000
"""Sentences drawn, and counts held, in one piece: bounds the memory to some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A gain, and how sure it is.

    Attributes:
        gain: Difference of the metric on the test set itself.
        low: Lower end of the interval.
        high: Upper end of the interval.
        p: Two-sided: twice the share of resamples on the rarer side of zero, with one added to both numbers.
        resamples: How many resamples were drawn.
    """

    gain: float
    low: float
    high: float
    p: float
    resamples: int


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Scores of models on the test set and on resamples of it.

    Attributes:
        observed: Of each metric, on the test set, ``(models,)``.
        drawn: Of each metric, on the resamples, ``(resamples, models)``.
    """

    observed: Mapping[str, Floats]
    drawn: Mapping[str, Floats]

    def gain(
        self, metric: str, ours: Sequence[int], theirs: Sequence[int], interval: float = 0.95
    ) -> Interval:
        """Gain of the mean of some models (by row) over the mean of others.

        Args:
            metric: One of those resampled.
            ours: Rows of the model that is judged: its seeds.
            theirs: Rows of the one that it is compared with.
            interval: How much of the distribution the interval holds.
        """
        observed, drawn = self.observed[metric], self.drawn[metric]
        gain = float(observed[list(ours)].mean() - observed[list(theirs)].mean())
        gains = drawn[:, list(ours)].mean(axis=1) - drawn[:, list(theirs)].mean(axis=1)
        low, high = _ends(gains, interval)
        # Differences below a rounding error are no difference: equal models must tie on every resample.
        other_side = min(int((gains <= 1e-12).sum()), int((gains >= -1e-12).sum()))
        p = min(1.0, 2 * (other_side + 1) / (len(gains) + 1))
        return Interval(gain, low, high, p, len(gains))

    def spread(self, metric: str, rows: Sequence[int], interval: float = 0.95) -> tuple[float, float]:
        """Ends of the interval of the mean score of some models (by row).

        Args:
            metric: One of those resampled.
            rows: A model's seeds.
            interval: How much of the distribution the interval holds.
        """
        return _ends(self.drawn[metric][:, list(rows)].mean(axis=1), interval)


def _ends(values: Floats, interval: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - interval) / 2, (1 + interval) / 2])
    return float(low), float(high)


def paired(
    gold: NDArray[np.integer],
    ours: NDArray[np.integer],
    theirs: NDArray[np.integer],
    *,
    metric: str,
    classes: int,
    resamples: int = 10_000,
    interval: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Gain of one model over another, with its interval.

    Args:
        gold: Class numbers, ``(examples,)``.
        ours: Predicted class numbers of the model that is judged, ``(seeds, examples)``.
        theirs: Those of the model that it is compared with, ``(seeds', examples)``.
        metric: One of ``METRICS``.
        classes: How many classes there are.
        resamples: How many times the test set is drawn anew.
        interval: How much of the distribution the interval holds.
        seed: Of the draws.
    """
    chosen = {metric: METRICS[metric]}
    scores = resampled(
        gold, np.concatenate([ours, theirs]), classes, metrics=chosen, resamples=resamples, seed=seed
    )
    return scores.gain(metric, range(len(ours)), range(len(ours), len(ours) + len(theirs)), interval)


def resampled(
    gold: NDArray[np.integer],
    predicted: NDArray[np.integer],
    classes: int,
    *,
    metrics: Mapping[str, Metric] = METRICS,
    resamples: int = 10_000,
    seed: int = 0,
) -> Resampled:
    """Score all models on the same resamples of the test set.

    Args:
        gold: Class numbers, ``(examples,)``.
        predicted: Predicted class numbers, ``(models, examples)``.
        classes: How many classes there are.
        metrics: What to score.
        resamples: How many times the test set is drawn anew.
        seed: Of the draws.
    """
    counts = Counts.of(confusion(gold, predicted, classes))
    # (kinds of sentences, in columns) and the kind of each sentence
    kinds, kind = np.unique(np.vstack([gold, predicted]), axis=1, return_inverse=True)
    columns = _columns(kinds[0], kinds[1:], classes)
    pieces: dict[str, list[Floats]] = {name: [] for name in metrics}
    for drawn_counts in draws(kind.astype(np.int64), kinds.shape[1], columns.shape[0], resamples, seed):
        drawn = _counts(columns, drawn_counts, classes)
        for name, metric in metrics.items():
            pieces[name].append(metric(drawn))
    return Resampled(
        observed={name: metric(counts) for name, metric in metrics.items()},
        drawn={name: np.concatenate(parts) for name, parts in pieces.items()},
    )


SumMetric = Callable[[Floats], Floats]
"""A score of counts that are added up over sentences: ``(..., numbers) -> (...)``."""


def resampled_sums(
    counts: Ints,
    metrics: Mapping[str, SumMetric],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Resampled:
    """Score all models on the same resamples, by scores of counts that are sums over sentences.

    The draws are those of :func:`resampled` for as many sentences and the same seed.

    Args:
        counts: What each sentence adds for each model, ``(models, sentences, numbers)``.
        metrics: Scores of such sums.
        resamples: How many times the test set is drawn anew.
        seed: Of the draws.
    """
    models, sentences, numbers = counts.shape
    rows = counts.transpose(1, 0, 2).reshape(sentences, models * numbers)
    kinds, kind = np.unique(rows, axis=0, return_inverse=True)
    columns = kinds.astype(np.float64)  # (kinds, models x numbers)
    pieces: dict[str, list[Floats]] = {name: [] for name in metrics}
    for drawn_counts in draws(kind.astype(np.int64).ravel(), len(kinds), models * numbers, resamples, seed):
        sums = (drawn_counts.astype(np.float64) @ columns).reshape(-1, models, numbers)
        for name, metric in metrics.items():
            pieces[name].append(metric(sums))
    whole = counts.sum(axis=1).astype(np.float64)  # (models, numbers)
    return Resampled(
        observed={name: metric(whole) for name, metric in metrics.items()},
        drawn={name: np.concatenate(parts) for name, parts in pieces.items()},
    )


def draws(kind: Ints, kinds: int, columns: int, resamples: int, seed: int) -> Iterator[Ints]:
    """How often each kind of sentence is in each resample, ``(some resamples, kinds)`` at a time.

    Args:
        kind: Of each sentence, a number, ``(sentences,)``.
        kinds: How many there are.
        columns: Numbers that are held of each resample: so many less are drawn at once.
        resamples: How many times the test set is drawn anew.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    examples = len(kind)
    at_once = max(1, DRAWN_AT_ONCE // max(examples, columns))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        sentences = generator.integers(0, examples, (size, examples), dtype=np.int32)
        cells = kind[sentences]
        cells += np.arange(0, size * kinds, kinds)[:, None]
        yield np.bincount(cells.ravel(), minlength=size * kinds).reshape(size, kinds)


def _columns(gold: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> sparse.csr_array:
    """What one sentence of each kind adds to the counts, ``(classes + models x 2 x classes, kinds)``.

    The rows are: gold of each class; then for each model its predictions of each class, and its hits.
    """
    models, kinds = predicted.shape
    numbers = np.arange(kinds)
    first = classes + np.arange(models)[:, None] * 2 * classes
    hit_model, hit_kind = np.nonzero(predicted == gold)
    rows = [gold, (first + predicted).ravel(), first[hit_model, 0] + classes + gold[hit_kind]]
    places = [numbers, np.tile(numbers, models), hit_kind]
    coordinates = (np.concatenate(rows), np.concatenate(places))
    ones = np.ones(len(coordinates[0]))
    return sparse.csr_array((ones, coordinates), shape=(classes * (1 + 2 * models), kinds))


def _counts(columns: sparse.csr_array, drawn: Ints, classes: int) -> Counts:
    """The models' counts on each resample, ``(resamples, models, classes)``."""
    sums: Floats = (columns @ drawn.T.astype(np.float64)).T
    of_models = sums[:, classes:].reshape(len(drawn), -1, 2, classes)
    gold = np.broadcast_to(sums[:, None, :classes], of_models[:, :, 0].shape)
    return Counts(hits=of_models[:, :, 1], gold=gold, predicted=of_models[:, :, 0])
