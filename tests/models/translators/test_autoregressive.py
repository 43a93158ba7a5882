"""Autoregressive translators: their sizes, how they start, what they are scored on, and that they come back whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForSeq2SeqLM, BertConfig, BertModel, MarianMTModel

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.models.outputs import say
from limbeck.models.translators import autoregressive
from limbeck.models.translators.decode import translate
from limbeck.models.translators.guesses import decoder_inputs, guesses_of
from limbeck.models.translators.loading import load_translator
from limbeck.models.translators.next_tokens import next_tokens
from limbeck.models.weights import learnt
from limbeck.text.encode import collate

from .conftest import END, START, built, encoded_of, sentences, subwords_of
from .test_decode import FAMILIES, WordForWord, of_family

pytestmark = pytest.mark.unit


def settings(**keys):
    return models.settings_for("autoregressive", keys, task="translation")


@pytest.mark.parametrize(("size", "millions"), [("tiny", 16), ("small", 37), ("base", 65), ("big", 218)])
def test_the_sizes_have_the_papers_weights(size, millions):
    with torch.device("meta"):
        model = MarianMTModel(autoregressive.config_for(settings(size=size), subwords_of(41_000)))
    learnt_ones = {id(weight): weight.numel() for weight in model.parameters() if weight.requires_grad}
    assert learnt(model) == sum(learnt_ones.values()) < model.num_parameters()  # positions are computed
    assert round(learnt(model) / 1e6) == millions


def test_a_scale_keeps_the_sizes_proportions():
    quarter = {size: settings(size=size, scale=0.25).shape for size in ("tiny", "small", "base", "big")}
    assert [(s.layers, s.width, s.feed_forward, s.heads) for s in quarter.values()] == [
        (3, 64, 256, 1),
        (3, 128, 256, 2),
        (6, 128, 512, 2),
        (6, 256, 1024, 4),
    ]
    for scale in (0.1, 0.3, 0.7, 1.1):
        shape = settings(size="big", scale=scale).shape
        assert shape.width % (2 * shape.heads) == 0
        assert shape.width == pytest.approx(1024 * scale, abs=shape.heads)


def test_single_values_change_a_size():
    shape = settings(size="base", width=128).shape
    assert (shape.layers, shape.width, shape.feed_forward, shape.heads) == (6, 128, 512, 2)
    config = built(9, layers=2, decoder_layers=1, width=24, heads=3, feed_forward=7).config
    assert (config.encoder_layers, config.decoder_layers, config.decoder_ffn_dim) == (2, 1, 7)
    with pytest.raises(LimbeckError, match="'width' 20 is no multiple of twice its 4 heads"):
        settings(width=20, heads=4)


def test_a_joint_vocabulary_has_one_matrix_and_separate_ones_have_two():
    joint, apart = built(30), built(30, 40)
    assert joint.lm_head.weight is joint.model.encoder.embed_tokens.weight
    assert apart.lm_head.weight is apart.model.decoder.embed_tokens.weight
    assert apart.lm_head.weight.shape == (40, 16)
    assert apart.model.encoder.embed_tokens.weight.shape == (30, 16)


@pytest.mark.parametrize("target", [None, 400])
def test_weights_start_as_in_the_paper_and_by_the_seed(target):
    model = built(500, target, width=64, heads=2, layers=1)
    for embeddings in (model.model.encoder.embed_tokens, model.lm_head):
        assert float(embeddings.weight.detach()[1:].std()) == pytest.approx(64**-0.5, rel=0.03)
        assert not embeddings.weight[0].any()
    linear = model.model.decoder.layers[0].fc1
    bound = (6 / (64 + 256)) ** 0.5
    assert 0.95 * bound < float(linear.weight.detach().abs().max()) <= bound
    assert not linear.bias.any()
    position, wave = 7, 5
    angle = position / 10_000 ** (2 * wave / 64)
    positions = model.model.decoder.embed_positions.weight
    assert float(positions[position, wave]) == pytest.approx(np.sin(angle), abs=1e-6)
    assert float(positions[position, 32 + wave]) == pytest.approx(np.cos(angle), abs=1e-6)
    assert model.model.decoder.embed_scale == 8.0
    again, other = built(500, target, width=64, heads=2, layers=1), built(500, target, 1, width=64, heads=2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert not torch.equal(model.lm_head.weight, other.lm_head.weight)


def test_upper_layers_start_weaker():
    model = built(500, width=64, heads=2, layers=6)
    bound = (6 / (64 + 256)) ** 0.5
    for stack in (model.model.encoder, model.model.decoder):
        for depth, layer in enumerate(stack.layers, start=1):
            for linear in (layer.fc1, layer.fc2):
                most = float(linear.weight.detach().abs().max()) * depth**0.5
                assert 0.95 * bound < most < 1.001 * bound
            assert float(layer.self_attn_layer_norm.weight.detach().min()) == 1


def test_it_says_how_it_is_decoded():
    generation = built(9).generation_config
    assert (generation.decoder_start_token_id, generation.eos_token_id, generation.pad_token_id) == (1, 2, 0)
    assert generation.suppress_tokens == [0, 1, 4]
    assert generation.forced_eos_token_id is None
    assert generation.bad_words_ids is None
    assert generation.num_beams in (None, 1)


@pytest.mark.parametrize("target", [None, 25])
def test_what_is_saved_comes_back(tmp_path, target):
    model = built(20, target).eval()
    model.save_pretrained(tmp_path)
    encoded = encoded_of(sentences(6, 20))
    for loaded in (load_translator(tmp_path), AutoModelForSeq2SeqLM.from_pretrained(tmp_path)):
        assert not loaded.training
        assert loaded.generation_config.suppress_tokens == [0, 1, 4]
        assert loaded.generation_config.forced_eos_token_id is None
        for search in (Decoding(beams=3, keep=2, max_length=8), Decoding(search="sampling", max_length=8)):
            assert translate(loaded, encoded, search) == translate(model, encoded, search)


def test_what_is_no_translator_is_refused(tmp_path):
    with pytest.raises(LimbeckError, match="no translator can be loaded"):
        load_translator(tmp_path / "nowhere")
    config = BertConfig(
        vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    with pytest.raises(LimbeckError, match="no translator can be loaded"):
        load_translator(tmp_path / "bert")
    model = built(20)
    weights = model.state_dict()
    del weights["model.encoder.layers.0.fc1.weight"]
    model.save_pretrained(tmp_path / "part", state_dict=weights)
    with pytest.raises(LimbeckError, match=r"not whole .*fc1"):
        load_translator(tmp_path / "part")


def batch_of(count=5, size=20, targets=20, pad=0):
    sources = sentences(count, size)
    return collate(encoded_of(sources, sentences(count, targets, seed=1), pad=pad), np.arange(count)).inputs


@pytest.mark.parametrize("target", [None, 25])
def test_it_guesses_each_token_after_those_before_it(target):
    model = built(20, target).eval()
    inputs = batch_of(targets=target or 20)
    (guess,) = say(model, inputs, frozenset({"guesses"})).guesses
    assert guess.name == "tokens"
    row = 0
    for source, mask, labels in zip(
        *(inputs[n] for n in ("input_ids", "attention_mask", "labels")), strict=True
    ):
        real = [START, *labels[labels >= 0].tolist()]
        for place in range(1, len(real)):
            alone = model(
                input_ids=source[mask > 0][None], decoder_input_ids=torch.tensor([real[:place]])
            ).logits[0, -1]
            torch.testing.assert_close(guess.scores[row], alone, atol=1e-5, rtol=1e-4)
            assert guess.truth[row] == real[place]
            row += 1
    assert row == len(guess.scores) == len(guess.truth)


@pytest.mark.parametrize("family", FAMILIES)
def test_any_familys_guesses_give_the_loss_that_the_family_gives(family):
    model, pad = of_family(family)
    inputs = batch_of(size=27, targets=27, pad=pad)
    (guess,) = guesses_of(model, inputs)
    loss = functional.cross_entropy(guess.scores, guess.truth)
    torch.testing.assert_close(loss, model(**inputs).loss)
    loss.backward()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)


def test_a_wrapped_model_is_called_through_its_wrapper():
    class Wrapper(torch.nn.Module):
        calls = 0

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, **inputs):
            self.calls += 1
            return self.inner(**inputs)

    for model in (built(30).eval(), WordForWord(BertConfig())):
        wrapper, inputs = Wrapper(model), batch_of(size=30, targets=30)
        if isinstance(model, WordForWord):
            inputs["labels"] = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        (through,) = say(model, inputs, frozenset({"guesses"}), through=wrapper).guesses
        (plain,) = guesses_of(model, inputs)
        assert wrapper.calls == 1
        assert torch.equal(through.scores, plain.scores)


def test_the_decoder_reads_the_start_and_no_gold_as_padding():
    labels = torch.tensor([[7, 8, END], [END, -100, -100]])
    assert decoder_inputs(built(9), labels).tolist() == [[START, 7, 8], [START, END, 0]]
    m2m, _ = of_family("M2M-100")
    assert decoder_inputs(m2m, labels).tolist() == [[2, 7, 8], [2, END, 0]]


def test_next_tokens_are_the_likeliest_of_the_mean():
    model, other = built(20).eval(), built(20, seed=5).eval()
    inputs = batch_of()
    with torch.inference_mode():
        chances = [guesses_of(one, inputs)[0].scores.double().softmax(-1).numpy() for one in (model, other)]
        alone, both = next_tokens(model, inputs, 4), next_tokens(model, inputs, 4, others=[other])
        whole = next_tokens(model, inputs, 99)
    for found, expected in ((alone, chances[0]), (both, (chances[0] + chances[1]) / 2)):
        order = np.argsort(-expected, axis=-1)[:, :4]
        assert (found.ids.numpy() == order).all()
        logs = np.log(np.take_along_axis(expected, order, -1))
        assert found.log_probabilities.numpy() == pytest.approx(logs, abs=1e-5)
    assert whole.ids.shape == (len(chances[0]), 20)
    assert whole.log_probabilities.exp().sum(-1).numpy() == pytest.approx(1, abs=1e-5)


def test_next_tokens_of_what_writes_many_at_once_are_refused():
    with pytest.raises(LimbeckError, match="writes many tokens at once"):
        next_tokens(WordForWord(BertConfig()), batch_of(), 3)
    with pytest.raises(LimbeckError, match="these have 20 and 21 tokens"):
        next_tokens(built(20), batch_of(), 3, others=[built(21)])
