"""Shape: what objectives on inner states need to know of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limbeck.core.objective import Shape
from limbeck.models.student import encoder_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def shape_of(model: PreTrainedModel) -> Shape | None:
    """The shape of a model's encoder; None of one that is no transformer."""
    config = encoder_of(model).config
    layers, heads = (getattr(config, name, None) for name in ("num_hidden_layers", "num_attention_heads"))
    if layers is None or heads is None:
        return None
    return Shape(layers=layers, width=config.hidden_size, heads=heads)
