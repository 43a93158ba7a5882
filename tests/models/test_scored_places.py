"""Only real tokens of a translation are scored, and their scores and gradients are those of scoring everything."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import MBartConfig, MBartForConditionalGeneration, T5Config, T5ForConditionalGeneration

from limbeck.core.objective import NO_GOLD
from limbeck.models.translators.guesses import decoder_inputs, guesses_of
from limbeck.text.encode import collate
from tiny_translation import make_pairs, make_translator

SHAPE = {"vocab_size": 24, "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1}


def t5() -> T5ForConditionalGeneration:
    torch.manual_seed(1)
    config = T5Config(**SHAPE, d_model=16, d_ff=32, d_kv=8, num_layers=1, num_heads=2)
    return T5ForConditionalGeneration(config).eval()


def mbart() -> MBartForConditionalGeneration:
    torch.manual_seed(1)
    sizes: dict[str, Any] = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
    return MBartForConditionalGeneration(MBartConfig(**SHAPE, **sizes, **heads, d_model=16)).eval()


@pytest.mark.parametrize("make", [make_translator, t5, mbart])
def test_scores_of_real_tokens_are_those_of_the_whole_model(make: Any) -> None:
    model, inputs = make(), dict(collate(make_pairs(5, seed=1), np.arange(5)).inputs)
    (guess,) = guesses_of(model, inputs)
    labels = inputs.pop("labels")
    logits = model(**inputs, decoder_input_ids=decoder_inputs(model, labels)).logits
    real = labels != NO_GOLD
    assert not real.all()
    torch.testing.assert_close(guess.scores, logits[real])
    assert torch.equal(guess.truth, labels[real])
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    found = torch.autograd.grad(guess.scores.square().sum(), weights, allow_unused=True)
    whole = torch.autograd.grad(logits[real].square().sum(), weights, allow_unused=True)
    for one, other in zip(found, whole, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)
    assert len(model(**inputs, decoder_input_ids=decoder_inputs(model, labels)).logits.shape) == 3
