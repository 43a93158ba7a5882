"""Noisy logits: logit regression on a teacher whose logits are perturbed at random (Sau and Balasubramanian 2016)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.losses.classification import squared_distance
from limbeck.losses.link import LINKS

CARD = Card(
    title="Noisy logits",
    paper="Sau and Balasubramanian, 2016: Deep model compression: Distilling knowledge from noisy teachers",
    equation="L = (1 - alpha) ||z'_teacher - z_student||² - alpha log softmax(z_student)[t],   z' = (1 + xi) z, "
    "xi ~ N(0, sigma²) for a random share of the sentences, else z' = z",
    what="Logit regression in which some of the teacher's answers, drawn anew at every step, are multiplied by noise, "
    "each class by its own. It acts as if several teachers were heard, and regularises the student.",
    when="Logit regression overfits: little transfer text, or many passes over it. The larger a logit, the more noise "
    "it gets; sigma 0 is plain logit regression.",
    reads="The teacher's logits; gold only where alpha is above zero.",
)


class Settings(MethodSettings):
    """How much noise, and how often."""

    sigma: float = Field(0.2, ge=0)
    """Standard deviation of the noise, as a share of a logit."""
    share: float = Field(0.5, ge=0, le=1)
    """Probability that a sentence's logits are perturbed."""
    alpha: float = Field(0.0, ge=0, le=1)
    """Share of the cross-entropy with gold or, without gold, with the choice of the teacher without noise."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("noisy_logits", NoisyLogitsObjective(self)),)


class NoisyLogitsObjective(Objective):
    """Squared distance from perturbed logits, and cross-entropy; in evaluation mode there is no noise."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences; a weight of zero leaves its term out."""
        assert student.logits is not None and teacher.logits is not None
        alpha, parts, link = self.settings.alpha, {}, LINKS[self.task]
        if alpha < 1:
            target = self._perturbed(teacher.logits) if self.training else teacher.logits
            parts["logits"] = (1 - alpha) * squared_distance(student.logits, target).sum()
        if alpha > 0:
            target = link.gold_or_choice(batch.gold, teacher.logits)
            parts["cross_entropy"] = alpha * link.gold(student.logits, target).sum()
        return Loss(parts, len(batch.ids))

    def _perturbed(self, logits: Tensor) -> Tensor:
        """Drawn from PyTorch's own generator, which the training loop seeds for every step."""
        chosen = torch.rand(len(logits), 1, device=logits.device) < self.settings.share
        noise = self.settings.sigma * torch.randn_like(logits)
        return torch.where(chosen, (1 + noise) * logits, logits)


def tiny() -> Settings:
    """Settings for tests: noise, and both terms on."""
    return Settings(sigma=0.5, alpha=0.3)
