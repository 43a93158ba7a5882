"""Whole runs of the methods that compare inner states, and what stops them before a teacher works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from limbeck import distill
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.pipeline import Run
from limbeck.pipeline.hearing import answers_for, fitted
from limbeck.pipeline.plan import plan

STUDENT = {"kind": "transformer", "layers": 1, "hidden_size": 8, "heads": 2, "max_length": 32}
METHODS = ["tinybert", "minilm", {"name": "bert_pkd", "patience_weight": 0.1}]


@pytest.fixture
def recipe(recipe_file: Callable[..., Path]) -> Callable[..., Path]:
    def write(**changes: object) -> Path:
        train = {"epochs": 2, "learning_rate": 0.01, "evaluate": 2, "tokens_per_batch": 256}
        return recipe_file(
            **{"seeds": 1, "student": STUDENT, "method": METHODS[:2], "train": train, **changes}
        )

    return write


@pytest.mark.recipe
def test_a_run_of_stages(recipe: Callable[..., Path]) -> None:
    result = distill(recipe())
    names = {row["name"] for row in result.rows}
    assert names >= {"tinybert", "minilm", "gold", "teacher"}
    folder = result.folder / "students" / "tinybert" / "seed-1"
    # The inner stage keeps its last weights, whatever dev says of a classifier that has learnt nothing.
    inner = folder / "intermediate"
    trained = json.loads((inner / "trained.json").read_text())
    assert trained["best_step"] == trained["steps"]
    projections = load_file(inner / "objective.safetensors")
    assert {name: tuple(one.shape) for name, one in projections.items()} == {
        "projections.embeddings.weight": (16, 8),
        "projections.hidden.weight": (16, 8),
    }
    steps = [json.loads(line) for line in (inner / "journal.jsonl").open()]
    first, last = (
        sum(step["parts"].values()) for step in (steps[0], [s for s in steps if s["kind"] == "step"][-1])
    )
    assert last < first
    assert not (folder / "objective.safetensors").exists()
    # The control took as many steps as both stages together.
    steps = [json.loads((place / "trained.json").read_text())["steps"] for place in (inner, folder)]
    control = result.folder / "students" / "gold" / "seed-1" / "trained.json"
    assert json.loads(control.read_text())["steps"] == sum(steps)
    assert json.loads((inner / "layers.json").read_text()) == {"student": 1, "teacher": 2, "pairs": [[1, 2]]}
    page = (result.folder / "report.html").read_text()
    assert "layers of the student and of the teacher: 1 from 2" in page
    assert "Loss of tinybert, intermediate" in page
    assert "intermediate: attention" in page  # the loss doctor's terms of the inner stage
    # The classifier starts its stage from where it stood, the encoder from what it learnt.
    before, after = (AutoModelForSequenceClassification.from_pretrained(each) for each in (inner, folder))
    assert type(after).__name__ == "BertForSequenceClassification"
    assert not torch.equal(before.classifier.weight, after.classifier.weight)


@pytest.mark.recipe
def test_a_general_stage_learns_from_raw_text_and_the_untuned_encoder(
    recipe: Callable[..., Path], reviews: Path, tmp_path: Path, encoder: Path
) -> None:
    (tmp_path / "raw.txt").write_text(reviews.read_text().replace(",", " "))
    data = {"train": str(reviews), "dev": 40, "test": 60, "labelled": 80, "raw": [str(tmp_path / "raw.txt")]}
    method = {"name": "tinybert", "general_epochs": 3, "intermediate_epochs": 1}
    path = recipe(method=[method], data={**data, "raw_length": 16})
    folder = distill(path).folder / "students" / "tinybert" / "seed-1"
    general, inner = (
        load_file(folder / stage / "objective.safetensors") for stage in ("general", "intermediate")
    )
    # The second stage went on with the projections of the first: one epoch moves them little.
    near = torch.nn.functional.cosine_similarity(
        general["projections.hidden.weight"].flatten(), inner["projections.hidden.weight"].flatten(), dim=0
    )
    assert 0.8 < float(near) < 1
    # Whom the first stage heard is the encoder before it was fine-tuned.
    run = Run(load(path))
    student = AutoModelForSequenceClassification.from_pretrained(folder / "general")
    stage = fitted(run, next(run.stages()), student, 1)
    before, word = run.pretrained.state_dict(), "embeddings.word_embeddings.weight"
    assert torch.equal(before[word], load_file(encoder / "model.safetensors")[word])
    assert not torch.equal(before[word], run.teacher_model.base_model.state_dict()[word])
    assert answers_for(run, "tinybert", stage).model is run.pretrained


@pytest.mark.recipe
def test_patience_needs_the_teachers_width(recipe: Callable[..., Path]) -> None:
    path = recipe(method=METHODS[2:], student={"kind": "transformer", "from_teacher": [0], "max_length": 32})
    assert {row["name"] for row in distill(path).rows} >= {"bert_pkd", "gold"}


def test_a_plan_draws_the_mapping(recipe: Callable[..., Path]) -> None:
    text = plan(Run(load(recipe()))).text()
    assert "layers 1←2" in text
    assert "the last layer from layer 2, 2 relation heads" in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": ["bert_pkd"]}, "8 wide here and 16 in the teacher"),
        ({"student": {**STUDENT, "heads": 4}}, "the student has 4 heads a layer, and the teacher 2"),
        (
            {"student": {"kind": "static", "embeddings": "random", "dimension": 8}},
            "the student is no transformer",
        ),
        ({"student": {**STUDENT, "tokeniser": "words"}}, "compares teacher and student token by token"),
        (
            {"student": {**STUDENT, "max_length": 65}},
            "the student reads 65 tokens, and the teacher, who reads along, has 64",
        ),
    ],
)
def test_what_cannot_be_compared_is_told_before_the_teacher_learns(
    recipe: Callable[..., Path], changes: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(LimbeckError, match=told):
        distill(recipe(**changes))
    assert not list((tmp_path / "runs").rglob("teacher*"))
