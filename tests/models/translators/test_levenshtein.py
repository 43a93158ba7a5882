"""The Levenshtein student: what its policies are taught, and how it goes from one translation to the next."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.objective import NO_GOLD
from limbeck.models.translators.levenshtein import dropped_at_random, gold_rows
from limbeck.serve.loops import levenshtein as loops
from limbeck.structure.edits import Rows, distances, padded

from .toys import batch_of, toy_pairs, vocabulary

pytestmark = pytest.mark.unit

PAD, START, END, _, MASK = range(5)
SPECIAL = [PAD, START, END, MASK]


def student_of(**changes):
    values = {
        "layers": 1,
        "width": 16,
        "feed_forward": 24,
        "heads": 2,
        "dropout": 0.0,
        "most_placeholders": 9,
    }
    settings = models.settings_for("levenshtein", values | changes, task="translation")
    model = models.build(
        "levenshtein", settings, labels=(), tokeniser=vocabulary(), teacher=None, seed=2, task="translation"
    )
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


@pytest.fixture(scope="module")
def student():
    return student_of()


def pairs_of(count=7):
    """The fourth has no translation."""
    pairs = toy_pairs(count, seed=4)
    inputs = batch_of(pairs)
    inputs["labels"][3] = NO_GOLD
    return inputs, [target if row != 3 else [] for row, (_, target) in enumerate(pairs)]


def states_alone(model, inputs, row, tokens):
    real = int(inputs["attention_mask"][row].sum())
    ids, mask = (inputs[name][row : row + 1, :real] for name in ("input_ids", "attention_mask"))
    framed = torch.tensor([[START, *tokens, END]])
    return model.decoder_states(model.encode(ids, mask), mask, framed)[0]


def of(guesses, name):
    (found,) = (guess for guess in guesses if guess.name == name)
    return found


# ------------------------------------------------------------ training


@torch.no_grad()
def test_each_policy_is_taught_what_the_expert_does(student):
    inputs, targets = pairs_of()
    torch.manual_seed(5)
    missing = dropped_at_random(padded(targets))
    torch.manual_seed(5)
    guesses = student.guesses(inputs)
    scores = {name: [] for name in ("tokens", "placeholders", "deletions")}
    truth = {name: [] for name in scores}
    for row, target in enumerate(targets):
        if not target:
            continue
        gone = missing[row, : len(target)]
        there = [place for place, out in enumerate(gone) if not out]
        pairs = states_alone(student, inputs, row, [target[place] for place in there])
        scores["placeholders"].append(
            torch.cat((pairs[:-1], pairs[1:]), 1) @ student.placeholder_head.weight.T
        )
        truth["placeholders"] += [after - before - 1 for before, after in pairwise([-1, *there, len(target)])]
        hidden = [MASK if out else token for token, out in zip(target, gone, strict=True)]
        said = (
            states_alone(student, inputs, row, hidden)[1:-1][torch.from_numpy(gone)]
            @ student.lm_head.weight.T
        )
        scores["tokens"].append(said)
        truth["tokens"] += [token for token, out in zip(target, gone, strict=True) if out]
        said = said.clone()
        said[:, SPECIAL] = -np.inf
        chosen = iter(said.argmax(1).tolist())
        written = [next(chosen) if out else token for token, out in zip(target, gone, strict=True)]
        scores["deletions"].append(
            states_alone(student, inputs, row, written)[1:-1] @ student.deletion_head.weight.T
        )
        mine = of(guesses, "deletions").truth[len(truth["deletions"]) :][: len(target)].tolist()
        wanted = iter(target)  # what is kept stands in gold in this order, and nothing more could be
        assert all(token in wanted for token, out in zip(written, mine, strict=True) if not out)
        assert sum(mine) == distances(padded([written]), padded([target]), substitutions=False)[0] // 2
        truth["deletions"] += mine
    assert [guess.name for guess in guesses] == list(scores)
    for name, values in scores.items():
        guess = of(guesses, name)
        torch.testing.assert_close(guess.scores, torch.cat(values), atol=1e-4, rtol=1e-4)
        assert guess.truth.tolist() == truth[name]
    assert 0 < sum(truth["deletions"]) < len(truth["deletions"])


def test_weights_are_the_settings():
    model = student_of(placeholder_weight=0.25, deletion_weight=3.0)
    guesses = model.guesses(pairs_of()[0])
    assert of(guesses, "tokens").weights is None
    assert set(of(guesses, "placeholders").weights.tolist()) == {0.25}
    assert set(of(guesses, "deletions").weights.tolist()) == {3.0}


def test_every_policy_has_a_gradient_of_its_own(student):
    inputs, _ = pairs_of()
    heads = {
        "tokens": student.lm_head,
        "placeholders": student.placeholder_head,
        "deletions": student.deletion_head,
    }
    for name, head in heads.items():
        student.zero_grad()
        guess = of(student.guesses(inputs), name)
        torch.nn.functional.cross_entropy(guess.scores, guess.truth).backward()
        assert head.weight.grad.abs().sum() > 0
        others = [other.weight.grad for other in heads.values() if other not in (head, student.lm_head)]
        assert all(gradient is None or not gradient.any() for gradient in others)
        assert student.encoder.layers[0].fc1.weight.grad.abs().sum() > 0
    student.zero_grad()


def test_a_slot_is_taught_no_more_placeholders_than_it_can_get():
    model = student_of(most_placeholders=2)
    inputs, targets = pairs_of()
    for seed in range(8):
        torch.manual_seed(seed)
        counts = of(model.guesses(inputs), "placeholders").truth
        assert counts.max() <= 2
    assert max(map(len, targets)) > 2


def test_any_number_of_tokens_is_left_and_any_tokens_are():
    torch.manual_seed(0)
    gold = padded([[5, 6, 7]] * 6000 + [[5]] * 2000 + [[]])
    dropped = dropped_at_random(gold)
    assert not (dropped & ~gold.real).any()
    numbers = np.bincount(dropped[:6000].sum(1), minlength=4) / 6000
    np.testing.assert_allclose(numbers, 0.25, atol=0.03)
    np.testing.assert_allclose(dropped[:6000].mean(0), 0.5, atol=0.03)
    assert 0.45 < dropped[6000:8000, 0].mean() < 0.55


def test_insertion_is_learnt_after_deletions_among_its_own_tokens():
    model = student_of(own_deletions=1.0)
    inputs, targets = pairs_of()
    gold = padded(targets)
    torch.manual_seed(6)
    missing = dropped_at_random(gold)
    with torch.no_grad():
        memory = model.encode(inputs["input_ids"], inputs["attention_mask"])
        _, written = model._insertions(memory, inputs["attention_mask"], gold, missing)
    wrong = distances(written, gold, substitutions=False) // 2
    torch.manual_seed(6)
    guesses = model.guesses(inputs)
    assert len(of(guesses, "tokens").truth) == wrong.sum() <= missing.sum()
    assert of(guesses, "placeholders").truth.sum() == wrong.sum()


def test_tokens_can_be_drawn():
    model = student_of(sampled=True)
    scores = torch.zeros(4000, 100)
    scores[:, 7] = np.log(95)  # as likely as the other 95 that may be written
    torch.manual_seed(0)
    drawn = model._chosen(scores)
    assert not set(drawn.tolist()) & set(SPECIAL)
    assert 0.46 < (drawn == 7).float().mean() < 0.54
    assert (student_of()._chosen(scores) == 7).all()
    assert model._chosen(scores[:0]).shape == (0,)


def test_nothing_to_learn_from_teaches_nothing(student):
    inputs, _ = pairs_of()
    inputs["labels"] = torch.full_like(inputs["labels"], NO_GOLD)
    assert [len(guess.truth) for guess in student.guesses(inputs)] == [0, 0, 0]


def test_gold_is_cut_where_the_model_has_no_places():
    rows = gold_rows(torch.tensor([[7, 8, 9, END], [7, END, NO_GOLD, NO_GOLD], [NO_GOLD] * 4]), 2)
    assert (rows.tokens.tolist(), rows.lengths.tolist()) == (
        [[7, 8], [7, END], [NO_GOLD, NO_GOLD]],
        [2, 1, 0],
    )


# ------------------------------------------------------------ decoding


@torch.no_grad()
def test_the_passes_take_what_is_likeliest(student):
    inputs, targets = pairs_of()
    targets[3] = [9]
    some = [[MASK if place % 2 else token for place, token in enumerate(target)] for target in targets]
    tokens = torch.from_numpy(loops.framed(padded(some), START, END, PAD))
    memory = student.encode(inputs["input_ids"], inputs["attention_mask"])
    read = (memory, inputs["attention_mask"], tokens)
    (deleted,), (counts,), (ids, said) = student.delete(*read), student.insert(*read), student.fill(*read)
    filled = []
    for row, target in enumerate(some):
        states = states_alone(student, inputs, row, target)
        expected = (states @ student.deletion_head.weight.T).argmax(1)
        assert deleted[row, : len(target) + 2].tolist() == expected.tolist()
        pairs = torch.cat((states[:-1], states[1:]), 1) @ student.placeholder_head.weight.T
        assert counts[row, : len(target) + 1].tolist() == pairs.argmax(1).tolist()
        scores = (states[1:-1] @ student.lm_head.weight.T).log_softmax(-1)[torch.tensor(target) == MASK]
        scores[:, SPECIAL] = -np.inf
        filled += list(zip(scores.argmax(1).tolist(), scores.amax(1).tolist(), strict=True))
    assert ids.tolist() == [token for token, _ in filled]
    np.testing.assert_allclose(said, [score for _, score in filled], atol=1e-4)


def test_a_penalty_for_empty_slots_makes_longer_translations():
    inputs, _ = pairs_of()
    lengths = []
    for penalty in (0.0, 1e4):
        model = student_of(empty_penalty=penalty)
        found = model.decode(inputs, Decoding(passes=1, max_length=50))
        lengths.append([len(each.tokens) for each in found])
        (counts,) = model.insert(
            model.encode(inputs["input_ids"], inputs["attention_mask"]),
            inputs["attention_mask"],
            torch.tensor([[START, END]] * 7),
        )
        assert counts.tolist() == [[length] for length in lengths[-1]]
    assert all(length >= 1 for length in lengths[1])
    assert all(one <= other for one, other in zip(*lengths, strict=True))


class Scripted:
    """Policies by what a translation and its text's number are, in no order: a stand-in for a model."""

    first = ()

    def __init__(self, texts, quiet):
        self.texts, self.quiet, self.left = np.arange(texts), quiet, []

    def random(self, graph, text, canvas):
        return np.random.default_rng([{"delete": 1, "insert": 2, "fill": 3}[graph], text, *canvas])

    def delete(self, text, canvas):
        return self.random("delete", text, canvas).random(len(canvas)) < 0.3 * (1 - self.quiet)

    def insert(self, text, canvas):
        random = self.random("insert", text, canvas)
        counts = random.integers(0, 3, len(canvas) + 1) * (random.random(len(canvas) + 1) > self.quiet)
        return counts + 3 * (not canvas)

    def fill(self, text, canvas):
        random = self.random("fill", text, canvas)
        places = canvas.count(MASK)
        return random.integers(5, 8, places), -random.random(places).astype(np.float32)

    def run(self, graph, tokens):
        assert len(tokens) == len(self.texts)
        canvases = [[token for token in row if token != PAD][1:-1] for row in tokens.tolist()]
        said = [getattr(self, graph)(*each) for each in zip(self.texts.tolist(), canvases, strict=True)]
        if graph == "fill":
            return tuple(np.concatenate(side) for side in zip(*said, strict=True))
        # What stands for the frame and after it is noise.
        found = np.ones((len(tokens), tokens.shape[1] - (graph == "insert")), dtype=np.int64)
        for row, values in zip(found, said, strict=True):
            row[graph == "delete" :][: len(values)] = values
        return (found,)

    def keep(self, texts):
        self.left.append(len(self.texts) - len(texts))
        self.texts = self.texts[texts]


def plainly(script, text, longest, iterations):
    """One text, step by step."""
    canvas, score, passes = [], 0.0, 0
    for iteration in range(iterations):
        before = canvas
        if iteration and canvas:
            gone = script.delete(text, canvas)
            canvas, passes = [token for token, out in zip(canvas, gone, strict=True) if not out], passes + 1
        room, opened = longest - len(canvas), []
        for token, count in zip([*canvas, None], script.insert(text, canvas), strict=True):
            given = min(int(count), room)
            room -= given
            opened += [MASK] * given + [token] * (token is not None)
        passes += 1
        if MASK in opened:
            ids, said = script.fill(text, opened)
            each, passes = iter(ids.tolist()), passes + 1
            canvas, score = [next(each) if token == MASK else token for token in opened], said.mean()
        if canvas == before:
            break
    return tuple(canvas), score, passes


@pytest.mark.parametrize("quiet", [0.0, 0.6, 0.9, 1.0])
@pytest.mark.parametrize(("longest", "iterations"), [(12, 10), (5, 4), (30, 1)])
def test_the_loop_is_the_plain_one_for_each_text(quiet, longest, iterations):
    loop = loops.Loop(START, END, MASK, PAD, longest=14, deduplicate=False)
    script = Scripted(20, quiet)
    decoding = Decoding(passes=iterations, max_length=longest + 1)
    found = loop(script, np.ones(20, dtype=np.int64), decoding)
    for text, each in enumerate(found):
        tokens, score, passes = plainly(Scripted(20, quiet), text, min(longest, 14), iterations)
        assert (each.tokens, each.passes) == (tokens, passes)
        assert each.score == pytest.approx(score, abs=1e-6)
    assert bool(script.left) == (iterations > 1 and quiet < 1)  # texts leave one after the other


def test_equal_tokens_in_a_row_are_dropped_at_the_end_alone():
    whole, once = (
        loops.Loop(START, END, MASK, PAD, longest=14, deduplicate=way)(
            Scripted(20, 0.6), np.ones(20, dtype=np.int64), Decoding(passes=3)
        )
        for way in (False, True)
    )
    for one, other in zip(whole, once, strict=True):
        tokens = one.tokens
        kept = tuple(token for place, token in enumerate(tokens) if not place or tokens[place - 1] != token)
        assert (other.tokens, other.passes, other.score) == (kept, one.passes, one.score)
    assert any(len(one.tokens) > len(other.tokens) for one, other in zip(whole, once, strict=True))


def test_a_frame_stands_around_each_translation():
    rows = Rows(np.array([[7, 8, 9], [7, 99, 99], [99, 99, 99]]), np.array([3, 1, 0]))
    expected = [[START, 7, 8, 9, END], [START, 7, END, PAD, PAD], [START, END, PAD, PAD, PAD]]
    assert loops.framed(rows, START, END, PAD).tolist() == expected
