"""Posterior distillation for chains: each word's tag has the teacher's marginal probabilities (Wang et al. 2020)."""

from __future__ import annotations

from limbeck.core.method import Card, Stage
from limbeck.losses.chain import posterior_divergence
from limbeck.losses.chain_objective import ChainObjective, ChainSettings

CARD = Card(
    title="Posterior marginals",
    paper="Wang et al., 2020: Structure-level knowledge distillation for multilingual sequence labeling",
    equation="L_KD = -sum_l sum_j p_teacher(y_l = j|x) log p_student(y_l = j|x), with the posteriors of the "
    "forward-backward algorithm on both sides",
    what="Matches the distribution of every word's tag, all sequences summed over. The gradient through the "
    "student's posteriors is exact.",
    when="Teacher and student with different heads: a chain into a softmax, or the other way round; of pairs of "
    "tags the student learns only what shows in single ones.",
    reads="The teacher's emissions and transitions; gold where lambda falls below one.",
)


class Settings(ChainSettings):
    """How it mixes with gold."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("chain_posterior", ChainObjective("posterior", posterior_divergence, self)),)


def tiny() -> Settings:
    """Settings for tests: both terms on."""
    return Settings(weight=0.7, schedule="constant")
