"""Logit regression: the student's logits approach the teacher's (Ba and Caruana 2014; Tang et al. 2019)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Objective, Targets
from limbeck.core.signals import Signals
from limbeck.losses.classification import squared_distance
from limbeck.losses.link import LINKS

CARD = Card(
    title="Logit regression",
    paper="Ba and Caruana, 2014: Do deep nets really need to be deep?; "
    "Tang et al., 2019: Distilling task-specific knowledge from BERT into simple neural networks",
    equation="L = -alpha log softmax(z_student)[t] + (1 - alpha) ||z_teacher - z_student||²",
    what="Squared distance between the logits of teacher and student. With alpha above zero cross-entropy joins: "
    "the target t is gold, and for unlabelled text the teacher's choice, as in Tang et al.",
    when="Two or few classes, a teacher whose logits are known, and much transfer text; Tang et al. found "
    "alpha = 0 best. On the teacher's own training sentences alone its logits are overconfident: add text.",
    reads="The teacher's logits; gold only where alpha is above zero.",
)


class Settings(MethodSettings):
    """How much cross-entropy beside the squared distance."""

    alpha: float = Field(0.0, ge=0, le=1)
    """Share of the cross-entropy term."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("logit_regression", LogitRegressionObjective(self.alpha)),)


class LogitRegressionObjective(Objective):
    """Squared distance between logits, and cross-entropy with gold or the teacher's choice."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences; a weight of zero leaves its term out."""
        assert student.logits is not None and teacher.logits is not None
        parts, link = {}, LINKS[self.task]
        if self.alpha < 1:
            parts["logits"] = (1 - self.alpha) * squared_distance(student.logits, teacher.logits).sum()
        if self.alpha > 0:
            target = link.gold_or_choice(batch.gold, teacher.logits)
            parts["cross_entropy"] = self.alpha * link.gold(student.logits, target).sum()
        return Loss(parts, len(batch.ids))

    def targets(self, teacher: Signals, gold: Tensor, classes: int) -> Targets:
        """The teacher's logits.

        Raises:
            LimbeckError: Cross-entropy joins: then no mean minimises both terms.
        """
        if self.alpha:
            what = "a student that is grown cannot follow cross-entropy beside squared distances"
            raise LimbeckError(what, where="method", fix="Set alpha: 0, or choose soft_labels")
        assert teacher.logits is not None
        return Targets(teacher.logits.float(), temperature=None)


def tiny() -> Settings:
    """Settings for tests: both terms on."""
    return Settings(alpha=0.3)
