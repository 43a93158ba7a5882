"""Links: what the logits of a text mean, by task, and what follows for the losses that are made of them.

    classification   p = softmax(z)   one label of several      gold y:  -log p[y]
    multilabel       p = sigmoid(z)   each label by itself      gold y:  -sum_l y_l log p_l + (1 - y_l) log(1 - p_l)
    regression       z                a score, as it is         gold y:  (y - z)²

The name is that of generalised linear models. Where a method says "the teacher's answers", it asks the link: a
distribution is compared at a temperature, and a score, which is none, by its squared distance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from limbeck.core.objective import NO_GOLD
from limbeck.core.tasks import Task
from limbeck.losses.classification import (
    binary_cross_entropy,
    gold_cross_entropy,
    gold_squared_error,
    softened_binary_divergence,
    softened_divergence,
    squared_distance,
)


@dataclass(frozen=True, slots=True)
class Link:
    """What logits mean, as functions of tensors.

    Attributes:
        gold: Loss of gold, from logits ``(batch, labels)`` and gold as a batch has it: ``(batch,)``, nought where there
            is none.
        soft: Loss of the teacher's answers, from both logits and a temperature, ``(batch,)``.
        choice: From the teacher's logits to what it would have as gold, in gold's shape.
        has_gold: Which rows of gold hold some, ``(batch,)``.
        mean: Logits of what several models say together, from those of each, ``(models, batch, labels)``, and their
            weights ``(models,)``, which add up to one: of the weighted mean of probabilities, or of scores.
        either: From logits of several labels to that of any of them, ``(..., labels) -> (...)``: what a label is said
            that all of them are; None where there is no such thing.
    """

    gold: Callable[[Tensor, Tensor], Tensor]
    soft: Callable[[Tensor, Tensor, float], Tensor]
    choice: Callable[[Tensor], Tensor]
    has_gold: Callable[[Tensor], Tensor]
    mean: Callable[[Tensor, Tensor], Tensor]
    either: Callable[[Tensor], Tensor] | None

    def gold_or_choice(self, gold: Tensor, teacher: Tensor) -> Tensor:
        """Gold where there is some, the teacher's choice elsewhere (Tang et al. 2019, section 3.2)."""
        there = self.has_gold(gold)
        return torch.where(there.view(-1, *[1] * (gold.dim() - 1)), gold, self.choice(teacher))


def _score_distance(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    return squared_distance(student, teacher)


def _rows_with_numbers(gold: Tensor) -> Tensor:
    return ~gold.isnan().any(-1)


def _weighted(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of logarithms' exponentials, as a logarithm."""
    return (values + weights.log()[:, None, None]).logsumexp(0)


def _mean_of_sets(logits: Tensor, weights: Tensor) -> Tensor:
    there, not_there = (_weighted(functional.logsigmoid(each), weights) for each in (logits, -logits))
    return there - not_there


def _any_of_set(logits: Tensor) -> Tensor:
    """Of independent labels, two by two: where they have the odds a and b, either has the odds ``a + b + ab``."""
    return reduce(lambda a, b: torch.logaddexp(torch.logaddexp(a, b), a + b), logits.unbind(-1))


LINKS: Mapping[Task, Link] = {
    "classification": Link(
        gold=gold_cross_entropy,
        soft=softened_divergence,
        choice=lambda teacher: teacher.argmax(-1),
        has_gold=lambda gold: gold != NO_GOLD,
        mean=lambda logits, weights: _weighted(logits.log_softmax(-1), weights),
        either=lambda logits: logits.logsumexp(-1),
    ),
    "multilabel": Link(
        gold=binary_cross_entropy,
        soft=softened_binary_divergence,
        choice=lambda teacher: (teacher > 0).float(),
        has_gold=_rows_with_numbers,
        mean=_mean_of_sets,
        either=_any_of_set,
    ),
    "regression": Link(
        gold=gold_squared_error,
        soft=_score_distance,
        choice=lambda teacher: teacher.float(),
        has_gold=_rows_with_numbers,
        mean=lambda logits, weights: (logits * weights[:, None, None]).sum(0),
        either=None,
    ),
}
"""By task; taggers and translators have losses of their own."""
