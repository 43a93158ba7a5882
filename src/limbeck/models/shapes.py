"""Shape: what objectives on inner states need to know of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limbeck.core.objective import Shape
from limbeck.models.bilstm import BiLSTMForSequenceClassification
from limbeck.models.student import encoder_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def shape_of(model: PreTrainedModel) -> Shape | None:
    """The shape of a model's encoder, a transformer or a BiLSTM; None of one that has no layers of states."""
    if isinstance(model, BiLSTMForSequenceClassification):
        return Shape(model.config.num_hidden_layers, width=2 * model.config.hidden_size, heads=0)
    config = encoder_of(model).config
    layers, heads = (getattr(config, name, None) for name in ("num_hidden_layers", "num_attention_heads"))
    if layers is None or heads is None:
        return None
    return Shape(layers=layers, width=config.hidden_size, heads=heads)
