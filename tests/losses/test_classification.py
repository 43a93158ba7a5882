"""The classification losses against plain NumPy, and their gradients against the papers' formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from limbeck.core.objective import NO_GOLD
from limbeck.losses.classification import (
    gold_cross_entropy,
    softened_divergence,
    squared_distance,
)
from limbeck.losses.link import LINKS

logits = arrays(np.float64, (4, 3), elements=st.floats(-20, 20))


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@given(logits, logits, st.floats(0.5, 10))
def test_softened_divergence_equals_its_definition(
    student: np.ndarray, teacher: np.ndarray, t: float
) -> None:
    p, q = softmax(teacher / t), softmax(student / t)
    expected = t**2 * (p * (np.log(p) - np.log(q))).sum(-1)
    measured = softened_divergence(torch.tensor(student), torch.tensor(teacher), t)
    np.testing.assert_allclose(measured, expected, rtol=1e-3, atol=2e-3)


@given(logits, logits, st.floats(0.5, 10))
def test_gradient_of_softened_divergence_is_hintons_equation_2_times_t_squared(
    student: np.ndarray, teacher: np.ndarray, t: float
) -> None:
    z = torch.tensor(student, requires_grad=True)
    softened_divergence(z, torch.tensor(teacher), t).sum().backward()
    expected = t**2 * (softmax(student / t) - softmax(teacher / t)) / t
    np.testing.assert_allclose(z.grad, expected, rtol=1e-4, atol=1e-4)


def test_temperature_keeps_the_size_of_the_gradient() -> None:
    student, teacher = torch.tensor([[0.2, -0.1]]), torch.tensor([[0.5, -0.5]])
    norms = []
    for t in (10.0, 100.0):
        z = student.clone().requires_grad_()
        softened_divergence(z, teacher, t).sum().backward()
        norms.append(float(z.grad.norm()))
    assert norms[0] == pytest.approx(norms[1], rel=0.01)


@given(logits, logits)
def test_squared_distance_sums_over_classes(student: np.ndarray, teacher: np.ndarray) -> None:
    measured = squared_distance(torch.tensor(student), torch.tensor(teacher))
    np.testing.assert_allclose(measured, ((student - teacher) ** 2).sum(-1), rtol=1e-4, atol=1e-6)


def test_gold_cross_entropy_is_zero_without_gold() -> None:
    losses = gold_cross_entropy(torch.tensor([[1.0, 2.0], [1.0, 2.0]]), torch.tensor([NO_GOLD, 0]))
    assert losses.tolist() == pytest.approx([0.0, float(np.log(1 + np.e))])


def test_unlabelled_sentences_take_the_teachers_choice() -> None:
    teacher = torch.tensor([[0.0, 5.0], [0.0, 5.0]])
    assert LINKS["classification"].gold_or_choice(torch.tensor([0, NO_GOLD]), teacher).tolist() == [0, 1]
