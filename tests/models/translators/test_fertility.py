"""Vanilla with fertilities: plans against enumeration, one sentence as in any batch, its bundle, and what it learns."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.core.recipe import Export
from limbeck.core.signals import TOKENS, Signals
from limbeck.core.sources import Vocabulary
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.models.translators.decode import translate
from limbeck.models.translators.export import export_translator
from limbeck.models.translators.fertility import likely_fertilities, shared_out
from limbeck.models.translators.layout import fertile_copy, uniform_copy
from limbeck.serve.translator import TranslatorBundle
from limbeck.text.encode import Encoded, Targets, collate
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations

from .toys import END, batch_of, toy_pairs, vocabulary

pytestmark = pytest.mark.unit


def built(seed=0, subwords=None, **changes):
    keys = {"layers": 1, "width": 32, "feed_forward": 48, "heads": 4, "dropout": 0.0, "largest_fertility": 4}
    settings = models.settings_for("vanilla", {"inputs": "fertility", **keys, **changes}, task="translation")
    return models.build(
        "vanilla", settings, labels=(), tokeniser=subwords or vocabulary(), teacher=None, seed=seed,
        task="translation",
    ).eval()  # fmt: skip


def stirred(model, by=0.3):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * by * parameter.requires_grad)
    return model


def test_tokens_are_copied_as_often_as_they_count():
    random = np.random.default_rng(0)
    fertilities = random.integers(0, 4, (5, 3, 6))
    lengths = np.maximum(fertilities.sum(2), 1)
    lengths[0] = np.minimum(lengths[0], 3)  # cut short
    fertilities[1, 1], lengths[1, 1] = 0, 1  # no token counts
    copied = fertile_copy(torch.tensor(fertilities), torch.tensor(lengths)).numpy()
    for row, candidate in product(range(5), range(3)):
        whole = np.repeat(np.arange(6), fertilities[row, candidate])
        length = lengths[row, candidate]
        expected = whole[:length] if len(whole) else [0]
        assert copied[row, candidate, :length].tolist() == list(expected)
        assert (copied[row, candidate] < 6).all()


@pytest.mark.parametrize("by", ["argmax", "average"])
def test_the_likeliest_sequences_that_differ_in_one_fertility(by):
    scores = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1)) * 2
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]])
    found = likely_fertilities(scores, mask, 5, by)
    for row, tokens in enumerate((3, 2, 1)):
        probabilities = scores[row].softmax(-1).double().numpy()
        means = np.rint(probabilities @ np.arange(5)).astype(int)
        first = (probabilities.argmax(-1) if by == "argmax" else means)[:tokens]
        every = [
            (sum(np.log(probabilities[place, f]) for place, f in enumerate(one)), one)
            for one in product(range(5), repeat=tokens)
            if sum(np.array(one) != first) == 1
        ]
        expected = [tuple(first), *(one for _, one in sorted(every, reverse=True)[:4])]
        assert [tuple(each[:tokens]) for each in found[row].tolist()] == expected
        assert not found[row, :, tokens:].any()


def test_without_an_aligner_the_translation_is_shared_out_evenly():
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]])
    lengths = torch.tensor([7, 3, 1])
    shares = shared_out(lengths, mask)
    assert shares.sum(1).tolist() == lengths.tolist()
    copied = uniform_copy(torch.tensor([4, 1, 3]), lengths[:, None])
    again = fertile_copy(shares[:, None], lengths[:, None])
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(copied[row, 0, :length], again[row, 0, :length])


def test_guesses_are_of_the_fertilities_given():
    student = stirred(built()).train()
    inputs = batch_of([([7, 8, 9], [5, 6, 7, 8, 9, 10]), ([7, 8], [9, 10]), ([5], [])])
    inputs["labels"][2] = NO_GOLD
    given = torch.zeros_like(inputs["input_ids"])
    given[0, :3], given[1, :2] = torch.tensor([6, 0, 0]), torch.tensor([0, 2])
    tokens, planned = student.guesses({**inputs, "fertilities": given})
    assert (tokens.name, planned.name) == (TOKENS, "fertility")
    assert tokens.truth.tolist() == [5, 6, 7, 8, 9, 10, 9, 10]
    assert planned.truth.tolist() == [4, 0, 0, 0, 2]  # the largest class, for six
    # The first sentence's places all start from its first token: what it reads of the others is the encoder's.
    memory = student.encode(inputs["input_ids"], inputs["attention_mask"])
    copied = torch.zeros(3, 1, 6, dtype=torch.long)
    copied[1, 0] = 1
    states = student.decoder_states(
        memory, inputs["input_ids"], inputs["attention_mask"], torch.tensor([[6], [2], [1]]), copied
    )
    torch.testing.assert_close(tokens.scores[:6], student.lm_head(states[0, 0]))
    torch.testing.assert_close(tokens.scores[6:], student.lm_head(states[1, 0, :2]))


@pytest.mark.parametrize(("candidates", "by"), [(1, "argmax"), (4, "argmax"), (1000, "average")])
def test_a_sentence_decodes_the_same_alone_and_in_any_batch(candidates, by):
    student = stirred(built(fertilities=by))
    inputs = batch_of(toy_pairs(12, seed=9))
    decoding = Decoding(candidates=candidates, max_length=14)
    together = student.decode(inputs, decoding)
    assert len({len(one.tokens) for one in together}) > 2
    for row, real in enumerate(inputs["attention_mask"].sum(1).tolist()):
        one = {name: inputs[name][row : row + 1, :real] for name in ("input_ids", "attention_mask")}
        (alone,) = student.decode(one, decoding)
        assert alone.tokens == together[row].tokens
        assert alone.score == pytest.approx(together[row].score, abs=1e-5)
        assert len(alone.tokens) <= 13


def test_its_bundle_translates_as_pytorch_does(tmp_path):
    texts = ["a red car", "two men talk", "", "the old man has a red dog and two cars", "a dog"]
    examples = [Example(str(row), text, targets=(text[::-1],)) for row, text in enumerate(texts)]
    pieces = Subwords.learn(examples, Vocabulary(size=320))
    student = stirred(built(subwords=pieces))
    student.save_pretrained(tmp_path / "saved")
    student = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "saved").eval()
    assert student.config.inputs == "fertility"
    asked = Decoding(max_length=16, candidates=3)
    export_translator(
        student, pieces, tmp_path / "bundle", texts=texts, decoding=asked, card={"name": "x"}, max_length=24,
        settings=Export(changed=0.9),
    )  # fmt: skip
    bundle = TranslatorBundle(tmp_path / "bundle", "fp32", threads=1)
    for decoding in (asked, Decoding(max_length=12, candidates=1), Decoding(candidates=100)):
        expected = translate(student, encode_translations(pieces, examples, None, 24), decoding)
        for mine, (theirs, *_) in zip(bundle.predict(texts, decoding, 2), expected, strict=True):
            assert mine.tokens == theirs.tokens
            assert mine.score == pytest.approx(theirs.score, abs=1e-4)


def monotone(count):
    """Words that are said once, twice or not at all, in their order; without end tokens."""
    random = np.random.default_rng(4)
    pairs = []
    for length in random.integers(2, 8, count):
        source = random.choice(np.arange(5, 40), length, replace=False).tolist()
        parts = [[word + 40, word + 20][: 1 if word % 3 else 2] if word % 5 else [] for word in source]
        pairs.append((source, [token for part in parts for token in part] or [41]))
    return pairs


def test_it_learns_fertilities_from_the_text_alone():
    pairs = monotone(48)
    rows = [[[*row, END] for row in side] for side in zip(*pairs, strict=True)]
    flat = [(np.concatenate(side).astype(np.int32), np.cumsum([0, *map(len, side)])) for side in rows]
    data = Encoded(
        tuple(map(str, range(48))), *flat[0], np.full(48, NO_GOLD), 0, 0, targets=Targets(*flat[1])
    )
    student = built(deduplicate=False, width=48, feed_forward=96)
    data, dev = student.prepared(data, data)
    assert (data.fertilities == dev.fertilities).all() and data.fertilities.max() == 2
    assert built(inputs="uniform").prepared(data, dev) == (data, dev)
    batch = collate(data, np.arange(48))
    optimiser, objective = torch.optim.Adam(student.parameters(), lr=5e-3), TranslationObjective(0.0)
    student.train()
    for _ in range(60):
        loss = objective(Signals(guesses=student.guesses(batch.inputs)), Signals(), batch)
        optimiser.zero_grad()
        (loss.total / loss.count).backward()
        optimiser.step()
    found = student.eval().decode(batch.inputs, Decoding())
    assert (
        np.mean([len(one.tokens) == len(target) for one, (_, target) in zip(found, pairs, strict=True)]) > 0.9
    )
    assert np.mean([list(one.tokens) == target for one, (_, target) in zip(found, pairs, strict=True)]) > 0.8
