from __future__ import annotations

import json
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.serve.opening import open_bundle
from limbeck.serve.search import Limits, beam_search, greedy
from limbeck.serve.translator import TranslatorBundle

pytestmark = pytest.mark.unit

TEXTS = ["a good film", "", "bad", "the story was long , and the film was not", "zyzzyva", "x " * 100]

ANSWER = """
import sys, json
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "accelerate", "datasets", "sklearn", "numba", "sacrebleu"):
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Block())
from limbeck import open_bundle
bundle = open_bundle(sys.argv[1], "fp32")
print(json.dumps([each.tokens for each in bundle.predict(["a good film", "bad"])]))
"""


class Automaton:
    """A decoder whose next token depends on the text, the last token and the step: a table, and no model.

    Args:
        texts: Of the batch.
        vocabulary: Tokens; 0 starts, 1 ends.
    """

    def __init__(self, texts: int, vocabulary: int, seed: int = 0) -> None:
        logits = np.random.default_rng(seed).normal(size=(texts, 12, vocabulary, vocabulary)) * 1.5
        self.table = (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)
        self.step, self.rows = 0, np.arange(texts)

    def next(self, tokens, order, best):
        found = self.table[self.rows[:, None], self.step, tokens]
        ids = np.argsort(-found, axis=2, kind="stable")[:, :, :best]
        self.step += 1
        return np.take_along_axis(found, ids, 2), ids

    def keep(self, texts):
        self.rows = self.rows[texts]


def all_translations(automaton, text, limits):
    """Every translation with its score, best first."""
    vocabulary = automaton.table.shape[2]
    found = []
    for length in range(1, limits.longest + 1):
        inner = [token for token in range(vocabulary) if token != limits.end]
        ends = range(vocabulary) if length == limits.longest else [limits.end]
        for tokens in product(*[inner] * (length - 1), ends):
            steps = zip((limits.start, *tokens), tokens, strict=False)
            score = sum(automaton.table[text, step, a, b] for step, (a, b) in enumerate(steps))
            found.append((score / length**limits.length_penalty, tuple(t for t in tokens if t != limits.end)))
    return sorted(found, key=lambda each: -each[0])


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_a_wide_beam_finds_the_best_of_all_translations(penalty):
    limits = Limits(0, 1, 4, penalty)
    automaton = Automaton(5, 4)
    everything = [all_translations(automaton, text, limits) for text in range(5)]
    found = beam_search(automaton, 5, limits, beams=64, keep=6)
    for mine, theirs in zip(found, everything, strict=True):
        assert [each.tokens for each in mine] == [tokens for _, tokens in theirs[:6]]
        np.testing.assert_allclose(
            [each.score for each in mine], [score for score, _ in theirs[:6]], rtol=1e-5
        )


def test_greedy_takes_the_likeliest_token_at_each_step():
    limits = Limits(0, 1, 9, 0.5)
    automaton = Automaton(20, 5, seed=3)
    for text, (found,) in enumerate(greedy(Automaton(20, 5, seed=3), 20, limits)):
        token, total, tokens = 0, 0.0, []
        while len(tokens) < 9 and (not tokens or tokens[-1] != 1):
            row = automaton.table[text, len(tokens), token]
            token = int(row.argmax())
            tokens.append(token)
            total += row[token]
        assert found.tokens == tuple(each for each in tokens if each != 1)
        assert found.score == pytest.approx(total / len(tokens) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("beams", [2, 3, 5])
def test_a_text_is_searched_the_same_alone(beams):
    limits = Limits(0, 1, 10)
    together = beam_search(Automaton(30, 7), 30, limits, beams, keep=beams)
    assert len({len(found[0].tokens) for found in together}) > 3
    for text, expected in enumerate(together):
        alone = Automaton(30, 7)
        alone.keep(np.array([text]))
        assert beam_search(alone, 1, limits, beams, keep=beams) == [expected]
        assert [each.score for each in expected] == sorted((each.score for each in expected), reverse=True)


@pytest.fixture
def bundle(translator_folder):
    return TranslatorBundle(translator_folder, "fp32", threads=1)


def test_any_text_is_answered_in_order(bundle):
    found = bundle.predict(TEXTS, batch_size=2)
    assert [each.text for each in found] == bundle.translate(TEXTS)
    for text, each in zip(TEXTS, found, strict=True):
        assert bundle.predict([text])[0].tokens == each.tokens
        assert each.score <= 0
    assert bundle.predict([]) == []


def test_k_best_are_in_order_and_differ(bundle):
    for found in bundle.k_best(TEXTS, Decoding(beams=4, keep=4, max_length=10)):
        assert len({each.tokens for each in found}) == 4
        assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_the_greatest_length_is_kept_to(bundle):
    assert max(len(each.tokens) for each in bundle.predict(TEXTS, Decoding(max_length=3))) == 3


def test_what_is_refused(bundle, translator_folder, bundle_folder, tmp_path):
    with pytest.raises(LimbeckError, match="one string was given"):
        bundle.translate("a good film")
    with pytest.raises(LimbeckError, match="a text is a string, and this is a int"):
        bundle.translate([3])
    with pytest.raises(LimbeckError, match="draws none"):
        bundle.translate(["a"], Decoding(search="sampling"))
    with pytest.raises(
        LimbeckError, match="a bundle for classification, and one for translation was asked for"
    ):
        TranslatorBundle(bundle_folder)
    card = json.loads((translator_folder / "bundle.json").read_text())
    for file in translator_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "decoder.onnx").write_bytes(b"x")
    with pytest.raises(LimbeckError, match="the file is damaged"):
        TranslatorBundle(tmp_path, "fp32")
    (tmp_path / "bundle.json").write_text(json.dumps({**card, "decoding": {"beamz": 3}}))
    with pytest.raises(LimbeckError, match="beamz"):
        TranslatorBundle(tmp_path)
    del card["end_id"]
    (tmp_path / "bundle.json").write_text(json.dumps(card))
    with pytest.raises(LimbeckError, match="the bundle's card lacks end_id"):
        TranslatorBundle(tmp_path)


def test_opening_finds_the_kind(translator_folder):
    assert isinstance(open_bundle(translator_folder), TranslatorBundle)


def test_serving_imports_no_torch(translator_folder, bundle):
    command = [sys.executable, "-c", ANSWER, str(translator_folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    expected = [list(each.tokens) for each in bundle.predict(["a good film", "bad"])]
    assert json.loads(run.stdout) == expected
