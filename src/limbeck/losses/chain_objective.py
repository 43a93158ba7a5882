"""What the methods for chains share: a loss between chains, mixed with the likelihood of gold along a schedule.

L = lambda L_KD + (1 - lambda) L_NLL          (Lin et al. 2022, equation 6)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field
from torch import Tensor

from limbeck.core.method import MethodSettings
from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.losses.chain import in_common
from limbeck.structure import chain as chains
from limbeck.structure.chain import Chain

Schedule = Literal["constant", "linear", "until_last_epoch"]
Distance = Callable[[Chain, Chain], Tensor]
"""Student's chain and teacher's to one value a sentence, ``(batch,)``."""


class ChainSettings(MethodSettings):
    """Keys that all methods for chains have."""

    weight: float = Field(1.0, ge=0, le=1)
    """Lambda, the weight of the teacher's term at the start; gold's is what is left of one."""
    schedule: Schedule = "linear"
    """``constant``, ``linear`` (from ``weight`` to 0 over the training) or ``until_last_epoch`` (0 in the last one)."""


def teachers_share(weight: float, schedule: Schedule, batch: Batch) -> float:
    """Lambda at this point of the training (Lin et al. 2022, section 2.2 and 3.1)."""
    if schedule == "linear":
        return weight * (1 - batch.done)
    return 0.0 if schedule == "until_last_epoch" and batch.last_epoch else weight


class ChainObjective(Objective):
    """A distance between the chains of teacher and student, and the likelihood of gold.

    A sentence without gold, or with a gold tag that the student does not know, has the teacher's term only.

    Args:
        name: What the journal calls the teacher's term.
        distance: Between chains over the same words.
        settings: Weight and schedule.
    """

    needs = frozenset({"potentials"})
    reads = frozenset({"potentials"})
    aligned_by = "word"

    def __init__(self, name: str, distance: Distance, settings: ChainSettings) -> None:
        super().__init__()
        self.name, self.distance = name, distance
        self.weight, self.schedule = settings.weight, settings.schedule
        self.last_apart = settings.schedule == "until_last_epoch" and settings.weight > 0

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences; a term of weight nought is not computed."""
        assert student.potentials is not None and teacher.potentials is not None
        share = teachers_share(self.weight, self.schedule, batch)
        nothing = student.potentials.emissions.new_zeros(())
        taught = self.distance(*in_common(student.potentials, teacher.potentials)).sum() if share else nothing
        gold = gold_likelihood(student.potentials, batch.gold).sum() if share < 1 else nothing
        return Loss({self.name: share * taught, "gold": (1 - share) * gold}, len(batch.ids))


def gold_likelihood(student: Chain, gold: Tensor) -> Tensor:
    """Negative log-likelihood of gold (nats), ``(batch,)``; nought for a sentence where a word's gold is not known.

    Args:
        student: Its scores.
        gold: Tag indices ``(batch, words)``, ``NO_GOLD`` where there is none.
    """
    known = ((gold != NO_GOLD) | ~student.mask).all(1) & (student.lengths > 0)
    tags = gold.masked_fill(~known[:, None], 0)
    return chains.negative_log_likelihood(student, tags) * known
