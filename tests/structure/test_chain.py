"""The chain programs against enumeration of every path, and against torch-struct and pytorch-crf."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from limbeck.structure import chain as chains
from limbeck.structure.chain import Chain, calling, reference, scan

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
    whole = torch.tensor(lengths, dtype=torch.long)
    return Chain(scores(batch, words, tags), edges, whole, scores(tags), scores(tags))


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


# ------------------------------------------------------------ published peers


def test_log_partition_and_gradients_equal_pytorch_crf() -> None:
    from torchcrf import CRF

    crf = CRF(5, batch_first=True).double()
    torch.nn.init.normal_(crf.transitions)
    chain = make(6, 9, 5, seed=2)
    tags = torch.randint(0, 5, (6, 9), generator=torch.Generator().manual_seed(0))
    emissions = chain.emissions.requires_grad_()
    theirs = -crf(emissions, tags, chain.mask, reduction="none")
    inputs = (emissions, crf.transitions, crf.start_transitions, crf.end_transitions)
    ours = chains.negative_log_likelihood(
        Chain(emissions, crf.transitions, chain.lengths, crf.start_transitions, crf.end_transitions), tags
    )
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(
        torch.autograd.grad(ours.sum(), inputs), torch.autograd.grad(theirs.sum(), inputs), strict=True
    ):
        torch.testing.assert_close(mine, other)
    with torch.no_grad():
        best = crf.decode(emissions, chain.mask)
    found = chains.viterbi(Chain(*inputs[:2], chain.lengths, *inputs[2:]))[1]
    assert [row[: int(n)].tolist() for row, n in zip(found, chain.lengths, strict=True)] == best


@pytest.mark.filterwarnings("ignore:.*arg_constraints")
def test_marginals_entropy_and_divergence_equal_torch_struct() -> None:
    from torch_struct import LinearChainCRF

    chain = make(5, 7, 4, seed=6, lengths=[7, 2, 5, 7, 3])
    potentials = chain.potentials()
    # theirs: later tag first
    theirs = LinearChainCRF(potentials.transpose(2, 3), lengths=chain.lengths)
    torch.testing.assert_close(chains.log_partition(chain), theirs.partition)
    torch.testing.assert_close(chains.entropy(chain), theirs.entropy)
    torch.testing.assert_close(chains.pair_marginals(chain), theirs.marginals.transpose(2, 3))
    from_potentials = Chain.from_potentials(potentials, chain.lengths)
    torch.testing.assert_close(chains.log_partition(from_potentials), theirs.partition)
    other = make(5, 7, 4, seed=7, lengths=[7, 2, 5, 7, 3])
    kl = chains.cross_entropy(chain, other) - chains.entropy(chain)
    torch.testing.assert_close(
        kl, theirs.kl(LinearChainCRF(other.potentials().transpose(2, 3), lengths=chain.lengths))
    )


# ------------------------------------------------------------ numbers that are hard on floats


@pytest.mark.parametrize("forbid", [0.0, 0.3])
def test_long_sentences_with_large_scores_are_exact_in_float32(forbid: float) -> None:
    exact = make(2, 1000, 100, seed=8, lengths=[1000, 777], scale=1.0)
    scores = [part.mul(400).clamp(-1000, 1000) for part in (exact.emissions, exact.transitions)]
    if forbid:
        hole = torch.rand(100, 100, generator=torch.Generator().manual_seed(1)) < forbid
        scores[1] = scores[1].masked_fill(hole, -INF)
    narrow = Chain(scores[0].float(), scores[1].float(), exact.lengths)
    wide = narrow.double()
    wanted = reference.log_partition(wide)
    torch.testing.assert_close(chains.log_partition(narrow).double(), wanted, rtol=1e-6, atol=0)
    torch.testing.assert_close(chains.viterbi(narrow)[0].double(), chains.viterbi(wide)[0], rtol=1e-6, atol=0)
    marginals = chains.token_marginals(narrow)
    torch.testing.assert_close(marginals.sum(-1), exact.mask.float(), rtol=0, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([0.1, 3.0, 30.0, 300.0]),
    forbid=st.sampled_from([0.0, 0.2, 0.6]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    kind=st.sampled_from(KINDS),
)
def test_any_chain_agrees_with_the_reference(
    seed: int, scale: float, forbid: float, dtype: torch.dtype, kind: str
) -> None:
    chain = make(3, 6, 11, kind=kind, seed=seed, scale=scale, forbid=forbid, dtype=dtype)
    wanted = reference.log_partition(chain.double().folded())
    found = chains.log_partition(chain)
    torch.testing.assert_close(
        found.double(), wanted, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-5
    )
    marginals = chains.token_marginals(chain)
    possible = (wanted > -INF)[:, None] & chain.mask
    torch.testing.assert_close(marginals.sum(-1), possible.to(dtype), rtol=0, atol=1e-4)
    inputs = leaves(chain.double())
    folded = Chain(*inputs[:2], chain.lengths, *inputs[2:]).folded()
    exact = torch.autograd.grad(reference.log_partition(folded)[possible[:, 0]].sum(), inputs)
    torch.testing.assert_close(marginals.double(), exact[0], rtol=0, atol=1e-4)


def test_a_path_that_scaling_would_lose_is_kept() -> None:
    # From tag 0, far the better at first, nothing leads on; tag 1 has long underflowed by then.
    emissions = torch.zeros(1, 3, 2)
    emissions[0, 0] = torch.tensor([900.0, -900.0])
    transitions = torch.tensor([[-INF, -INF], [0.0, 0.0]])
    chain = Chain(emissions, transitions, torch.tensor([3]))
    assert float(chains.log_partition(chain)) == pytest.approx(-900 + math.log(2), rel=1e-6)
    assert chains.viterbi(chain)[1][0, 0] == 1
    # The same without a forbidden transition: each step from tag 0 costs more than tag 1 lost.
    dear = Chain(emissions, torch.tensor([[-5000.0, -5000.0], [0.0, 0.0]]), torch.tensor([3]))
    assert float(chains.log_partition(dear)) == pytest.approx(-900 + math.log(2), rel=1e-6)


def test_where_every_path_is_forbidden_there_is_no_gradient() -> None:
    chain = Chain(torch.zeros(2, 3, 2, requires_grad=True), torch.full((2, 2), -INF), torch.tensor([3, 1]))
    found = chains.log_partition(chain)
    assert found.tolist() == [-INF, pytest.approx(math.log(2))]
    found[1:].sum().backward()
    assert chain.emissions.grad is not None
    assert torch.isfinite(chain.emissions.grad).all()


def test_what_is_not_a_number_is_not_hidden() -> None:
    emissions = torch.zeros(2, 3, 2)
    emissions[0, 1, 0] = math.nan
    found = chains.log_partition(Chain(emissions, torch.zeros(2, 2), torch.tensor([3, 3])))
    assert math.isnan(found[0]) and not math.isnan(found[1])


def test_padding_changes_nothing() -> None:
    chain = make(3, 5, 4, seed=11, lengths=[5, 2, 3])
    spoilt = chain.emissions.masked_fill(~chain.mask[..., None], math.nan)
    other = Chain(spoilt, chain.transitions, chain.lengths, chain.start, chain.end)
    gold = torch.zeros(3, 5, dtype=torch.long)
    for function in (chains.log_partition, chains.token_marginals, chains.entropy, lambda c: chains.k_best(c, 2)[1],
                     lambda c: chains.negative_log_likelihood(c, gold)):  # fmt: skip
        torch.testing.assert_close(function(other), function(chain))


@pytest.mark.parametrize(("batch", "words"), [(0, 4), (0, 0), (2, 0), (2, 1)])
def test_empty_batches_and_single_words(batch: int, words: int) -> None:
    chain = make(batch, words, 3, lengths=[words] * batch)
    inputs = leaves(chain)
    value = chains.log_partition(chain)
    assert value.shape == (batch,)
    value.sum().backward()
    assert all(part.grad is not None and torch.isfinite(part.grad).all() for part in inputs[:1])
    assert chains.viterbi(chain)[1].shape == (batch, words)
    assert chains.entropy(chain).shape == (batch,)
    assert chains.sample(chain, 2).shape == (batch, 2, words)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    chain = make(3, 5, 4, seed=12, dtype=dtype)
    found = chains.log_partition(chain)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found.double(), reference.log_partition(chain.double().folded()), rtol=1e-5, atol=1e-5
    )


# ------------------------------------------------------------ the rest


def test_threads_change_the_last_bits_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    def grads() -> list[Tensor]:
        chain = make(7, 6, 5, seed=13)
        inputs = leaves(chain)
        return [*torch.autograd.grad(chains.entropy(chain).sum() + chains.log_partition(chain).sum(), inputs)]

    alone = grads()
    monkeypatch.setattr(calling, "SMALL", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for together, one in zip(grads(), alone, strict=True):
        torch.testing.assert_close(together, one)


def test_samples_come_as_often_as_they_should() -> None:
    chain = make(2, 3, 3, seed=14, lengths=[3, 2])
    drawn = chains.sample(chain, 20_000, torch.Generator().manual_seed(0))
    for s in range(2):
        found, scores = every(chain, s)
        n = int(chain.lengths[s])
        counts = dict.fromkeys(found, 0)
        for path in drawn[s, :, :n].tolist():
            counts[tuple(path)] += 1
        assert bool((drawn[s, :, n:] == chains.NO_TAG).all())
        shares = torch.tensor([counts[path] / 20_000 for path in found], dtype=torch.float64)
        torch.testing.assert_close(shares, scores.softmax(0), rtol=0, atol=0.015)


def test_gold_that_is_no_tag_is_refused() -> None:
    chain = make(2, 3, 3, lengths=[3, 2])
    with pytest.raises(IndexError, match="tag"):
        chains.negative_log_likelihood(chain, torch.tensor([[0, 1, -100], [0, 1, 0]]))
    # after the last word anything may stand
    chains.negative_log_likelihood(chain, torch.tensor([[0, 1, 2], [0, 1, -100]]))


def test_a_third_derivative_is_refused_in_a_sentence() -> None:
    chain = make(2, 3, 3)
    emissions = chain.emissions.requires_grad_()
    first = torch.autograd.grad(chains.log_partition(chain).sum(), emissions, create_graph=True)[0]
    second = torch.autograd.grad(first.square().sum(), emissions, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="third derivative"):
        torch.autograd.grad(second.sum(), emissions)


def test_no_gradient_is_switched_on_for_the_callers_tensors() -> None:
    chain = make(2, 3, 3, forbid=0.9, seed=3, scale=500)
    chains.token_marginals(chain)
    chains.entropy(chain)
    assert not chain.emissions.requires_grad and not chain.transitions.requires_grad


@pytest.mark.parametrize(
    ("shape", "message"), [((3, 4), "transitions of shape"), ((2, 2, 3, 3), "transitions of shape")]
)
def test_shapes_that_do_not_go_together_are_told(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Chain(torch.zeros(2, 4, 3), torch.zeros(shape), torch.tensor([4, 2]))


def test_lengths_are_whole_numbers() -> None:
    with pytest.raises(ValueError, match="whole"):
        Chain(torch.zeros(1, 3, 2), torch.zeros(2, 2), torch.tensor([2.0]))


def test_a_mask_with_a_hole_and_a_length_too_long_are_refused() -> None:
    mask = torch.tensor([[True, False, True]])
    with pytest.raises(ValueError, match="hole"):
        Chain.from_mask(torch.zeros(1, 3, 2), torch.zeros(2, 2), mask)
    chain = Chain.from_mask(torch.zeros(1, 3, 2), torch.zeros(2, 2), torch.tensor([[True, True, False]]))
    assert chain.lengths.tolist() == [2]
    too_long = Chain(torch.zeros(1, 3, 2), torch.zeros(2, 2), torch.tensor([4]))
    for program in (chains.log_partition, chains.viterbi, lambda chain: chains.k_best(chain, 2)):
        with pytest.raises(ValueError, match="length of 4"):
            program(too_long)


@pytest.mark.parametrize("kind", ["shared", "full"])
def test_the_squared_distance_is_averaged_over_every_sub_structure(kind: str) -> None:
    one, other = (make(4, 5, 3, kind=kind, seed=seed, lengths=[5, 1, 0, 3]) for seed in (1, 2))
    inputs = leaves(one)

    def slowly() -> Tensor:
        ours, theirs = one.folded(), other.folded()
        sums = []
        for s, n in enumerate(one.lengths.tolist()):
            total = torch.zeros((), dtype=torch.float64)
            for word, i, j in itertools.product(range(n), range(3), range(3)):
                if word:
                    score, target = (
                        c.emissions[s, word, j]
                        + (c.transitions if c.shared else c.transitions[s, word - 1])[i, j]
                        for c in (ours, theirs)
                    )
                    total = total + (score - target).square()
                elif i == 0:
                    total = total + (ours.emissions[s, 0, j] - theirs.emissions[s, 0, j]).square()
            sums.append(total / (3 + max(n - 1, 0) * 9))
        return torch.stack(sums)

    weights = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    found, wanted = chains.mean_squared_distance(one, other), slowly()
    torch.testing.assert_close(found, wanted)
    for mine, theirs in zip(
        torch.autograd.grad((weights * found).sum(), inputs),
        torch.autograd.grad((weights * wanted).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


# Words one by one.


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("chain", CASES)
def test_answers_on_words_are_those_of_all_paths(chain: Chain, temperature: float) -> None:
    found = chains.word_answers(chain)
    marginals = chains.word_marginals(chain, temperature)
    place = 0
    for sentence, words in enumerate(chain.lengths.tolist()):
        all_paths, scores = every(chain, sentence)
        best = all_paths[int(scores.argmax())]
        for word in range(words):
            wanted, tempered = (
                torch.stack([
                    weights[[path[word] == tag for path in all_paths]].sum() for tag in range(chain.emissions.shape[2])
                ])
                for weights in (scores.softmax(0), (scores / temperature).softmax(0))
            )  # fmt: skip
            bits = -sum(float(p) * math.log2(p) for p in wanted if p > 0)
            assert found.tags[place] == best[word]
            assert found.probabilities[place] == pytest.approx(float(wanted[best[word]]))
            assert found.entropies[place] == pytest.approx(bits, abs=1e-9)
            torch.testing.assert_close(marginals[place], tempered)
            place += 1
    assert place == len(found.tags) == len(marginals) == int(chain.lengths.sum())


def test_words_that_do_not_hang_on_each_other_are_a_softmax() -> None:
    chain = make(3, 5, 4, seed=7, lengths=[5, 2, 3])
    alone = Chain(chain.emissions, torch.zeros_like(chain.transitions), chain.lengths)
    said = alone.emissions[alone.mask].softmax(-1)
    found = chains.word_answers(alone)
    torch.testing.assert_close(chains.word_marginals(alone), said)
    torch.testing.assert_close(found.probabilities, said.max(-1).values)
    assert found.tags.tolist() == said.argmax(-1).tolist()


def test_no_words_have_no_answers() -> None:
    found = chains.word_answers(make(2, 3, 3, lengths=[0, 0]))
    assert [len(part) for part in found] == [0, 0, 0]
