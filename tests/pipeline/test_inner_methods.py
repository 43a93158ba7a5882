"""Whole runs of methods that hear a teacher's inside, with a BiLSTM for a student."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck import distill

BILSTM = {"kind": "bilstm", "embeddings": "random", "dimension": 8, "hidden": 6, "relu": 5, "max_length": 32}
TRAIN = {"epochs": 2, "learning_rate": 0.01, "evaluate": 2, "tokens_per_batch": 256}


def journal(folder: Path) -> list[dict[str, object]]:
    return [one for line in (folder / "journal.jsonl").open() if (one := json.loads(line))["kind"] == "step"]


@pytest.mark.recipe
def test_a_bilstm_learns_derivatives(recipe_file: Callable[..., Path]) -> None:
    method = {"name": "jacobian", "projections": 2}
    result = distill(recipe_file(seeds=1, student=BILSTM, train=TRAIN, method=[method], control=False))
    steps = journal(result.folder / "students" / "jacobian" / "seed-1")
    assert steps[-1]["parts"].keys() == {"logits", "derivatives"}
    assert 0 < steps[-1]["parts"]["derivatives"] < float("inf")
    assert steps[-1]["loss"] < steps[0]["loss"]
