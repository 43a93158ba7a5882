"""Maximum mean discrepancy between the neurons of two layers (Huang and Wang 2017, section 4.1).

A neuron's pattern is what it does over the tokens of a sentence, a vector of length one. The sums over pairs of neurons
are computed neuron by neuron, a sentence at a time in a batch: ``(batch, neurons, neurons)`` numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Kernel = Literal["linear", "polynomial", "gaussian"]
SILENT = 1e-6
"""Length of a pattern below which it is none."""


def selectivity_distance(student: Tensor, teacher: Tensor, mask: Tensor, kernel: Kernel) -> Tensor:
    """``MMD²`` between the patterns of the student's neurons and the teacher's (equation 4).

    Args:
        student: States ``(batch, tokens, its neurons)``.
        teacher: States ``(batch, tokens, its neurons)``.
        mask: One where a token is real, ``(batch, tokens)``.
        kernel: ``linear`` is ``f.f'``, ``polynomial`` ``(f.f')²``, ``gaussian`` ``exp(-||f - f'||² / (2 s²))`` with
            s² the mean squared distance between patterns of the student and of the teacher, without gradient.

    Returns:
        ``(batch,)``; nought for a sentence without tokens.
    """
    own, theirs = _patterns(student, mask), _patterns(teacher, mask)
    between = own @ theirs.mT  # cosines, (batch, neurons, neurons)
    of_cosines = _kernels(between.detach(), kernel)
    within = of_cosines(own @ own.mT).mean((1, 2)) + of_cosines(theirs @ theirs.mT).mean((1, 2))
    distance: Tensor = (within - 2 * of_cosines(between).mean((1, 2))) * mask.bool().any(1)
    return distance


def _patterns(states: Tensor, mask: Tensor) -> Tensor:
    """``(batch, tokens, neurons) -> (batch, neurons, tokens)``, each of length one over the real tokens.

    A neuron that is silent over a sentence has a pattern of noughts, and no gradient: it has no direction.
    """
    patterns = states.masked_fill(~mask.bool().unsqueeze(-1), 0.0).mT
    silent = torch.linalg.vector_norm(patterns.detach(), dim=-1, keepdim=True) < SILENT
    return functional.normalize(patterns, dim=-1, eps=SILENT).masked_fill(silent, 0.0)


def _kernels(between: Tensor, kernel: Kernel) -> Callable[[Tensor], Tensor]:
    """The kernel as a function of cosines: between vectors of length one ``||f - f'||² = 2 - 2 f.f'``."""
    if kernel == "linear":
        return lambda cosines: cosines
    if kernel == "polynomial":
        return lambda cosines: cosines.square()
    variance = (2 - 2 * between).mean((1, 2), keepdim=True).clamp(min=1e-6)
    return partial(_gaussian, variance=variance)


def _gaussian(cosines: Tensor, variance: Tensor) -> Tensor:
    return (-(1 - cosines) / variance).exp()
