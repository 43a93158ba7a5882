"""The log-depth version, for devices where many words at once cost as little as one.

A pair of adjacent words is a matrix in the semiring of (log-sum-exp, plus); a sentence is the product of its pairs,
and products are associative: ``ceil(log2(words))`` rounds multiply neighbours (Särkkä and García-Fernández 2021;
Rush 2020, section 5). Builds the tensor of all pairs. Autograd gives derivatives of any order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limbeck.structure.chain.reference import logsumexp
from limbeck.structure.chain.scores import Chain


def log_partition(chain: Chain) -> Tensor:
    """As :func:`limbeck.structure.chain.reference.log_partition`.

    Args:
        chain: Folded.
    """
    first = torch.where((chain.lengths > 0)[:, None], chain.emissions[:, :1].squeeze(1), 0.0)
    pairs = _pairs(chain)
    while pairs.shape[1] > 1:
        if pairs.shape[1] % 2:
            pairs = torch.cat([pairs, _nothing(pairs)], dim=1)
        pairs = _product(pairs[:, 0::2], pairs[:, 1::2])
    scores = first if pairs.shape[1] == 0 else logsumexp((first[:, :, None] + pairs[:, 0]).transpose(1, 2))
    return torch.where(chain.lengths > 0, logsumexp(scores), 0.0)


def _pairs(chain: Chain) -> Tensor:
    """Scores of each pair, ``(batch, words - 1, tags, tags)``; those past the last word change nothing."""
    scores = chain.transitions + chain.emissions[:, 1:, None, :]
    return torch.where(chain.mask[:, 1:, None, None], scores, _nothing(scores))


def _nothing(pairs: Tensor) -> Tensor:
    """The semiring's one, ``(1, 1, tags, tags)``: nought on the diagonal, minus infinity beside it."""
    tags = pairs.shape[-1]
    one = torch.full((tags, tags), -torch.inf, dtype=pairs.dtype, device=pairs.device).fill_diagonal_(0.0)
    return one.expand(pairs.shape[0], 1, tags, tags)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """``log sum_k exp(left[i, k] + right[k, j])``, ``(batch, pairs, tags, tags)``."""
    return logsumexp(left[..., :, None, :] + right.transpose(-1, -2)[..., None, :, :])
