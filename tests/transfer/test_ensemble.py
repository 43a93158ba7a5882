"""Ensembles of teachers: the mean of probabilities, weights that fit dev, and members that are asked once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from limbeck.core.example import Example
from limbeck.core.signals import SignalName, Signals
from limbeck.transfer.ask import ask, count_missing
from limbeck.transfer.ensemble import EnsembleTeacher, fit_weights, mixture
from limbeck.transfer.store import AnswerStore

LOGITS: frozenset[SignalName] = frozenset({"logits"})
EXAMPLES = [Example(str(number), f"text {number}") for number in range(7)]


class Counted:
    """A teacher whose answer is a function of the text; it counts what it was asked."""

    labels = ("a", "b", "c")
    offers = LOGITS

    def __init__(self, seed: int) -> None:
        self.fingerprint, self.name, self.seed, self.asked = f"seed-{seed}", "counted", seed, 0

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        self.asked += len(examples)
        return Signals(logits=torch.from_numpy(np.stack([self.said(each) for each in examples])))

    def said(self, example: Example) -> np.ndarray:
        return np.random.default_rng([self.seed, int(example.id)]).normal(size=3).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def test_logits_are_the_logarithm_of_the_mean_of_probabilities() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 5, 4)) * 3
    found = mixture([torch.from_numpy(first), torch.from_numpy(second)], (0.25, 0.75)).numpy()
    np.testing.assert_allclose(found, np.log(0.25 * softmax(first) + 0.75 * softmax(second)), atol=1e-9)
    alone = mixture([torch.from_numpy(first), torch.from_numpy(second)], (1.0, 0.0)).numpy()
    np.testing.assert_allclose(softmax(alone), softmax(first), atol=1e-9)


def test_labels_by_themselves_have_the_mean_of_their_probabilities_and_scores_their_mean() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 5, 4)) * 3
    said = [torch.from_numpy(first), torch.from_numpy(second)]
    share = 0.25 / (1 + np.exp(-first)) + 0.75 / (1 + np.exp(-second))
    found = mixture(said, (0.25, 0.75), "multilabel").numpy()
    np.testing.assert_allclose(found, np.log(share) - np.log1p(-share), atol=1e-9)
    found = mixture(said, (0.25, 0.75), "regression").numpy()
    np.testing.assert_allclose(found, 0.25 * first + 0.75 * second, atol=1e-12)


def test_fitted_weights_are_the_likeliest() -> None:
    """Of all on a grid none makes gold likelier, and a member that only guesses gets nothing."""
    generator = np.random.default_rng(3)
    sure = generator.beta(4, 2, size=60)
    other = generator.beta(3, 2, size=60)
    first, second = fit_weights(np.stack([sure, other]))
    assert first + second == pytest.approx(1)

    def likelihood(weight: float) -> float:
        return float(np.log(weight * sure + (1 - weight) * other).sum())

    grid = np.linspace(0, 1, 1001)
    assert likelihood(first) >= max(map(likelihood, grid)) - 1e-6
    assert fit_weights(np.stack([np.full(60, 0.9), np.full(60, 0.5)])) == pytest.approx((1, 0), abs=1e-6)


def test_other_weights_ask_nothing_again(tmp_path: Path) -> None:
    members, store = [Counted(1), Counted(2)], AnswerStore(tmp_path)
    equal = EnsembleTeacher(members, None, "two")
    said = ask(equal, EXAMPLES, LOGITS, store).signals(["4", "2"], torch.device("cpu")).logits
    shares = np.stack([[softmax(each.said(EXAMPLES[n])) for n in (4, 2)] for each in members])
    np.testing.assert_allclose(said.numpy(), np.log(shares.mean(0)), atol=1e-6)
    assert [each.asked for each in members] == [7, 7]
    uneven = EnsembleTeacher(members, (0.2, 0.8), "two")
    said = ask(uneven, EXAMPLES, LOGITS, store).signals(["4", "2"], torch.device("cpu")).logits
    np.testing.assert_allclose(said.numpy(), np.log(0.2 * shares[0] + 0.8 * shares[1]), atol=1e-6)
    assert [each.asked for each in members] == [7, 7]
    assert uneven.fingerprint != equal.fingerprint
    live = uneven.answer([EXAMPLES[4], EXAMPLES[2]], LOGITS).logits
    torch.testing.assert_close(live, said)
    assert count_missing(uneven, EXAMPLES, store) == 0
