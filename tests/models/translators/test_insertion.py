"""The insertion student: what it is taught, and how canvases grow."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.objective import NO_GOLD
from limbeck.models.translators import insertion
from limbeck.models.translators.answered import greedily
from limbeck.models.translators.insertion_targets import canvases, lessons, random_subsets
from limbeck.serve.loops.insertion import Loop

from .conftest import encoded_of
from .toys import batch_of, toy_pairs, vocabulary

pytestmark = pytest.mark.unit

START, END, PAD = 1, 2, 0


# ------------------------------------------------------------ what is taught


def batches(count=40, longest=12, seed=0):
    """Translations of many lengths, and which of their tokens are kept."""
    random = np.random.default_rng(seed)
    lengths = torch.from_numpy(random.integers(0, longest + 1, count))
    real = torch.arange(longest) < lengths[:, None]
    kept = torch.from_numpy(random.random((count, longest)) < random.random((count, 1))) & real
    tokens = torch.from_numpy(random.integers(5, 50, (count, longest)))
    return tokens, real, kept


def plainly(length, kept, tau):
    """``{(slot, place): weight}`` by the formulas, one slot after the other; of a full slot the place is -1."""
    weights = {}
    bounds = [-1, *kept, length]
    for slot in range(len(kept) + 1):
        i, j = bounds[slot] + 1, bounds[slot + 1] - 1
        if i > j:
            weights[slot, -1] = 1.0
            continue
        shares = [math.exp(-abs((i + j) / 2 - t) / tau) for t in range(i, j + 1)]
        weights |= {(slot, t): share / sum(shares) for t, share in zip(range(i, j + 1), shares, strict=True)}
    return weights


@pytest.mark.parametrize("tau", [0.5, 2.0, math.inf])
def test_lessons_are_the_papers(tau):
    _, real, kept = batches()
    taught = lessons(real, kept, tau)
    for row in range(len(real)):
        mine = taught.rows == row
        keys = zip(taught.slots[mine].tolist(), taught.places[mine].tolist(), strict=True)
        found = dict(zip(keys, taught.weights[mine].tolist(), strict=True))
        expected = plainly(int(real[row].sum()), kept[row].nonzero()[:, 0].tolist(), tau)
        assert found == pytest.approx(expected)


def test_a_sharp_tree_teaches_the_centre_alone():
    real = torch.ones(1, 9, dtype=torch.bool)
    taught = lessons(real, torch.zeros_like(real), 1e-4)
    assert taught.weights.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    halves = lessons(real[:, :8], torch.zeros(1, 8, dtype=torch.bool), 1e-4)
    assert halves.weights.tolist() == [0, 0, 0, 0.5, 0.5, 0, 0, 0]


def test_canvases_are_what_was_kept_between_boundaries():
    tokens, _, kept = batches(seed=3)
    found = canvases(tokens, kept, START, END, PAD)
    for row in range(len(tokens)):
        whole = [START, *tokens[row][kept[row]].tolist(), END]
        assert found[row].tolist() == whole + [PAD] * (found.shape[1] - len(whole))


def test_subsets_of_all_sizes_are_alike_and_of_one_size_too():
    torch.manual_seed(0)
    real = torch.ones(60_000, 3, dtype=torch.bool)
    real[:, 2] = torch.arange(60_000) % 2 == 0
    kept = random_subsets(real)
    assert not (kept & ~real).any()
    for length in (2, 3):
        drawn = kept[real.sum(1) == length][:, :length]
        sizes = torch.bincount(drawn.sum(1), minlength=length + 1) / len(drawn)
        torch.testing.assert_close(sizes, torch.full((length + 1,), 1 / (length + 1)), atol=0.01, rtol=0)
        alone = drawn[drawn.sum(1) == 1].float().mean(0)
        torch.testing.assert_close(alone, torch.full((length,), 1 / length), atol=0.02, rtol=0)


def built(**changes):
    values = {**insertion.tiny().model_dump(), "dropout": 0.0, **changes}
    settings = models.settings_for("insertion", values, task="translation")
    return models.build(
        "insertion", settings, labels=(), tokeniser=vocabulary(), teacher=None, seed=0, task="translation"
    )


def test_a_translation_of_all_positions_is_cut_to_those_beside_its_boundaries(monkeypatch):
    student = built(order="uniform")
    positions = student.config.max_position_embeddings
    inputs = batch_of([([5, 6, 7], [5 + number % 50 for number in range(positions + 3)])])
    for kept in (torch.ones_like, torch.zeros_like):
        monkeypatch.setattr(insertion, "random_subsets", lambda real, kept=kept: kept(real) & real)
        (guess,) = student.guesses(inputs)
        assert len(guess.truth) == (positions - 1 if kept is torch.ones_like else positions - 2)


def test_greedy_translations_of_dev_are_as_long_as_gold(monkeypatch):
    """A token a pass: the usual number of passes would cut them at ten tokens."""
    student = built(insertions="greedy", end_penalty=1e9)  # it never ends
    encoded = encoded_of([[5, 6, 7]], [[8] * 30])
    (tokens,) = greedily(student.eval(), encoded, encoded.targets, torch.device("cpu"))
    assert len(tokens) > 30


@pytest.mark.parametrize(("order", "tau"), [("binary_tree", 0.5), ("uniform", math.inf)])
def test_guesses_are_what_each_canvas_lacks(order, tau, monkeypatch):
    student = built(order=order, tau=0.5)
    pairs = toy_pairs(6, seed=4)
    inputs = batch_of(pairs)
    inputs["labels"][2] = NO_GOLD  # no translation
    generator = torch.Generator().manual_seed(0)
    subsets = []

    def drawn(real):
        subsets.append((torch.rand(real.shape, generator=generator) < 0.4) & real)
        return subsets[-1]

    monkeypatch.setattr(insertion, "random_subsets", drawn)
    (guess,) = student.guesses(inputs)
    items = list(zip(guess.truth.tolist(), guess.weights.tolist(), guess.scores.detach(), strict=True))
    for row, (source, target) in enumerate(pairs):
        if row == 2:
            continue
        kept = subsets[0][row].nonzero()[:, 0].tolist()
        expected = plainly(len(target), kept, tau)
        assert sum(expected.values()) == pytest.approx(len(kept) + 1)
        one = batch_of([(source, target)])
        canvas = torch.tensor([[START, *(target[place] for place in kept), END]])
        with torch.no_grad():
            memory = student.encode(one["input_ids"], one["attention_mask"])
            scores = student.lm_head(student.slot_states(memory, one["attention_mask"], canvas))[0]
        for (slot, place), weight in expected.items():
            truth = END if place < 0 else target[place]
            weight *= (len(target) + 1) / (len(kept) + 1)
            same = [
                item
                for item in items
                if item[0] == truth
                and item[1] == pytest.approx(weight)
                and torch.allclose(item[2], scores[slot], atol=1e-4)
            ]
            assert same  # several where a slot lacks a token twice
            items = [item for item in items if item is not same[0]]
    assert not items


# ------------------------------------------------------------ how canvases grow


class Oracle:
    """Knows the translations (all tokens of each are unlike), and inserts the middle of what a slot lacks."""

    def __init__(self, targets, likely=None):
        self.targets, self.likely = [list(target) for target in targets], likely or {}
        self.runs = []

    def run(self, graph, *, tokens):
        assert graph == "insert"
        lengths = (tokens != PAD).sum(1)
        self.runs.append(len(tokens))
        shape = (len(tokens), tokens.shape[1] - 1)
        best, gained, ends = np.full(shape, 99), np.full(shape, -9.0, np.float32), np.zeros(shape, np.float32)
        for row, target in enumerate(self.targets):
            written = tokens[row, 1 : lengths[row] - 1].tolist()
            assert tokens[row, 0] == START and tokens[row, lengths[row] - 1] == END
            assert (tokens[row, lengths[row] :] == PAD).all()
            places = [-1, *(target.index(token) for token in written), len(target)]
            assert places == sorted(places)
            for slot, (left, right) in enumerate(pairwise(places)):
                if right - left > 1:
                    best[row, slot] = target[(left + right) // 2]
                    gained[row, slot] = self.likely.get(int(best[row, slot]), -0.1)
                    ends[row, slot] = -3.0
        return best, gained, ends

    def keep(self, texts):
        self.targets = [self.targets[text] for text in texts]


def loop_of(**changes):
    values = {"greedy": False, "end_penalty": 0.0, "deduplicate": True, "longest": 200}
    return Loop(start=START, end=END, padding=PAD, **{**values, **changes})


def targets_of(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [(random.permutation(100) + 100)[:length].tolist() for length in lengths]


def grown(loop, oracle, **decoding):
    sources = np.ones(len(oracle.targets), np.int64)
    return loop(oracle, sources, Decoding(**{"max_length": 128, "passes": 200, **decoding}))


def test_a_balanced_tree_takes_as_many_passes_as_it_is_deep():
    lengths = [1, 2, 3, 4, 7, 8, 15, 16, 31, 63, 64, 100]
    targets = targets_of(lengths)
    found = grown(loop_of(), Oracle(targets))
    assert [list(one.tokens) for one in found] == targets
    depths = [math.floor(math.log2(length)) + 1 for length in lengths]
    # One more, in which all slots say that they are complete.
    assert [one.passes for one in found] == [depth + 1 for depth in depths]
    for target, depth in zip(targets, depths, strict=True):
        (whole,) = grown(loop_of(), Oracle([target]), passes=depth)
        assert (list(whole.tokens), whole.passes) == (target, depth)
        if depth > 1:
            (part,) = grown(loop_of(), Oracle([target]), passes=depth - 1)
            assert len(part.tokens) == 2 ** (depth - 1) - 1


def test_texts_that_are_done_are_left_out():
    oracle = Oracle(targets_of([40, 0, 3, 3]))
    found = grown(loop_of(), oracle)
    assert [len(one.tokens) for one in found] == [40, 0, 3, 3]
    assert oracle.runs == [4, 3, 3, 1, 1, 1, 1]


def test_greedy_inserts_the_likeliest_one_token_a_pass():
    (target,) = targets_of([6])
    likely = {token: -0.1 * (1 + place) for place, token in enumerate(target)}
    (found,) = grown(loop_of(greedy=True), Oracle([target], likely))
    assert (list(found.tokens), found.passes) == (target, 7)
    assert found.score == pytest.approx(np.mean(list(likely.values())))
    # The third, in the middle; then of the first and the fifth the likelier; then of the second and the fifth.
    (part,) = grown(loop_of(greedy=True), Oracle([target], likely), passes=1, max_length=4)
    assert list(part.tokens) == target[:3]  # as many passes as there is room for tokens


def test_no_more_tokens_than_there_is_room_for_the_likeliest_first():
    (target,) = targets_of([7])
    likely = {target[5]: -0.01}
    found = grown(loop_of(), Oracle([target], likely), max_length=3)[0]
    assert list(found.tokens) == [target[3], target[5]]
    assert found.passes == 2
    assert [len(one.tokens) for one in grown(loop_of(longest=4), Oracle(targets_of([7, 3])))] == [4, 3]


def test_the_end_must_be_likelier_by_the_penalty():
    class Unsure(Oracle):
        def run(self, graph, *, tokens):
            best, gained, ends = super().run(graph, tokens=tokens)
            return best, np.where(ends < 0, gained - 5.0, gained), ends

    (target,) = targets_of([5])
    (nothing,) = grown(loop_of(), Unsure([target]))
    assert (nothing.tokens, nothing.score, nothing.passes) == ((), -3.0, 1)
    (whole,) = grown(loop_of(end_penalty=2.5), Unsure([target]))
    assert list(whole.tokens) == target


@pytest.mark.parametrize("deduplicate", [True, False])
def test_equal_neighbours(deduplicate):
    class Stammering(Oracle):
        def run(self, graph, *, tokens):
            shape = (len(tokens), tokens.shape[1] - 1)
            ended = np.full(shape, -1.0 if tokens.shape[1] < 5 else 0.0, np.float32)
            return np.full(shape, 7), np.full(shape, -0.5, np.float32), ended

    (found,) = grown(loop_of(deduplicate=deduplicate), Stammering([[]]))
    assert found.tokens == ((7,) if deduplicate else (7, 7, 7))
    assert found.score == -0.5
