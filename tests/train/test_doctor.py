import json
from pathlib import Path

import pytest
import torch
from torch import nn

from limbeck.core.objective import Loss
from limbeck.train import doctor


def loss_of(layer: nn.Linear) -> Loss:
    weights = layer.weight
    return Loss({"strong": 3 * weights.sum(), "weak": weights.sum() * 1e-3, "mute": torch.ones(())}, 4)


def test_values_gradients_and_shares() -> None:
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.grad = torch.full_like(layer.weight, 7.0)
    strong, weak, mute = doctor.examine(layer, loss_of(layer))
    assert strong.value == pytest.approx(3 * float(layer.weight.detach().sum()) / 4)
    assert strong.grad_norm == pytest.approx(3 * 2 / 4)  # four threes: norm six, over four items
    assert weak.share == pytest.approx(1e-3 / 3.001, rel=1e-4)
    assert (mute.grad_norm, mute.share) == (0, 0)
    assert torch.equal(layer.weight.grad, torch.full_like(layer.weight, 7.0))


def test_report_is_written_printed_and_warns(tmp_path: Path, said: list[str]) -> None:
    layer = nn.Linear(4, 1, bias=False)
    doctor.report(doctor.examine(layer, loss_of(layer)), tmp_path, "student")
    content = json.loads((tmp_path / "doctor.json").read_text())
    assert [term["name"] for term in content["terms"]] == ["strong", "weak", "mute"]
    assert content["step"] == 0
    assert any(text.startswith("student: at the start strong") and "(100%)" in text for text in said)
    assert any("the term 'weak' has 0.03% of the gradient" in text for text in said)
    assert any("the term 'mute' has no gradient on the first batch" in text for text in said)


def test_a_term_that_a_schedule_leaves_out_is_not_told_of() -> None:
    layer = nn.Linear(4, 1, bias=False)
    rising = 0.0 * layer.weight.square().sum()  # a weight on its way up from nought
    later = Loss({"now": layer.weight.sum(), "later": torch.zeros(()), "rising": rising}, 1)
    assert [term.name for term in doctor.examine(layer, later)] == ["now"]


def test_a_term_that_is_not_finite_is_named(tmp_path: Path, said: list[str]) -> None:
    layer = nn.Linear(2, 1)
    broken = Loss({"broken": layer.weight.sum() * float("nan")}, 1)
    doctor.report(doctor.examine(layer, broken), tmp_path, "student")
    assert any("the term 'broken' is not finite" in text for text in said)
    assert "NaN" not in (tmp_path / "doctor.json").read_text()
