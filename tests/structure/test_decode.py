"""Decoding with NumPy against the programs over PyTorch's chains, and against enumeration."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from limbeck.structure import chain as chains
from limbeck.structure.chain import Chain
from limbeck.structure.decode import NO_TAG, Links, forward_backward, viterbi

pytestmark = pytest.mark.unit


@st.composite
def batches(draw):
    """Emissions, lengths and links of a few short sentences, forbidden scores among them."""
    batch, words, tags = draw(st.integers(0, 4)), draw(st.integers(0, 6)), draw(st.integers(1, 4))
    lengths = np.array(draw(st.lists(st.integers(0, words), min_size=batch, max_size=batch)), dtype=np.int64)
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    scale, forbid = draw(st.sampled_from([0.1, 1.0, 30.0])), draw(st.sampled_from([0.0, 0.2, 0.6]))

    def scores(*shape):
        found = scale * random.standard_normal(shape)
        return np.where(random.random(shape) < forbid, -np.inf, found)

    emissions = (scale * random.standard_normal((batch, words, tags))).astype(np.float32)
    return emissions, lengths, Links(scores(tags, tags), scores(tags), scores(tags))


def chain_of(emissions, lengths, links):
    start, transitions, end = map(torch.from_numpy, (links.start, links.transitions, links.end))
    return Chain(torch.from_numpy(emissions).double(), transitions, torch.from_numpy(lengths), start, end)


def every(emissions, links):
    """Paths of one sentence ``(words, tags)``, with their scores."""
    found = {}
    for path in itertools.product(range(emissions.shape[1]), repeat=len(emissions)):
        score = sum(float(emissions[word, tag]) for word, tag in enumerate(path))
        score += sum(links.transitions[pair] for pair in itertools.pairwise(path))
        found[path] = score + (links.start[path[0]] + links.end[path[-1]] if path else 0.0)
    return found


@settings(max_examples=150, deadline=None)
@given(case=batches())
def test_best_paths_are_those_of_the_chain(case):
    emissions, lengths, links = case
    scores, paths = viterbi(emissions, lengths, links)
    wanted, tags = chains.viterbi(chain_of(*case))
    np.testing.assert_allclose(scores, wanted.numpy(), rtol=1e-9, atol=1e-9)
    # Scores are drawn from a continuum: the best path is the only one.
    np.testing.assert_array_equal(paths, tags.numpy())


@settings(max_examples=100, deadline=None)
@given(case=batches())
def test_sums_are_those_over_every_path(case):
    emissions, lengths, links = case
    trellis = forward_backward(emissions, lengths, links)
    marginals = trellis.marginals()
    np.testing.assert_allclose(trellis.log_z, chains.log_partition(chain_of(*case)).numpy(), atol=1e-8)
    for row, length in enumerate(lengths):
        if not length:
            continue
        if np.isneginf(trellis.log_z[row]):
            np.testing.assert_array_equal(marginals[row, :length], 0)
            continue
        found = every(emissions[row, :length], links)
        shares = np.exp(np.array(list(found.values())) - trellis.log_z[row])
        wanted = np.zeros((length, emissions.shape[2]))
        for path, share in zip(found, shares, strict=True):
            wanted[np.arange(length), path] += share
        np.testing.assert_allclose(marginals[row, :length], wanted, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(case=batches(), seed=st.integers(0, 1000))
def test_the_probability_of_a_run_of_tags_is_the_share_of_the_paths_with_it(case, seed):
    emissions, lengths, links = case
    random = np.random.default_rng(seed)
    trellis = forward_backward(emissions, lengths, links)
    for row, length in enumerate(lengths):
        if not length:
            continue
        start = int(random.integers(length))
        tags = tuple(random.integers(0, emissions.shape[2], random.integers(1, length - start + 1)).tolist())
        shares = [
            np.exp(score - trellis.log_z[row])
            for path, score in every(emissions[row, :length], links).items()
            if path[start : start + len(tags)] == tags and np.isfinite(score)
        ]
        assert trellis.probability(row, start, tags) == pytest.approx(sum(shares), abs=1e-8)


def test_where_all_is_forbidden_there_is_no_path():
    links = Links(np.full((2, 2), -np.inf), np.zeros(2), np.zeros(2))
    scores, paths = viterbi(np.ones((2, 2, 2)), np.array([2, 1]), links)
    assert scores.tolist() == [-np.inf, 1.0]
    assert paths.tolist() == [[NO_TAG, NO_TAG], [0, NO_TAG]]
    assert forward_backward(np.ones((1, 2, 2)), np.array([2]), links).probability(0, 0, [1, 1]) == 0


def test_scores_far_apart_are_summed_without_loss():
    emissions = np.array([[[1000.0, -1000.0], [1000.0, -1000.0]]])
    trellis = forward_backward(emissions, np.array([2]), Links(np.zeros((2, 2)), np.zeros(2), np.zeros(2)))
    np.testing.assert_allclose(trellis.log_z, 2000)
    np.testing.assert_allclose(trellis.marginals()[0], [[1, 0], [1, 0]])


def test_parts_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="do not make a chain"):
        Links(np.zeros((2, 3)), np.zeros(2), np.zeros(2))


def test_it_needs_numpy_alone():
    heavy = "{'torch', 'numba', 'transformers', 'scipy'}"
    check = f"import sys, limbeck.structure.decode; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
