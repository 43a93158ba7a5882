"""Annealed: from the teacher's soft labels to gold while the student is trained (Clark et al. 2019)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.losses import ramp
from limbeck.losses.link import LINKS

CARD = Card(
    title="Teacher annealing",
    paper="Clark et al., 2019: BAM! Born-again multi-task networks for natural language understanding",
    equation="L = w(t) T² KL(softmax(z_teacher / T) || softmax(z_student / T)) - (1 - w(t)) log "
    "softmax(z_student)[gold],   w(t) from 1 to 0 over the training t",
    what="The student first learns from the teacher, and more and more from gold, so that in the end the teacher's "
    "mistakes do not hold it back. The paper's weight falls on a straight line, from 1 to 0.",
    when="Much gold, and a student that may come close to its teacher, or pass it. With little gold and much "
    "unlabelled text prefer soft_labels.",
    reads="The teacher's logits; gold, where there is some.",
)


class Settings(MethodSettings):
    """When the teacher gives way to gold, and how far."""

    start: float = Field(1.0, ge=0, le=1)
    """w at the start: weight of the teacher; gold has what is left of one."""
    end: float = Field(0.0, ge=0, le=1)
    """w at the end."""
    begins: float = Field(0.0, ge=0, le=1)
    """Share of the training after which w begins to move."""
    ends: float = Field(1.0, ge=0, le=1)
    """Share of the training after which w has arrived; as much as ``begins`` is a jump."""
    shape: ramp.Shape = "linear"
    """``linear`` (the paper's) or ``cosine``, which is slow at both ends."""
    temperature: float = Field(1.0, gt=0)
    """T of the soft labels. Of scores there is none: their squared distances are weighted."""
    without_gold: Literal["teacher", "fade"] = "teacher"
    """A sentence without gold goes on learning from the ``teacher`` in full, or fades with w."""

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        if self.ends < self.begins:
            raise ValueError("'ends' comes before 'begins'")
        return self

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("annealed", AnnealedObjective(self)),)


class AnnealedObjective(Objective):
    """Soft labels and gold, weighted by how much of the training is done."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences."""
        assert student.logits is not None and teacher.logits is not None
        asked, link = self.settings, LINKS[self.task]
        weight = ramp.ramp(batch.done, asked.start, asked.end, asked.begins, asked.ends, asked.shape)
        soft = link.soft(student.logits, teacher.logits, asked.temperature)
        weights = torch.full_like(soft, weight)
        if asked.without_gold == "teacher":
            weights = weights.masked_fill(~link.has_gold(batch.gold), 1.0)
        gold = link.gold(student.logits, batch.gold)
        return Loss({"soft": (weights * soft).sum(), "gold": ((1 - weight) * gold).sum()}, len(batch.ids))


def tiny() -> Settings:
    """Settings for tests: both terms on from the start."""
    return Settings(start=0.8)
