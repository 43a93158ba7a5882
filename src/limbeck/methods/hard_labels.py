"""Hard labels: the student learns the teacher's most probable class (Buciluă et al. 2006)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Objective, Targets
from limbeck.core.signals import Signals
from limbeck.losses.link import LINKS

CARD = Card(
    title="Hard labels",
    paper="Buciluă, Caruana and Niculescu-Mizil, 2006: Model compression",
    equation="L = -log softmax(z_student)[argmax z_teacher];   of several labels -sum_l log p(z_teacher,l > 0), "
    "p = sigmoid(z_student)",
    what="The teacher labels the transfer set, and the student is trained on those labels as if they were gold.",
    when="The teacher gives decisions only (an API, a person, a rule system), and there is much unlabelled text. "
    "Where it gives probabilities, soft labels or logit regression tell the student more.",
    reads="The teacher's decisions; gold is not used.",
    tasks=("classification", "multilabel"),
)


class Settings(MethodSettings):
    """Nothing to set."""

    def stages(self) -> tuple[Stage, ...]:
        """One: cross-entropy with the teacher's choice, on the whole transfer set."""
        return (Stage("hard_labels", HardLabelObjective()),)


class HardLabelObjective(Objective):
    """Cross-entropy with the teacher's most probable class; of several labels, with those above one half."""

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sum over sentences."""
        assert student.logits is not None and teacher.logits is not None
        link = LINKS[self.task]
        losses = link.gold(student.logits, link.choice(teacher.logits))
        return Loss({"hard": losses.sum()}, len(batch.ids))

    def targets(self, teacher: Signals, gold: Tensor, classes: int) -> Targets:
        """The teacher's choice, all other classes at nought."""
        assert teacher.logits is not None
        return Targets(functional.one_hot(teacher.logits.argmax(-1), classes).float())


def tiny() -> Settings:
    """Settings for tests."""
    return Settings()
