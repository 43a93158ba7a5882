"""Exported translators against PyTorch: translations, scores, and what the bundle says of them."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import onnx
import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Export
from limbeck.core.sources import Vocabulary
from limbeck.models.translators import autoregressive, export as exporting, vanilla
from limbeck.models.translators.decode import translate
from limbeck.models.translators.export import export_translator
from limbeck.models.translators.parity import translation_parity
from limbeck.serve.translator import TranslatorBundle
from limbeck.text.encode import collate
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations

pytestmark = pytest.mark.unit

PAIRS = [
    ("a man in a blue shirt is standing on a ladder", "un homme en chemise bleue est sur une échelle"),
    ("two dogs run", "deux chiens courent"),
    ("", ""),
    ("a girl , a boy and three old women are eating lunch at the table", "ils mangent à table"),
    ("snow", "la neige"),
    ("zyzzyva 東京 \u200b </s>", "zyzzyva"),
    ("the children play in the park while the rain falls and falls " * 4, "les enfants jouent"),
]
TEXTS = [text for text, _ in PAIRS]
LONGEST = 24
SEARCHES = {
    "greedy": Decoding(search="greedy", length_penalty=0.0, max_length=14),
    "one beam": Decoding(beams=1, max_length=14),
    "three beams": Decoding(beams=3, keep=3, max_length=14),
    "five beams": Decoding(beams=5, keep=5, length_penalty=0.6, max_length=11),
    "long ones": Decoding(beams=5, keep=2, length_penalty=2.0, max_length=20),
    "by probability": Decoding(beams=4, keep=4, length_penalty=0.0, max_length=20),
}


def subwords(joint: bool = True) -> Subwords:
    examples = [Example(str(n), text, targets=(target,)) for n, (text, target) in enumerate(PAIRS)]
    return Subwords.learn(examples, Vocabulary(size=340, joint=joint))


def word_by_word(pieces: Subwords, steps: int = 100):
    """A translator after a second of training, whose translations end after few words or many."""
    settings = autoregressive.Settings(layers=2, decoder_layers=2, width=16, heads=2, feed_forward=32)
    model = models.build(
        "autoregressive", settings, labels=(), tokeniser=pieces, teacher=None, seed=3, task="translation"
    )
    examples = [Example(str(n), text, targets=(target,)) for n, (text, target) in enumerate(PAIRS)]
    encoded = encode_translations(pieces, examples, (), LONGEST)
    inputs = collate(encoded, np.arange(len(PAIRS))).inputs
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    torch.manual_seed(5)
    for _ in range(steps):
        optimiser.zero_grad()
        model(**inputs).loss.backward()
        optimiser.step()
    return model.eval()


def at_once(pieces: Subwords):
    settings = vanilla.Settings(layers=1, width=16, feed_forward=32, heads=2, longest_offset=4)
    model = models.build(
        "vanilla", settings, labels=(), tokeniser=pieces, teacher=None, seed=3, task="translation"
    )
    stirred(model, 0.4)
    return model.eval()


def stirred(model, by: float) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_positions" not in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * by)


def save(model, pieces, folder, decoding=SEARCHES["five beams"], **settings):
    return export_translator(
        model,
        pieces,
        folder,
        texts=TEXTS,
        max_length=LONGEST,
        decoding=decoding,
        settings=Export(**{"changed": 0.5, **settings}),
        card={"name": "x"},
    )


def in_pytorch(model, pieces, decoding):
    examples = [Example(str(number), text) for number, text in enumerate(TEXTS)]
    return translate(model, encode_translations(pieces, examples, None, LONGEST), decoding)


@pytest.fixture(scope="module", params=[True, False], ids=["joint", "separate"])
def exported(request, tmp_path_factory):
    pieces = subwords(request.param)
    model = word_by_word(pieces)
    folder = tmp_path_factory.mktemp("run") / "bundle"
    return model, pieces, folder, save(model, pieces, folder)


@pytest.mark.parametrize("name", SEARCHES)
def test_the_bundle_translates_as_pytorch_does(exported, name):
    model, pieces, folder, _ = exported
    decoding = SEARCHES[name]
    expected = in_pytorch(model, pieces, decoding)
    lengths = {len(each.tokens) for some in expected for each in some}
    assert len(lengths) > 3, "the searches end at unlike lengths"
    bundle = TranslatorBundle(folder, "fp32", threads=1)
    for found in (
        bundle.k_best(TEXTS, decoding),
        bundle.k_best(TEXTS, decoding, batch_size=2),
        [bundle.k_best([text], decoding)[0] for text in TEXTS],
    ):
        for mine, theirs in zip(found, expected, strict=True):
            assert [each.tokens for each in mine] == [each.tokens for each in theirs]
            np.testing.assert_allclose(
                [each.score for each in mine], [each.score for each in theirs], rtol=1e-4, atol=1e-4
            )
            assert [each.text for each in mine] == [pieces.decode(each.tokens) for each in theirs]
    assert bundle.translate(TEXTS, decoding) == [pieces.decode(some[0].tokens) for some in expected]


def test_the_order_of_texts_is_kept(exported):
    bundle = TranslatorBundle(exported[2], "fp32", threads=1)
    backwards = bundle.predict(TEXTS[::-1], batch_size=3)
    assert [each.tokens for each in backwards[::-1]] == [each.tokens for each in bundle.predict(TEXTS)]


def test_int8_translates(exported):
    _, _, folder, report = exported
    bundle = TranslatorBundle(folder, threads=1)
    assert bundle.precision == "int8"
    assert [each.score <= 0 for each in bundle.predict(TEXTS)] == [True] * len(TEXTS)
    assert report["bytes"]["decoder.int8.onnx"] < report["bytes"]["decoder.onnx"]
    assert 0 < report["parity"]["int8"]["largest_difference"] < 0.2


def test_short_translations_that_are_the_same_have_a_bleu_of_100(exported):
    model, pieces, folder, _ = exported
    decoding = Decoding(search="greedy", max_length=2)
    found = translation_parity(model, pieces, folder, TEXTS, LONGEST, decoding, ["fp32"])["fp32"]
    assert found.sentences == 0
    assert found.bleu == pytest.approx(100)


def test_what_the_bundle_says(exported):
    _, pieces, folder, report = exported
    assert report == json.loads((folder / "bundle.json").read_text())
    assert report["task"] == "translation"
    assert report["decoding"] == SEARCHES["five beams"].model_dump()
    assert (report["start_id"], report["end_id"], report["pad_id"], report["unknown_id"]) == (1, 2, 0, 3)
    assert report["parity"]["fp32"]["sentences"] == report["parity"]["fp32"]["changed"] == 0
    assert report["parity"]["fp32"]["bleu"] == pytest.approx(100)
    assert report["parity"]["fp32"]["largest_difference"] < 1e-5
    assert ("target_tokenizer.json" in report["files"]) is not pieces.joint
    graph = onnx.load(folder / "decoder.onnx").graph
    cache = [f"{name}.{layer}" for name in ("keys", "values") for layer in range(2)]
    source = [f"source_{name}" for name in cache]
    names = ["tokens", "order", "best", "source_mask", *source, *cache]
    assert [each.name for each in graph.input] == names
    assert [each.name for each in graph.output] == ["scores", "ids", *(f"new_{name}" for name in cache)]
    page = (folder / "README.md").read_text()
    assert "A translator, distilled with Limbeck" in page
    assert "Decoding: beam search, 5 beams, length penalty 0.6." in page
    assert "fp32 translates 0.0% of texts otherwise than PyTorch" in page


def test_what_int8_changes_is_counted_after_the_same_words(exported):
    """Against PyTorch and the int8 decoder, gone through a translation token by token here."""
    model, pieces, folder, report = exported
    bundle = TranslatorBundle(folder)
    decoding = SEARCHES["five beams"]
    wrong, largest, scale, count = 0, 0.0, 0.0, 0
    never = model.generation_config.suppress_tokens
    for number, text in enumerate(TEXTS):
        encoded = encode_translations(pieces, [Example("x", text)], None, LONGEST)
        ids = np.array(encoded.tokens, dtype=np.int64)[None]
        begun = [1, *in_pytorch(model, pieces, decoding)[number][0].tokens]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor(ids), decoder_input_ids=torch.tensor([begun])).logits[0]
        theirs = logits.log_softmax(-1).numpy()
        steps = bundle.model.read(ids, np.ones_like(ids))
        for token, row in zip(begun, theirs, strict=True):
            scores, found = steps.next(np.array([[token]]), np.array([0]), len(row))
            mine = np.empty_like(row)
            mine[found[0, 0]] = scores[0, 0]
            allowed = np.setdiff1d(np.arange(len(row)), never)
            assert np.isneginf(mine[never]).all()
            wrong += allowed[mine[allowed].argmax()] != allowed[row[allowed].argmax()]
            largest = max(largest, np.abs(mine[allowed] - row[allowed]).max())
            scale = max(scale, np.abs(row[allowed]).max())
            count += 1
    told = report["parity"]["int8"]
    # A batch of int8 has one scale for all its rows, and each text was alone here.
    assert told["changed"] == pytest.approx(wrong / count, abs=0.1)
    assert told["largest_difference"] == pytest.approx(largest / scale, rel=0.7)


@pytest.fixture(scope="module", params=[True, False], ids=["joint", "separate"])
def parallel(request, tmp_path_factory):
    pieces = subwords(request.param)
    model = at_once(pieces)
    folder = tmp_path_factory.mktemp("run") / "bundle"
    return model, pieces, folder, save(model, pieces, folder, Decoding(max_length=16))


@pytest.mark.parametrize("candidates", [1, 4, 50])
def test_a_parallel_translator_is_one_graph(parallel, candidates):
    model, pieces, folder, report = parallel
    assert {"model.onnx", "model.int8.onnx"} <= set(report["files"])
    bundle = TranslatorBundle(folder, "fp32", threads=1)
    decoding = Decoding(candidates=candidates, max_length=16)
    expected = [some[0] for some in in_pytorch(model, pieces, decoding)]
    for batch_size, reverse in product((1, 3, 32), (False, True)):
        found = bundle.predict(TEXTS[::-1] if reverse else TEXTS, decoding, batch_size)
        for mine, theirs in zip(found[::-1] if reverse else found, expected, strict=True):
            assert mine.tokens == theirs.tokens
            assert mine.score == pytest.approx(theirs.score, abs=1e-4)
            assert mine.text == pieces.decode(theirs.tokens)


def test_what_a_parallel_translators_bundle_says(parallel):
    _, _, folder, report = parallel
    assert report["candidates"] == 9
    assert report["parity"]["fp32"]["changed"] == report["parity"]["fp32"]["sentences"] == 0
    assert len(TranslatorBundle(folder).translate(TEXTS)) == len(TEXTS)
    with pytest.raises(LimbeckError, match="finds one translation of a text, and 'keep' is 2"):
        TranslatorBundle(folder).k_best(TEXTS, Decoding(keep=2))
    assert "Decoding: all tokens at once, 1 length tried." in (folder / "README.md").read_text()


def test_a_graph_that_is_another_model_is_no_bundle(exported, tmp_path, monkeypatch):
    model, pieces, _, _ = exported
    save_onnx = exporting.save_onnx

    def wrong(other, folder):
        with torch.no_grad():
            other.model.decoder.layers[0].fc2.bias[0] += 1
            save_onnx(other, folder)
            other.model.decoder.layers[0].fc2.bias[0] -= 1

    monkeypatch.setattr(exporting, "save_onnx", wrong)
    with pytest.raises(LimbeckError, match="log-probabilities differ by up to"):
        save(model, pieces, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_the_models_mode_is_kept(exported, tmp_path):
    model, pieces, _, _ = exported
    model.train()
    save(model, pieces, tmp_path / "b", int8=False)
    assert model.training
    assert model.model.decoder.training
    model.eval()
    assert TranslatorBundle(tmp_path / "b").precision == "fp32"


def test_what_cannot_be_exported(exported, tmp_path):
    model, pieces, _, _ = exported
    small = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 1}
    other = BartForConditionalGeneration(BartConfig(vocab_size=20, **small, decoder_attention_heads=1))
    with pytest.raises(LimbeckError, match="a BartForConditionalGeneration cannot be exported"):
        save(other, pieces, tmp_path / "b")
    common = {"max_length": LONGEST, "settings": Export(), "card": {}}
    with pytest.raises(LimbeckError, match="no text was given"):
        export_translator(model, pieces, tmp_path, texts=[], decoding=Decoding(), **common)
    with pytest.raises(LimbeckError, match="draws none"):
        export_translator(
            model, pieces, tmp_path, texts=TEXTS, decoding=Decoding(search="sampling"), **common
        )
    assert not (tmp_path / "bundle.json").exists()
