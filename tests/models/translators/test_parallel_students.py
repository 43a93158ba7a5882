"""What every parallel student must do; a kind is tested on arrival."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.core.recipe import Export, Training
from limbeck.core.signals import TOKENS, Penalty
from limbeck.core.sources import Vocabulary
from limbeck.losses.translation import summed
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.models.translators.decode import translate
from limbeck.models.translators.export import export_translator
from limbeck.models.translators.start import LAYERS
from limbeck.serve.translator import TranslatorBundle
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations
from limbeck.train.loop import train

from .conftest import encoded_of, tokeniser_of
from .toys import WORDS, batch_of, learnt, toy_pairs, vocabulary

pytestmark = pytest.mark.unit

KINDS = [kind for kind in models.kinds("translation") if kind != "autoregressive"]
STEPS = {
    "flowseq": 400,
    "inat": 300,
    "insertion": 800,
    "levenshtein": 400,
    "maskt": 500,
    "vanilla": 150,
}
"""In which 64 pairs are learnt by heart."""
SMALL = {"layers": 2, "width": 64, "feed_forward": 128, "heads": 4, "dropout": 0.0}


def built(kind, subwords, seed=0, **changes):
    """Changes of settings that the kind does not have are left out."""
    values = {**SMALL, **changes}
    known = vars(models.settings_for(kind, {}, task="translation"))
    settings = models.settings_for(kind, {k: v for k, v in values.items() if k in known}, task="translation")
    made = models.build(
        kind, settings, labels=(), tokeniser=subwords, teacher=None, seed=seed, task="translation"
    )
    return made.eval()


def stirred(model, by=0.1):
    """With larger weights than a start has, so that everything matters."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * by)
    return model


@pytest.fixture(scope="module", params=KINDS)
def student(request):
    return stirred(built(request.param, vocabulary(), longest_offset=6, width=32, feed_forward=48))


def alone(student, inputs, decoding):
    found = []
    for row, real in enumerate(inputs["attention_mask"].sum(1).tolist()):
        one = {name: inputs[name][row : row + 1, :real] for name in ("input_ids", "attention_mask")}
        found += student.decode(one, decoding)
    return found


@pytest.mark.parametrize(("candidates", "passes"), [(1, 10), (4, 10), (3, 4), (1, 1), (1000, 2)])
def test_a_sentence_decodes_the_same_alone_and_in_any_batch(student, candidates, passes):
    inputs = batch_of(toy_pairs(24, seed=9))
    decoding = Decoding(candidates=candidates, passes=passes, max_length=14)
    together = student.decode(inputs, decoding)
    backwards = student.decode({name: value.flip(0) for name, value in inputs.items()}, decoding)[::-1]
    for other in (backwards, alone(student, inputs, decoding)):
        assert [(one.tokens, one.passes) for one in other] == [(one.tokens, one.passes) for one in together]
        np.testing.assert_allclose([one.score for one in other], [one.score for one in together], atol=1e-5)
    assert all(len(one.tokens) <= 13 and one.passes >= 1 for one in together)
    assert not {0, 1, 2, 4} & {token for one in together for token in one.tokens}


def test_only_gold_is_guessed(student):
    inputs = batch_of([*toy_pairs(5, seed=2), ([7, 8], [9, 10])])
    inputs["labels"][2] = NO_GOLD  # no translation
    torch.manual_seed(0)
    guesses = student.train().guesses(inputs)
    student.eval()
    (tokens,) = (guess for guess in guesses if guess.name == TOKENS)
    assert len(tokens.truth) > 0
    gold = set(inputs["labels"].flatten().tolist()) - {NO_GOLD}
    assert set(tokens.truth.tolist()) <= gold
    for guess in guesses:
        if isinstance(guess, Penalty):
            assert torch.isfinite(guess.values).all()
            continue
        assert torch.isfinite(guess.scores).all()
        assert ((guess.truth >= 0) & (guess.truth < guess.scores.shape[1])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_has_no_gradient(kind):
    padding = WORDS + 4
    student = stirred(built(kind, vocabulary(WORDS, WORDS))).train()
    pairs = [([min(t, padding - 1) for t in source], target) for source, target in toy_pairs(8)]
    guesses = student.guesses(batch_of(pairs, pad=padding))
    sum(map(summed, guesses)).backward()
    assert (student.encoder.embed_tokens.weight.grad[padding] == 0).all()
    for name, parameter in student.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(("kind", "joint"), list(product(KINDS, (True, False))))
def test_saved_and_loaded_by_the_auto_class(kind, joint, tmp_path):
    subwords = vocabulary() if joint else vocabulary(WORDS, WORDS + 9)
    student = stirred(built(kind, subwords, longest_offset=7))
    student.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert type(loaded) is type(student)
    assert loaded.config.to_diff_dict() == student.config.to_diff_dict()
    assert (loaded.lm_head.weight is loaded.encoder.embed_tokens.weight) == joint
    decoding = Decoding(candidates=3, max_length=20)
    inputs = batch_of(toy_pairs(10))
    assert loaded.decode(inputs, decoding) == student.decode(inputs, decoding)


@pytest.mark.parametrize("kind", KINDS)
def test_its_bundle_translates_as_pytorch_does(kind, tmp_path):
    texts = ["a red car", "two men talk", "", "the old man has a red dog and two cars", "zyzzyva", "a dog"]
    examples = [Example(str(row), text, targets=(text[::-1],)) for row, text in enumerate(texts)]
    pieces = Subwords.learn(examples, Vocabulary(size=320))
    student = stirred(built(kind, pieces, longest_offset=5, width=32, feed_forward=48), 0.3)
    decoding, common = Decoding(max_length=16), {"max_length": 24, "settings": Export(changed=0.9)}
    report = export_translator(
        student, pieces, tmp_path / "bundle", texts=texts, decoding=decoding, card={"name": "x"}, **common
    )
    assert report["parity"]["fp32"]["changed"] == report["parity"]["fp32"]["sentences"] == 0
    bundle = TranslatorBundle(tmp_path / "bundle", "fp32", threads=1)
    for asked in (decoding, Decoding(max_length=12, candidates=4, passes=3)):
        expected = [
            best for best, *_ in translate(student, encode_translations(pieces, examples, None, 24), asked)
        ]
        for batch_size in (1, 4):
            for mine, theirs in zip(bundle.predict(texts, asked, batch_size), expected, strict=True):
                assert (mine.tokens, mine.passes) == (theirs.tokens, theirs.passes)
                assert mine.score == pytest.approx(theirs.score, abs=1e-4)
    assert all(isinstance(text, str) for text in TranslatorBundle(tmp_path / "bundle").translate(texts))
    with pytest.raises(LimbeckError, match="draws none"):
        bundle.predict(texts, Decoding(search="importance"))
    told = {
        "flowseq": "all tokens at once, 1 length tried.",
        "vanilla": "all tokens at once, 1 length tried.",
        "insertion": "tokens into all slots at once, in up to 10 passes.",
        "levenshtein": "tokens at all places at once, in up to 10 iterations of up to three passes.",
    }.get(kind, "all tokens at once, in up to 10 passes, 1 length tried.")
    assert f"Decoding: {told}" in (tmp_path / "bundle" / "README.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_all_layers_start_as_their_depth_says(kind):
    """Within Glorot's bound over the root of the depth, a flow's couplings among them; norms as they are."""
    student = built(kind, vocabulary(), layers=3)
    depths = {
        layer: depth
        for stack in (student.encoder.layers, student.layers)
        for depth, layer in enumerate(stack, start=1)
    }
    layers = [module for module in student.modules() if isinstance(module, LAYERS)]
    assert len(layers) >= 6 and depths.keys() <= {*layers}
    for layer in layers:
        for linear in (module for module in layer.modules() if isinstance(module, torch.nn.Linear)):
            bound = (6 / (linear.in_features + linear.out_features)) ** 0.5 * depths.get(layer, 1) ** -0.5
            assert float(linear.weight.detach().abs().max()) < 1.001 * bound
        assert float(layer.final_layer_norm.weight.detach().min()) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.25, pytest.param(1, marks=pytest.mark.slow)])
def test_it_learns_pairs_of_many_lengths_by_heart(kind, share):
    # One of two equal tokens in a row may be either: insertion into all slots at once then inserts none or too many.
    pairs = toy_pairs(round(64 * share), again=kind != "insertion")
    assert len({len(target) for _, target in pairs}) > 6
    student = built(kind, vocabulary(), deduplicate=False)
    assert learnt(student, pairs, STEPS[kind]) > 95


class Stop(Exception):
    """An interruption."""


def trained(student, folder, stop_at=None, **keys):
    """A student after two passes over some pairs, with dropout; its training stops at an evaluation."""
    evaluations = []

    def scored(gold, said):
        evaluations.append(said)
        if len(evaluations) == stop_at:
            raise Stop
        return {"bleu": float(np.mean([len(row) for row in said]))}

    sources, targets = zip(*toy_pairs(48), strict=True)
    settings = Training(
        epochs=2, tokens_per_batch=96, evaluate=4, metric="bleu", learning_rate=1e-3, clip=1.0, **keys
    )
    train(
        model=student,
        tokeniser=tokeniser_of(200),
        objective=TranslationObjective(0.1),
        data=encoded_of(sources, targets),
        answers=None,
        dev=encoded_of(sources[:6], targets[:6]),
        settings=settings,
        folder=folder,
        seed=1,
        score=scored,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_training_that_stops_goes_on_as_if_it_had_not(kind, tmp_path):
    """What is masked, dropped, corrupted or drawn is so once more."""
    small = {"layers": 1, "width": 16, "feed_forward": 32, "heads": 2, "dropout": 0.1}
    trained(built(kind, vocabulary(), **small), tmp_path / "straight")
    with pytest.raises(Stop):
        trained(built(kind, vocabulary(), **small), tmp_path / "broken", stop_at=3, checkpoint_seconds=0)
    trained(built(kind, vocabulary(), seed=5, **small), tmp_path / "broken", checkpoint_seconds=0)
    straight, broken = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "broken")
    )
    assert straight == broken
