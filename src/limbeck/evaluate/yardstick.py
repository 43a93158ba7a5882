"""Yardsticks: how what a model says of whole texts is held against gold, by task.

What is compared are class numbers ``(examples,)``, scores ``(examples,)``, or sets of labels ``(examples, labels)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.tasks import METRICS_OF, Task
from limbeck.evaluate.bootstrap import Resampled, resampled, resampled_sums
from limbeck.evaluate.correlation import CORRELATIONS, resampled_correlations
from limbeck.evaluate.metrics import Counts, confusion, metrics_for
from limbeck.evaluate.sets import SET_METRICS, set_counts
from limbeck.text.encode import label_sets

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Yardstick:
    """How a task's answers are scored.

    Attributes:
        metrics: Names of the scores against gold.
        gold: From examples to what is compared.
        chosen: From logits ``(examples, labels)`` to what is compared.
        read: The same from what a predictions file holds of each example.
        scores: From gold and what one model says to its scores, by name.
        resampled: From gold, what each model says ``(models, examples, ...)``, and a number of resamples.
    """

    metrics: tuple[str, ...]
    gold: Callable[[Sequence[Example]], Array]
    chosen: Callable[[Array], Array]
    read: Callable[[Array], Array]
    scores: Callable[[Array, Array], dict[str, float]]
    resampled: Callable[[Array, Array, int], Resampled]


def yardstick(
    task: Task, labels: Sequence[str], metric: str | None = None, positive: str | None = None
) -> Yardstick:
    """That of a task whose models say logits of whole texts.

    Args:
        task: Which one.
        labels: In the order of the logits.
        metric: The score that decides.
        positive: Of two classes the one whose F1 is meant.

    Raises:
        LimbeckError: The metric is not of these classes.
    """
    if task == "regression":
        return _of_scores()
    if task == "multilabel":
        return _of_sets(labels)
    return _of_classes(labels, metric or METRICS_OF[task][0], positive)


def _of_classes(labels: Sequence[str], metric: str, positive: str | None) -> Yardstick:
    metrics = metrics_for(labels, metric, positive)

    def scores(gold: Array, predicted: Array) -> dict[str, float]:
        counts = Counts.of(confusion(gold, predicted, len(labels)))
        return {name: float(score(counts)) for name, score in metrics.items()}

    return Yardstick(
        metrics=tuple(metrics),
        gold=lambda examples: _numbers(examples, labels),
        chosen=lambda logits: np.asarray(logits.argmax(axis=-1)),
        read=lambda probabilities: np.asarray(probabilities.argmax(axis=-1)),
        scores=scores,
        resampled=lambda gold, predicted, resamples: resampled(
            gold, predicted, len(labels), metrics=metrics, resamples=resamples
        ),
    )


def _of_scores() -> Yardstick:
    return Yardstick(
        metrics=tuple(CORRELATIONS),
        gold=_gold_scores,
        chosen=lambda logits: logits[:, 0].astype(np.float64),
        read=lambda scores: scores.astype(np.float64),
        scores=lambda gold, predicted: {
            name: float(score(gold.astype(np.float64), predicted.astype(np.float64)))
            for name, score in CORRELATIONS.items()
        },
        resampled=lambda gold, predicted, resamples: resampled_correlations(
            gold, predicted, resamples=resamples
        ),
    )


def _of_sets(labels: Sequence[str]) -> Yardstick:
    def scores(gold: Array, predicted: Array) -> dict[str, float]:
        counts = set_counts(gold, predicted).sum(axis=0)
        return {name: float(score(counts)) for name, score in SET_METRICS.items()}

    return Yardstick(
        metrics=tuple(SET_METRICS),
        gold=lambda examples: _gold_sets(examples, labels),
        chosen=lambda logits: logits > 0,
        read=lambda probabilities: probabilities > 0.5,
        scores=scores,
        resampled=lambda gold, predicted, resamples: resampled_sums(
            set_counts(gold, predicted), SET_METRICS, resamples=resamples
        ),
    )


# Gold.


def _numbers(examples: Sequence[Example], labels: Sequence[str]) -> Array:
    from limbeck.evaluate.evaluate import gold_numbers

    return gold_numbers(examples, labels)


def _gold_scores(examples: Sequence[Example]) -> Array:
    _require_gold(examples, "score")
    return np.array([example.score for example in examples], dtype=np.float64)


def _gold_sets(examples: Sequence[Example], labels: Sequence[str]) -> Array:
    _require_gold(examples, "labels")
    return label_sets(examples, labels).astype(bool)


def _require_gold(examples: Sequence[Example], what: str) -> None:
    """Insist that there are examples, all of them with gold.

    Raises:
        LimbeckError: There are none, or one has no gold.
    """
    if not examples:
        raise LimbeckError("the test set is empty")
    without = next((example for example in examples if example.truth is None), None)
    if without is not None:
        raise LimbeckError(
            f"test example '{without.id}' has no gold {what}",
            where=without.origin or None,
            fix=f"Every test example needs {'one' if what == 'score' else 'them'}",
        )
