"""Born-again networks: models alike, each taught by the one before, and then the student.

Translators: successors are new models of the teacher's shape, and what is handed on is text. Classifiers: they are of
the student's shape, and what is handed on are probabilities. Successors are none of the student's budget: the control
takes as many steps as the student, after all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from limbeck.core.decoding import Decoding
from limbeck.core.method import Card, Distilled, MethodSettings, Stage
from limbeck.core.tasks import OF_SENTENCES, Task
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.methods.soft_labels import SoftLabelObjective

CARD = Card(
    title="Born-again networks",
    paper="Furlanello et al., 2018: Born-again neural networks; for translation as in Zhou, Gu and Neubig, 2020: "
    "Understanding knowledge distillation in non-autoregressive machine translation",
    equation="teacher_0 = the teacher. Translators: teacher_g learns - log p(y' | x), y' = argmax_y q_(g-1)(y | x), "
    "g = 1..G; the student learns teacher_G's y'. Classifiers: teacher_g learns T² KL(p_(g-1) || p_g) with gold beside "
    "it, and the student from p_G, or from 1/G sum_g p_g",
    what="A new model learns what the teacher says, another one what the new one says, and so on; the student learns "
    "from the last. Translators' generations have the teacher's shape, and their text gets simpler from one to the "
    "next. Classifiers' have the student's: each may pass the one before, and together they are an ensemble that can "
    "teach the student ('ensemble').",
    when="Translators: a weak student, such as a parallel one, for which the teacher's text is still too hard; a "
    "smaller teacher would make it simpler, but also less faithful. Each generation costs a teacher's training. "
    "Classifiers: time to train the student several times, and no more than that at work.",
    reads="The translations, or the logits, of the teacher and of its successors; gold of classifiers, where "
    "gold_weight is above zero.",
)


TRANSLATION: frozenset[Task] = frozenset({"translation"})


class Settings(MethodSettings):
    """How many generations, and what is handed on."""

    only_for: ClassVar[Mapping[str, frozenset[Task]]] = {
        "decoding": TRANSLATION,
        "label_smoothing": TRANSLATION,
        "temperature": OF_SENTENCES - {"regression"},
        "gold_weight": OF_SENTENCES,
        "ensemble": OF_SENTENCES,
    }

    generations: int = Field(1, gt=0)
    """G: successors that come before the student."""
    epochs: float | None = Field(None, gt=0)
    """Passes of each successor over the text; null is as many as the teacher made, ``teacher.fine_tune.epochs``, of
    classifiers as many as the student makes, ``train.epochs``."""
    decoding: Decoding = Decoding()
    """Of translators: how the translations of the teacher and of each successor are searched for."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Of translators: share of each token's probability that is spread over the whole vocabulary."""
    temperature: float = Field(1.0, gt=0)
    """Of classifiers: T."""
    gold_weight: float = Field(0.0, ge=0, le=1)
    """Of classifiers: share of gold beside the answers; a sentence without gold goes without it."""
    ensemble: bool = False
    """Of classifiers: the student is taught by the mean of all successors' probabilities, and not by the last one's."""

    def stages(self) -> tuple[Stage, ...]:
        """Those of translators."""
        return self.stages_for("translation")

    def stages_for(self, task: Task) -> tuple[Stage, ...]:
        """One a successor, then the student's."""
        return self._of_translators() if task in TRANSLATION else self._of_classifiers()

    def _of_translators(self) -> tuple[Stage, ...]:
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

    def _of_classifiers(self) -> tuple[Stage, ...]:
        successors = (
            Stage(
                f"generation_{number}",
                SoftLabelObjective(self.temperature, self.gold_weight),
                epochs=self.epochs,
                teacher="tuned" if number == 1 else "previous",
                trains="successor",
            )
            for number in range(1, self.generations + 1)
        )
        objective = SoftLabelObjective(self.temperature, self.gold_weight)
        return (
            *successors,
            Stage("born_again", objective, teacher="successors" if self.ensemble else "previous"),
        )


def tiny() -> Settings:
    """Settings for tests: two generations."""
    return Settings(generations=2, decoding=Decoding(beams=2, max_length=16), epochs=1)
