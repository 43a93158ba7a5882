"""Sub-structure distillation for chains: the student's scores approach the teacher's (Lin et al. 2022)."""

from __future__ import annotations

from limbeck.core.method import Card, Stage
from limbeck.losses.chain import substructure_distance
from limbeck.losses.chain_objective import ChainObjective, ChainSettings, Schedule

CARD = Card(
    title="Sub-structure scores (Efficient KD)",
    paper="Lin et al., 2022: Efficient sub-structured knowledge distillation",
    equation="L_KD = sum_{u in U(x)} (s_student(u, x) - s_teacher(u, x))² / |U(x)|, u the pairs of adjacent tags "
    "(equation 9, squared)",
    what="Squared distance between the scores of every pair of adjacent tags at every word, without any dynamic "
    "program; here in closed form, without the tensor of all pairs. Gold comes in the last epoch only.",
    when="Chains into chains over the same tags, with a teacher whose scores are known, not only its probabilities.",
    reads="The teacher's emissions and transitions; gold in the last epoch.",
)


class Settings(ChainSettings):
    """How it mixes with gold."""

    schedule: Schedule = "until_last_epoch"
    """As in the other methods for chains; gold in the last epoch alone is what the paper does here."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("chain_substructure", ChainObjective("substructure", substructure_distance, self)),)


def tiny() -> Settings:
    """Settings for tests: both terms on."""
    return Settings(weight=0.7, schedule="constant")
