"""The student of iterative refinement: what it learns to mend, and when it stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.objective import NO_GOLD
from limbeck.models.translators import inat
from limbeck.models.translators.inat import corrupted, with_faults
from limbeck.models.translators.layout import uniform_copy
from limbeck.serve import layout
from limbeck.serve.loops import inat as loops

from .toys import batch_of, toy_pairs, vocabulary

pytestmark = pytest.mark.unit

REPLACED, AGAIN, SWAPPED, LEFT = range(4)


# ------------------------------------------------------------ corruption


def one_by_one(tokens, faults, others):
    """The paper's corruption, from the first token to the last."""
    tokens = list(tokens)
    for place, fault in enumerate(faults):
        if fault == REPLACED:
            tokens[place] = others[place]
        elif fault == AGAIN and place + 1 < len(tokens):
            tokens[place + 1] = tokens[place]
        elif fault == SWAPPED and place + 1 < len(tokens):
            tokens[place], tokens[place + 1] = tokens[place + 1], tokens[place]
    return tokens


def test_faults_at_all_places_are_those_one_after_the_other():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, 400)
    tokens, others = random.integers(5, 99, (2, 400, 11))
    faults = random.integers(0, 5, (400, 11))
    real = np.arange(11) < lengths[:, None]
    found = with_faults(*map(torch.from_numpy, (tokens, real, faults, others))).numpy()
    for row, length in enumerate(lengths):
        expected = one_by_one(tokens[row, :length], faults[row, :length], others[row, :length])
        assert found[row, :length].tolist() == expected


def test_as_many_faults_of_each_kind_as_asked_for():
    torch.manual_seed(0)
    tokens = torch.arange(1000, 1300).expand(200, -1)
    real = torch.ones_like(tokens, dtype=torch.bool)
    found = corrupted(tokens, real, 0.03, torch.arange(10))
    replaced = (found < 10).float().mean().item()
    again = ((found[:, 1:] == found[:, :-1]) & (found[:, 1:] >= 10)).float().mean().item()
    swapped = (found[:, 1:] < found[:, :-1]) & (found[:, 1:] >= 10)
    assert [replaced, again] == pytest.approx([0.01, 0.01], rel=0.1)
    assert swapped.float().mean().item() == pytest.approx(0.01, rel=0.1)
    assert set(found[found < 10].tolist()) == set(range(10))
    assert torch.equal(corrupted(tokens, real, 0.0, torch.arange(10)), tokens)


# ------------------------------------------------------------ training


def built(**changes):
    values = {**inat.tiny().model_dump(), "dropout": 0.0, **changes}
    settings = models.settings_for("inat", values, task="translation")
    return models.build(
        "inat", settings, labels=(), tokeniser=vocabulary(), teacher=None, seed=0, task="translation"
    )


@pytest.mark.parametrize("denoising", [0.0, 1.0])
def test_each_pass_is_taught_from_what_the_one_before_wrote_or_from_gold(denoising):
    student = built(training_passes=3, denoising=denoising, corruption=0.0)
    inputs = batch_of(toy_pairs(6))
    inputs["labels"][2] = NO_GOLD
    tokens, length = student.guesses(inputs)
    kept = [row for row in range(6) if row != 2]
    gold = [[t for t in inputs["labels"][row].tolist() if t != NO_GOLD][:-1] for row in kept]
    flat = [token for row in gold for token in row]
    assert tokens.truth.tolist() == flat * 3
    assert length.weights.tolist() == [3.0] * 5
    first, second, third = tokens.scores.detach().split(len(flat))
    for row, scores in ((kept[-1], third), (kept[-1], second)):
        before = first if scores is second else second
        one = {name: inputs[name][row : row + 1] for name in ("input_ids", "attention_mask")}
        count = len(gold[-1])
        allowed = before[-count:].clone()
        allowed[:, student.never_written] = -np.inf
        read = torch.tensor([gold[-1]]) if denoising else allowed.argmax(1)[None]
        with torch.no_grad():
            memory, *_ = student.read(**one)
            real = torch.ones(1, count, dtype=torch.bool)
            states = student.decoded(memory, one["attention_mask"], student.embedded_target(read), real)
            expected = student.lm_head(states)[0]
        torch.testing.assert_close(scores[-count:], expected, atol=1e-4, rtol=1e-4)


# ------------------------------------------------------------ decoding


def test_copies_are_those_of_training():
    sources, lengths = np.arange(1, 14), np.tile(np.arange(1, 30), (13, 1))
    expected = uniform_copy(torch.from_numpy(sources), torch.from_numpy(lengths)).numpy()
    np.testing.assert_array_equal(layout.uniform_copy(sources, lengths), expected)


class Counting:
    """Says tokens that grow by one in each pass, up to a number of each text's own; sure of candidates in a given order."""

    def __init__(self, tops, offsets, sure):
        scores = np.zeros((len(tops), 9), np.float32)
        for rank, offset in enumerate(offsets):
            scores[:, offset + 4] = 9 - rank
        self.first = (scores, np.tile(np.arange(10, 15), (len(tops), 1)))
        self.tops, self.sure = np.array(tops), np.array(sure, np.float32)
        self.read = []

    def run(self, graph, *, tokens, lengths, copied):
        assert graph == "write"
        self.read.append((tokens, lengths, bool(copied)))
        assert tokens.shape == (len(self.tops) * len(self.sure), lengths.max())
        said = np.full(tokens.shape, 100) if copied else tokens + 1
        tops = np.repeat(self.tops, len(self.sure))[:, None]
        scores = np.tile(self.sure, len(self.tops))[:, None] - 0.01 * said
        return np.minimum(said, tops), scores.astype(np.float32)

    def keep(self, texts):
        self.tops = self.tops[texts]


def test_refinement_goes_on_until_nothing_changes():
    loop = loops.Loop(longest=50, deduplicate=False)
    model = Counting([100, 103, 999], [1, -2], [-1.0, -2.0])
    found = loop(model, np.array([4, 4, 4]), Decoding(candidates=2, passes=6))
    assert [one.tokens for one in found] == [(100,) * 5, (103,) * 5, (105,) * 5]
    assert [one.passes for one in found] == [2, 5, 6]
    tokens, lengths, copied = model.read[0]
    assert copied and not any(later for *_, later in model.read[1:])
    assert lengths.tolist() == [5, 2] * 3
    assert tokens[:2].tolist() == [[10, 11, 11, 12, 13], [11, 13, 13, 13, 13]]
    assert [len(read) for read, *_ in model.read] == [6, 6, 4, 4, 4, 2]


def test_the_likeliest_candidate_is_taken_without_repetitions():
    found = loops.Loop(longest=50, deduplicate=True)(
        Counting([100], [1, -2], [-2.0, -1.0]), np.array([4]), Decoding(candidates=2)
    )
    assert found[0].tokens == (100,)
    assert found[0].score == pytest.approx(-1.0 - 0.01 * 101)
    (whole,) = loops.Loop(longest=50, deduplicate=False)(
        Counting([100], [1, -2], [-2.0, -1.0]), np.array([4]), Decoding(candidates=2)
    )
    assert whole.tokens == (100, 100)


def test_one_pass_reads_the_source_alone():
    model = Counting([100, 103], [0], [0.0])
    found = loops.Loop(longest=3, deduplicate=False)(model, np.array([4, 4]), Decoding(passes=1))
    assert [one.passes for one in found] == [1, 1]
    assert [len(one.tokens) for one in found] == [3, 3]
    assert len(model.read) == 1
