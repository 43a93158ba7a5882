import random
from pathlib import Path

import numpy as np
import pytest
import torch
from train_task import make_data, make_settings, make_student

from limbeck.core.errors import LimbeckError
from limbeck.train.estimate import seconds_per_step
from limbeck.train.journal import Journal
from limbeck.train.settled import deterministic, seed_step

CPU = torch.device("cpu")


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_random_numbers_are_a_function_of_seed_step_and_process() -> None:
    found = []
    for place in ((1, 2, 0), (1, 2, 0), (2, 2, 0), (1, 3, 0), (1, 2, 1)):
        seed_step(*place, CPU)
        found.append(draw())
        draw()
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_settings_of_pytorch_come_back() -> None:
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_trial_step_takes_time_and_changes_nothing() -> None:
    model = make_student()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert 0 < seconds_per_step(model, make_data(20, seed=0).lengths, make_settings()) < 5
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_journal_grows_by_lines_and_is_cut_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write({"word": "é"})
    kept = journal.length
    journal.write({"word": "lost"})
    Journal(tmp_path / "journal.jsonl", kept).write({"word": "next"})
    assert (tmp_path / "journal.jsonl").read_text() == '{"word": "é"}\n{"word": "next"}\n'


def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.path = Path("/dev/full")
    with pytest.raises(LimbeckError, match="the disk is full"):
        journal.write({"kind": "step"})
