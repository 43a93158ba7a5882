"""Teacher assistants: models of falling size between teacher and student (Mirzadeh et al. 2020).

Assistants are none of the student's budget: the control takes as many steps as the student, after all of them.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Size, Stage
from limbeck.core.objective import Objective
from limbeck.methods.combined import Parts, combined_stage
from limbeck.methods.soft_labels import SoftLabelObjective

CARD = Card(
    title="Teacher assistants",
    paper="Mirzadeh et al., 2020: Improved knowledge distillation via teacher assistant",
    equation="model_0 = the teacher; model_k learns L = (1 - w) T² KL(softmax(z_(k-1) / T) || softmax(z_k / T)) - w "
    "log softmax(z_k)[gold], k = 1..K+1; sizes fall from model to model, and model_(K+1) is the student",
    what="A student far smaller than its teacher may learn worse from it than from a smaller teacher. The teacher "
    "teaches an assistant of a size in between, the assistant a smaller one, and the last one the student.",
    when="A student that is many times smaller than its teacher, and time to train the models in between: each costs "
    "as many steps as the student, at its own size. Compare it with soft_labels, which is the same without "
    "assistants.",
    reads="The teacher's logits, and those of each assistant; gold where w is above zero.",
)


class Settings(MethodSettings):
    """How many assistants, how large, and what each is taught."""

    assistants: int = Field(1, gt=0)
    """K: models between teacher and student, where ``sizes`` does not list them: their sizes fall by equal factors, so
    that one is the geometric mean of teacher and student. Of transformers these are layers, width, heads and
    feed-forward units; of a BiLSTM the number of parameters, embeddings aside, by its ``hidden`` and ``relu``."""
    sizes: tuple[dict[str, Any], ...] = ()
    """The assistants, the largest first: of each the student's keys that are other ones, e.g. ``{hidden: 300}``; with a
    ``kind`` that is not the student's, all of its keys. They read the student's tokens."""
    epochs: float | None = Field(None, gt=0)
    """Passes of each assistant over the transfer set; null is the recipe's ``train.epochs``, as of the student."""
    temperature: float = Field(2.0, gt=0)
    """T."""
    gold_weight: float = Field(0.0, ge=0, le=1)
    """w: share of gold beside the answers; a sentence without gold goes without it."""
    objectives: Parts = ()
    """What each model is taught in the place of soft labels: a list of methods with weights that may move, as of
    ``combined``; they compare answers, and not states or derivatives."""

    @model_validator(mode="after")
    def _one_way(self) -> Settings:
        if self.sizes and self.assistants not in (1, len(self.sizes)):
            raise ValueError(f"'sizes' lists {len(self.sizes)}, and 'assistants' is {self.assistants}")
        if self.objectives and {"temperature", "gold_weight"} & self.model_fields_set:
            raise ValueError("with 'objectives', say temperature and gold_weight of soft_labels there")
        return self

    def stages(self) -> tuple[Stage, ...]:
        """One an assistant, then the student's."""
        count = len(self.sizes) or self.assistants
        even: tuple[Size, ...] = tuple(number / (count + 1) for number in range(1, count + 1))
        sizes: tuple[Size, ...] = self.sizes or even
        assistants = (
            Stage(
                f"assistant_{number}",
                self._objective(),
                epochs=self.epochs,
                teacher="tuned" if number == 1 else "previous",
                trains="successor",
                size=size,
            )
            for number, size in enumerate(sizes, 1)
        )
        return (*assistants, Stage("student", self._objective(), teacher="previous"))

    def _objective(self) -> Objective:
        if not self.objectives:
            return SoftLabelObjective(self.temperature, self.gold_weight)
        objective = combined_stage(self.objectives).objective
        if not objective.needs:
            what = "assistants teach one another, and none of the objectives hears anybody"
            raise LimbeckError(what, where="method.objectives", fix="Add soft_labels, say")
        if objective.aligned_by == "token":
            what = "assistants are asked for answers, and one of the objectives compares tokens"
            raise LimbeckError(
                what, where="method.objectives", fix="Choose soft_labels or logit_regression, say"
            )
        return objective


def tiny() -> Settings:
    """Settings for tests: two assistants of sizes that are said."""
    return Settings(sizes=({"relu": 40}, {"relu": 20}), epochs=1, gold_weight=0.3)
