"""Plain training of a tagger on gold tags: the control that every distilled tagger is compared with."""

from __future__ import annotations

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.losses.chain_objective import gold_likelihood

CARD = Card(
    title="Gold tags (the control of taggers)",
    paper="Lafferty et al., 2001: Conditional random fields; ordinary supervised training",
    equation="L = -log p_student(gold tags | x)",
    what="Trains the tagger on the likelihood of gold tag sequences without a teacher, for as many steps as the "
    "distilled student takes.",
    when="Always, beside any other method for taggers: what it reaches is what distillation has to beat. "
    "It runs unasked unless the recipe says 'control: false'.",
    reads="Gold tags; sentences without gold are not used.",
)


class Settings(MethodSettings):
    """Nothing to set."""

    def stages(self) -> tuple[Stage, ...]:
        """One: likelihood of the labelled sentences."""
        return (Stage("gold", ChainGoldObjective(), hears="labelled"),)


class ChainGoldObjective(Objective):
    """Negative log-likelihood of gold tags."""

    needs = frozenset()
    reads = frozenset({"potentials"})
    aligned_by = "word"

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sum over sentences with gold."""
        assert student.potentials is not None
        return Loss({"gold": gold_likelihood(student.potentials, batch.gold).sum()}, len(batch.ids))


def tiny() -> Settings:
    """Settings for tests."""
    return Settings()
