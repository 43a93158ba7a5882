"""Soft labels: the teacher's softened probabilities beside gold (Hinton, Vinyals and Dean 2015)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective, Targets
from limbeck.core.signals import Signals
from limbeck.losses.link import LINKS

CARD = Card(
    title="Soft labels",
    paper="Hinton, Vinyals and Dean, 2015: Distilling the knowledge in a neural network",
    equation="L = (1 - w) T² KL(softmax(z_teacher / T) || softmax(z_student / T)) - w log softmax(z_student)[gold];   "
    "of several labels T² sum_l KL(sigmoid(z_teacher,l / T) || sigmoid(z_student,l / T)), and gold label by label",
    what="The student learns the teacher's whole distribution, softened by a temperature T so that small "
    "probabilities speak too; gold joins with weight w where there is some.",
    when="The usual first choice with more than two classes, or with a teacher known by its probabilities only. "
    "A temperature of 2 to 5 suits most teachers; as T grows it turns into logit regression.",
    reads="The teacher's logits or probabilities; gold where w is above zero.",
    tasks=("classification", "multilabel"),
)


class Settings(MethodSettings):
    """How soft, and how much gold."""

    temperature: float = Field(2.0, gt=0)
    """T: 1 leaves the teacher as sharp as it is."""
    gold_weight: float = Field(0.0, ge=0, le=1)
    """w: share of the gold term; a sentence without gold goes without it."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("soft_labels", SoftLabelObjective(self.temperature, self.gold_weight)),)


class SoftLabelObjective(Objective):
    """Softened divergence from the teacher, and cross-entropy with gold; of scores squared distances from both."""

    def __init__(self, temperature: float, gold_weight: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.gold_weight = gold_weight

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences; a weight of zero leaves its term out."""
        assert student.logits is not None and teacher.logits is not None
        parts, link = {}, LINKS[self.task]
        if self.gold_weight < 1:
            soft = link.soft(student.logits, teacher.logits, self.temperature)
            parts["soft"] = (1 - self.gold_weight) * soft.sum()
        if self.gold_weight > 0:
            parts["gold"] = self.gold_weight * link.gold(student.logits, batch.gold).sum()
        return Loss(parts, len(batch.ids))

    def targets(self, teacher: Signals, gold: Tensor, classes: int) -> Targets:
        """The teacher's softened probabilities; at temperature 1, mixed with gold where there is some.

        Raises:
            LimbeckError: Gold joins at another temperature: then no mean of probabilities minimises both terms.
        """
        assert teacher.logits is not None
        soft = (teacher.logits.float() / self.temperature).softmax(-1)
        if not self.gold_weight:
            return Targets(soft, temperature=self.temperature)
        if self.temperature != 1:
            raise LimbeckError(
                "a student that is grown cannot follow 'gold_weight' at a temperature other than 1",
                where="method",
                fix="Set gold_weight: 0 or temperature: 1",
            )
        weight = self.gold_weight * (gold != NO_GOLD).float()  # (examples,)
        mixed = (1 - self.gold_weight) * soft
        mixed = mixed + weight[:, None] * functional.one_hot(gold.clamp(min=0), classes)
        whole = 1 - self.gold_weight + weight
        return Targets(mixed / whole.clamp(min=1e-9)[:, None], whole)


def tiny() -> Settings:
    """Settings for tests: both terms on."""
    return Settings(gold_weight=0.3)
