"""Attention: the queries, keys and values of an encoder's layers, as they are computed.

Transformers gives attention after the softmax only, and values not at all. An attention function of our own, found by
its name as transformers' others are, notes what it is given and leaves the rest to PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from limbeck.core.errors import LimbeckError
from limbeck.models.student import encoder_of

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

NAME = "limbeck"


@dataclass(frozen=True, slots=True)
class Attended:
    """What goes into one layer's self-attention.

    Attributes:
        query: ``(batch, heads, tokens, width of a head)``.
        key: Likewise.
        value: Likewise.
        scaling: Factor on the products of queries and keys.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float

    @property
    def scores(self) -> Tensor:
        """Before the softmax and without the mask, ``(batch, heads, tokens, tokens)``."""
        return self.query @ self.key.transpose(-1, -2) * self.scaling


_heard: ContextVar[list[Attended] | None] = ContextVar("attended", default=None)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    if (heard := _heard.get()) is not None:
        heard.append(Attended(query, key, value, query.shape[-1] ** -0.5 if scaling is None else scaling))
    output: tuple[Tensor, None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, **others
    )
    return output


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def attended(model: PreTrainedModel) -> Iterator[list[Attended]]:
    """Inside, a forward pass of the model fills the list, a layer after the other.

    Raises:
        LimbeckError: On leaving: the model computes attention in a way of its own.
    """
    config = encoder_of(model).config
    before = config._attn_implementation
    token = _heard.set([])
    try:
        config._attn_implementation = NAME
        heard = _heard.get()
        assert heard is not None
        yield heard
    finally:
        config._attn_implementation = before
        _heard.reset(token)
    if len(heard) != config.num_hidden_layers:
        what = f"a {type(model).__name__} computes attention in a way that cannot be listened to"
        raise LimbeckError(what, fix="Choose a method that does not compare attention")
