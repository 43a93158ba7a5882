"""Layers of decoders without a causal mask; the parts they share with transformers' Marian have its names.

Axes: ``rows`` (translations: of a batch, or of its candidates side by side), ``places`` (of the longest translation),
``tokens`` (of sources), ``width``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from limbeck.models.configs import ParallelConfig


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2) whose queries, keys and values may differ."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.width = heads, width // heads
        self.dropout = dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """What the values say to the queries.

        Args:
            queries: ``(rows, places, width)``; of one row for all that have the same.
            keys: ``(rows, tokens, width)``; likewise.
            values: ``(rows, tokens, width)``.
            mask: True where a query may look, at one token at least, ``(rows, places or 1, tokens)``.

        Returns:
            ``(rows, places, width)``.
        """
        rows = values.shape[0]
        q = self._by_head(self.q_proj(queries), queries.shape[0])
        k = self._by_head(self.k_proj(keys), keys.shape[0])
        v = self._by_head(self.v_proj(values), rows)
        if torch.onnx.is_in_onnx_export():  # written out, and without copies for all rows, it is fewer nodes
            scores = (q * self.width**-0.5) @ k.transpose(2, 3)
            seen = scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(-1) @ v
        else:
            share = self.dropout if self.training else 0.0
            q, k = q.expand(rows, -1, -1, -1), k.expand(rows, -1, -1, -1)
            seen = functional.scaled_dot_product_attention(q, k, v, mask.unsqueeze(1), share)
        output: Tensor = self.out_proj(seen.transpose(1, 2).reshape(rows, -1, self.heads * self.width))
        return output

    def _by_head(self, states: Tensor, rows: int) -> Tensor:
        """``(rows, tokens, width) -> (rows, heads, tokens, width of a head)``."""
        return states.reshape(rows, -1, self.heads, self.width).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Self-attention, positional attention where there is one, attention to the source, two feed-forward layers.

    Around each a residual connection, dropout, and a norm after it.
    """

    def __init__(self, config: ParallelConfig, positional: bool = False) -> None:
        super().__init__()
        width, heads = config.d_model, config.decoder_attention_heads
        self.dropout = float(config.dropout)
        self.self_attn = Attention(width, heads, float(config.attention_dropout))
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.position_attn = Attention(width, heads, float(config.attention_dropout)) if positional else None
        self.position_attn_layer_norm = nn.LayerNorm(width) if positional else None
        self.encoder_attn = Attention(width, heads, float(config.attention_dropout))
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.activation = ACT2FN[config.activation_function]
        self.fc1 = nn.Linear(width, config.decoder_ffn_dim)
        self.fc2 = nn.Linear(config.decoder_ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(
        self,
        states: Tensor,
        may_see: Tensor,
        memory: Tensor,
        source_mask: Tensor,
        positions: Tensor | None = None,
        real: Tensor | None = None,
    ) -> Tensor:
        """One layer.

        Args:
            states: ``(rows, places, width)``; the rows of a source's candidates stand side by side.
            may_see: Where each place may look in its own translation, ``(rows, places or 1, places)``.
            memory: The encoder's states, ``(batch, tokens, width)``; the rows are a multiple of the batch.
            source_mask: True where a source's token is real, ``(batch, tokens)``.
            positions: Of positional attention: encodings of all places, ``(places, width)``.
            real: Of positional attention: True where a place has a token, ``(rows, places)``.
        """
        said = self.self_attn(states, states, states, may_see)
        states = self.self_attn_layer_norm(states + self._dropped(said))
        if self.position_attn is not None and self.position_attn_layer_norm is not None:
            assert positions is not None and real is not None
            places = positions.unsqueeze(0)
            said = self.position_attn(places, places, states, real.unsqueeze(1))
            states = self.position_attn_layer_norm(states + self._dropped(said))
        # All candidates of a source ask it together, so that its keys and values are made once.
        together = states.reshape(memory.shape[0], -1, states.shape[-1])
        said = self.encoder_attn(together, memory, memory, source_mask.unsqueeze(1)).view_as(states)
        states = self.encoder_attn_layer_norm(states + self._dropped(said))
        said = self.fc2(self.activation(self.fc1(states)))
        output: Tensor = self.final_layer_norm(states + self._dropped(said))
        return output

    def _dropped(self, states: Tensor) -> Tensor:
        return functional.dropout(states, self.dropout, self.training)


def others(real: Tensor) -> Tensor:
    """May-see mask of all real places but a place's own; a single token, with no others, sees itself.

    Args:
        real: True where a place has a token, ``(rows, places)``.

    Returns:
        ``(rows, places, places)``: first of who looks, then of what is looked at.
    """
    place = torch.arange(real.shape[1], device=real.device)
    alone = real.sum(1)[:, None, None] == 1
    return real.unsqueeze(1) & ((place[:, None] != place) | alone)
