"""The kernels as functions that autograd knows: log Z, its gradient (the marginals), and theirs (covariances).

Each is analytic. ``log_partition`` runs forwards only; asked for a gradient, it runs backwards once. The gradient of
the gradient is a pass of its own, so that losses on marginals train at the same price. A third derivative is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function

from limbeck.structure.chain import kernels, path_kernels
from limbeck.structure.chain.calling import array, arrays, by_scores, checked, run, summed
from limbeck.structure.chain.scores import Chain, Counts, Paths

RANGE = {np.dtype(np.float32): 50.0, np.dtype(np.float64): 300.0}
"""Nats by which finite transitions may lie apart in kernels of this dtype; beyond the last the reference stands in."""
LANES = 8
"""Numbers that are multiplied at once; more tags than twice as many are filled up to a multiple of it."""


@dataclass(frozen=True, slots=True)
class Factors:
    """What the kernels read, and the forward pass over it; named as in :mod:`limbeck.structure.chain.kernels`.

    Attributes:
        scores: The chain's scores, as :func:`arrays` gives them.
        x: Exponentials of emissions (with start and end), each word's divided by its largest.
        E: Exponentials of transitions, each table's divided by its largest.
        lengths: Words of each sentence.
        a: Scaled forward probabilities.
        c: Their scales.
        log_z: ``(batch,)``.
    """

    scores: tuple[NDArray[Any], ...]
    x: NDArray[Any]
    E: NDArray[Any]
    lengths: NDArray[np.int64]
    a: NDArray[Any]
    c: NDArray[Any]
    log_z: NDArray[np.float64]

    @property
    def passed(self) -> tuple[NDArray[Any], ...]:
        """All but the scores, in the order in which the kernels take them."""
        return self.x, self.E, self.lengths, self.a, self.c

    @property
    def nothing(self) -> NDArray[Any]:
        """Given to a kernel in place of ``b``, where that need not be kept."""
        return np.empty((0, 0, 0), self.x.dtype)


def factors(chain: Chain) -> Factors | None:
    """Factors and forward pass; None where scaled probabilities might lose a path that matters.

    Where every transition is allowed and they lie within ``RANGE`` of each other, nothing can be lost: mass can
    always move from the best tag to any other at that price, so that what has underflowed stays beneath notice
    whatever comes after it. Where some are forbidden that argument fails, and the forward pass watches instead: if a
    tag that can be reached has next to no probability, it may be the only one that leads on.

    Raises:
        ValueError: A length is beyond the emissions' words.
    """
    scores = emissions, edges, start, end = arrays(chain)
    batch, words, tags = emissions.shape
    lengths = checked(chain.lengths, emissions)
    divided_out = np.empty(edges.shape[:2])
    forbidden, range_ = kernels.extremes(edges, divided_out)
    if range_ > RANGE[np.dtype(np.float64)]:
        return None
    narrow = emissions.dtype == np.float32 and range_ < RANGE[emissions.dtype] and not forbidden
    dtype = np.dtype(np.float32 if narrow else np.float64)
    width = tags if tags <= 2 * LANES else -(-tags // LANES) * LANES
    E, transposed = np.zeros((2, *edges.shape[:3], width), dtype)
    kernels.exponentials(edges, divided_out, E, transposed)
    x, log_z = np.empty((batch, words, width), dtype), np.zeros(batch)
    if min(run(kernels.spread, emissions, start, end, lengths, x, log_z, forbidden)) < -RANGE[dtype]:
        return None
    np.exp(x, out=x)
    a, c = np.empty(x.shape, dtype), np.empty(x.shape[:2], dtype)
    safe = run(kernels.forward, x, transposed, lengths, a, c, log_z, divided_out, forbidden)
    return Factors(scores, x, E, lengths, a, c, log_z) if all(safe) else None


def cross_entropy(chain: Chain, known: Factors, of: Counts | Paths | None) -> Tensor:
    """``log Z``, less the score that is expected, ``(batch,)``; the difference is taken in float64.

    Args:
        chain: Gradients flow to it.
        known: Its factors.
        of: What is averaged over, a constant; None for ``log Z`` alone.
    """
    target = None if of is None else _Given(of) if isinstance(of, Paths) else _Expected(of)
    found: Tensor = _CrossEntropy.apply(*chain.parts, known, target)
    return found


def marginals(chain: Chain, known: Factors, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of ``sum(weights * log Z)`` by emissions and by transitions, in the shapes of these.

    Args:
        chain: Gradients flow to it.
        known: Its factors.
        weights: ``(batch,)``.
    """
    found: tuple[Tensor, ...] = _Gradient.apply(*chain.parts, weights, known, None)
    return found[0], found[1]


def counts(known: Factors) -> Counts:
    """Expected counts of tags and of pairs in each sentence, without gradients."""
    batch, words, tags = known.scores[0].shape
    tokens = np.empty((batch, words, tags))
    pairs = np.zeros((batch, *known.E.shape[1:]), known.E.dtype)
    run(kernels.backward, *known.passed, np.ones(batch), known.nothing, tokens, pairs)
    return Counts(torch.from_numpy(tokens), torch.from_numpy(pairs[..., :tags].astype(np.float64)))


class _Given:
    """A few weighted paths of each sentence."""

    def __init__(self, given: Paths) -> None:
        self.tags = np.ascontiguousarray(given.tags.numpy())
        self.weights = np.ones(self.tags.shape[:2]) if given.weights is None else array(given.weights)

    def score(self, known: Factors) -> NDArray[np.float64]:
        """Their score, ``(batch,)``."""
        scores = np.zeros(len(known.x))
        run(path_kernels.path_scores, *known.scores, known.lengths, self.tags, self.weights, scores)
        return scores

    def add(
        self, scale: NDArray[np.float64], known: Factors, tokens: NDArray[Any], pairs: NDArray[Any]
    ) -> None:
        """Add their counts to others, times a number a sentence."""
        path_kernels.count_paths(0, 1, tokens, pairs, known.lengths, self.tags, self.weights * scale[:, None])


class _Expected:
    """Expected counts of each sentence."""

    def __init__(self, counts: Counts) -> None:
        self.tokens, self.pairs = array(counts.tokens), array(counts.pairs)

    def score(self, known: Factors) -> NDArray[np.float64]:
        """The score that goes with them, ``(batch,)``."""
        scores = np.zeros(len(known.x))
        run(path_kernels.expected_scores, *known.scores, known.lengths, self.tokens, self.pairs, scores)
        return scores

    def add(
        self, scale: NDArray[np.float64], known: Factors, tokens: NDArray[Any], pairs: NDArray[Any]
    ) -> None:
        """Add them to others, times a number a sentence."""
        path_kernels.add_counts(0, 1, tokens, pairs, known.lengths, self.tokens, self.pairs, scale)


class _CrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor | None,
        end: Tensor | None,
        known: Factors,
        target: _Given | _Expected | None,
    ) -> Tensor:
        ctx.save_for_backward(emissions, transitions, start, end)
        ctx.known, ctx.target = known, target
        values = known.log_z if target is None else known.log_z - target.score(known)
        return torch.from_numpy(values.astype(known.scores[0].dtype))

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        gradient: Callable[..., tuple[Tensor | None, ...]] = (
            _Gradient.apply
            if torch.is_grad_enabled()
            else _gradient  # the first if somebody builds a graph of it
        )
        return *gradient(*ctx.saved_tensors, weights, ctx.known, ctx.target), None, None


class _Gradient(Function):
    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor | None,
        end: Tensor | None,
        weights: Tensor,
        known: Factors,
        target: _Given | _Expected | None,
    ) -> tuple[Tensor | None, ...]:
        ctx.save_for_backward(emissions, transitions, start, end, weights)
        ctx.known, ctx.target = known, target
        return _gradient(emissions, transitions, start, end, weights, known, target)

    @staticmethod
    def backward(ctx: Any, *wiggles: Tensor | None) -> tuple[Tensor | None, ...]:
        *scores, weights = ctx.saved_tensors
        known: Factors = ctx.known
        g, W = _along_the_path(wiggles, known)
        b, tokens = np.empty_like(known.a), np.zeros(g.shape)
        _marginals(np.empty_like(tokens), np.ones(len(g)), known, b)
        mean = np.zeros(len(g))
        pairs = summed(
            kernels.covariances, *known.passed, array(weights), b, g, W, tokens, mean, like=known.E
        )
        if ctx.target is not None:
            wiggled = replace(known, scores=(g, W, np.zeros(g.shape[2]), np.zeros(g.shape[2])))
            mean -= ctx.target.score(wiggled)
        by_weights = torch.from_numpy(mean).to(weights.dtype)
        found = (*by_scores(tokens, pairs, known.lengths, scores), by_weights)
        if torch.is_grad_enabled():
            found = _final(found, (*scores, weights, *wiggles))
        return *found, None, None


def _gradient(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor | None,
    end: Tensor | None,
    weights: Tensor,
    known: Factors,
    target: _Given | _Expected | None,
) -> tuple[Tensor | None, ...]:
    """Marginals less the target's counts, times the weights, in the shapes of the scores."""
    scale = array(weights)
    tokens = np.empty_like(known.scores[0])
    pairs = _marginals(tokens, scale, known, known.nothing)
    if target is not None:
        target.add(-scale, known, tokens, pairs)
    return by_scores(tokens, pairs, known.lengths, (emissions, transitions, start, end))


def _marginals(
    tokens: NDArray[Any], weights: NDArray[np.float64], known: Factors, b: NDArray[Any]
) -> NDArray[Any]:
    """Weighted marginals of pairs; those of tags are written to ``tokens``."""
    return summed(kernels.backward, *known.passed, weights, b, tokens, like=known.E)


def _along_the_path(wiggles: Sequence[Tensor | None], known: Factors) -> tuple[NDArray[np.float64], ...]:
    """``g`` and ``W`` of the sum G whose mean is what comes in times the marginals."""
    emissions, transitions, start, end = wiggles
    assert emissions is not None and transitions is not None
    g, rows = array(emissions).copy(), np.flatnonzero(known.lengths)
    if start is not None:
        g[rows, 0] += array(start)
    if end is not None:
        g[rows, known.lengths[rows] - 1] += array(end)
    return g, array(transitions).reshape(known.scores[1].shape)


def _final(values: Sequence[Tensor | None], inputs: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """The values, as a function of the inputs whose gradient is refused."""
    there = [value for value in values if value is not None]
    refused = iter(_Final.apply(len(there), *there, *inputs))
    return tuple(None if value is None else next(refused) for value in values)


class _Final(Function):
    @staticmethod
    def forward(ctx: Any, count: int, *values: Tensor) -> tuple[Tensor, ...]:
        return tuple(value.clone() for value in values[:count])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise RuntimeError(
            "a chain's log partition can be differentiated twice, and this asks for a third derivative; "
            "limbeck.structure.chain.reference gives derivatives of any order"
        )
