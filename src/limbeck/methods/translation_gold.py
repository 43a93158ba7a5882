"""Translations as people wrote them: the control of translators."""

from __future__ import annotations

from pydantic import Field

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.losses.translation_objective import TranslationObjective

CARD = Card(
    title="Gold translations (the control of translators)",
    paper="Vaswani et al., 2017: Attention is all you need; label smoothing from Szegedy et al., 2016: Rethinking the "
    "Inception architecture for computer vision",
    equation="L = - sum_t [(1 - e) log p(y_t | y_<t, x) + e/V sum_v log p(v | y_<t, x)]   of gold's translation y",
    what="Trains the student on gold's translations without a teacher, for as many steps as the distilled student "
    "takes. A parallel student is trained on all that it guesses, its tokens and, say, their number.",
    when="Always, beside any other method for translators: what it reaches is what distillation has to beat. "
    "It runs unasked unless the recipe says 'control: false'.",
    reads="Gold translations; texts without one are not used.",
)


class Settings(MethodSettings):
    """How sure of gold."""

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """e: share of each token's probability that is spread over the whole vocabulary."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the texts with gold."""
        return (Stage("gold", TranslationObjective(self.label_smoothing), hears="labelled"),)


def tiny() -> Settings:
    """Settings for tests."""
    return Settings()
