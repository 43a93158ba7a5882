"""TinyBERT: a transformer's inside taught to a smaller one, then its answers (Jiao et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, model_validator
from torch import Tensor, nn

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Shape
from limbeck.core.signals import SignalName, Signals
from limbeck.losses.layer_objective import LayerObjective, Projection
from limbeck.losses.layers import attention_distance, attention_probabilities, states_distance
from limbeck.losses.mapping import Mapping, drawn, mapped_layers
from limbeck.methods.gold import GoldObjective
from limbeck.methods.soft_labels import SoftLabelObjective

CARD = Card(
    title="TinyBERT",
    paper="Jiao et al., 2020: TinyBERT: Distilling BERT for natural language understanding",
    equation="L = sum_m lambda_m [MSE(E_s W_e, E_t) at m = 0; MSE(H_m W_h, H_g(m)) + 1/h sum_i MSE(A_i,m, A_i,g(m)) at "
    "layers m = 1..M]; then CE(softmax(z_t / T), softmax(z_s / T))   (equations 6 to 11)",
    what="A smaller transformer first learns the teacher's embeddings, hidden states and attention scores, layer by "
    "layer, and then its answers. With raw text a general stage comes before both: there the teacher is the encoder "
    "that was not fine-tuned yet.",
    when="Transformers into transformers over the same tokeniser, best with augmented text (rewrite: masked_lm). "
    "Teacher and student have as many heads, or set 'heads: mean'. One general student serves many tasks: make it with "
    "'general_epochs: 3, intermediate_epochs: 0, prediction: null', and name its folder as 'student.encoder'.",
    reads="The teacher's states and attention, asked once or at every step ('inner_states'); its logits; no gold, "
    "unless 'prediction: gold'.",
)

Part = Literal["embeddings", "hidden"]
Distance = Callable[[Tensor, Tensor], Tensor]
"""Between the student's and the teacher's, one value a sentence."""


class Settings(MethodSettings):
    """Which stages, for how long, and what is compared."""

    general_epochs: float = Field(0, ge=0)
    """Passes over ``data.raw``, learning from the encoder that is not fine-tuned; 0 leaves the general stage out."""
    intermediate_epochs: float | None = Field(None, ge=0)
    """Passes over the transfer set for the inner states; null is the recipe's ``train.epochs``, 0 leaves the stage
    out. The passes for the answers are ``train.epochs``."""
    prediction: Literal["teacher", "gold"] | None = "teacher"
    """Whose answers are learnt at the end: the ``teacher``'s, or ``gold`` on the labelled sentences, for as many steps;
    null leaves the stage out, and the classifier as it started."""
    embeddings: bool = True
    """Whether embeddings are compared."""
    hidden: bool = True
    """Whether hidden states are compared."""
    attention: Literal["scores", "probabilities"] | None = "scores"
    """Attention before the softmax (the paper's choice), after it, or not compared."""
    mapping: Mapping = "uniform"
    """``uniform``, ``top``, ``bottom``, or a list of the teacher's layer for each of the student's, from 1."""
    augmented: bool = True
    """Whether the text that the recipe's rewriters made is heard, too; without it the other text is, for as many
    steps."""
    heads: Literal["same", "mean"] = "same"
    """``same`` compares head by head; ``mean`` compares the mean over heads, however many each has."""
    layer_weights: tuple[NonNegativeFloat, ...] | None = None
    """Lambda of the embeddings and of each layer; null is 1 for all."""
    temperature: float = Field(1.0, gt=0)
    """T of the answers."""

    @model_validator(mode="after")
    def _weighs_something(self) -> Settings:
        if self.layer_weights is not None and not any(self.layer_weights):
            raise ValueError("all of 'layer_weights' are nought: nothing would be learnt of the layers")
        compared = self.embeddings or self.hidden or self.attention
        if (self.general_epochs or self.intermediate_epochs) and not compared:
            raise ValueError("the stages that are asked for compare none of embeddings, hidden and attention")
        return self

    def stages(self) -> tuple[Stage, ...]:
        """General, intermediate, and prediction or gold, those that are asked for."""
        stages, inner = [], InnerObjective(self)
        text: Literal["given", "all"] = "all" if self.augmented else "given"
        if self.general_epochs and inner.reads:
            stages.append(Stage("general", inner, "raw", self.general_epochs, "last", "pretrained"))
        if self.intermediate_epochs != 0 and inner.reads:
            stages.append(Stage("intermediate", inner, text, self.intermediate_epochs, "last"))
        if self.prediction == "teacher":
            stages.append(Stage("prediction", SoftLabelObjective(self.temperature, gold_weight=0), text))
        elif self.prediction == "gold":
            stages.append(Stage("gold", GoldObjective(), hears="labelled"))
        if not stages:
            raise LimbeckError("every stage of 'tinybert' is switched off", where="method")
        return tuple(stages)


class InnerObjective(LayerObjective):
    """Embedding, hidden-state and attention losses, by layer."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        compared: dict[SignalName, bool] = {
            "embeddings": settings.embeddings,
            "hidden": settings.hidden,
            "attention": settings.attention is not None,
        }
        self.needs = self.reads = frozenset(name for name, wanted in compared.items() if wanted)
        self.layers: tuple[int, ...] = ()
        self.weights: tuple[float, ...] = ()
        self.projections = nn.ModuleDict()

    def fit_shapes(self, student: Shape, teacher: Shape) -> None:
        """Map the layers, and make W_e and W_h, which all layers share."""
        settings = self.settings
        self.layers = mapped_layers(settings.mapping, student.layers, teacher.layers)
        self.pairs = tuple(enumerate(self.layers, 1))
        self.weights = settings.layer_weights or (1.0,) * (student.layers + 1)
        if len(self.weights) != student.layers + 1:
            what = f"{len(self.weights)} weights for embeddings and {student.layers} layers"
            raise LimbeckError(what, where="method.layer_weights", fix=f"Give {student.layers + 1}")
        if settings.attention is not None and settings.heads == "same" and student.heads != teacher.heads:
            what = f"the student has {student.heads} heads a layer, and the teacher {teacher.heads}"
            fix = f"Set student.heads={teacher.heads}, or method.heads=mean"
            raise LimbeckError(what, where="method.heads", fix=fix)
        for part in sorted(self.reads - {"attention"}):
            if part not in self.projections:  # the intermediate stage goes on with those of the general one
                self.projections[part] = Projection(student.width, teacher.width)

    def told(self) -> str:
        """The mapping of layers."""
        return f"layers {drawn(self.layers)}"

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences of each kind of loss, its layers weighted."""
        mask = student.mask
        assert mask is not None

        def states(part: Part) -> Distance:
            return lambda own, theirs: states_distance(self.projections[part](own), theirs, mask)

        found = {}
        if student.embeddings is not None and teacher.embeddings is not None:
            distance = states("embeddings")(student.embeddings, teacher.embeddings)
            found["embeddings"] = self.weights[0] * distance
        if student.hidden is not None and teacher.hidden is not None:
            found["hidden"] = self._by_layer(states("hidden"), student.hidden, teacher.hidden)
        if student.attention is not None and teacher.attention is not None:
            found["attention"] = self._by_layer(
                lambda own, theirs: self._attention(own, theirs, mask), student.attention, teacher.attention
            )
        return Loss({part: each.sum() for part, each in found.items()}, len(batch.ids))

    def _by_layer(self, distance: Distance, own: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> Tensor:
        """Distances between mapped layers, weighted and summed, ``(batch,)``."""
        mapped = (theirs[layer - 1] for layer in self.layers)
        pairs = zip(self.weights[1:], own, mapped, strict=True)
        return torch.stack([weight * distance(mine, other) for weight, mine, other in pairs]).sum(0)

    def _attention(self, own: Tensor, theirs: Tensor, mask: Tensor) -> Tensor:
        if self.settings.attention == "probabilities":
            own, theirs = (attention_probabilities(scores, mask) for scores in (own, theirs))
        if self.settings.heads == "mean":
            own, theirs = (maps.mean(1, keepdim=True) for maps in (own, theirs))
        return attention_distance(own, theirs, mask)


def tiny() -> Settings:
    """Settings for tests: both stages on the transfer set."""
    return Settings(intermediate_epochs=1)
