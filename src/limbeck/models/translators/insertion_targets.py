"""What the insertion student is taught: random canvases, and how much each missing token counts (Stern et al. 2019).

A translation ``y_1 .. y_n`` is given in part: ``k`` is drawn from 0 to n, each alike, then k of its tokens, all subsets
alike, which in their order are the *canvas*. Before, between and after them are ``k + 1`` *slots*, and slot ``l`` lacks
the *span* ``y_i .. y_j`` of the tokens between two that were kept, or nothing. With weights that add up to one in each
slot, the loss of a slot is

    slot-loss(l) = sum_{i <= t <= j} w_l(t) (-log p(y_t, l)),
    w_l(t) = exp(-d_l(t) / tau) / sum_{t'} exp(-d_l(t') / tau)

with ``d_l(t) = |(i + j) / 2 - t|`` (equation 10), the distance to the span's centre, for a balanced binary tree; and
``w_l(t) = 1 / (j - i + 1)``, which is the same at infinite ``tau``, for the uniform loss. Of a slot that lacks nothing,
the loss is that of the end of the slot (slot finalisation). The loss of a canvas is the mean over its slots.

Axes: ``batch``, ``places`` (of the longest translation), ``slots``, ``items`` (of all that is taught).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Lessons(NamedTuple):
    """What is taught of a batch, canvas by canvas: first what is missing, then what is complete.

    Attributes:
        rows: The canvas of each item, ``(items,)``.
        slots: The slot that is spoken of, ``(items,)``.
        places: The missing token's place in its translation; of a slot that lacks nothing -1, ``(items,)``.
        weights: ``w_l``, adding up to one in each slot, ``(items,)``.
    """

    rows: Tensor
    slots: Tensor
    places: Tensor
    weights: Tensor


def random_subsets(real: Tensor) -> Tensor:
    """Which tokens of each translation are given: how many is uniform, and then all subsets are alike.

    Args:
        real: True where a translation has a token, ``(batch, places)``.

    Returns:
        True where it is kept, ``(batch, places)``.
    """
    lengths = real.sum(1)
    counts = (torch.rand(len(real), device=real.device) * (lengths + 1)).long().minimum(lengths)
    draws = torch.rand(real.shape, device=real.device).masked_fill(~real, 2.0)
    ranks = draws.argsort(1).argsort(1)
    return ranks < counts[:, None]


def canvases(tokens: Tensor, kept: Tensor, start: int, end: int, padding: int) -> Tensor:
    """The kept tokens of each translation in their order, between boundaries.

    Args:
        tokens: ``(batch, places)``, or more that are not looked at.
        kept: Which of them, ``(batch, places)``.
        start: The boundary before them.
        end: The boundary after them.
        padding: What stands after the end.

    Returns:
        ``(batch, most kept + 2)``.
    """
    lengths = kept.sum(1) + 2
    canvas = tokens.new_full((len(tokens), int(lengths.max())), padding)
    canvas[:, 0] = start
    rows, places = kept.nonzero(as_tuple=True)
    canvas[rows, kept.cumsum(1)[rows, places]] = tokens[rows, places]
    canvas.scatter_(1, lengths[:, None] - 1, end)
    return canvas


def lessons(real: Tensor, kept: Tensor, temperature: float) -> Lessons:
    """What each slot lacks, and how much each missing token counts in its slot.

    Args:
        real: True where a translation has a token, ``(batch, places)``.
        kept: True where the canvas has it, ``(batch, places)``.
        temperature: ``tau``; infinite for the uniform loss.
    """
    place = torch.arange(real.shape[1], device=real.device).expand_as(real)
    before = torch.where(kept, place, -1).cummax(1).values
    ends = torch.where(kept, place, real.sum(1, keepdim=True))
    after = ends.flip(1).cummin(1).values.flip(1)
    missing, slot = real & ~kept, kept.cumsum(1)  # of a missing token, as many as are kept before it
    distance = (
        0.5 * (before + after) - place
    ).abs()  # the span's ends are one further in, its centre is the same
    nearest = 0.5 * (
        (after - before) % 2
    )  # of a span's tokens, so that the largest weight is one before they are summed
    shares = torch.exp((nearest - distance) / temperature) * missing
    sums = shares.new_zeros(len(real), real.shape[1] + 1).scatter_add_(1, slot, shares)
    rows, places = missing.nonzero(as_tuple=True)
    slots = slot[rows, places]
    weights = shares[rows, places] / sums[rows, slots]
    all_slots = torch.arange(sums.shape[1], device=real.device) <= kept.sum(1, keepdim=True)
    full_rows, full_slots = (all_slots & (sums == 0)).nonzero(as_tuple=True)
    return Lessons(
        torch.cat((rows, full_rows)),
        torch.cat((slots, full_slots)),
        torch.cat((places, torch.full_like(full_slots, -1))),
        torch.cat((weights, weights.new_ones(len(full_slots)))),
    )
