"""Shapes of translators: sizes with a name, and what may be changed of them.

The sizes are those of Zhou, Gu and Neubig (2020), "Understanding knowledge distillation in non-autoregressive machine
translation". With a joint vocabulary of 41,000 pieces, about that of WMT14 English-German, one matrix of embeddings,
and as many decoder layers as encoder layers, an autoregressive transformer of these sizes has 16.0, 36.8, 65.1 and
218.3 million weights; the paper says 16, 37, 65 and 218.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from limbeck.core.schema import Settings


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a transformer is, its encoder and its decoder alike.

    Attributes:
        layers: Of the encoder.
        width: Of embeddings and states.
        feed_forward: Width of the feed-forward layers.
        heads: Attention heads of a layer.
    """

    layers: int
    width: int
    feed_forward: int
    heads: int


SIZES: dict[str, Shape] = {
    "tiny": Shape(layers=3, width=256, feed_forward=1024, heads=4),
    "small": Shape(layers=3, width=512, feed_forward=1024, heads=8),
    "base": Shape(layers=6, width=512, feed_forward=2048, heads=8),
    "big": Shape(layers=6, width=1024, feed_forward=4096, heads=16),
}
WIDTH_OF_HEAD = 64
"""In all sizes."""
POSITIONS = 1024
"""Most tokens of a text or a translation."""


class ShapeSettings(Settings):
    """A translator's size."""

    size: Literal["tiny", "small", "base", "big"] = "tiny"
    """A shape with a name: tiny (3 layers of 256 in encoder and decoder each), small (3 of 512), base (6 of 512) or
    big (6 of 1024); the keys below change single values of it."""
    scale: float = Field(1.0, gt=0)
    """Factor on the size's width, feed-forward width and heads: 0.25 keeps the proportions where a CPU must do."""
    layers: int | None = Field(None, gt=0)
    """Encoder layers; null is the size's."""
    decoder_layers: int | None = Field(None, gt=0)
    """Decoder layers; null is as many as the encoder has."""
    width: int | None = Field(None, gt=0)
    """Of embeddings and states; null is the size's."""
    feed_forward: int | None = Field(None, gt=0)
    """Width of the feed-forward layers; null is the size's, or four times a new width."""
    heads: int | None = Field(None, gt=0)
    """Attention heads; null is the size's, or one for each 64 of a new width."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Of the embeddings, and of what each layer adds to the states."""

    @property
    def shape(self) -> Shape:
        """The size, scaled, with what the other keys change."""
        named = SIZES[self.size]
        scaled = max(1, round(named.heads * self.scale))
        if self.width is None:
            heads = self.heads or scaled
            # Heads of an even width, for half of the positions' waves are sines and half cosines.
            width = 2 * heads * max(1, round(named.width * self.scale / (2 * heads)))
            feed_forward = max(1, round(named.feed_forward * self.scale))
        else:
            heads = self.heads or max(1, self.width // WIDTH_OF_HEAD)
            width, feed_forward = self.width, 4 * self.width
        return Shape(self.layers or named.layers, width, self.feed_forward or feed_forward, heads)

    @property
    def as_marian(self) -> dict[str, Any]:
        """Keys of a configuration, as Marian's has them, that follow from the shape."""
        shape = self.shape
        return {
            "encoder_layers": shape.layers,
            "decoder_layers": self.decoder_layers or shape.layers,
            "d_model": shape.width,
            "encoder_ffn_dim": shape.feed_forward,
            "decoder_ffn_dim": shape.feed_forward,
            "encoder_attention_heads": shape.heads,
            "decoder_attention_heads": shape.heads,
            "dropout": self.dropout,
            "init_std": shape.width**-0.5,
        }

    @model_validator(mode="after")
    def _heads_divide(self) -> ShapeSettings:
        shape = self.shape
        if shape.width % (2 * shape.heads):
            raise ValueError(f"'width' {shape.width} is no multiple of twice its {shape.heads} heads")
        return self
