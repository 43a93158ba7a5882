"""Losses between chains: plain functions first, one value a sentence, ``Chain, Chain -> (batch,)``.

Student and teacher score the same tags of the same words. Where one of them has read fewer words of a sentence (it
was cut at its longest), the words that both have read are compared: see :func:`in_common`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limbeck.structure import chain as chains
from limbeck.structure.chain import Chain, Paths


def in_common(student: Chain, teacher: Chain) -> tuple[Chain, Chain]:
    """Both, shortened to the words that both have read."""
    lengths = torch.minimum(student.lengths, teacher.lengths)
    words = min(student.emissions.shape[1], teacher.emissions.shape[1])
    return tuple(  # type: ignore[return-value]
        Chain(
            chain.emissions[:, :words],
            chain.transitions if chain.shared else chain.transitions[:, : max(words - 1, 1)],
            lengths,
            chain.start,
            chain.end,
        )
        for chain in (student, teacher)
    )


def k_best_cross_entropy(student: Chain, teacher: Chain, k: int) -> Tensor:
    """``-sum_{y in T} p'(y) log p_student(y)`` with T the teacher's k best paths (Kim and Rush 2016).

    ``p'`` is the teacher's distribution with the weights of these paths made to sum to one (Lin et al. 2022,
    equation 7). At k = 1 it is the likelihood of the teacher's choice.

    Args:
        student: Gradients flow to it.
        teacher: Taken as a constant.
        k: How many paths; at least one.
    """
    scores, tags = chains.k_best(teacher, k)
    weights = scores.double().softmax(1)
    return chains.cross_entropy(Paths(tags, weights), student)


def posterior_divergence(student: Chain, teacher: Chain) -> Tensor:
    """``sum_l KL(p_teacher(y_l) || p_student(y_l))`` (Wang et al. 2020, section 3.2).

    Its gradient is that of the paper's cross-entropy between the posteriors of each word's tag.

    Args:
        student: Gradients flow to it.
        teacher: Taken as a constant.
    """
    with torch.no_grad():
        target = chains.token_marginals(teacher).double()
    # In float64: where a student is very wrong, its marginal would be nought in float32, and without a gradient.
    posterior = chains.token_marginals(student.double())
    least = torch.finfo(posterior.dtype).tiny
    logs = target.clamp_min(least).log() - posterior.clamp_min(least).log()
    return (target * logs).sum((1, 2)).to(student.wide().emissions.dtype)


def structural_cross_entropy(student: Chain, teacher: Chain) -> Tensor:
    """``-sum_u p_teacher(u) s_student(u) + log Z_student`` over pairs u of adjacent tags (Wang et al. 2021).

    It is the cross-entropy over all paths, exactly (Lin et al. 2022, equations 5 and 8).

    Args:
        student: Gradients flow to it.
        teacher: Taken as a constant.
    """
    return chains.cross_entropy(teacher.detach(), student)


def substructure_distance(student: Chain, teacher: Chain) -> Tensor:
    """``sum_u (s_student(u) - s_teacher(u))² / |U|`` (Lin et al. 2022, equation 9, the distance squared).

    What U holds, and the closed form: see :func:`limbeck.structure.chain.mean_squared_distance`. Scores have to be
    finite.

    Args:
        student: Gradients flow to it.
        teacher: Taken as a constant.
    """
    return chains.mean_squared_distance(student, teacher)
