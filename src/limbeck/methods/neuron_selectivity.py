"""Neuron selectivity transfer: the student's neurons are selective as the teacher's are (Huang and Wang 2017)."""

from __future__ import annotations

from pydantic import Field

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss
from limbeck.core.signals import Signals
from limbeck.losses.hidden_objective import HiddenObjective
from limbeck.losses.link import LINKS
from limbeck.losses.selectivity import Kernel, selectivity_distance

CARD = Card(
    title="Neuron selectivity transfer",
    paper="Huang and Wang, 2017: Like what you like: Knowledge distill via neuron selectivity transfer",
    equation="L = T² KL(p_t || p_s) + b MMD²(F_t, F_s),   MMD² = 1/N² sum k(f_t, f_t') + 1/M² sum k(f_s, f_s') - "
    "2/(NM) sum k(f_t, f_s); f a neuron's activations over the tokens of a sentence, of length 1; k linear, "
    "(f·f')² or Gaussian",
    what="Each neuron of a hidden layer likes some tokens of a sentence more than others. The student's neurons, "
    "however many, are to be distributed over such preferences as the teacher's are, by maximum mean discrepancy; "
    "no neuron has a partner, and no projection is learnt.",
    when="Students narrower than their teacher, and BiLSTMs (not siamese ones: they read other rows); teacher and "
    "student share their tokeniser. The paper has gold in the place of soft labels.",
    reads="The teacher's logits and hidden states, asked once or at every step ('inner_states'); no gold.",
)


class Settings(MethodSettings):
    """Which layers, which kernel, and how much it weighs."""

    kernel: Kernel = "polynomial"
    """``linear``, ``polynomial`` (of degree 2, without constant) or ``gaussian`` (its variance is the mean squared
    distance between the teacher's neurons and the student's)."""
    weight: float = Field(5.0, ge=0)
    """b; a discrepancy of patterns of length one is well below 1. The paper takes 50, for images; over sentences the
    soft labels are then 2% of the gradient."""
    layer: int | None = Field(None, gt=0)
    """The student's layer, from 1; null is its last."""
    teacher_layer: int | None = Field(None, gt=0)
    """The teacher's layer, from 1; null is its last."""
    temperature: float = Field(4.0, gt=0)
    """T of the soft labels."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("neuron_selectivity", SelectivityObjective(self)),)


class SelectivityObjective(HiddenObjective):
    """Soft labels, and the discrepancy between two layers' neurons."""

    needs = reads = frozenset({"logits", "hidden"})

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.layer, settings.teacher_layer)
        self.settings = settings

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences."""
        assert student.logits is not None and teacher.logits is not None and student.mask is not None
        own, theirs = self.compared(student, teacher)
        soft = LINKS[self.task].soft(student.logits, teacher.logits, self.settings.temperature)
        apart = selectivity_distance(own, theirs, student.mask, self.settings.kernel)
        return Loss({"soft": soft.sum(), "selectivity": self.settings.weight * apart.sum()}, len(batch.ids))


def tiny() -> Settings:
    """Settings for tests: both terms on."""
    return Settings()
