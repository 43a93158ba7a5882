"""The closed form of the distance between all sub-structure scores of two chains, and its derivatives, written out.

See :func:`limbeck.structure.chain.mean_squared_distance`. Autograd would take forty operations where these are a pass
over the emissions each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from limbeck.structure.chain.calling import array, arrays, by_scores, checked, kernel, run
from limbeck.structure.chain.scores import Chain

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def mean_squared_distance(one: Chain, other: Chain) -> Tensor:
    """As :func:`limbeck.structure.chain.mean_squared_distance`, for chains with shared transitions."""
    found: Tensor = _Distance.apply(*one.parts, one, other)
    return found


class _Distance(Function):
    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor | None,
        end: Tensor | None,
        one: Chain,
        other: Chain,
    ) -> Tensor:
        ours, edges, *ends = arrays(one)
        theirs, other_edges, *other_ends = arrays(other)
        batch, _, tags = ours.shape
        lengths = checked(one.lengths, ours)
        d, rest, squares = np.empty_like(ours), np.zeros((batch, tags)), np.zeros((2, batch))
        run(_differences, ours, *ends, theirs, *other_ends, lengths, d, rest, squares)
        D = (edges - other_edges)[0, 0].astype(np.float64)
        pairs = np.maximum(lengths - 1, 0)
        ctx.save_for_backward(emissions, transitions, start, end)
        counted = tags + pairs * tags**2
        ctx.parts = d, rest, D, lengths, pairs, counted
        total = squares[0] + tags * squares[1] + 2 * rest @ D.sum(0) + pairs * np.square(D).sum()
        return torch.from_numpy((total / counted).astype(ours.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        d, rest, D, lengths, pairs, counted = ctx.parts
        scale = 2 * array(weights) / counted
        tokens = np.empty_like(d)
        run(_gradient, d, D.sum(0), lengths, scale, tokens)
        by_edges = D * (scale @ pairs) + scale @ rest
        return *by_scores(tokens, by_edges, lengths, ctx.saved_tensors), None, None


@kernel
def _differences(
    first: int,
    step: int,
    emissions: NDArray[Any],
    start: NDArray[Any],
    end: NDArray[Any],
    other_emissions: NDArray[Any],
    other_start: NDArray[Any],
    other_end: NDArray[Any],
    lengths: Integers,
    d: NDArray[Any],
    rest: Floats,
    squares: Floats,
) -> None:
    """Fill ``d`` with the differences of two chains' emissions, start and end included, nought after the last word.

    ``rest`` ``(batch, tags)`` takes their sum over all words but the first, ``squares`` ``(2, batch)`` the sums of
    their squares over the first word and over the others.
    """
    tags = emissions.shape[2]
    for s in range(first, emissions.shape[0], step):
        n = lengths[s]
        d[s, n:] = 0.0
        for l in range(n):
            row, theirs, out = emissions[s, l], other_emissions[s, l], d[s, l]
            for j in range(tags):
                out[j] = row[j] - theirs[j]
            if l == 0:
                for j in range(tags):
                    out[j] += start[j] - other_start[j]
            if l == n - 1:
                for j in range(tags):
                    out[j] += end[j] - other_end[j]
            total = 0.0
            for j in range(tags):
                total += out[j] * out[j]
            squares[min(l, 1), s] += total
            if l > 0:
                for j in range(tags):
                    rest[s, j] += out[j]


@kernel
def _gradient(
    first: int, step: int, d: NDArray[Any], c: Floats, lengths: Integers, weights: Floats, out: NDArray[Any]
) -> None:
    """Fill ``out`` with ``weight (tags d + c)``, or ``weight d`` at a first word; nought after the last one."""
    tags = d.shape[2]
    for s in range(first, d.shape[0], step):
        out[s, lengths[s] :] = 0.0
        for l in range(lengths[s]):
            row, into = d[s, l], out[s, l]
            by_d = weights[s] * (1 if l == 0 else tags)
            by_c = 0.0 if l == 0 else weights[s]
            for j in range(tags):
                into[j] = by_d * row[j] + by_c * c[j]
