"""MiniLM: relations between tokens in one of the teacher's layers, taught to the student's last (Wang et al. 2020)."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Shape
from limbeck.core.signals import Signals
from limbeck.losses.layer_objective import LayerObjective
from limbeck.losses.layers import relation_divergence
from limbeck.methods.soft_labels import SoftLabelObjective

CARD = Card(
    title="MiniLM",
    paper="Wang et al., 2020: MiniLM: Deep self-attention distillation for task-agnostic compression of pre-trained "
    "transformers; relation heads from Wang et al., 2021: MiniLMv2",
    equation="L = 1/(A n) sum KL(softmax(Q_t K_t^T / sqrt d) || softmax(Q_s K_s^T / sqrt d)) + the same of V V^T; then "
    "CE(softmax(z_t / T), softmax(z_s / T))   (equations 5 to 8)",
    what="The student's last layer learns how the teacher's attends, and how its values relate; then the student "
    "learns the teacher's answers. Neither widths nor numbers of layers or heads need agree.",
    when="Transformers into transformers of any shape over the same tokeniser; the one to choose where TinyBERT's "
    "heads do not fit.",
    reads="The teacher's queries, keys and values in one layer, asked once or at every step ('inner_states'); its "
    "logits; no gold.",
)


class Settings(MethodSettings):
    """Which stages, and which relations."""

    general_epochs: float = Field(0, ge=0)
    """Passes over ``data.raw``, learning from the encoder that is not fine-tuned; 0 leaves the general stage out."""
    intermediate_epochs: float | None = Field(None, ge=0)
    """Passes over the transfer set for the relations; null is the recipe's ``train.epochs``, 0 leaves the stage out."""
    values: bool = True
    """Whether value relations are compared beside attention."""
    teacher_layer: int | None = Field(None, gt=0)
    """The teacher's layer, from 1; null is its last. Of large teachers one a little below the last teaches better."""
    relation_heads: int | None = Field(None, gt=0)
    """Heads that vectors are cut into anew; null is the most that divides both models' heads."""
    temperature: float = Field(1.0, gt=0)
    """T of the answers."""

    def stages(self) -> tuple[Stage, ...]:
        """General, relations, answers; those that are asked for."""
        stages = []
        if self.general_epochs:
            stages.append(
                Stage("general", RelationObjective(self), "raw", self.general_epochs, "last", "pretrained")
            )
        if self.intermediate_epochs != 0:
            stages.append(
                Stage("relations", RelationObjective(self), "all", self.intermediate_epochs, "last")
            )
        return (*stages, Stage("prediction", SoftLabelObjective(self.temperature, gold_weight=0)))


class RelationObjective(LayerObjective):
    """Attention and value relations of one layer."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.needs = self.reads = frozenset({"queries", "keys", *(("values",) if settings.values else ())})
        self.layer = self.heads = 0

    def fit_shapes(self, student: Shape, teacher: Shape) -> None:
        """Choose the layer and the relation heads."""
        self.layer = self.settings.teacher_layer or teacher.layers
        if self.layer > teacher.layers:
            what = f"no layer {self.layer}: the teacher has layers 1 to {teacher.layers}"
            raise LimbeckError(what, where="method.teacher_layer")
        self.pairs = ((student.layers, self.layer),)
        self.heads = self.settings.relation_heads or math.gcd(student.heads, teacher.heads)
        for who, shape in (("student", student), ("teacher", teacher)):
            if shape.width % self.heads:
                what = f"the {who}'s width of {shape.width} cannot be cut into {self.heads} relation heads"
                raise LimbeckError(what, where="method.relation_heads")

    def told(self) -> str:
        """The layer and the relation heads."""
        return f"the last layer from layer {self.layer}, {self.heads} relation heads"

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences."""
        assert student.mask is not None
        own, theirs = _layer(student, -1), _layer(teacher, self.layer - 1)
        kinds = {"attention": ("queries", "keys"), "values": ("values", "values")}
        if not self.settings.values:
            del kinds["values"]
        parts = {
            name: relation_divergence(
                (own[x], own[y]), (theirs[x], theirs[y]), self.heads, student.mask
            ).sum()
            for name, (x, y) in kinds.items()
        }
        return Loss(parts, len(batch.ids))


def _layer(said: Signals, layer: int) -> dict[str, Tensor]:
    """What goes into one layer's attention, by name."""
    parts = {"queries": said.queries, "keys": said.keys, "values": said.values}
    return {name: layers[layer] for name, layers in parts.items() if layers is not None}


def tiny() -> Settings:
    """Settings for tests: both stages on the transfer set."""
    return Settings(intermediate_epochs=1)
