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


@pytest.mark.recipe
def test_a_bilstm_takes_hints_and_several_methods_at_once(recipe_file: Callable[..., Path]) -> None:
    selective = {"name": "neuron_selectivity", "weight": 1.0, "to": 0.0, "label": "neurons"}
    objectives = [{"name": "soft_labels"}, selective, {"name": "gold", "weight": 0, "to": 1}]
    method = [{"name": "hints", "hint_epochs": 2}, {"name": "combined", "objectives": objectives}]
    result = distill(recipe_file(seeds=1, student=BILSTM, train=TRAIN, method=method, control=False))
    folder = result.folder / "students"
    hints, answers, both = (
        journal(folder / place) for place in ("hints/seed-1/hints", "hints/seed-1", "combined/seed-1")
    )
    assert hints[-1]["parts"]["hints"] < hints[0]["parts"]["hints"]
    assert answers[-1]["parts"].keys() == {"soft"}
    assert both[-1]["parts"].keys() == {
        "soft_labels.soft",
        "neurons.soft",
        "neurons.selectivity",
        "gold.gold",
    }
    assert both[0]["parts"]["gold.gold"] < both[-1]["parts"]["gold.gold"]
    layers = json.loads((folder / "hints/seed-1/hints/layers.json").read_text())
    assert layers == {"student": 1, "teacher": 2, "pairs": [[1, 1]]}
