"""Plain training on gold labels: the control that every distilled student is compared with."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Objective, Targets
from limbeck.core.signals import Signals
from limbeck.losses.link import LINKS

CARD = Card(
    title="Gold labels (the control)",
    paper="Ordinary supervised training, no paper",
    equation="L = -log softmax(z_student)[gold];   of several labels -sum_l log p(gold_l), p = sigmoid(z_student);   "
    "of a score (gold - z_student)²",
    what="Trains the student on gold labels without a teacher, for as many steps as the distilled student takes.",
    when="Always, beside any other method: what it reaches is what distillation has to beat. "
    "It runs unasked unless the recipe says 'control: false'.",
    reads="Gold labels; sentences without gold are not used.",
)


class Settings(MethodSettings):
    """Nothing to set."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the labelled sentences."""
        return (Stage("gold", GoldObjective(), hears="labelled"),)


class GoldObjective(Objective):
    """Cross-entropy with gold; of scores their squared error."""

    needs = frozenset()

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sum over sentences with gold."""
        assert student.logits is not None
        losses = LINKS[self.task].gold(student.logits, batch.gold)
        return Loss({"gold": losses.sum()}, len(batch.ids))

    def targets(self, teacher: Signals, gold: Tensor, classes: int) -> Targets:
        """Gold itself, all other classes at nought."""
        return Targets(functional.one_hot(gold, classes).float())


def tiny() -> Settings:
    """Settings for tests."""
    return Settings()
