"""Jacobian: the student's answers change with its input as the teacher's do (Papamakarios 2015)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Objective, Shape
from limbeck.core.signals import Signals
from limbeck.losses.classification import squared_distance

CARD = Card(
    title="Jacobian matching",
    paper="Papamakarios, 2015: Distilling model knowledge; random projections as in Czarnecki et al., 2017: Sobolev "
    "training for neural networks; see also Srinivas and Fleuret, 2018: Knowledge transfer with Jacobian matching",
    equation="L = ||z_teacher - z_student||² + b/k sum_{j=1..k} ||d(v_j·z_teacher)/dx - d(v_j·z_student)/dx||²,   "
    "v_j ~ N(0, I) over classes; x factors of the tokens' embeddings, or the embeddings",
    what="Beside its logits the student learns the teacher's derivatives: which tokens move an answer, which way and "
    "how far. Logits are projected on random directions, new ones at every step, so that the cost does not grow with "
    "the number of classes; in the mean it is the squared distance of the whole Jacobians.",
    when="Little transfer text: every sentence says much more of the teacher than its logits do. Teacher and student "
    "share their tokeniser; the student may be a BiLSTM, siamese or not. The teacher is asked again at every step, "
    "forwards and backwards, which is most of the work: on a CPU, beside a six-layer teacher 384 wide, a step of a "
    "BiLSTM of 150 units took fifteen to twenty times the work of one of soft labels, whose answers are stored (512 "
    "and 2,048 tokens a batch).",
    reads="The teacher's logits and their derivatives, asked again at every step; no gold.",
)


class Settings(MethodSettings):
    """Which derivatives, and how much they weigh."""

    weight: float = Field(1.0, ge=0)
    """b: of the derivatives."""
    projections: int = Field(1, gt=0)
    """k: random directions of each sentence and step; each costs one more backward pass of teacher and student."""
    inputs: Literal["tokens", "embeddings"] = "tokens"
    """``tokens`` takes derivatives with respect to a factor of each token's embedding, one number a token, whatever the
    widths of the models; ``embeddings`` to each of its dimensions, for a student that has the teacher's embeddings
    (``start: embeddings`` or ``from_teacher``, as wide as the teacher)."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("jacobian", JacobianObjective(self)),)


class JacobianObjective(Objective):
    """Squared distance between logits, and between their derivatives at the tokens that both read."""

    aligned_by = "token"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        of_tokens = settings.inputs == "tokens"
        self.needs = self.reads = frozenset({"logits", "saliency" if of_tokens else "sensitivity"})

    def fit(self, student: Shape | None, teacher: Shape | None) -> None:
        """Insist on a teacher that can be asked for derivatives."""
        if teacher is None:
            fix = "Name a transformer in 'teacher.model', or choose a method that compares answers"
            raise LimbeckError("the teacher has no derivatives to learn from", where="method", fix=fix)

    def directions(self, batch: Batch, classes: int) -> Tensor:
        """Drawn from PyTorch's own generator, which the training loop seeds for every step."""
        return torch.randn(len(batch.ids), self.settings.projections, classes, device=batch.gold.device)

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences."""
        assert student.logits is not None and teacher.logits is not None and student.mask is not None
        if self.settings.inputs == "tokens":
            assert student.saliency is not None and teacher.saliency is not None
            own, theirs = student.saliency.unsqueeze(-1), teacher.saliency.unsqueeze(-1)
        else:
            assert student.sensitivity is not None and teacher.sensitivity is not None
            own, theirs = student.sensitivity, teacher.sensitivity
        if own.shape[-1] != theirs.shape[-1]:
            what = f"embeddings are {own.shape[-1]} wide here and {theirs.shape[-1]} in the teacher"
            raise LimbeckError(what, where="method.inputs", fix="Set method.inputs to 'tokens'")
        real = student.mask.bool()[:, None, :, None]
        apart = (own - theirs).square().masked_fill(~real, 0.0).sum((2, 3)).mean(1)  # (batch,)
        parts = {
            "logits": squared_distance(student.logits, teacher.logits).sum(),
            "derivatives": self.settings.weight * apart.sum(),
        }
        return Loss(parts, len(batch.ids))


def tiny() -> Settings:
    """Settings for tests: two directions."""
    return Settings(projections=2)
