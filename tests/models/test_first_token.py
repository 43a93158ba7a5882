"""Leaving out what the logits do not need changes neither them nor their gradients."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, BertForSequenceClassification

from limbeck.models.first_token import HOOKS, first_token_only
from limbeck.models.outputs import say

pytestmark = pytest.mark.unit
SMALL = {
    "vocab_size": 20,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 0,
}
DISTILBERT = {"vocab_size": 20, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
IDS = torch.tensor([[2, 5, 7, 9, 3], [2, 11, 3, 0, 0], [2, 3, 0, 0, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}


def model_of(family: str) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **(DISTILBERT if family == "distilbert" else SMALL), num_labels=3)
    return AutoModelForSequenceClassification.from_config(config).eval()


def widths(model: Any, *, inside: bool) -> tuple[torch.Tensor, list[int]]:
    """Logits, and how many tokens each feed-forward layer was given."""
    seen: list[int] = []
    layers = [m for name, m in model.named_modules() if name.endswith((".intermediate", ".ffn"))]
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(
                layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
            )
        if inside:
            stack.enter_context(first_token_only(model))
        logits = model(**INPUTS).logits
    return logits, seen


@pytest.mark.parametrize("family", sorted(HOOKS))
def test_logits_and_gradients_are_those_of_the_whole_model(family: str) -> None:
    model = model_of(family)
    found = {}
    for inside in (False, True):
        model.zero_grad()
        logits, seen = widths(model, inside=inside)
        logits.square().sum().backward()
        assert seen == ([5, 1] if inside else [5, 5])
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        found[inside] = (logits.detach(), gradients)
    torch.testing.assert_close(found[True], found[False], rtol=1e-4, atol=1e-7)
    assert widths(model, inside=False)[1] == [5, 5], "the hook is gone"


def test_only_who_reads_the_logits_alone_is_spared_the_rest(teacher, tokeniser, texts) -> None:
    inputs = dict(tokeniser(texts, padding=True, return_tensors="pt"))
    hidden = say(teacher, inputs, frozenset({"logits", "hidden"})).hidden
    assert hidden is not None
    assert hidden[-1].shape[1] == inputs["input_ids"].shape[1]


class Own(BertForSequenceClassification):
    """Somebody's own classifier: it may read any token."""


def test_what_cannot_be_told_is_left_whole() -> None:
    bert = model_of("bert")
    assert widths(Own(bert.config).eval(), inside=True)[1] == [5, 5]
    bert.gradient_checkpointing_enable()
    assert widths(bert, inside=True)[1] == [5, 5]


def test_other_families_are_left_whole() -> None:
    model = model_of("deberta-v2").eval()
    with first_token_only(model):
        inside = model(**INPUTS).logits
    torch.testing.assert_close(inside, model(**INPUTS).logits)


def test_an_error_inside_takes_the_hook_away() -> None:
    model = model_of("bert")
    with pytest.raises(RuntimeError, match="stop"), first_token_only(model):
        raise RuntimeError("stop")
    assert widths(model, inside=False)[1] == [5, 5]
