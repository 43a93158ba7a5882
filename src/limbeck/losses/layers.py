"""Losses between the inner states of two encoders: plain functions, one value a sentence, ``(batch,)``.

Means run over a sentence's real tokens, so that padding and the other sentences of a batch change nothing. ``mask`` is
one where a token is real, ``(batch, tokens)``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def states_distance(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """``MSE(H_student, H_teacher)`` over tokens and width (Jiao et al. 2020, TinyBERT, equations 8 and 9).

    Args:
        student: States or embeddings, projected to the teacher's width: ``(batch, tokens, width)``.
        teacher: ``(batch, tokens, width)``.
        mask: ``(batch, tokens)``.
    """
    squares = (student - teacher).square().mean(-1)
    return _mean(squares, mask)


def states_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean state of a sentence's real tokens, ``(batch, tokens, width) -> (batch, width)``; nought where there is none.

    Args:
        states: ``(batch, tokens, width)``.
        mask: ``(batch, tokens)``.
    """
    real = mask.bool().unsqueeze(-1)
    return states.masked_fill(~real, 0.0).sum(1) / real.sum(1).clamp(min=1)


def attention_distance(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """``1/h sum_i MSE(A_i student, A_i teacher)`` over heads (Jiao et al. 2020, TinyBERT, equation 7).

    Args:
        student: Scores or probabilities, ``(batch, heads, tokens, tokens)``.
        teacher: Likewise.
        mask: ``(batch, tokens)``.
    """
    squares = (student - teacher).square().mean(1)  # (batch, tokens, tokens)
    real = _pairs(mask)
    return squares.masked_fill(~real, 0.0).sum((1, 2)) / real.sum((1, 2)).clamp(min=1)


def attention_probabilities(scores: Tensor, mask: Tensor) -> Tensor:
    """The softmax of scores over real tokens, ``(batch, heads, tokens, tokens)``."""
    return _masked(scores, mask).softmax(-1)


def relation_divergence(
    student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], heads: int, mask: Tensor
) -> Tensor:
    """``1/(heads tokens) sum KL(R_teacher || R_student)`` of relations between tokens.

    Relations are ``softmax(X Y^T / sqrt(width of a head))``: attention distributions where X are queries and Y keys,
    value relations where both are values (Wang et al. 2020, MiniLM, equations 5 to 8). The vectors of all heads are
    joined and cut into ``heads`` relation heads, so that teacher and student may have other numbers of heads and other
    widths (Wang et al. 2021, MiniLMv2, section 3.1).

    Args:
        student: X and Y, each ``(batch, its heads, tokens, width of a head)``.
        teacher: Likewise.
        heads: Relation heads; divides both widths.
        mask: ``(batch, tokens)``.
    """
    theirs, ours = _relations(*teacher, heads, mask), _relations(*student, heads, mask)
    both = functional.kl_div(ours, theirs, reduction="none", log_target=True)
    each = both.masked_fill(~mask.bool()[:, None, None, :], 0.0).sum(-1).mean(1)  # (batch, tokens)
    return _mean(each, mask)


def direction_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """``||h_student / |h_student| - h_teacher / |h_teacher| ||²`` (Sun et al. 2019, BERT-PKD, equation 7).

    Args:
        student: [CLS] states of the layers compared, ``(batch, layers, width)``.
        teacher: Likewise.

    Returns:
        Summed over layers, ``(batch,)``.
    """
    difference = functional.normalize(student, dim=-1) - functional.normalize(teacher, dim=-1)
    return difference.square().sum((1, 2))


def cosine_distance(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """``1 - cos(h_student, h_teacher)`` a token, as a mean (Sanh et al. 2019, DistilBERT, section 2).

    Args:
        student: States ``(batch, tokens, width)``.
        teacher: Likewise.
        mask: ``(batch, tokens)``.
    """
    return _mean(1 - functional.cosine_similarity(student, teacher, dim=-1), mask)


def _relations(x: Tensor, y: Tensor, heads: int, mask: Tensor) -> Tensor:
    """Logarithms of relations, ``(batch, heads, tokens, tokens)``."""
    x, y = (_recut(part, heads) for part in (x, y))
    return _masked(x @ y.transpose(-1, -2) * x.shape[-1] ** -0.5, mask).log_softmax(-1)


def _recut(vectors: Tensor, heads: int) -> Tensor:
    """``(batch, heads, tokens, width)`` with another number of heads over the same vectors."""
    if vectors.shape[1] == heads:
        return vectors
    joined = vectors.transpose(1, 2).flatten(2)  # (batch, tokens, all)
    return joined.reshape(*joined.shape[:2], heads, -1).transpose(1, 2)


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores that no attention goes to padding by; finite, so that no gradient is lost where all is padding."""
    return scores.masked_fill(~mask.bool()[:, None, None, :], torch.finfo(scores.dtype).min)


def _pairs(mask: Tensor) -> Tensor:
    """True where both tokens are real, ``(batch, tokens, tokens)``."""
    real = mask.bool()
    return real[:, :, None] & real[:, None, :]


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Over real tokens, ``(batch, tokens) -> (batch,)``."""
    real = mask.bool()
    return values.masked_fill(~real, 0.0).sum(1) / real.sum(1).clamp(min=1)
