"""Ensembles: several teachers of the same labels that answer as one.

    p(y | x) = sum_k w_k p_k(y | x),    w_k >= 0,  sum_k w_k = 1

What the ensemble gives as logits is ``log p``: a softmax of it, at whatever temperature, is one of the mixture and not
a mean of softened members. Of labels that each stand by themselves it is the logit of the mean probability, and of
scores their mean (:mod:`limbeck.losses.link`). Weights are equal, given, or those under which dev's gold is the
likeliest.

Axes: ``members``, ``examples`` (or ``batch``), ``classes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core import fingerprint
from limbeck.core.signals import Signals
from limbeck.core.tasks import Task
from limbeck.losses.link import LINKS
from limbeck.transfer.teachers import LOGITS, FileTeacher, ModelTeacher

if TYPE_CHECKING:
    from limbeck.core.example import Example
    from limbeck.core.signals import SignalName

TOLERANCE = 1e-9
"""Fitting ends when no weight changes by more."""
ROUNDS = 100_000
"""Fitting ends after so many rounds, too."""


def mixture(logits: Sequence[Tensor], weights: Sequence[float], task: Task = "classification") -> Tensor:
    """Logits of the weighted mean of probabilities, or of scores, ``(batch, classes)``.

    Args:
        logits: Of each member, ``(batch, classes)``.
        weights: One a member; they add up to one.
        task: What logits mean.
    """
    said = torch.stack(list(logits))  # (members, batch, classes)
    return LINKS[task].mean(said, said.new_tensor(weights))


def fit_weights(of_gold: NDArray[np.float64]) -> tuple[float, ...]:
    """The weights under which the gold labels are likeliest: ``argmax_w sum_i log sum_k w_k p_k(y_i | x_i)``.

    The likelihood is concave in w; expectation-maximisation from equal weights rises to its maximum, the same at every
    call: ``w_k <- mean_i w_k p_ik / sum_j w_j p_ij`` (Dempster, Laird and Rubin 1977, for a mixture's proportions).

    Args:
        of_gold: What each member gives to each example's gold label, above zero, ``(members, examples)``.
    """
    weights = np.full(len(of_gold), 1 / len(of_gold))
    for _ in range(ROUNDS):
        shares = weights[:, None] * of_gold
        updated = (shares / shares.sum(0)).mean(1)
        settled = np.abs(updated - weights).max() < TOLERANCE
        weights = updated
        if settled:
            break
    return tuple(float(each) for each in weights / weights.sum())


class EnsembleTeacher:
    """Several teachers that answer as one. Each is asked, and its answers stored, by itself.

    Args:
        members: Models and files of answers, with the same labels in the same order.
        weights: One a member; None is equal ones.
        name: What a person calls it.
        task: What their logits mean.
    """

    def __init__(
        self,
        members: Sequence[ModelTeacher | FileTeacher],
        weights: Sequence[float] | None,
        name: str,
        task: Task = "classification",
    ) -> None:
        self.task = task
        self.members = tuple(members)
        self.weights = tuple(weights or [1 / len(members)] * len(members))
        self.name = name
        self.labels = self.members[0].labels
        self.offers: frozenset[SignalName] = LOGITS
        self.fingerprint = fingerprint.of_value([[each.fingerprint for each in members], self.weights])

    @property
    def models(self) -> list[ModelTeacher]:
        """Its members that are no files."""
        return [each for each in self.members if isinstance(each, ModelTeacher)]

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        """What it says about the examples, in their order: logits ``(examples, classes)`` on the CPU."""
        return self.combined([each.answer(examples, needs) for each in self.members])

    def combined(self, said: Sequence[Signals]) -> Signals:
        """What its members' logits come to."""
        logits = [each.logits for each in said if each.logits is not None]
        return Signals(logits=mixture(logits, self.weights, self.task))

    def holds(self, examples: Sequence[Example]) -> bool:
        """Whether all of its files have answers for these examples."""
        files = [each for each in self.members if isinstance(each, FileTeacher)]
        return all(file.holds(examples) for file in files)
