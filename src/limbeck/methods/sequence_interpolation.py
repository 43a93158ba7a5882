"""Sequence-level interpolation: of the teacher's best translations the one nearest to gold (Kim and Rush 2016)."""

from __future__ import annotations

from pydantic import Field, model_validator

from limbeck.core.decoding import Decoding
from limbeck.core.method import Card, Distilled, MethodSettings, Stage
from limbeck.losses.translation_objective import TranslationObjective

CARD = Card(
    title="Sequence-level interpolation",
    paper="Kim and Rush, 2016: Sequence-level knowledge distillation",
    equation="L = - log p(y* | x),   y* = the nearest to gold, by sentence BLEU, of the teacher's K best translations",
    what="The teacher finds several translations of each training text, and the student learns the one of them that "
    "has the most in common with gold: nearer to gold than the likeliest, and still the teacher's own words.",
    when="The student is strong enough for more than the teacher's likeliest translation, and there is gold for the "
    "text. How many translations are kept matters much.",
    reads="The teacher's K best translations; gold translations, to choose by.",
)


class Settings(MethodSettings):
    """How many translations there are to choose from."""

    decoding: Decoding = Decoding()
    """How they are searched for; of beam search all ``beams`` are kept, of sampling as many as ``keep`` says."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of each token's probability that is spread over the whole vocabulary."""

    @model_validator(mode="after")
    def _there_is_a_choice(self) -> Settings:
        if self._all_kept().keep < 2:
            raise ValueError(
                "one translation of a text leaves nothing to choose from; raise 'decoding.beams' (or 'decoding.keep' "
                "with search: sampling)"
            )
        return self

    def _all_kept(self) -> Decoding:
        if self.decoding.search != "beam":
            return self.decoding
        return self.decoding.model_copy(update={"keep": self.decoding.beams})

    def stages(self) -> tuple[Stage, ...]:
        """One, on the texts with gold."""
        distilled = Distilled(self._all_kept(), nearest=True)
        objective = TranslationObjective(self.label_smoothing)
        return (Stage("sequence_interpolation", objective, hears="labelled", distilled=distilled),)


def tiny() -> Settings:
    """Settings for tests: two translations to choose from."""
    return Settings(decoding=Decoding(beams=2, max_length=16))
