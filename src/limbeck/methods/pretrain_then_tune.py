"""Pre-distillation: the student is distilled first and fine-tuned on gold after, or the other way round.

Both orders take as many passes; the control takes as many steps on gold alone as both stages together.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.methods.gold import GoldObjective
from limbeck.methods.hints import HintObjective, Settings as HintSettings
from limbeck.methods.soft_labels import SoftLabelObjective

CARD = Card(
    title="Distil, then fine-tune (pre-distillation)",
    paper="Turc et al., 2019: Well-read students learn better: On the importance of pre-training compact models, for "
    "distilling before fine-tuning; Sanh et al., 2019: DistilBERT, for a teacher that does not know the task yet",
    equation="1. L = T² KL(softmax(z_teacher / T) || softmax(z_student / T)) on all text, or 1/2 MSE(mean_t h_teacher, "
    "W mean_t h_student) of the encoder before it was fine-tuned; 2. L = - log softmax(z_student)[gold] on labelled "
    "text",
    what="The student first learns from the teacher on the whole transfer text, most of it unlabelled maybe, and is "
    "then fine-tuned on gold; 'order: tune_first' turns this round: gold first, and the teacher has the last word.",
    when="Much unlabelled text, and gold that is better than the teacher. With 'learns: states' the first stage knows "
    "nothing of the task. For masked language models and raw text there is distilbert; for one stage with gold that "
    "takes over bit by bit, annealed.",
    reads="The teacher's logits, or its encoder's states, asked once or at every step ('inner_states'); gold.",
)


class Settings(MethodSettings):
    """What comes first, what the teacher hands on, and for how long."""

    order: Literal["distil_first", "tune_first"] = "distil_first"
    """Distil before fine-tuning on gold, or after."""
    learns: Literal["answers", "states"] = "answers"
    """The fine-tuned teacher's ``answers``, or the ``states`` of its encoder before it was fine-tuned: the mean state
    of each sentence, by a linear layer that is learnt along; student and teacher then share their tokeniser."""
    layer: int | None = Field(None, gt=0)
    """Of states: the student's layer, from 1; null is its middle one."""
    teacher_layer: int | None = Field(None, gt=0)
    """Of states: the teacher's layer, from 1; null is its middle one."""
    distil_epochs: float | None = Field(None, gt=0)
    """Passes over the transfer set beside the teacher; null is the recipe's ``train.epochs``."""
    tune_epochs: float | None = Field(None, gt=0)
    """Passes on gold, in the steps of as many passes over the transfer set; null is the recipe's ``train.epochs``."""
    temperature: float = Field(2.0, gt=0)
    """T of the answers."""

    @model_validator(mode="after")
    def _all_read(self) -> Settings:
        unread = {"answers": ("layer", "teacher_layer"), "states": ("temperature",)}[self.learns]
        for key in unread:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"with 'learns: {self.learns}' nothing reads '{key}'")
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        if self.learns == "states" and self.order == "tune_first":
            raise ValueError("states teach no answers, so they come first: 'order: distil_first'")
        return self

    def stages(self) -> tuple[Stage, ...]:
        """Both, in the order that is asked for."""
        tune = Stage("tune", GoldObjective(), hears="labelled", epochs=self.tune_epochs)
        if self.learns == "answers":
            distil = Stage(
                "distil", SoftLabelObjective(self.temperature, gold_weight=0), epochs=self.distil_epochs
            )
        else:
            settings = HintSettings(layer=self.layer, teacher_layer=self.teacher_layer)
            objective = HintObjective(settings)
            distil = Stage("distil", objective, "all", self.distil_epochs, "last", "pretrained")
        return (distil, tune) if self.order == "distil_first" else (tune, distil)


def tiny() -> Settings:
    """Settings for tests: one pass each."""
    return Settings(distil_epochs=1, tune_epochs=1)
