"""Where tokens stand: which places of a padded batch are real, and which source token a place starts from.

Axes: ``batch`` (sentences), ``candidates`` (lengths that are tried for each), ``places`` (of the longest translation).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def source_lengths(attention_mask: Tensor) -> Tensor:
    """Tokens of each source without its end token, at least one: ``(batch, tokens) -> (batch,)``."""
    lengths: Tensor = attention_mask.sum(1) - 1
    return lengths.clamp(min=1)


def places_of(lengths: Tensor) -> Tensor:
    """As many places as the longest translation has tokens, counted from 0: ``(...) -> (places,)``."""
    longest: Any = lengths.max()  # stays a tensor, so that a traced graph takes any length
    return torch.arange(longest, device=lengths.device)


def real_places(lengths: Tensor) -> Tensor:
    """True where a translation has a token: ``(...) -> (..., places)``."""
    return places_of(lengths) < lengths.unsqueeze(-1)


def uniform_copy(sources: Tensor, lengths: Tensor) -> Tensor:
    """The source token that each place of a translation starts from (the uniform copy of Gu et al. 2018).

    Counted from 1, place ``t`` of ``T`` takes token ``round(T' t / T)`` of ``T'``, halves up, and no token before the
    first. In whole numbers, so that it is the same everywhere.

    Args:
        sources: Tokens of each source, ``T'``: ``(batch,)``.
        lengths: Tokens of each translation, ``T``, at least one: ``(batch, candidates)``.

    Returns:
        Counted from 0, the last token after a translation's end: ``(batch, candidates, places)`` int64.
    """
    count = lengths.unsqueeze(-1)
    place = places_of(lengths) + 1
    last = sources[:, None, None]
    token = (2 * last * place + count) // (2 * count) - 1
    return torch.minimum(token.clamp(min=0), last - 1)


def fertile_copy(fertilities: Tensor, lengths: Tensor) -> Tensor:
    """The source token that each place starts from, every token as often as its fertility says (Gu et al. 2018).

    Args:
        fertilities: Of each source token, ``(batch, candidates, tokens)``.
        lengths: Tokens of each translation, ``(batch, candidates)``: their sums, or less or one more.

    Returns:
        Counted from 0, the last token that has any after a translation's end, the first where none has any:
        ``(batch, candidates, places)`` int64.
    """
    reached = fertilities.cumsum(-1).unsqueeze(2)  # (batch, candidates, 1, tokens)
    place = places_of(lengths)[:, None]
    place = torch.minimum(place, (reached[..., -1:] - 1).clamp(min=0))
    copied: Tensor = (reached <= place).sum(-1)
    return copied * (reached[..., -1] > 0)
