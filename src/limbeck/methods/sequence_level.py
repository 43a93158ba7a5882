"""Sequence-level distillation: the student learns the translations that the teacher makes (Kim and Rush 2016)."""

from __future__ import annotations

from pydantic import Field

from limbeck.core.decoding import Decoding
from limbeck.core.method import Card, Distilled, MethodSettings, Stage
from limbeck.losses.translation_objective import TranslationObjective

CARD = Card(
    title="Sequence-level distillation",
    paper="Kim and Rush, 2016: Sequence-level knowledge distillation",
    equation="L = - log p(y' | x),   y' = argmax_y q(y | x) as the teacher's search finds it; with w: (1 - w) L + w "
    "L_WORD-KD on y'",
    what="The teacher translates the training text, and the student learns its translations in gold's place: the "
    "teacher's distribution over whole translations, of which the likeliest stands for all. What one model wrote is "
    "simpler than what many people wrote, and a small student, or one that writes all words at once, learns it better.",
    when="The first choice for translators, and for parallel students next to a must. Text without gold serves as well.",
    reads="The teacher's translations; its next tokens with word_level; gold only for the share that keeps it.",
)


class Settings(MethodSettings):
    """How the teacher translates, and what stands beside its translations."""

    decoding: Decoding = Decoding()
    """How the teacher's translations are searched for."""
    gold: float = Field(0.0, ge=0, le=1)
    """Share of the texts, drawn at random among those with gold, that keep gold's translation."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of each token's probability that is spread over the whole vocabulary."""
    word_level: float = Field(0.0, ge=0, le=1)
    """w: share of word-level distillation on these translations (the paper's Seq-KD + Word-KD); not for parallel
    students."""
    temperature: float = Field(1.0, gt=0)
    """T of word-level distillation."""
    top_k: int = Field(8, gt=0)
    """Next tokens of the teacher that word-level distillation keeps at each place."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on all text, as the teacher translates it."""
        objective = TranslationObjective(
            self.label_smoothing,
            word_level=self.word_level,
            temperature=self.temperature,
            top_k=self.top_k,
        )
        return (Stage("sequence_level", objective, distilled=Distilled(self.decoding, gold=self.gold)),)


def tiny() -> Settings:
    """Settings for tests: two beams, and word-level distillation beside."""
    return Settings(decoding=Decoding(beams=2, max_length=16), word_level=0.5, top_k=4)
