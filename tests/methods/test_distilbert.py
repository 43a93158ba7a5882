"""DistilBERT: its three losses against NumPy, item by item, and what is left where student equals teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch, Objective, Shape
from limbeck.core.signals import Signals
from limbeck.models.masked_head import MaskedLMHead

WIDTH, WORDS, LENGTHS = 8, 11, (5, 2, 4)
MASK = (torch.arange(5) < torch.tensor(LENGTHS)[:, None]).long()
TRUTH = torch.full((3, 5), NO_GOLD)
TRUTH[0, 1], TRUTH[0, 3], TRUTH[2, 2] = 4, 9, 10  # the second block has none
SHAPE = Shape(layers=2, width=WIDTH, heads=2)


def masked_lm(seed: int) -> BertForMaskedLM:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=WORDS, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    return BertForMaskedLM(config).eval()


def general(**settings: Any) -> Objective:
    objective = methods.get("distilbert").stages(settings)[0].objective
    objective.fit(SHAPE, SHAPE)
    objective.take_head(MaskedLMHead(masked_lm(1)))
    return objective


def batch(rows: slice = slice(None)) -> Batch:
    gold = torch.full((len(TRUTH[rows]),), NO_GOLD)
    return Batch(("a", "b", "c")[rows], {"attention_mask": MASK[rows]}, gold, truth=TRUTH[rows])


def states(seed: int) -> torch.Tensor:
    return torch.randn(3, 5, WIDTH, generator=torch.Generator().manual_seed(seed))


def heard(objective: Objective, last: torch.Tensor, head: MaskedLMHead, rows: slice = slice(None)) -> Signals:
    """What a teacher with these last states says when it is asked as it is in training."""
    with torch.no_grad():
        scores = head(last[rows][objective.asked(batch(rows))])
    return Signals(hidden=(torch.zeros_like(last[rows]), last[rows]), vocabulary=scores, mask=MASK[rows])


def said(last: torch.Tensor, rows: slice = slice(None)) -> Signals:
    return Signals(hidden=(last[rows],), mask=MASK[rows])


def log_softmax(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


@pytest.mark.parametrize("soft_at", ["masked", "all"])
def test_losses_are_their_equations(soft_at: str) -> None:
    objective = general(soft_at=soft_at, general_temperature=3.0)
    own, theirs, other = states(1), states(2), MaskedLMHead(masked_lm(2))
    loss = objective(said(own), heard(objective, theirs, other), batch())
    with torch.no_grad():
        z_s, z_t = objective.head(own.reshape(-1, WIDTH)), other(theirs.reshape(-1, WIDTH))
    z_s, z_t = (each.reshape(3, 5, WORDS).double().numpy() for each in (z_s, z_t))
    soft = truth = cosine = 0.0
    for row, length in enumerate(LENGTHS):
        guessed = [place for place in range(5) if TRUTH[row, place] != NO_GOLD]
        places = guessed if soft_at == "masked" else range(length)
        log_p, log_q = log_softmax(z_s[row] / 3), log_softmax(z_t[row] / 3)
        each = [9 * (np.exp(log_q[place]) * (log_q[place] - log_p[place])).sum() for place in places]
        soft += len(guessed) * np.mean(each) if guessed else 0.0
        truth -= sum(log_softmax(z_s[row, place])[TRUTH[row, place]] for place in guessed)
        a, b = own[row, :length].double().numpy(), theirs[row, :length].double().numpy()
        angles = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        cosine += len(guessed) * (1 - angles).mean()
    found = {name: float(value.detach()) for name, value in loss.parts.items()}
    assert found == pytest.approx({"soft": 5 * soft, "masked_lm": 2 * truth, "cosine": cosine}, rel=1e-4)
    assert loss.count == 3


@pytest.mark.parametrize("soft_at", ["masked", "all"])
def test_two_halves_add_up_and_padding_changes_nothing(soft_at: str) -> None:
    objective, other = general(soft_at=soft_at), MaskedLMHead(masked_lm(2))
    own, theirs = states(1), states(2)
    whole = objective(said(own), heard(objective, theirs, other), batch())
    parts = (slice(0, 1), slice(1, 2), slice(2, 3))  # the second guesses nothing
    each = [objective(said(own, rows), heard(objective, theirs, other, rows), batch(rows)) for rows in parts]
    assert [one.count for one in each] == [2, 0, 1]
    assert float(each[1].total.detach()) == 0
    torch.testing.assert_close(whole.total, sum(one.total for one in each))
    each[1].total.backward()
    for side in (own, theirs):
        side[MASK == 0] = 7.0
    again = objective(said(own), heard(objective, theirs, other), batch())
    torch.testing.assert_close(again.total, whole.total)


def test_a_student_equal_to_its_teacher_has_true_tokens_alone_to_learn() -> None:
    for more, silent in (({"masked_lm_weight": 0.0}, True), ({}, False)):
        objective = general(**more)
        last = states(1).requires_grad_()
        loss = objective(said(last), heard(objective, last.detach(), objective.head), batch())
        assert (set(loss.parts) == {"soft", "cosine"}) is silent
        matched = loss.parts["soft"] + loss.parts["cosine"]
        assert float(matched.detach()) == pytest.approx(0, abs=1e-5)
        (gradient,) = torch.autograd.grad(matched, last, retain_graph=True)
        assert float(gradient.abs().max()) < 1e-5
        loss.total.backward()
        assert (float(last.grad.abs().max()) < 1e-5) is silent


def test_gradients_reach_states_and_head() -> None:
    objective = general()
    last = states(1).requires_grad_()
    objective(said(last), heard(objective, states(2), MaskedLMHead(masked_lm(2))), batch()).total.backward()
    assert (last.grad.abs().sum(-1) > 0).equal(MASK.bool() & (TRUTH != NO_GOLD).any(1)[:, None])
    assert all(float(one.grad.abs().sum()) > 0 for one in objective.head.parameters())


def test_a_weight_of_nought_leaves_its_term_out() -> None:
    named = {"soft": "soft_weight", "masked_lm": "masked_lm_weight", "cosine": "cosine_weight"}
    for part, key in named.items():
        objective = general(**{key: 0})
        loss = objective(said(states(1)), heard(objective, states(2), MaskedLMHead(masked_lm(2))), batch())
        assert set(loss.parts) == named.keys() - {part}
    with pytest.raises(LimbeckError, match="soft_weight, masked_lm_weight and cosine_weight are all 0"):
        general(soft_weight=0, masked_lm_weight=0, cosine_weight=0)


def test_stages_are_what_the_settings_say() -> None:
    settings = {"general_epochs": 2, "masked_share": 0.3, "temperature": 4, "gold_weight": 1}
    first, task = methods.get("distilbert").stages(settings)
    assert (first.hears, first.epochs, first.keeps) == ("raw", 2, "last")
    assert (first.teacher, first.masked, first.objective.aligned_by) == ("pretrained", 0.3, "token")
    assert (task.masked, task.objective.temperature, task.objective.gold_weight) == (0.0, 4, 1)
    assert first.objective.told() == "30% of raw text masked"


def test_models_that_cannot_be_compared_are_told() -> None:
    objective = methods.get("distilbert").stages({})[0].objective
    with pytest.raises(LimbeckError, match="hidden states are 4 wide here and 8 in the teacher"):
        objective.fit(Shape(2, 4, 2), SHAPE)
    with pytest.raises(LimbeckError, match="the student is no transformer"):
        objective.fit(None, SHAPE)
    with pytest.raises(LimbeckError, match="the teacher has no layers"):
        objective.fit(SHAPE, None)


def test_either_stage_may_be_left_out() -> None:
    method = methods.get("distilbert")
    assert [stage.name for stage in method.stages({"general_epochs": 0})] == ["task"]
    assert [stage.name for stage in method.stages({"prediction": None})] == ["general"]
    with pytest.raises(LimbeckError, match="every stage of 'distilbert' is switched off"):
        method.stages({"general_epochs": 0, "prediction": None})
