"""The chain programs against enumeration of every path, and against torch-struct and pytorch-crf."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from limbeck.structure import chain as chains
from limbeck.structure.chain import Chain, reference, scan

INF = math.inf
KINDS = ("shared", "by sentence", "full")


def make(
    batch: int,
    words: int,
    tags: int,
    *,
    kind: str = "shared",
    seed: int = 0,
    forbid: float = 0.0,
    lengths: list[int] | None = None,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> Chain:
    generator = torch.Generator().manual_seed(seed)

    def scores(*shape: int) -> Tensor:
        return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype)

    shape = {
        "shared": (tags, tags),
        "by sentence": (batch, 1, tags, tags),
        "full": (batch, max(words - 1, 0), tags, tags),
    }[kind]
    edges = scores(*shape)
    if forbid:
        edges[torch.rand(shape, generator=generator) < forbid] = -INF
    if lengths is None:
        lengths = torch.randint(1, words + 1, (batch,), generator=generator).tolist()
    return Chain(scores(batch, words, tags), edges, torch.tensor(lengths), scores(tags), scores(tags))


def paths(length: int, tags: int) -> list[tuple[int, ...]]:
    return list(itertools.product(range(tags), repeat=length))


def score(chain: Chain, sentence: int, path: tuple[int, ...]) -> Tensor:
    """One path's score, term by term."""
    total = torch.zeros((), dtype=torch.float64)
    for word, tag in enumerate(path):
        total = total + chain.emissions[sentence, word, tag]
        if word:
            edge = chain.transitions
            if not chain.shared:
                edge = edge[sentence, word - 1 if edge.shape[1] > 1 else 0]
            total = total + edge[path[word - 1], tag]
    if path:
        assert chain.start is not None and chain.end is not None
        total = total + chain.start[path[0]] + chain.end[path[-1]]
    return total


def every(chain: Chain, sentence: int) -> tuple[list[tuple[int, ...]], Tensor]:
    """All paths of a sentence and their scores."""
    found = paths(int(chain.lengths[sentence]), chain.emissions.shape[2])
    return found, torch.stack([score(chain, sentence, path) for path in found])


def leaves(chain: Chain) -> list[Tensor]:
    assert chain.start is not None and chain.end is not None
    return [part.requires_grad_() for part in (chain.emissions, chain.transitions, chain.start, chain.end)]


CASES = [
    pytest.param(make(4, 4, 3, kind=kind, seed=seed, forbid=forbid, lengths=lengths), id=f"{kind}-{seed}-{forbid}-{lengths}")
    for kind in KINDS
    for seed, forbid in ((0, 0.0), (1, 0.3))
    for lengths in ([4, 1, 3, 2], [0, 4, 4, 1])
]  # fmt: skip


@pytest.mark.parametrize("chain", CASES)
def test_log_partition_is_the_sum_over_every_path(chain: Chain) -> None:
    wanted = torch.stack([every(chain, s)[1].logsumexp(0) for s in range(4)])
    torch.testing.assert_close(chains.log_partition(chain), wanted)
    torch.testing.assert_close(reference.log_partition(chain.folded()), wanted)
    torch.testing.assert_close(scan.log_partition(chain.folded()), wanted)


@pytest.mark.parametrize("chain", CASES)
def test_marginals_are_the_share_of_the_paths(chain: Chain) -> None:
    tokens, pairs = chains.token_marginals(chain), chains.pair_marginals(chain)
    wanted_tokens, wanted_pairs = torch.zeros_like(tokens), torch.zeros_like(pairs)
    for s in range(4):
        found, scores = every(chain, s)
        for path, share in zip(found, scores.softmax(0), strict=True):
            for word, tag in enumerate(path):
                wanted_tokens[s, word, tag] += share
                if word:
                    wanted_pairs[s, word - 1, path[word - 1], tag] += share
    torch.testing.assert_close(tokens, wanted_tokens)
    torch.testing.assert_close(pairs, wanted_pairs)


@pytest.mark.parametrize("chain", CASES)
def test_entropy_and_cross_entropy_run_over_every_path(chain: Chain) -> None:
    other = make(4, 4, 3, kind="shared", seed=9, lengths=chain.lengths.tolist())
    entropies, crosses = [], []
    for s in range(4):
        p = every(chain, s)[1].log_softmax(0)
        q = every(other, s)[1].log_softmax(0)
        p_log_p = torch.where(p == -INF, 0.0, p.exp() * p)
        entropies.append(-p_log_p.sum())
        crosses.append(-(p.exp() * q).sum())
    torch.testing.assert_close(chains.entropy(chain), torch.stack(entropies))
    torch.testing.assert_close(chains.cross_entropy(chain, other), torch.stack(crosses))


@pytest.mark.parametrize("chain", CASES)
@pytest.mark.parametrize("k", [1, 3, 100])
def test_k_best_are_the_best_of_every_path(chain: Chain, k: int) -> None:
    scores, best = chains.k_best(chain, k)
    for s in range(4):
        found, all_scores = every(chain, s)
        order = all_scores.sort(descending=True, stable=True).values
        allowed = order[order > -INF][:k]
        torch.testing.assert_close(scores[s, : len(allowed)], allowed)
        assert bool((scores[s, len(allowed) :] == -INF).all())
        tagged = [tuple(path[: int(chain.lengths[s])].tolist()) for path in best[s, : len(allowed)]]
        assert len(set(tagged)) == len(tagged)
        for path, its in zip(tagged, allowed, strict=True):
            torch.testing.assert_close(all_scores[found.index(path)], its)
        assert bool((best[s, :, int(chain.lengths[s]) :] == chains.NO_TAG).all())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_first_and_second_order_equal_the_references(kind: str) -> None:
    def both(ours: bool) -> list[Tensor]:
        chain = make(3, 5, 4, kind=kind, seed=3, lengths=[5, 1, 3])
        inputs = leaves(chain)
        folded = chain.folded()
        log_z = chains.log_partition(chain) if ours else reference.log_partition(folded)
        weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
        first = torch.autograd.grad((weights * log_z).sum(), inputs, create_graph=True)
        wiggle = torch.Generator().manual_seed(1)
        mixed = sum(
            (part * torch.randn(part.shape, generator=wiggle, dtype=part.dtype)).sum() for part in first
        )
        return [*first, *torch.autograd.grad(mixed, inputs)]

    for ours, theirs in zip(both(True), both(False), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("function", [
    lambda c: chains.log_partition(c), lambda c: chains.token_marginals(c), lambda c: chains.pair_marginals(c),
    lambda c: chains.entropy(c), lambda c: chains.cross_entropy(make(3, 4, 3, seed=5, lengths=[4, 1, 3]), c),
    lambda c: chains.negative_log_likelihood(c, torch.tensor([[0, 1, 2, 0], [2, 9, 9, 9], [1, 1, 0, 9]])),
])  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(function, kind: str) -> None:  # type: ignore[no-untyped-def]
    chain = make(3, 4, 3, kind=kind, seed=4, lengths=[4, 1, 3])
    inputs = leaves(chain)
    assert torch.autograd.gradcheck(
        lambda e, t, s, f: function(Chain(e, t, chain.lengths, s, f)), inputs, atol=1e-6
    )
