"""K-best distillation for chains: the student learns the teacher's best sequences (Kim and Rush 2016)."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from limbeck.core.method import Card, Stage
from limbeck.losses.chain import k_best_cross_entropy
from limbeck.losses.chain_objective import ChainObjective, ChainSettings

CARD = Card(
    title="K-best sequences",
    paper="Kim and Rush, 2016: Sequence-level knowledge distillation; for chains as in Lin et al., 2022: Efficient "
    "sub-structured knowledge distillation",
    equation="L_KD = -sum_{y in T} p'(y|x) log p_student(y|x), T the K best sequences of the teacher, p' its "
    "distribution over them with weights that sum to one (Lin et al., equation 7)",
    what="Decodes the teacher's K best sequences of each sentence exactly, and trains the student on their "
    "likelihood, weighted. At K = 1 it is training on the teacher's own tags.",
    when="A teacher of which only sequences are to be had; else the exact `chain_structural` uses all sequences "
    "and is faster. Lin et al. found more than three sequences no better.",
    reads="The teacher's emissions and transitions; gold where lambda falls below one.",
)


class Settings(ChainSettings):
    """How many sequences, and how they mix with gold."""

    k: int = Field(3, gt=0)
    """K, sequences of each sentence."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        distance = partial(k_best_cross_entropy, k=self.k)
        return (Stage("chain_kbest", ChainObjective("k_best", distance, self)),)


def tiny() -> Settings:
    """Settings for tests: both terms on."""
    return Settings(k=2, weight=0.7, schedule="constant")
