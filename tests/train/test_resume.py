"""kill -9 at any moment, the same call again, and the end is the same, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from killed import train

KILLED = Path(__file__).with_name("killed.py")


def train_and_kill(
    folder: Path, checkpoint_seconds: float, seed: int, kills: int, *more: str
) -> dict[str, Any]:
    numbers = (checkpoint_seconds, seed, kills)
    command = [sys.executable, str(KILLED), str(folder), *map(str, numbers), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert report["status"] == 0, done.stderr
    return report


def journal(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    threads = torch.get_num_threads()
    train(folder, 60)
    torch.set_num_threads(threads)
    return folder


@pytest.mark.parametrize(("checkpoint_seconds", "kills"), [(0, 8), (0.05, 8)])
def test_killed_run_ends_as_one_that_was_not(
    straight: Path, tmp_path: Path, checkpoint_seconds: float, kills: int
) -> None:
    report = train_and_kill(tmp_path, checkpoint_seconds, 1, kills)
    assert len(set(report["found"])) > 2, "no child was killed half-way: the test proves nothing"
    assert (tmp_path / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert journal(tmp_path) == journal(straight)
    for name in ("doctor.json", "config.json", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (straight / name).read_bytes()
    ends = [json.loads((folder / "trained.json").read_text()) for folder in (tmp_path, straight)]
    for key in ("dev_score", "best_step", "steps", "epochs", "parameters", "key"):
        assert ends[0][key] == ends[1][key]
    assert not (tmp_path / "checkpoint").exists()


def test_a_killed_general_stage_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """What is masked, and what the objective's own masked-LM head has learnt, are taken up, too."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    threads = torch.get_num_threads()
    train(straight, 60, "masked")
    torch.set_num_threads(threads)
    report = train_and_kill(killed, 0, 1, 3, "masked")
    assert len(set(report["found"])) > 2, "no child was killed half-way: the test proves nothing"
    for name in ("model.safetensors", "objective.safetensors", "doctor.json"):
        assert (killed / name).read_bytes() == (straight / name).read_bytes()
    assert journal(killed) == journal(straight)
    assert set(journal(straight)[0]["parts"]) == {"soft", "masked_lm", "cosine"}


def test_a_killed_run_averages_the_weights_of_evaluations_before_it_was_killed(
    straight: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    threads = torch.get_num_threads()
    train(whole, 60, "average")
    torch.set_num_threads(threads)
    report = train_and_kill(killed, 0, 1, 5, "average")
    assert len(set(report["found"])) > 2, "no child was killed half-way: the test proves nothing"
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole, killed, straight)]
    assert weights[0] == weights[1] != weights[2]
    assert journal(killed) == journal(whole)
