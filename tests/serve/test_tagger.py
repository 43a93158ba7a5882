"""An exported tagger at work: words, tags, spans, scores, and what is said of wrong input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings as effort, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.serve.bundle import Bundle
from limbeck.serve.opening import open_bundle
from limbeck.serve.tagger import TaggerBundle
from limbeck.structure.decode import forward_backward
from limbeck.text.tags import spans

pytestmark = pytest.mark.unit

TEXTS = [
    "a good film, was it not?",
    "",
    "bad",
    "the story was long , and the film was not",
    "zyzzyva",
    "\u200b",
    ["the", "film-story", "is", "good"],
    [],
]

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "accelerate", "datasets", "sklearn", "numba"):
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Block())
"""
ANSWER = """
import sys, json
from limbeck import open_bundle
told = open_bundle(sys.argv[1], "fp32").predict([["a", "good", "film"], "bad"])
print(json.dumps([[each.tags, each.scores] for each in told]))
"""


@pytest.fixture
def tagger(tagger_folder):
    return TaggerBundle(tagger_folder, "fp32", threads=1)


def test_words_tags_and_spans_belong_together(tagger):
    told = tagger.predict(TEXTS)
    assert [each.text for each in told] == [
        text if isinstance(text, str) else " ".join(text) for text in TEXTS
    ]
    assert told[0].words == ("a", "good", "film", ",", "was", "it", "not", "?")
    assert told[6].words == ("the", "film-story", "is", "good")
    assert told[1].words == told[7].words == told[1].tags == told[7].spans == ()
    for each, tags in zip(told, tagger.tags([list(each.words) for each in told]), strict=True):
        assert each.tags == tuple(tagger.labels[tag] for tag in tags)
        assert tuple(each.text[start:end] for start, end in each.places) == each.words
        assert len(each.scores) == len(each.words)
        assert [(span.type, span.start, span.end) for span in each.spans] == spans(each.tags)
        for span in each.spans:
            assert each.text[span.start_character : span.end_character] == span.text
            assert span.text.startswith(each.words[span.start])
            assert span.text.endswith(each.words[span.end - 1])
    assert sum(len(each.spans) for each in told) > 3


def test_a_score_is_the_probability_of_the_tags(tagger):
    words = ["a", "good", "film", "was", "the", "story"]
    (told,) = tagger.predict([words])
    (emissions,) = tagger.emissions([words])
    trellis = forward_backward(emissions[None], np.array([len(words)]), tagger.links)
    index = [tagger.labels.index(tag) for tag in told.tags]
    np.testing.assert_allclose(told.scores, trellis.marginals()[0, np.arange(len(words)), index])
    assert told.spans
    for span in told.spans:
        tags = index[span.start : span.end]
        assert span.score == pytest.approx(trellis.probability(0, span.start, tags))
        assert 0 < span.score <= min(told.scores[span.start : span.end]) + 1e-12


def test_only_valid_iob2_is_decoded_where_the_model_is_constrained(tagger):
    random = np.random.default_rng(0)
    words = ["a", "good", "film", "was", "the", "story", "long", "and", "not", "bad"]
    for tags in tagger.tags([random.choice(words, 10).tolist() for _ in range(50)]):
        before = "O"
        for tag in (tagger.labels[number] for number in tags):
            assert not tag.startswith("I-") or before[2:] == tag[2:]
            before = tag


@effort(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(max_size=30), max_size=6), size=st.integers(1, 4))
def test_any_text_is_tagged_alike_alone_and_in_a_batch(tagger_folder, texts, size):
    tagger = TaggerBundle(tagger_folder, "fp32", threads=1)
    together = tagger.predict(texts, batch_size=size)
    sentences = [list(told.words) for told in together]
    emissions = tagger.emissions(sentences, batch_size=size)
    for text, words, told, scores in zip(texts, sentences, together, emissions, strict=True):
        assert told.text == text
        np.testing.assert_allclose(tagger.emissions([words])[0], scores, atol=1e-5)
        np.testing.assert_allclose(tagger.predict([text])[0].scores, told.scores, atol=1e-5)


def test_words_that_are_cut_off_are_outside(tagger):
    (told,) = tagger.predict([["good"] * 40])
    assert len(told.tags) == len(told.scores) == len(told.words) == 40
    assert told.tags[12:] == ("O",) * 28
    assert told.scores[12:] == (0.0,) * 28
    assert min(told.scores[:12]) > 0
    assert all(span.end <= 12 for span in told.spans)
    assert len(tagger.emissions([["good"] * 40])[0]) == 12
    assert len(tagger.tags([["good"] * 40])[0]) == 40


def test_words_are_spelled_one_by_one(tagger):
    # Both are unknown to the tokeniser: only their spelling tells them apart.
    one, other = (tagger.emissions([[word]])[0] for word in ("zyzzyva", "quince"))
    assert np.abs(one - other).max() > 1e-3


def test_halves_of_surrogate_pairs_are_answered(tagger):
    np.testing.assert_allclose(
        tagger.emissions([["good", "\ud800"]])[0], tagger.emissions([["good", "?"]])[0], atol=1e-6
    )
    assert tagger.predict(["good \ud800"])[0].text == "good \ud800"


def test_plain_tags_mark_no_spans(part_of_speech_folder):
    tagger = TaggerBundle(part_of_speech_folder)
    (told,) = tagger.predict(["the good film"])
    assert told.spans == ()
    assert set(told.tags) <= {"ADJ", "DET", "NOUN", "X"}
    assert tagger.predict([]) == tagger.tags([]) == tagger.emissions([]) == []


def test_what_is_no_list_of_texts_is_told(tagger):
    with pytest.raises(LimbeckError, match="one string was given for a list of texts"):
        tagger.predict("good")
    for wrong in (3, None, {"a"}):
        with pytest.raises(LimbeckError, match="a text is a string or a list of words, and this is a"):
            tagger.predict(["good", wrong])
    with pytest.raises(LimbeckError, match="a word is a string, and this is a int: 3"):
        tagger.predict([["good", 3]])
    for ask in (tagger.tags, tagger.emissions):
        with pytest.raises(LimbeckError, match="a sentence is a list of words, and this is a str: 'good'"):
            ask(["good"])
        with pytest.raises(LimbeckError, match="a word is a string, and this is a int: 3"):
            ask([["good", 3]])


def test_each_kind_opens_its_own_bundle_alone(bundle_folder, tagger_folder):
    with pytest.raises(LimbeckError) as caught:
        TaggerBundle(bundle_folder)
    what = "this is a bundle for classification, and one for tagging was asked for"
    fix = "Open it with limbeck.open_bundle, which tells them apart"
    assert str(caught.value) == f"{bundle_folder}: {what}. {fix}."
    with pytest.raises(LimbeckError, match="a bundle for tagging, and one for classification was asked for"):
        Bundle(tagger_folder)
    assert type(open_bundle(bundle_folder)) is Bundle
    assert type(open_bundle(tagger_folder)) is TaggerBundle
    assert open_bundle(tagger_folder, "fp32", threads=1).precision == "fp32"


def changed(folder, tmp_path, **keys):
    copy = shutil.copytree(folder, tmp_path / "b")
    card = {**json.loads((copy / "bundle.json").read_text()), **keys}
    (copy / "bundle.json").write_text(json.dumps({key: value for key, value in card.items() if value != "-"}))
    return copy


def test_a_bundle_of_a_strange_task_is_told(tagger_folder, tmp_path):
    with pytest.raises(
        LimbeckError,
        match=r"a bundle for song, and this Limbeck knows classification, regression, multilabel, tagging and translation",
    ):
        open_bundle(changed(tagger_folder, tmp_path, task="song"))


def test_a_bundle_that_names_no_task_is_a_classifiers(bundle_folder, tmp_path):
    assert type(open_bundle(changed(bundle_folder, tmp_path, task="-"))) is Bundle


@pytest.mark.parametrize(
    "chain",
    [
        "-",
        [],
        {},
        {"transitions": [[0.0]], "start": [0.0], "end": [0.0]},
        {"transitions": "x", "start": 1, "end": None},
    ],
    ids=["none", "a list", "empty", "of other tags", "nonsense"],
)
def test_a_damaged_chain_is_told(tagger_folder, tmp_path, chain):
    with pytest.raises(LimbeckError) as caught:
        TaggerBundle(changed(tagger_folder, tmp_path, chain=chain))
    assert "bundle.json: the card's chain is damaged: it does not score 5 tags" in str(caught.value)


def test_a_damaged_model_is_told(tagger_folder, tmp_path):
    copy = shutil.copytree(tagger_folder, tmp_path / "b")
    (copy / "model.int8.onnx").write_bytes(b"no model")
    with pytest.raises(LimbeckError, match="the file is damaged: it is not what was exported"):
        open_bundle(copy)


def test_serving_imports_neither_torch_nor_numba(tagger_folder, tagger):
    command = [sys.executable, "-c", BLOCK + ANSWER, str(tagger_folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for told, (tags, scores) in zip(
        tagger.predict([["a", "good", "film"], "bad"]), json.loads(run.stdout), strict=True
    ):
        assert list(told.tags) == tags
        np.testing.assert_allclose(told.scores, scores, atol=1e-6)
