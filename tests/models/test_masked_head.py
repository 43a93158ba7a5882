"""Heads of masked LMs without their encoders, and what masked LMs say at chosen positions."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, PreTrainedModel

from limbeck.core.errors import LimbeckError
from limbeck.models.masked_head import MaskedLMHead, head_for
from limbeck.models.outputs import say

FAMILIES = "albert bert camembert deberta-v2 distilbert electra ernie modernbert mpnet roberta xlm-roberta"
IDS = torch.tensor([[2, 7, 8, 9, 3], [2, 9, 3, 0, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": (IDS > 0).long()}


def config(family: str, **changes: Any) -> Any:
    if family == "distilbert":
        shape = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16}
    else:
        shape = {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 20,
            "embedding_size": 16,
        }
    ends = {"pad_token_id": 0, "eos_token_id": 3, "bos_token_id": 2, "sep_token_id": 3, "cls_token_id": 2}
    return AutoConfig.for_model(family, **{"vocab_size": 40, **shape, **ends, **changes})


def masked_lm(family: str = "bert", **changes: Any) -> PreTrainedModel:
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(config(family, **changes)).eval()
    for parameter in model.parameters():  # biases start at nought, where a mistake would not show
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("family", FAMILIES.split())
def test_a_head_alone_says_what_the_whole_model_does(family: str) -> None:
    model = masked_lm(family)
    head = MaskedLMHead(model)
    with torch.no_grad():
        said = model(**INPUTS, output_hidden_states=True)
        places = INPUTS["attention_mask"].bool()
        scores = head(said.hidden_states[-1][places])
        assert torch.allclose(scores, said.logits[places], atol=1e-5)
        signals = say(model, INPUTS, frozenset({"hidden", "vocabulary"}), places=places)
        assert torch.allclose(signals.vocabulary, said.logits[places], atol=1e-5)
        assert torch.allclose(signals.hidden[-1], said.hidden_states[-1], atol=1e-6)
    assert {tuple(one.shape) for one in signals.hidden} == {(2, 5, 16)}
    assert signals.mask is INPUTS["attention_mask"]
    encoder = {id(parameter) for parameter in model.parameters()}
    assert not any(id(parameter) in encoder for parameter in head.parameters())
    assert sum(parameter.numel() for parameter in head.parameters()) < 16 * 16 + 6 * 40 + 40 * 16


@pytest.mark.parametrize("tied", [True, False])
def test_a_students_head_ends_in_its_embeddings_if_the_teachers_does(tied: bool) -> None:
    teacher = masked_lm(tie_word_embeddings=tied)
    student = AutoModelForSequenceClassification.from_config(config("bert", num_hidden_layers=1))
    head = head_for(student, teacher)
    last, own = head.model.get_output_embeddings().weight, student.get_input_embeddings().weight
    assert (last is own) is tied
    if not tied:
        assert torch.equal(last, teacher.get_output_embeddings().weight)
    head(torch.randn(3, 16)).sum().backward()
    assert last.grad is not None
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert head(torch.randn(0, 16)).shape == (0, 40)


def test_what_cannot_be_asked_or_taken_is_told() -> None:
    teacher, places = masked_lm(), torch.ones_like(IDS, dtype=torch.bool)
    other = AutoModelForSequenceClassification.from_config(config("bert", vocab_size=41))
    with pytest.raises(LimbeckError, match="the embeddings of student and teacher are 41 × 16 and 40 × 16"):
        head_for(other, teacher)
    with pytest.raises(LimbeckError, match="does not look at positions one by one"):
        say(other, INPUTS, frozenset({"vocabulary"}), places=places)
    with torch.no_grad():
        assert teacher(**INPUTS).logits.shape == (2, 5, 40)  # no hook is left behind
    tangled = masked_lm("deberta-v2", legacy=False)
    with pytest.raises(LimbeckError, match="head of a DebertaV2ForMaskedLM cannot be told from its encoder"):
        head_for(other, tangled)


def test_an_encoder_without_a_head_is_told(encoder: Path) -> None:
    from limbeck.models.masked_lm import load_masked_lm

    with pytest.raises(
        LimbeckError, match="without a masked-LM head .*limbeck adapt .*name that folder instead"
    ):
        load_masked_lm(encoder)
