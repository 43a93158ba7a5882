"""examples/trainer.py runs on tiny data, and is an ordinary script but for the lines that it marks."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

EXAMPLE = Path(__file__).parents[2] / "examples" / "trainer.py"
MARK = "# distilled"


@pytest.fixture
def words(tmp_path, encoder, reviews) -> list[str]:
    """What the script is called with: reviews, and a teacher whose labels stand in another order."""
    tweets = reviews.read_text().replace("text,label", "text,sentiment", 1)
    (tmp_path / "tweets.csv").write_text("\n".join(tweets.splitlines()[:121]))
    torch.manual_seed(1)
    teacher = AutoModelForSequenceClassification.from_pretrained(
        encoder, id2label={0: "good", 1: "bad"}, label2id={"good": 0, "bad": 1}
    )
    teacher.save_pretrained(tmp_path / "teacher")
    AutoTokenizer.from_pretrained(encoder).save_pretrained(tmp_path / "teacher")
    given = {"data": tmp_path / "tweets.csv", "teacher": tmp_path / "teacher", "student": encoder}
    others = ["--layers", "1", "--epochs", "2", "--out", str(tmp_path / "out")]
    return [word for key, value in given.items() for word in (f"--{key}", str(value))] + others


def script(source: str) -> types.ModuleType:
    module = types.ModuleType("example")
    exec(compile(source, str(EXAMPLE), "exec"), module.__dict__)
    return module


def test_example_distils(words, tmp_path) -> None:
    trainer = script(EXAMPLE.read_text()).main(words)
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert all({"loss_soft", "loss_gold"} < set(entry) for entry in logged) and logged
    assert any("eval_accuracy" in entry for entry in trainer.state.log_history)
    student = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert student.config.num_hidden_layers == 1 and student.config.label2id == {"bad": 0, "good": 1}


def test_example_without_its_three_lines_is_an_ordinary_script(words) -> None:
    lines = EXAMPLE.read_text().splitlines()
    marked = [line for line in lines if MARK in line]
    assert len(marked) == 3
    ordinary = "\n".join(
        line.partition(f"{MARK}: ")[2] if "import" in line and MARK in line else line
        for line in lines
        if line not in marked[1:]
    )
    trainer = script(ordinary).main(words)
    assert type(trainer).__module__ == "transformers.trainer"
