"""The plain PyTorch version: what the kernels are checked against, and what stands in where they do not suit.

    alpha[1, j] = emissions[1, j]
    alpha[l, j] = emissions[l, j] + log sum_i exp(alpha[l-1, i] + transitions[i, j])
    log Z = log sum_j exp(alpha[n, j])

Everything that is a derivative of ``log Z`` is left to autograd, derivatives of any order included. Chains come
folded: without start and end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limbeck.structure.chain.scores import Chain


def log_partition(chain: Chain) -> Tensor:
    """``log Z``, ``(batch,)``; minus infinity where every path is forbidden, nought for a sentence of no words.

    Args:
        chain: Folded.
    """
    batch, words, _ = chain.emissions.shape
    if words == 0:
        return chain.emissions.new_zeros(batch) + 0 * chain.transitions.sum()
    last = (chain.lengths - 1).clamp(min=0)
    alphas = log_alphas(chain)
    found = logsumexp(alphas[torch.arange(batch, device=last.device), last])
    return torch.where(chain.lengths > 0, found, 0.0)


def log_alphas(chain: Chain) -> Tensor:
    """``alpha``, ``(batch, words, tags)``; words after the last go on as if they were real."""
    alphas = [chain.emissions[:, 0]]
    for word in range(1, chain.emissions.shape[1]):
        before = (alphas[-1][:, :, None] + chain.edge(word)).transpose(1, 2)
        alphas.append(chain.emissions[:, word] + logsumexp(before))
    return torch.stack(alphas, dim=1)


def logsumexp(scores: Tensor) -> Tensor:
    """Over the last axis; of nothing but minus infinities it is minus infinity, with a gradient of nought."""
    forbidden = (scores == -torch.inf).all(-1)
    return scores.masked_fill(forbidden[..., None], 0.0).logsumexp(-1).masked_fill(forbidden, -torch.inf)
