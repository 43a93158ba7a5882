"""Structural (factorised) distillation for chains: cross-entropy over all sequences, exactly (Wang et al. 2021)."""

from __future__ import annotations

from limbeck.core.method import Card, Stage
from limbeck.losses.chain import structural_cross_entropy
from limbeck.losses.chain_objective import ChainObjective, ChainSettings

CARD = Card(
    title="Structural (factorised)",
    paper="Wang et al., 2021: Structural knowledge distillation: tractably distilling information for structured "
    "predictor",
    equation="L_KD = -sum_{u in U(x)} p_teacher(u|x) s_student(u, x) + log Z_student(x), u the pairs of adjacent tags "
    "(Lin et al., 2022, equation 8)",
    what="The cross-entropy between the two distributions over all sequences, which factorises over pairs of "
    "adjacent tags: one forward-backward for the teacher, one for the student.",
    when="By default, for chains into chains: it is the exact loss that the others approximate, and costs hardly "
    "more than the cheapest of them here.",
    reads="The teacher's emissions and transitions; gold where lambda falls below one.",
)


class Settings(ChainSettings):
    """How it mixes with gold."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("chain_structural", ChainObjective("structural", structural_cross_entropy, self)),)


def tiny() -> Settings:
    """Settings for tests: both terms on."""
    return Settings(weight=0.7, schedule="constant")
