"""CTranslate2 against PyTorch, for random models of every family that is converted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertModel,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.models.translators.ctranslate import CTranslator
from limbeck.models.translators.decode import translate
from limbeck.text.encode import Encoded

pytestmark = pytest.mark.unit
pytest.importorskip("ctranslate2", reason="an extra: pip install 'limbeck[ctranslate2]'")
CPU = torch.device("cpu")
SHAPE: dict[str, Any] = {
    "vocab_size": 60,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "max_position_embeddings": 64,
    "init_std": 0.3,
    "forced_eos_token_id": None,
}
FAIRSEQ = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 2}
OURS = {
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "scale_embedding": True,
}
OPUS = {"pad_token_id": 59, "eos_token_id": 0, "decoder_start_token_id": 59, "scale_embedding": True}
APART = {"decoder_vocab_size": 50, "share_encoder_decoder_embeddings": False}
T5 = {
    "vocab_size": 60,
    "d_model": 32,
    "d_kv": 16,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 2,
    "initializer_factor": 3.0,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
MODELS: dict[str, Any] = {
    "ours": lambda: MarianMTModel(MarianConfig(**SHAPE, **OURS, activation_function="relu")),
    "ours, pieces apart": lambda: MarianMTModel(MarianConfig(**SHAPE, **OURS, **APART)),
    "opus": lambda: MarianMTModel(MarianConfig(**SHAPE, **OPUS, activation_function="swish")),
    "bart": lambda: BartForConditionalGeneration(BartConfig(**SHAPE, **FAIRSEQ)),
    "mbart": lambda: MBartForConditionalGeneration(MBartConfig(**SHAPE, **FAIRSEQ)),
    "m2m_100": lambda: M2M100ForConditionalGeneration(M2M100Config(**SHAPE, **FAIRSEQ)),
    "t5": lambda: T5ForConditionalGeneration(T5Config(**T5)),
    "t5 v1.1": lambda: T5ForConditionalGeneration(
        T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    ),
}


def made(name: str) -> PreTrainedModel:
    """Random, with biases, and ending its sentences now and then."""
    torch.manual_seed(1)
    model: PreTrainedModel = MODELS[name]().eval()
    with torch.no_grad():
        for key, values in model.named_parameters():
            if values.dim() == 1:
                values.normal_(0 if key.endswith("bias") else 1, 0.2)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias[:, model.config.eos_token_id] = 2.0
    generation = model.generation_config
    assert generation is not None
    if name == "opus":
        generation.bad_words_ids = [[59]]
    if name in ("mbart", "m2m_100"):
        generation.forced_bos_token_id = 7
    return model


def texts(model: PreTrainedModel, count: int = 30) -> Encoded:
    generator = np.random.default_rng(0)
    rows = [
        [*generator.integers(8, 48, n), model.config.eos_token_id] for n in generator.integers(2, 12, count)
    ]
    offsets = np.cumsum([0, *map(len, rows)])
    tokens = np.concatenate([np.array(row, np.int32) for row in rows])
    gold = np.full(count, -100)
    return Encoded(tuple(map(str, range(count))), tokens, offsets, gold, model.config.pad_token_id, 0)


@pytest.mark.parametrize("name", MODELS)
def test_it_writes_and_scores_as_pytorch_does(name: str) -> None:
    model = made(name)
    before = model.config.to_dict()
    quick, encoded = CTranslator(model, CPU), texts(model)
    assert model.config.to_dict() == before
    way = Decoding(search="greedy", max_length=20)
    wanted, found = translate(model, encoded, way), quick.translate(encoded, way)
    assert len({one.tokens for (one,) in wanted}) > 3
    assert [one.tokens for (one,) in found] == [one.tokens for (one,) in wanted]
    if name != "opus":  # of which PyTorch's probabilities give some to what must not be written
        scores = [[one.score for (one,) in each] for each in (found, wanted)]
        np.testing.assert_allclose(*scores, atol=1e-4)
    beam = Decoding(beams=4, keep=2, max_length=20)
    several, wanted = quick.translate(encoded, beam), translate(model, encoded, beam)
    assert [len(each) for each in several] == [2] * 30
    same = [one[0].tokens == other[0].tokens for one, other in zip(several, wanted, strict=True)]
    assert np.mean(same) > 0.6  # of random models, which seldom end; of trained ones nearly all are the same


def test_a_text_is_translated_alike_alone() -> None:
    model = made("ours")
    quick, encoded = CTranslator(model, CPU), texts(model)
    way = Decoding(beams=4, max_length=20)
    whole = quick.translate(encoded, way)
    for row in (0, 11, 29):
        start, end = encoded.offsets[row : row + 2]
        alone = Encoded(("1",), encoded.tokens[start:end], np.array([0, end - start]), np.zeros(1, int), 0, 0)
        assert quick.translate(alone, way)[0][0].tokens == whole[row][0].tokens


def test_it_stops_where_the_positions_end() -> None:
    model = made("ours")
    found = CTranslator(model, CPU).translate(texts(model), Decoding(search="greedy", max_length=500))
    assert max(len(one.tokens) for (one,) in found) == 63


def test_other_models_have_no_conversion() -> None:
    config = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    with pytest.raises(
        LimbeckError, match="CTranslate2 has no conversion for a BertModel. Take the engine 'pytorch'"
    ):
        CTranslator(BertModel(config), CPU)
