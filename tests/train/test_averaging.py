"""What is evaluated is the mean of the last evaluations' weights, and training goes on from its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train_task import Dictionary, Distance, make_data, make_settings, make_student, make_tokeniser, score

from limbeck.train import loop, run
from limbeck.train.averaging import LastWeights

DATA, DEV = make_data(60, seed=1), make_data(30, seed=2)


class Wandering(torch.nn.Module):
    """A trained weight, a frozen one, a running mean and a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.frozen = torch.nn.Parameter(torch.full((2,), 0.1), requires_grad=False)
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def move(self, to: float) -> None:
        with torch.no_grad():
            self.weight.fill_(to)
            self.mean.fill_(-to)
            self.steps.add_(1)


def test_mean_of_the_last_three_and_back() -> None:
    model, last = Wandering(), LastWeights(3)
    for step, (value, mean) in enumerate([(1.0, 1.0), (4.0, 2.5), (7.0, 4.0), (1.0, 4.0), (1.0, 3.0)], 1):
        model.move(value)
        with last.averaged(model):
            assert model.weight.tolist() == [mean] * 2
            assert model.mean.item() == -mean
            assert model.steps.item() == step
            assert torch.equal(model.frozen, torch.full((2,), 0.1))
        assert model.weight.tolist() == [value] * 2
        assert model.mean.item() == -value
        assert len(last.kept) == min(step, 2)


def test_weights_come_back_after_an_error() -> None:
    model, last = Wandering(), LastWeights(2)
    for value in (1.0, 3.0):
        model.move(value)
        with pytest.raises(RuntimeError), last.averaged(model):
            raise RuntimeError
        assert model.weight.tolist() == [value] * 2


@pytest.mark.parametrize("keeps", ["best", "last"])
def test_kept_weights_are_the_mean_of_plain_trainings(
    tmp_path: Path, keeps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An oracle: the same training without averages, whose weights at each evaluation are noted."""
    noted: list[dict[str, np.ndarray]] = []
    plain = run.Run._evaluate

    def note(self: run.Run) -> None:
        noted.append({n: p.detach().double().numpy().copy() for n, p in self.lesson.model.named_parameters()})
        plain(self)

    def trained(name: str, average: int) -> tuple[loop.Trained, dict[str, np.ndarray]]:
        model, settings = make_student(), make_settings(epochs=6, evaluate=6, average=average)
        found = loop.train(
            model,
            make_tokeniser(),
            Distance(),
            DATA,
            Dictionary(DATA),
            DEV,
            settings,
            tmp_path / name,
            1,
            score=score,
            keeps=keeps,
        )
        return found, {n: p.detach().numpy() for n, p in model.named_parameters()}

    monkeypatch.setattr(run.Run, "_evaluate", note)
    trained("plain", 1)
    monkeypatch.setattr(run.Run, "_evaluate", plain)
    found, kept = trained("mean", 3)
    number = round(found.best_step * 6 / found.steps)  # which evaluation was the best
    assert keeps == "best" or number == 6
    for name, weights in kept.items():
        mean = np.mean([one[name] for one in noted[max(0, number - 3) : number]], axis=0)
        np.testing.assert_allclose(weights, mean, rtol=1e-5, atol=1e-7)
    assert any(not np.allclose(kept[name], noted[number - 1][name]) for name in kept) or number == 1
