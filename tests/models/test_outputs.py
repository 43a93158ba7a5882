from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import MPNetConfig, MPNetForSequenceClassification

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.models import bilstm
from limbeck.models.outputs import predict, say
from limbeck.text.encode import encode

pytestmark = pytest.mark.unit


def test_predictions_come_in_the_examples_order_and_leave_the_mode_alone(teacher, tokeniser, texts):
    examples = [Example(str(number), text) for number, text in enumerate(texts * 3)]
    encoded = encode(tokeniser, examples, None, 32)
    with torch.no_grad():
        expected = [teacher(**tokeniser([text], return_tensors="pt")).logits.numpy() for text in texts]
    teacher.train()
    try:
        logits = predict(teacher, encoded, tokens_per_batch=20)
        assert teacher.training
    finally:
        teacher.eval()
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, np.concatenate(expected * 3), atol=1e-5)


def test_a_model_says_what_is_read_and_no_more(teacher, tokeniser, texts):
    inputs = tokeniser(texts, padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    batch, tokens = inputs["input_ids"].shape
    only = say(teacher, inputs)
    assert only.logits.shape == (batch, 3)
    assert only.hidden is only.attention is only.embeddings is only.mask is None
    inner = frozenset({"hidden", "attention", "queries", "keys", "values", "embeddings"})
    all_of_it = say(teacher, inputs, inner | {"logits"})
    assert [state.shape for state in all_of_it.hidden] == [(batch, tokens, 16)] * 4
    for part in (all_of_it.queries, all_of_it.keys, all_of_it.values):
        assert [one.shape for one in part] == [(batch, 2, tokens, 8)] * 4
    teacher.set_attn_implementation("eager")
    probabilities = teacher(**inputs, output_attentions=True).attentions
    teacher.set_attn_implementation("sdpa")
    mask = inputs["attention_mask"][:, None, None].bool()
    for scores, wanted in zip(all_of_it.attention, probabilities, strict=True):
        torch.testing.assert_close(scores.masked_fill(~mask, -torch.inf).softmax(-1), wanted)
    torch.testing.assert_close(all_of_it.embeddings, teacher.bert.embeddings(inputs["input_ids"]))
    torch.testing.assert_close(all_of_it.logits, only.logits)
    assert torch.equal(all_of_it.mask, inputs["attention_mask"])


def test_a_bilstm_says_its_states(tokeniser, labels, texts):
    settings = bilstm.Settings(embeddings="random", dimension=8, hidden=6, layers=2)
    model = models.build("bilstm", settings, labels=labels, tokeniser=tokeniser, teacher=None, seed=1).eval()
    inputs = tokeniser(texts, padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    batch, tokens = inputs["input_ids"].shape
    said = say(model, inputs, frozenset({"logits", "hidden", "embeddings"}))
    assert [state.shape for state in said.hidden] == [(batch, tokens, 12)] * 2
    assert said.embeddings.shape == (batch, tokens, 8)
    last = inputs["attention_mask"].sum(1) - 1
    rows = torch.arange(batch)
    summary = torch.cat((said.hidden[-1][rows, last, :6], said.hidden[-1][rows, 0, 6:]), -1)
    torch.testing.assert_close(model.classify(summary), say(model, inputs).logits)


def test_attention_that_cannot_be_listened_to_is_told(tokeniser, labels, texts):
    config = MPNetConfig(
        vocab_size=len(tokeniser),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
    )
    model = MPNetForSequenceClassification(config).eval()
    inputs = tokeniser(texts, padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    with pytest.raises(LimbeckError, match="MPNetForSequenceClassification computes attention in a way"):
        say(model, inputs, frozenset({"attention"}))
    assert config._attn_implementation != "limbeck"
