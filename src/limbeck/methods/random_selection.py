"""Random selection: of the translations that the data has of a text, the student learns one, drawn at random."""

from __future__ import annotations

from pydantic import Field

from limbeck.core.method import Card, Distilled, MethodSettings, Stage
from limbeck.losses.translation_objective import TranslationObjective

CARD = Card(
    title="Random selection (modes reduced without a teacher)",
    paper="Zhou, Gu and Neubig, 2020: Understanding knowledge distillation in non-autoregressive machine translation "
    "(its study on toy data)",
    equation="L = - log p(y' | x),   y' drawn from all y that the data has of x, once and for all, each as likely",
    what="Where a text stands in the data several times with other translations, one of them is kept. That text is "
    "simpler by itself; what distillation does beyond it is that a teacher selects systematically.",
    when="Beside sequence_level, to see how much of its gain comes of having one translation a text and how much of "
    "having the teacher's; nothing changes where each text has one translation anyway.",
    reads="Gold translations of texts that have several, as several sources with a 'language' give them.",
)


class Settings(MethodSettings):
    """How sure of the translation that was drawn; ``data.seed`` draws."""

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of each token's probability that is spread over the whole vocabulary."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the texts with gold, each once."""
        objective = TranslationObjective(self.label_smoothing)
        drawn = Distilled(decoding=None, by="gold")
        return (Stage("random_selection", objective, hears="labelled", distilled=drawn),)


def tiny() -> Settings:
    """Settings for tests."""
    return Settings()
