"""Word-level distillation: the teacher's distribution over the next token, at every place (Kim and Rush 2016)."""

from __future__ import annotations

from pydantic import Field

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.losses.translation_objective import TranslationObjective

CARD = Card(
    title="Word-level distillation",
    paper="Kim and Rush, 2016: Sequence-level knowledge distillation",
    equation="L = (1 - a) L_NLL + a L_WORD-KD,   L_WORD-KD = - sum_t sum_v q(v | y_<t, x) log p(v | y_<t, x)   of gold's "
    "translation y; a = 1 - gold_weight; all v but the teacher's k likeliest count as one",
    what="After each beginning of gold's translation the student learns the teacher's distribution over the next token. "
    "The teacher's k likeliest tokens are kept as they are, and all others count as one more outcome, so that a "
    "student that equals its teacher has nothing to learn, whatever k is.",
    when="Teacher and student share their vocabulary and both write one token after the other. It asks the teacher "
    "once for each token of gold; sequence_level mostly gains more, and both can be had together there.",
    reads="The teacher's next tokens after beginnings of gold; gold translations.",
)


class Settings(MethodSettings):
    """How much of the teacher, and how much gold."""

    top_k: int = Field(8, gt=0)
    """k: next tokens of the teacher that are kept at each place; the store takes 8 bytes for each."""
    temperature: float = Field(1.0, gt=0)
    """T: above 1 the unlikelier of the k speak louder; 1 is the paper's."""
    gold_weight: float = Field(0.5, ge=0, le=1)
    """Share of gold's own cross-entropy, the paper's 1 - a."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Of gold's cross-entropy."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the texts with gold."""
        objective = TranslationObjective(
            self.label_smoothing,
            word_level=1 - self.gold_weight,
            temperature=self.temperature,
            top_k=self.top_k,
        )
        return (Stage("word_level", objective, hears="labelled"),)


def tiny() -> Settings:
    """Settings for tests: both terms on."""
    return Settings(top_k=4)
