"""What is asked of chains: partition, marginals, best paths, samples, entropy, cross-entropy. See :mod:`~.scores`.

On a CPU Numba kernels answer, on other devices a scan of logarithmic depth; where scores lie so far apart that
scaled probabilities could lose a path, the plain version does, in float64. All are exact; sums run in float64 on the
CPU and results come in the dtype of the emissions, or in float32 where that is a half precision.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from limbeck.structure.chain import distance, path_kernels, reference, scaled, scan
from limbeck.structure.chain.calling import arrays, checked, run
from limbeck.structure.chain.scores import Chain, Counts, Paths

NO_TAG = -1
"""Stands in paths after a sentence's last word."""


def log_partition(chain: Chain) -> Tensor:
    """``log Z`` (nats), ``(batch,)``: minus infinity where all paths are forbidden, nought for no words.

    Gradients are marginals; their gradients in turn are exact as well.
    """
    return _cross_entropy(chain.wide(), None)


def log_score(chain: Chain, tags: Tensor) -> Tensor:
    """``s(y)``, the score of one path a sentence, ``(batch,)``.

    Args:
        chain: The scores.
        tags: ``(batch, words)``; what stands after the last word is not read.
    """
    chain = chain.wide().folded()
    tags = tags.masked_fill(~chain.mask, 0)
    words = chain.emissions.gather(2, tags[..., None]).squeeze(2).masked_fill(~chain.mask, 0.0)
    edges = chain.transitions.expand(len(tags), max(tags.shape[1] - 1, 0), -1, -1).flatten(2)
    index = tags[:, :-1] * chain.emissions.shape[2] + tags[:, 1:]
    pairs = edges.gather(2, index[..., None]).squeeze(2).masked_fill(~chain.mask[:, 1:], 0.0)
    return (words.double().sum(1) + pairs.double().sum(1)).to(chain.emissions.dtype)


def negative_log_likelihood(chain: Chain, tags: Tensor) -> Tensor:
    """``log Z - s(y)`` (nats), ``(batch,)``.

    Args:
        chain: The scores.
        tags: As in :func:`log_score`.
    """
    return cross_entropy(Paths(tags[:, None]), chain)


def cross_entropy(of: Chain | Counts | Paths, under: Chain) -> Tensor:
    """``-sum_y p_of(y) log p_under(y)`` (nats), ``(batch,)``, over all paths.

    It is ``log Z_under`` less the expected score, which needs the expected counts of ``of`` only (Wang et al. 2021,
    equation 8; there as here without the normaliser of the teacher, on which it does not depend). The difference is
    taken in float64.

    Args:
        of: The distribution that is averaged over: the teacher's as a chain or as its expected counts, or some paths.
        under: The distribution whose logarithm is averaged: the student's. The same words and tags.
    """
    if isinstance(of, Chain):
        if of.shared != under.shared:
            of, under = _full(of), _full(under)
        of = counts(of)
    return _cross_entropy(under.wide(), of)


def entropy(chain: Chain) -> Tensor:
    """``-sum_y p(y) log p(y)`` (nats), ``(batch,)``."""
    return cross_entropy(chain, chain)


def counts(chain: Chain) -> Counts:
    """Expected counts of tags and of pairs; gradients flow to the chain if it wants them."""
    chain = chain.wide()
    known = None if _differentiable(chain) else _factors(chain)
    if known is not None:
        return scaled.counts(known)
    tokens, pairs = _marginals(_by_sentence(chain))
    return Counts(tokens.double(), pairs.double())


def token_marginals(chain: Chain) -> Tensor:
    """``p(y_l = j)``, ``(batch, words, tags)``; nought after the last word."""
    return _marginals(chain.wide())[0]


def pair_marginals(chain: Chain) -> Tensor:
    """``p(y_{l-1} = i, y_l = j)``, ``(batch, words - 1, tags, tags)``; nought after the last word."""
    return _marginals(_full(chain.wide()))[1]


def viterbi(chain: Chain) -> tuple[Tensor, Tensor]:
    """Scores ``(batch,)`` and tags ``(batch, words)`` of the best paths; ``NO_TAG`` after the last word."""
    scores, paths = k_best(chain, 1)
    return scores[:, 0], paths[:, 0]


@torch.no_grad()
def k_best(chain: Chain, k: int) -> tuple[Tensor, Tensor]:
    """The k best paths, best first, exactly. It runs on the CPU, whatever device the chain is on.

    Args:
        chain: The scores.
        k: How many; at least one.

    Returns:
        Scores ``(batch, k)``, minus infinity where there are fewer paths than that, and tags ``(batch, k, words)``,
        ``NO_TAG`` there and after the last word.
    """
    chain = chain.wide()
    device, dtype = chain.emissions.device, chain.emissions.dtype
    emissions, transitions, start, end = arrays(chain.to(torch.device("cpu")))
    scores = np.full((len(emissions), k), -np.inf)
    paths = np.full((len(emissions), k, emissions.shape[1]), NO_TAG)
    lengths = checked(chain.lengths.cpu(), emissions)
    run(path_kernels.k_best, emissions, transitions, start, end, lengths, scores, paths)
    return torch.from_numpy(scores).to(device, dtype), torch.from_numpy(paths).to(device)


@torch.no_grad()
def sample(chain: Chain, draws: int, generator: torch.Generator | None = None) -> Tensor:
    """Paths drawn from the chain, ``(batch, draws, words)``; ``NO_TAG`` after the last word.

    Forwards the chain is filtered, backwards it is sampled: ``p(y_l | y_{l+1})`` is proportional to
    ``exp(alpha[l, y_l] + transitions[y_l, y_{l+1}])``.

    Args:
        chain: The scores; of every sentence at least one path must be allowed.
        draws: How many paths.
        generator: Source of randomness, on the chain's device.
    """
    chain = chain.folded().double()
    batch, words, _ = chain.emissions.shape
    paths = torch.full((batch, draws, words), NO_TAG, device=chain.emissions.device)
    if not batch or not words:
        return paths
    alphas = reference.log_alphas(chain)
    for word in range(words - 1, -1, -1):
        scores = alphas[:, None, word].expand(-1, draws, -1)
        if word < words - 1:
            follows = (chain.lengths > word + 1)[:, None].expand(-1, draws)
            after = paths[:, :, word + 1].clamp(min=0)
            edges = chain.edge(word + 1)
            into = edges.T[after] if chain.shared else edges.transpose(1, 2).gather(
                1, after[..., None].expand(-1, -1, edges.shape[-1])
            )  # fmt: skip
            scores = torch.where(follows[..., None], scores + into, scores)
        real = chain.lengths > word
        weights = scores[real].softmax(-1).flatten(0, 1)
        if len(weights):
            paths[real, :, word] = weights.multinomial(1, generator=generator).view(-1, draws)
    return paths


def mean_squared_distance(one: Chain, other: Chain) -> Tensor:
    """Squared differences between the scores of two chains, averaged over all sub-structures, ``(batch,)``.

    Sub-structures are the pairs of adjacent tags at every pair of words, ``tags²`` each, and the ``tags`` of the
    first word; start and end stand with the first and the last word. With ``d`` the difference of a word's
    emissions, ``D`` that of the transitions and ``c_j = sum_i D_ij``, the sum over the pairs that lead to a word is

        sum_ij (d_j + D_ij)² = tags ||d||² + 2 d·c + ||D||²

    so that the tensor ``(batch, words, tags, tags)`` is never built where words share transitions.

    Args:
        one: Gradients flow to it.
        other: The same words and tags, of the same dtype; no gradient flows to it.
    """
    one, other = one.wide(), other.wide()
    if one.shared and other.shared and one.emissions.device.type == "cpu":
        return distance.mean_squared_distance(one, other)
    other = other.detach()
    if not (one.shared and other.shared):
        return _distance_by_pairs(one, other)
    d, D = _differences(one, other)
    pairs = (one.lengths - 1).clamp(min=0)
    squares, tags = d.square().sum(2), d.shape[2]
    led_to = tags * squares[:, 1:].sum(1) + 2 * d[:, 1:].sum(1) @ D.sum(0) + pairs * D.square().sum()
    return (squares[:, :1].sum(1) + led_to) / (tags + pairs * tags**2)


def _distance_by_pairs(one: Chain, other: Chain) -> Tensor:
    """The same, term by term."""
    d, D = _differences(one, other)
    both = (d[:, 1:, None, :] + D).masked_fill(~one.mask[:, 1:, None, None], 0.0)
    tags, pairs = d.shape[2], (one.lengths - 1).clamp(min=0)
    return (d[:, :1].square().sum((1, 2)) + both.square().sum((1, 2, 3))) / (tags + pairs * tags**2)


def _differences(one: Chain, other: Chain) -> tuple[Tensor, Tensor]:
    """Of emissions, nought after the last word, and of transitions."""
    d = one.folded().emissions - other.folded().emissions
    return d.masked_fill(~one.mask[..., None], 0.0), one.transitions - other.transitions


def _cross_entropy(chain: Chain, of: Counts | Paths | None) -> Tensor:
    """``log Z``, less the score that is expected, ``(batch,)``."""
    known = None if isinstance(of, Counts) and of.tokens.requires_grad else _factors(chain)
    if known is not None:
        return scaled.cross_entropy(chain, known, of)
    log_z = _log_partition(chain)
    return (log_z if of is None else log_z - _expected_score(of, chain)).to(chain.emissions.dtype)


def _log_partition(chain: Chain) -> Tensor:
    known = _factors(chain)
    if known is not None:
        return scaled.cross_entropy(chain, known, None)
    if chain.emissions.device.type != "cpu":
        return scan.log_partition(chain.folded())
    return reference.log_partition(chain.double().folded())


def _expected_score(of: Counts | Paths, chain: Chain) -> Tensor:
    """``sum_y p(y) s(y)``, ``(batch,)``."""
    if isinstance(of, Paths):
        scores = torch.stack([log_score(chain, tags) for tags in of.tags.unbind(1)], dim=1)
        return scores.sum(1) if of.weights is None else _product(of.weights, scores)
    chain = chain.folded()
    words = _product(of.tokens, chain.emissions).sum(1)
    return words + _product(of.pairs, chain.transitions).sum((1, 2)) if of.pairs.shape[1] else words


def _marginals(chain: Chain) -> tuple[Tensor, Tensor]:
    """Derivatives of the sum of ``log Z`` by emissions and by transitions, in the shapes of these."""
    known = _factors(chain)
    if known is not None:
        return scaled.marginals(chain, known, torch.ones(len(chain.lengths), dtype=torch.float64))
    scores, differentiable = (chain.emissions, chain.transitions), _differentiable(chain)
    with torch.enable_grad():
        emissions, transitions = (
            part if part.requires_grad and differentiable else part.detach().clone().requires_grad_()
            for part in scores
        )
        moved = Chain(emissions, transitions, chain.lengths, chain.start, chain.end)
        total = _log_partition(moved).sum()
        found = torch.autograd.grad(total, (emissions, transitions), create_graph=differentiable)
    return found[0], found[1]


def _differentiable(chain: Chain) -> bool:
    parts = (chain.emissions, chain.transitions, chain.start, chain.end)
    return torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in parts)


def _product(probabilities: Tensor, scores: Tensor) -> Tensor:
    """Summed over the last axis, in float64; what cannot happen counts nothing, were it forbidden or not."""
    allowed = torch.where(probabilities > 0, scores, 0.0)
    return (probabilities.double() * allowed.double()).sum(-1)


def _by_sentence(chain: Chain) -> Chain:
    """The same with a table of transitions a sentence."""
    if not chain.shared:
        return _full(chain)
    edges = chain.transitions.expand(len(chain.lengths), 1, -1, -1)
    return Chain(chain.emissions, edges, chain.lengths, chain.start, chain.end)


def _full(chain: Chain) -> Chain:
    """The same with a table of transitions a pair of words."""
    batch, words, _ = chain.emissions.shape
    edges = chain.transitions.expand(batch, max(words - 1, 0), -1, -1)
    return Chain(chain.emissions, edges, chain.lengths, chain.start, chain.end)


def _factors(chain: Chain) -> scaled.Factors | None:
    """What the kernels need; None where they do not suit."""
    return scaled.factors(chain) if chain.emissions.device.type == "cpu" else None
