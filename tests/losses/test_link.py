"""Losses of scores and of sets of labels, against NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from limbeck.losses.classification import (
    binary_cross_entropy,
    gold_squared_error,
    softened_binary_divergence,
    softened_divergence,
)
from limbeck.losses.link import LINKS

pytestmark = pytest.mark.unit


def logits(seed: int, rows: int = 5, labels: int = 4) -> torch.Tensor:
    return torch.randn(rows, labels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_binary_cross_entropy_is_a_sum_over_labels_and_nought_without_gold() -> None:
    z, gold = logits(1), (logits(2) > 0).double()
    gold[3] = torch.nan
    p, y = expit(z.numpy()), gold.numpy()
    wanted = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(1)
    found = binary_cross_entropy(z.requires_grad_(), gold)
    np.testing.assert_allclose(found.detach()[[0, 1, 2, 4]], wanted[[0, 1, 2, 4]], rtol=1e-5)
    assert float(found[3]) == 0
    found.sum().backward()
    assert torch.isfinite(z.grad).all() and not z.grad[3].any()
    np.testing.assert_allclose(z.grad[0], (p - y)[0], rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_softened_binary_divergence_is_that_of_bernoullis(temperature: float) -> None:
    ours, theirs = logits(1), logits(2)
    p, q = expit(theirs.numpy() / temperature), expit(ours.numpy() / temperature)
    wanted = temperature**2 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(1)
    np.testing.assert_allclose(softened_binary_divergence(ours, theirs, temperature), wanted, rtol=1e-4)


def test_one_label_by_itself_is_softmax_over_it_and_its_absence() -> None:
    ours, theirs = logits(1, labels=1), logits(2, labels=1)
    both = [torch.cat([z, torch.zeros_like(z)], 1) for z in (ours, theirs)]
    torch.testing.assert_close(
        softened_binary_divergence(ours, theirs, 3.0), softened_divergence(*both, 3.0), rtol=1e-4, atol=1e-6
    )


def test_squared_error_of_scores() -> None:
    z, gold = torch.tensor([[1.0], [4.0]], requires_grad=True), torch.tensor([[3.0], [torch.nan]])
    found = gold_squared_error(z, gold)
    assert found.tolist() == [4.0, 0.0]
    found.sum().backward()
    assert z.grad.tolist() == [[-4.0], [0.0]]


@pytest.mark.parametrize("task", sorted(LINKS))
def test_a_student_that_says_what_the_teacher_does_has_nothing_to_learn_from_it(task: str) -> None:
    student = logits(1, labels=1 if task == "regression" else 4).float().requires_grad_()
    loss = LINKS[task].soft(student, student.detach().clone(), 2.0).sum()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    assert float(student.grad.abs().max()) == pytest.approx(0, abs=1e-6)


def test_gold_where_there_is_some_else_the_teachers_choice() -> None:
    gold = torch.tensor([[1.0, 0.0], [torch.nan, torch.nan]])
    teacher = torch.tensor([[-1.0, 2.0], [0.3, -0.1]])
    assert LINKS["multilabel"].gold_or_choice(gold, teacher).tolist() == [[1, 0], [1, 0]]
    scores = LINKS["regression"].gold_or_choice(torch.tensor([[2.5], [torch.nan]]), teacher[:, :1])
    assert scores.flatten().tolist() == pytest.approx([2.5, 0.3])
