"""Exported taggers against PyTorch: emissions, tags, and what the bundle says of the chain."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Export
from limbeck.models import export as exporting
from limbeck.models.export import export
from limbeck.models.outputs import predict_emissions, predict_tags
from limbeck.serve.tagger import TaggerBundle
from limbeck.text.words import encode_words

pytestmark = pytest.mark.unit

TAGS = ("O", "B-X", "I-X", "B-Y", "I-Y")
SENTENCES = [
    ["films", "very", "greats"],
    ["bad"],
    [],
    ["not", "at", "all", "a", "longly", "story", ",", "zyzzyva", "\u200b", "東京" * 20],
    ["fine", "dull", "movies", "."] * 6,
]
SMALL = {"dimension": 8, "hidden": 6}
SHAPE = {"layers": 1, "hidden_size": 8, "heads": 2}
TOKENS, WORDS, BYTES = ["batch", "tokens"], ["batch", "words"], ["batch", "words", "bytes"]
TAGGERS = {
    "bilstm": ("bilstm", SMALL, [TOKENS] * 2 + [WORDS]),
    "two layers": ("bilstm", {**SMALL, "layers": 2, "head": "softmax"}, [TOKENS] * 2 + [WORDS]),
    "words": ("bilstm", {**SMALL, "embeddings": "random", "tokeniser": "words"}, [TOKENS] * 2 + [WORDS]),
    "cnn": ("bilstm", {**SMALL, "spelling": "cnn", "spelling_size": 6}, [TOKENS] * 2 + [WORDS] * 2 + [BYTES]),
    "characters": (
        "bilstm",
        {**SMALL, "spelling": "bilstm", "spelling_size": 6, "layers": 2},
        [TOKENS] * 2 + [WORDS] * 2 + [BYTES],
    ),
    "from teacher": ("transformer", {"from_teacher": [0, 2]}, [TOKENS] * 2 + [WORDS]),
    "mean": ("transformer", {**SHAPE, "pooling": "mean"}, [TOKENS] * 2 + [WORDS] * 2),
    "softmax": ("transformer", {"from_teacher": [1], "head": "softmax"}, [TOKENS] * 2 + [WORDS]),
    "constrained": ("transformer", {"from_teacher": [1], "constrain": True}, [TOKENS] * 2 + [WORDS]),
    "constrained softmax": (
        "bilstm",
        {**SMALL, "head": "softmax", "constrain": True},
        [TOKENS] * 2 + [WORDS],
    ),
}


def build(kind, values, tokeniser, teacher):
    settings = models.settings_for(kind, values, task="tagging")
    texts = [" ".join(words) for words in SENTENCES]
    own = models.tokeniser_for(settings, teacher_tokeniser=tokeniser, texts=texts, task="tagging")
    model = models.build(kind, settings, labels=TAGS, tokeniser=own, teacher=teacher, seed=3, task="tagging")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model, own


def many():
    random = np.random.default_rng(0)
    words = [word for sentence in SENTENCES for word in sentence]
    return SENTENCES + [random.choice(words, random.integers(1, 20)).tolist() for _ in range(40)]


def encoded(tokeniser, sentences):
    examples = [Example(str(n), " ".join(words), words=tuple(words)) for n, words in enumerate(sentences)]
    return encode_words(tokeniser, examples, None, 16)


def save(model, tokeniser, folder, sentences, **settings):
    return export(
        model,
        tokeniser,
        folder,
        texts=sentences,
        max_length=16,
        settings=Export(**{"changed": 0.2, **settings}),
        card={"name": "x"},
    )


@pytest.mark.parametrize("name", TAGGERS)
def test_the_bundle_tags_as_pytorch_does(name, tokeniser, teacher, tmp_path):
    kind, values, shapes = TAGGERS[name]
    model, own = build(kind, values, tokeniser, teacher)
    asked = many()
    model.train()
    report = save(model, own, tmp_path / "b", asked)
    assert model.training
    expected, offsets = predict_emissions(model, encoded(own, asked))
    tags = predict_tags(model, encoded(own, asked))
    bundle = TaggerBundle(tmp_path / "b", "fp32", threads=1)
    scale = np.abs(expected).max()
    together = bundle.emissions(asked, batch_size=7)
    alone = [bundle.emissions([words])[0] for words in asked]
    for found in (together, alone):
        assert [len(each) for each in found] == np.diff(offsets).tolist()
        np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5 * scale)
    for found, wanted, words in zip(bundle.tags(asked, batch_size=7), tags, asked, strict=True):
        assert len(found) == len(words)
        np.testing.assert_array_equal(found, wanted)
    small = TaggerBundle(tmp_path / "b", threads=1)
    assert small.precision == "int8"
    assert np.abs(np.concatenate(small.emissions(asked)) - expected).max() < 0.15 * scale
    assert report["parity"]["fp32"]["largest_difference"] < 1e-5
    assert report["parity"]["fp32"]["changed"] == 0
    as_checked = TaggerBundle(tmp_path / "b")  # int8 differs a little with the number of threads
    wrong = [
        found[: len(scores)] != wanted[: len(scores)]
        for found, wanted, scores in zip(as_checked.tags(asked), tags, together, strict=True)
    ]
    assert report["parity"]["int8"]["changed"] == np.concatenate(wrong).mean()
    assert report == json.loads((tmp_path / "b" / "bundle.json").read_text())
    for file in ("model.onnx", "model.int8.onnx"):
        graph = onnx.load(tmp_path / "b" / file)
        assert [each.version for each in graph.opset_import if each.domain in ("", "ai.onnx")] == [17]
        axes = [[d.dim_param for d in value.type.tensor_type.shape.dim] for value in graph.graph.input]
        assert axes == shapes
        assert [value.name for value in graph.graph.output] == ["emissions"]


def test_the_card_holds_the_chain(tokeniser, teacher, tmp_path):
    model, own = build("transformer", {"from_teacher": [1], "constrain": True}, tokeniser, teacher)
    report = save(model, own, tmp_path, many())
    assert report["task"] == "tagging"
    assert report["labels"] == list(TAGS)
    chain = report["chain"]
    assert chain["constrained"] is True
    assert chain["start"][2] is chain["start"][4] is None  # I-X, I-Y
    assert chain["transitions"][0][2] is chain["transitions"][1][4] is None
    assert chain["transitions"][1][2] == model.head.transitions[1, 2].item()
    assert chain["end"] == model.head.end.tolist()
    links = TaggerBundle(tmp_path).links
    assert links.start[2] == -np.inf
    page = (tmp_path / "README.md").read_text()
    assert "A tagger of words" in page
    assert "`B-X`" in page


def test_a_softmax_head_has_a_chain_of_noughts(tokeniser, teacher, tmp_path):
    model, own = build("bilstm", {**SMALL, "head": "softmax"}, tokeniser, teacher)
    chain = save(model, own, tmp_path, many(), int8=False)["chain"]
    assert chain == {
        "transitions": [[0.0] * 5] * 5,
        "start": [0.0] * 5,
        "end": [0.0] * 5,
        "constrained": False,
    }
    assert list(json.loads((tmp_path / "bundle.json").read_text())["parity"]) == ["fp32"]


def test_text_that_is_not_words_is_told(tokeniser, teacher, tmp_path):
    model, own = build("bilstm", SMALL, tokeniser, teacher)
    with pytest.raises(
        LimbeckError, match=r"a tagger is compared on sentences of words, and this is one string"
    ):
        save(model, own, tmp_path / "b", ["a film"])
    for nothing in ([], [[], ()]):
        with pytest.raises(
            LimbeckError, match="no (text|word) was given to compare the bundle with PyTorch on"
        ):
            save(model, own, tmp_path / "b", nothing)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_scores_differently_is_refused(tokeniser, teacher, tmp_path, monkeypatch):
    model, own = build("bilstm", SMALL, tokeniser, teacher)
    other, _ = build("bilstm", SMALL, tokeniser, teacher)
    with torch.no_grad():
        other.head.emissions.bias.add_(0.5)
    real = exporting.graph_of
    monkeypatch.setattr(exporting, "graph_of", lambda _: real(other))
    with pytest.raises(LimbeckError, match="emissions differ by up to .* of the largest emission, and"):
        save(model, own, tmp_path / "b", many())
    assert list(tmp_path.iterdir()) == []


def test_int8_that_changes_tags_is_refused(tokeniser, teacher, tmp_path, monkeypatch):
    model, own = build("bilstm", SMALL, tokeniser, teacher)
    other, _ = build("bilstm", SMALL, tokeniser, teacher)
    with torch.no_grad():
        other.head.emissions.weight.neg_()
    changed = exporting.graph_of(other)
    monkeypatch.setattr(exporting, "quantise", lambda source, target: onnx.save(changed, target))
    with pytest.raises(LimbeckError, match=r"int8 changes .*% of tags, and export.changed is 0.02. Raise it"):
        save(model, own, tmp_path / "b", many(), changed=0.02)
