"""Noisy logits and annealing: their equations, what is drawn, and when the teacher gives way to gold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch, Objective
from limbeck.core.signals import Signals
from limbeck.losses.ramp import ramp

OWN = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5], [0.1, 0.2, 0.3]])
THEIRS = np.array([[1.0, 0.0, 4.0], [-2.0, 3.0, 0.5], [2.0, 1.0, -1.0]])
BATCH = Batch(("a", "b", "c"), {}, torch.tensor([2, 0, NO_GOLD]))


def objective(name: str, **settings: object) -> Objective:
    (stage,) = methods.get(name).stages(settings)
    return stage.objective


def parts(taught: Objective, own: np.ndarray, theirs: np.ndarray, batch: Batch) -> dict[str, float]:
    said = Signals(logits=torch.tensor(own)), Signals(logits=torch.tensor(theirs))
    return {name: float(part) for name, part in taught(*said, batch).parts.items()}


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def test_noise_multiplies_the_logits_of_a_share_of_the_sentences() -> None:
    """At z_student = 0 the loss is the sum of ((1 + xi) z)², in the mean (1 + share sigma²) z²."""
    rows, sigma, share = 40_000, 0.5, 0.3
    own, theirs = np.zeros((rows, 2)), np.tile([3.0, -1.0], (rows, 1))
    batch = Batch(tuple(map(str, range(rows))), {}, torch.full((rows,), NO_GOLD))
    torch.manual_seed(1)
    found = parts(objective("noisy_logits", sigma=sigma, share=share), own, theirs, batch)["logits"]
    assert found / rows == pytest.approx(10 * (1 + share * sigma**2), rel=0.01)


def test_a_sentence_is_perturbed_in_whole_or_not_at_all_and_each_class_by_its_own_noise() -> None:
    own = torch.zeros(2000, 3, dtype=torch.float64, requires_grad=True)
    theirs = torch.tensor([[1.0, 2.0, -4.0]], dtype=torch.float64).expand(2000, 3)
    batch = Batch(("x",) * 2000, {}, torch.full((2000,), NO_GOLD))
    torch.manual_seed(1)
    noisy = objective("noisy_logits", share=0.25)
    noisy(Signals(logits=own), Signals(logits=theirs), batch).total.backward()
    factors = (own.grad / (-2 * theirs)).numpy()  # dL/dz_s = -2 z'
    changed = np.abs(factors - 1) > 1e-6
    assert (changed.all(1) == changed.any(1)).all()
    assert changed.any(1).mean() == pytest.approx(0.25, abs=0.03)
    noise = factors[changed.any(1)] - 1
    assert noise.std(0) == pytest.approx(np.full(3, 0.2), rel=0.15)
    assert abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.15


def test_noise_is_the_steps_and_gone_in_evaluation() -> None:
    noisy, plain = objective("noisy_logits", alpha=0.25, share=1.0), objective("logit_regression", alpha=0.25)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(parts(noisy, OWN, THEIRS, BATCH))
    assert found[0] == found[1] != found[2]
    assert found[0]["cross_entropy"] == found[2]["cross_entropy"]
    assert parts(noisy.eval(), OWN, THEIRS, BATCH) == parts(plain, OWN, THEIRS, BATCH)


@pytest.mark.parametrize(
    ("done", "settings", "weight"),
    [
        (0.0, {}, 1.0),
        (0.25, {}, 0.75),
        (1.0, {}, 0.0),
        (0.25, {"shape": "cosine"}, 0.5 + np.sqrt(0.125)),
        (0.5, {"start": 0.8, "end": 0.2, "begins": 0.4, "ends": 0.8}, 0.65),
        (0.39, {"begins": 0.4, "ends": 0.4}, 1.0),
        (0.4, {"begins": 0.4, "ends": 0.4}, 0.0),
    ],
)
def test_the_teacher_gives_way_to_gold(done: float, settings: dict[str, object], weight: float) -> None:
    found = parts(objective("annealed", temperature=2.0, **settings), OWN, THEIRS, replace(BATCH, done=done))
    log_p, log_q = log_softmax(OWN / 2), log_softmax(THEIRS / 2)
    soft = 4 * (np.exp(log_q) * (log_q - log_p)).sum(-1)
    gold = log_softmax(OWN)
    assert found["soft"] == pytest.approx(weight * soft[:2].sum() + soft[2], rel=1e-5)
    assert found["gold"] == pytest.approx(-(1 - weight) * (gold[0, 2] + gold[1, 0]), rel=1e-5, abs=1e-9)


def test_sentences_without_gold_may_fade() -> None:
    found = parts(objective("annealed", without_gold="fade"), OWN, THEIRS, replace(BATCH, done=1.0))
    assert found["soft"] == 0 and found["gold"] > 0


def test_a_ramp_that_ends_before_it_begins_is_told() -> None:
    with pytest.raises(LimbeckError, match="'ends' comes before 'begins'"):
        objective("annealed", begins=0.5, ends=0.2)


def test_a_ramp_stays_between_its_ends_and_never_turns() -> None:
    for shape in ("linear", "cosine"):
        values = [ramp(done / 50, 0.2, 0.9, 0.3, 0.7, shape) for done in range(51)]
        assert values[:16] == [0.2] * 16 and values[35:] == [0.9] * 16
        assert values == sorted(values)


NAMED = {
    "gold": {},
    "hard_labels": {},
    "soft_labels": {"temperature": 3},
    "soft_labels ": {"temperature": 1, "gold_weight": 0.4},
    "logit_regression": {},
}


@pytest.mark.parametrize("name", NAMED)
def test_the_mean_of_targets_is_where_the_loss_of_a_constant_is_least(name):
    objective = methods.objective(name.strip(), **NAMED[name])
    draw = torch.Generator().manual_seed(0)
    teacher = Signals(logits=torch.randn(7, 3, generator=draw) * 2)
    gold = torch.tensor([0, 1, 2, 0, 1, 2, 2])
    if "soft" in name:
        gold[:3] = NO_GOLD
    targets = objective.targets(teacher, gold, 3)
    weights = torch.ones(7) if targets.weights is None else targets.weights
    mean = (weights[:, None] * targets.values).sum(0) / weights.sum()
    logits = mean if targets.temperature is None else targets.temperature * mean.clamp(min=1e-9).log()
    constant = logits.clone().requires_grad_()
    batch = Batch(tuple("abcdefg"), {}, gold)
    objective(Signals(logits=constant.expand(7, 3)), teacher, batch).total.backward()
    torch.testing.assert_close(constant.grad, torch.zeros(3), atol=2e-5, rtol=0)
