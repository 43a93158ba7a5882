"""Losses between inner states, against plain NumPy, one sentence at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.losses.layers import (
    attention_distance,
    attention_probabilities,
    cosine_distance,
    direction_distance,
    relation_divergence,
    states_distance,
)
from limbeck.losses.mapping import drawn, mapped_layers

pytestmark = pytest.mark.unit

BATCH, TOKENS, WIDTH, HEADS = 4, 6, 8, 2
LENGTHS = (6, 1, 3, 5)
MASK = (torch.arange(TOKENS) < torch.tensor(LENGTHS)[:, None]).long()


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sentences(*tensors):
    """Each sentence's real part, as NumPy, tokens first."""
    for row, length in enumerate(LENGTHS):
        yield tuple(tensor[row].numpy()[..., :length, :] for tensor in tensors)


def test_states():
    own, theirs = draw(BATCH, TOKENS, WIDTH), draw(BATCH, TOKENS, WIDTH, seed=1)
    wanted = [((a - b) ** 2).mean() for a, b in sentences(own, theirs)]
    np.testing.assert_allclose(states_distance(own, theirs, MASK), wanted, rtol=1e-5)


def test_cosine():
    own, theirs = draw(BATCH, TOKENS, WIDTH), draw(BATCH, TOKENS, WIDTH, seed=1)
    wanted = [
        np.mean([1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(mine, other, strict=True)])
        for mine, other in sentences(own, theirs)
    ]
    np.testing.assert_allclose(cosine_distance(own, theirs, MASK), wanted, rtol=1e-5)


def test_attention_scores_and_probabilities():
    own, theirs = draw(BATCH, HEADS, TOKENS, TOKENS), draw(BATCH, HEADS, TOKENS, TOKENS, seed=1)
    scores, probabilities = [], []
    for row, length in enumerate(LENGTHS):
        a, b = (one[row, :, :length, :length].numpy() for one in (own, theirs))
        scores.append(np.mean([((x - y) ** 2).mean() for x, y in zip(a, b, strict=True)]))
        probabilities.append(((softmax(a) - softmax(b)) ** 2).mean())
    np.testing.assert_allclose(attention_distance(own, theirs, MASK), scores, rtol=1e-5)
    soft = (attention_probabilities(one, MASK) for one in (own, theirs))
    np.testing.assert_allclose(attention_distance(*soft, MASK), probabilities, rtol=1e-5)


def test_directions():
    own, theirs = draw(BATCH, 3, WIDTH), draw(BATCH, 3, WIDTH, seed=1)

    def unit(one):
        return one / np.linalg.norm(one, axis=-1, keepdims=True)

    wanted = ((unit(own.numpy()) - unit(theirs.numpy())) ** 2).sum((1, 2))
    np.testing.assert_allclose(direction_distance(own, theirs), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("own_heads", "their_heads", "relation_heads"), [(2, 2, 2), (2, 4, 2), (4, 6, 1), (3, 6, 3)]
)
def test_relations(own_heads, their_heads, relation_heads):
    own = [draw(BATCH, own_heads, TOKENS, 12 // own_heads, seed=seed) for seed in (0, 1)]
    theirs = [draw(BATCH, their_heads, TOKENS, 24 // their_heads, seed=seed) for seed in (2, 3)]
    wanted = []
    for row, length in enumerate(LENGTHS):
        maps = []
        for x, y in (own, theirs):
            flat = [one[row].permute(1, 0, 2).reshape(TOKENS, -1).numpy()[:length] for one in (x, y)]
            cut = [np.split(one, relation_heads, axis=1) for one in flat]
            maps.append([softmax(a @ b.T / np.sqrt(a.shape[1])) for a, b in zip(*cut, strict=True)])
        divergences = [(q * (np.log(q) - np.log(p))).sum(1).mean() for p, q in zip(*maps, strict=True)]
        wanted.append(np.mean(divergences))
    found = relation_divergence(tuple(own), tuple(theirs), relation_heads, MASK)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: states_distance(x, draw(BATCH, TOKENS, WIDTH, seed=9).double(), MASK),
        lambda x: cosine_distance(x, draw(BATCH, TOKENS, WIDTH, seed=9).double(), MASK),
        lambda x: direction_distance(x, draw(BATCH, TOKENS, WIDTH, seed=9).double()),
        lambda x: relation_divergence(
            (x[:, None], x[:, None]), (draw(BATCH, 1, TOKENS, 4, seed=9).double(),) * 2, 1, MASK
        ),
        lambda x: attention_distance(
            attention_probabilities(x[:, None] @ x[:, None].transpose(-1, -2), MASK),
            draw(BATCH, 1, TOKENS, TOKENS, seed=9).double().softmax(-1),
            MASK,
        ),
    ],
)
def test_gradients(loss):
    x = draw(BATCH, TOKENS, WIDTH, seed=5).double().requires_grad_()
    assert torch.autograd.gradcheck(loss, (x,))


@given(student=st.integers(1, 12), more=st.integers(0, 12))
def test_mappings(student, more):
    teacher = student + more
    uniform, top, bottom = (mapped_layers(name, student, teacher) for name in ("uniform", "top", "bottom"))
    assert uniform[-1] == top[-1] == teacher
    assert bottom == tuple(range(1, student + 1))
    assert top == tuple(range(more + 1, teacher + 1))
    for layers in (uniform, top, bottom):
        assert len(layers) == student
        assert list(layers) == sorted(set(layers))
    if teacher % student == 0:
        assert uniform == tuple(teacher // student * layer for layer in range(1, student + 1))


def test_mappings_that_do_not_fit_are_told():
    assert mapped_layers((2, 2), 2, 3) == (2, 2)
    assert drawn(mapped_layers("uniform", 4, 6)) == "1←2 2←3 3←5 4←6"
    with pytest.raises(LimbeckError, match="lists 1 layers for a student of 2"):
        mapped_layers((1,), 2, 3)
    with pytest.raises(LimbeckError, match="no layer 4: the teacher has layers 1 to 3"):
        mapped_layers((1, 4), 2, 3)
    with pytest.raises(LimbeckError, match="the student has 3 layers, and the teacher 2"):
        mapped_layers("top", 3, 2)
