"""``limbeck analyse`` as a person calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from finished_runs import write

Limbeck = Callable[..., Any]
ERRORS = {"teacher": 0.1, "gold": 0.4, "soft_labels": 0.25, "logit_regression": 0.3}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write(tmp_path / "runs" / "one", "classification", ERRORS, examples=120)


def test_slices_on_the_terminal_and_a_page(limbeck: Limbeck, run: Path) -> None:
    done = limbeck("analyse", run, "--ask-nobody", "--slice", "odd=text[-1] in ('1', '3', '5', '7', '9')")
    assert "that the teacher has right, the student loses" in done.stdout
    assert " odd " in done.stdout and "gold: " in done.stdout
    assert done.stdout.endswith(f"page: {run}/analysis/analysis.html\n")
    content = json.loads((run / "analysis" / "analysis.json").read_text())
    row = next(row for row in content["slices"]["ranked"] if row["name"] == "odd")
    assert row["size"] == 60
    assert f"{100 * row['gaps']['teacher']['gap']:+.1f}".replace("-", "−") in done.stdout


def test_another_student_and_several_runs(limbeck: Limbeck, run: Path, tmp_path: Path) -> None:
    limbeck("analyse", run, "--ask-nobody", "--student", "logit_regression")
    content = json.loads((run / "analysis" / "analysis.json").read_text())
    assert content["cast"]["student"] == "logit_regression"
    other = write(tmp_path / "runs" / "two", "classification", ERRORS | {"soft_labels": 0.2}, examples=120)
    done = limbeck("analyse", run, other, "--ask-nobody", "--out", "both.html")
    assert "loses least of its teacher" in " ".join(done.stdout.split())
    assert done.stdout.endswith("page: both.html\n") and (tmp_path / "both.html").is_file()
    assert (tmp_path / "both.json").is_file() and (tmp_path / "both.md").read_text().startswith(
        "# What was lost"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere",), "limbeck: nowhere: no such run folder."),
        (("runs/one", "--slice", "long"), "limbeck: --slice: 'long' names no slice. Write NAME=EXPRESSION, e.g. 'long=length > 30'."),
        (("runs/one", "--slice", "x=import os"), "limbeck: analyse.slices.x: 'import os' is no expression (invalid syntax). Columns are "),
        (("runs/one", "--slice", "x=entity == 'a'"), "limbeck: analyse.slices.x: 'entity' is not known here. Columns that are there"),
        (("runs/one", "--slice", "x=confidence + text", "--ask-nobody"), "limbeck: analyse.slices.x: on example "),
        (("runs/one", "--student", "teacher"), "limbeck: runs/one: no student is called 'teacher'. Choose from soft_labels, logit_regression."),
        (("runs/one", "runs/one"), "this run is named twice."),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence(
    limbeck: Limbeck, run: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in limbeck("analyse", *arguments, status=2).sentence
    assert not (run / "analysis").exists()


def test_a_recipe_stands_for_its_run_and_says_what_to_look_into(
    limbeck: Limbeck, run: Path, tmp_path: Path
) -> None:
    values = {
        "name": "one",
        "data": {"train": "reviews.csv"},
        "teacher": {"answers": "answers.jsonl"},
        "analyse": {"slices": {"first": "matches(id, ':[1-3]?[0-9]$')"}},
        "out": "runs",
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    limbeck("analyse", "recipe.yaml", "--ask-nobody")
    content = json.loads((run / "analysis" / "analysis.json").read_text())
    row = next(row for row in content["slices"]["ranked"] if row["name"] == "first")
    assert row["size"] == 40 and content["settings"]["slices"] == values["analyse"]["slices"]
