"""Born-again networks: teachers of the teacher's own shape, each taught by the one before, and then the student."""

from __future__ import annotations

from pydantic import Field

from limbeck.core.decoding import Decoding
from limbeck.core.method import Card, Distilled, MethodSettings, Stage
from limbeck.losses.translation_objective import TranslationObjective

CARD = Card(
    title="Born-again networks",
    paper="Furlanello et al., 2018: Born-again neural networks; for translation as in Zhou, Gu and Neubig, 2020: "
    "Understanding knowledge distillation in non-autoregressive machine translation",
    equation="teacher_0 = the teacher; teacher_g learns - log p(y' | x), y' = argmax_y q_(g-1)(y | x), g = 1..G; the "
    "student learns teacher_G's y'",
    what="A new model of the teacher's shape learns the translations of the teacher, another one those of the new model, "
    "and so on; the student learns those of the last. The text gets simpler from one generation to the next, while "
    "the models stay as large as they were.",
    when="A weak student, such as a parallel one, for which the teacher's text is still too hard: a smaller teacher "
    "would make it simpler, but also less faithful. Each generation costs a teacher's training.",
    reads="The translations of the teacher and of its successors; no gold.",
)


class Settings(MethodSettings):
    """How many generations."""

    generations: int = Field(1, gt=0)
    """G: successors of the teacher that come before the student."""
    decoding: Decoding = Decoding()
    """How the translations of the teacher and of each successor are searched for."""
    epochs: float | None = Field(None, gt=0)
    """Passes of each successor over the text; null is as many as the teacher made, ``teacher.fine_tune.epochs``."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of each token's probability that is spread over the whole vocabulary."""

    def stages(self) -> tuple[Stage, ...]:
        """One a successor, then the student's."""
        of_teacher, of_previous = Distilled(self.decoding), Distilled(self.decoding, by="previous")
        successors = (
            Stage(
                f"generation_{number}",
                TranslationObjective(self.label_smoothing),
                epochs=self.epochs,
                distilled=of_teacher if number == 1 else of_previous,
                trains="successor",
            )
            for number in range(1, self.generations + 1)
        )
        objective = TranslationObjective(self.label_smoothing)
        return (*successors, Stage("born_again", objective, distilled=of_previous))


def tiny() -> Settings:
    """Settings for tests: two generations."""
    return Settings(generations=2, decoding=Decoding(beams=2, max_length=16), epochs=1)
