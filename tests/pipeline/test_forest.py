"""Forests from recipe to bundle and report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from limbeck import Bundle, distill
from limbeck.cli.app import app
from limbeck.core import recipe
from limbeck.core.errors import LimbeckError
from limbeck.pipeline.plan import plan
from limbeck.pipeline.run import Run

pytestmark = pytest.mark.recipe

TREE = {"kind": "forest", "trees": 1, "depth": 4, "max_length": 32}


@pytest.fixture
def grown(recipe_file) -> tuple[Path, Path]:
    """The recipe of a finished run of trees, and its folder."""
    path = recipe_file(student=TREE, method=["soft_labels", "logit_regression"])
    distill(path)
    return path, recipe.load(path).folder


def test_a_tree_goes_the_whole_way(grown, listener, recipe_file):
    path, folder = grown
    evaluation = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    roles = {each["name"]: each["role"] for each in evaluation["summary"]}
    assert roles == {
        "teacher": "teacher",
        "soft_labels": "student",
        "logit_regression": "student",
        "gold": "control",
    }
    student = folder / "students" / "soft_labels" / "seed-1"
    assert {each.suffix for each in student.iterdir()} == {".json", ".jsonl", ".safetensors"}
    forest = json.loads((student / "forest.json").read_text())
    assert forest["trees"] == 1 and forest["texts"] == 140 and forest["depth"] <= 4
    # The control hears the labelled text alone.
    control = json.loads((folder / "students" / "gold" / "seed-1" / "forest.json").read_text())
    assert control["texts"] == 80
    costs = {each["engine"]: each for each in evaluation["cost"] if each["name"] != "teacher"}
    assert set(costs) == {"pytorch", "onnx"} and costs["onnx"]["p50_ms"] > 0
    nodes = {json.loads(each.read_text())["nodes"] for each in folder.glob("students/*/seed-*/forest.json")}
    assert costs["onnx"]["parameters"] in nodes

    # What is done is skipped, and settings of gradients change nothing about trees.
    listener.said.clear()
    distill(path, "train.epochs=7", "train.learning_rate=0.5", "train.metric=accuracy")
    assert sum("skipped" in line for line in listener.said) >= 8
    assert not any("on dev" in line for line in listener.said)


def test_the_bundle_answers_as_was_evaluated(grown):
    _, folder = grown
    table = pq.read_table(folder / "evaluation" / "predictions.parquet").to_pylist()
    card = json.loads((folder / "bundle" / "bundle.json").read_text())
    method, seed = card["card"]["method"], card["card"]["seed"]
    bundle = Bundle(folder / "bundle")
    assert bundle.precision == "fp32" and set(card["parity"]) == {"fp32"}
    found = [list(each.scores.values()) for each in bundle.predict([row["text"] for row in table])]
    np.testing.assert_allclose(found, [row[f"{method}@{seed}"] for row in table], atol=1e-5)
    answer = CliRunner().invoke(app, ["predict", str(folder / "bundle"), "a lovely film"])
    assert answer.exit_code == 0, answer.output


def test_the_report_draws_the_tree_and_names_its_words(grown):
    _, folder = grown
    page = (folder / "report.html").read_text(encoding="utf-8")
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    forest = json.loads((folder / "students" / "soft_labels" / "seed-1" / "forest.json").read_text())
    assert "The tree, to be read" in page and "natural tree" in page
    assert f"has “{forest['shown']['nodes'][0]['name']}”?" in page
    assert "|-- yes: " in markdown and "| Feature | Splits | Importance |" in markdown
    assert "Loss doctor" not in page


def test_a_killed_run_goes_on_to_the_same_forest(recipe_file, monkeypatch):
    path = recipe_file(student={**TREE, "trees": 3}, method="hard_labels", seeds=1, control=False)
    import limbeck.train.grow as growing

    whole = growing.save_model
    monkeypatch.setattr(growing, "save_model", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        distill(path)
    folder = recipe.load(path).folder / "students" / "hard_labels"
    assert not (folder / "seed-1").exists()
    monkeypatch.setattr(growing, "save_model", whole)
    distill(path)
    weights = (folder / "seed-1" / "model.safetensors").read_bytes()
    distill(path, "name=other")
    again = recipe.load(path, ["name=other"]).folder / "students" / "hard_labels" / "seed-1"
    assert (again / "model.safetensors").read_bytes() == weights
    assert len((folder / "seed-1" / "journal.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("tinybert", "a forest follows no gradient"),
        ({"name": "soft_labels", "gold_weight": 0.5}, "gold_weight: 0 or temperature: 1"),
        ({"name": "logit_regression", "alpha": 0.5}, "alpha: 0"),
    ],
)
def test_methods_without_targets_are_refused_before_any_work(recipe_file, method, what):
    path = recipe_file(student=TREE, method=method)
    with pytest.raises(LimbeckError, match=what) as caught:
        distill(path)
    if method == "tinybert":
        assert "gold, hard_labels, logit_regression, soft_labels" in str(caught.value)
    assert not recipe.load(path).folder.exists()


def test_plan_tells_that_epochs_do_not_matter(recipe_file):
    planned = plan(Run.of(recipe.load(recipe_file(student=TREE)))).text()
    assert "2 seeds of 1 tree; epochs, rates and batches do not matter" in planned


def test_gold_joins_at_temperature_one(recipe_file):
    method = {"name": "soft_labels", "temperature": 1, "gold_weight": 0.5}
    student = {"kind": "forest", "trees": 2, "features": "embeddings", "max_length": 32}
    path = recipe_file(student=student, method=method, seeds=1, control=False)
    distill(path)
    folder = recipe.load(path).folder
    facts = json.loads((folder / "students" / "soft_labels" / "seed-1" / "forest.json").read_text())
    assert facts["used"][0]["name"].startswith("dimension ")
    assert np.isclose(sum(facts["shown"]["nodes"][0]["shares"]), 1, atol=1e-3)
