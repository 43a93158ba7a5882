"""Fertility prediction: how many places of a translation each source token stands for (Gu et al. 2018).

    p_F(f | x) = prod_t' p_F(f_t' | x),   T = sum_t' f_t'       (of equation 5)

Each factor is a softmax over 0 to ``largest``, of one linear layer on the last encoder layer's states. The paper's
decodings are the likeliest sequence (argmax, equation 6) and the rounded means (average, equation 7). Its noisy
parallel decoding (equation 8) draws other sequences and has an autoregressive teacher choose; here the others are
those that differ from the first in one fertility, the likeliest of them first, so that nothing is drawn and nobody
else is asked.

Axes: ``batch``, ``tokens`` (of sources), ``classes`` (``largest + 1``), ``candidates``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from limbeck.models.translators.layout import source_lengths, uniform_copy

By = Literal["argmax", "average"]


class FertilityHead(nn.Module):
    """A linear layer on each of the encoder's states."""

    def __init__(self, width: int, largest: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, largest + 1)

    def forward(self, states: Tensor) -> Tensor:
        """Unnormalised scores of fertilities, ``(batch, tokens, width) -> (batch, tokens, classes)``."""
        scores: Tensor = self.classifier(states)
        return scores


def real_sources(attention_mask: Tensor) -> Tensor:
    """True at source tokens, the end token and padding left out: ``(batch, tokens)``."""
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return places < source_lengths(attention_mask)[:, None]


def likely_fertilities(scores: Tensor, attention_mask: Tensor, candidates: int, by: By = "argmax") -> Tensor:
    """The sequences that are tried, the first one that ``by`` names: ``(batch, candidates, tokens)`` int64.

    Args:
        scores: Unnormalised, ``(batch, tokens, classes)``.
        attention_mask: One where a token is real, ``(batch, tokens)``.
        candidates: How many are wanted, at most all classes.
        by: The likeliest fertility of each token, or the mean, rounded.
    """
    tokens, classes = scores.shape[1:]
    real, every = real_sources(attention_mask), torch.arange(classes, device=scores.device)
    probable = scores.log_softmax(-1)
    first = (
        probable.argmax(-1) if by == "argmax" else (probable.exp() @ every.to(probable.dtype)).round().long()
    )
    is_first = every == first.unsqueeze(-1)  # (batch, tokens, classes)
    gained = probable - probable.gather(-1, first.unsqueeze(-1))
    gained = gained.masked_fill(is_first | ~real.unsqueeze(-1), float("-inf"))
    # To leave the first token as it is leaves the sequence as it is, which comes before all others.
    start = torch.arange(tokens, device=scores.device) == 0
    gained = gained.masked_fill(is_first & start[:, None], float("inf"))
    change = gained.flatten(1).topk(candidates, dim=1).indices.unsqueeze(2)  # (batch, candidates, 1)
    place, other = change // classes, change % classes
    here = torch.arange(tokens, device=scores.device) == place
    return torch.where(here, other, first.unsqueeze(1)) * real.unsqueeze(1)


def shared_out(lengths: Tensor, attention_mask: Tensor) -> Tensor:
    """The fertilities of the uniform copy, where nobody has aligned the texts: ``(batch,) -> (batch, tokens)``."""
    copied = uniform_copy(source_lengths(attention_mask), lengths[:, None])[:, 0]  # (batch, places)
    there = (torch.arange(copied.shape[1], device=copied.device) < lengths[:, None]).long()
    return torch.zeros_like(attention_mask).scatter_add(1, copied, there)
