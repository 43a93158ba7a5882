"""``limbeck data``: figures of files against a count by hand; the table, the JSON, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Limbeck = Callable[..., Any]

TRAIN = "text,label\na fine film,1\nA fine  film,1\nso so,0\nSo so,1\nquite a long bad sad film,0\n,0\ncafÃ© film,1\n"
TEST = "text,label\nA FINE film,1\nnew words,0\nonly here,\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "train.csv").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "test.csv").write_text(TEST, encoding="utf-8")
    return str(tmp_path / "train.csv"), str(tmp_path / "test.csv")


def test_figures_are_those_of_a_count_by_hand(limbeck: Limbeck, files: tuple[str, str]) -> None:
    train, test = json.loads(limbeck("data", *files, "--json").stdout)
    assert train == {
        "path": files[0],
        "format": "csv",
        "columns": ["text", "label"],
        "examples": 7,
        "labels": {"1": 4, "0": 3},
        "unlabelled": 0,
        "lengths": {"least": 2, "median": 2.5, "most_of_95": 6, "most": 6},
        "duplicates": 2,
        "contradictory": 2,
        "empty": 1,
        "damaged": 1,
        "overlap": None,
        "scores": None,
    }
    assert (test["unlabelled"], test["overlap"], test["labels"]) == (1, 1, {"0": 1, "1": 1})


def test_the_table_tells_the_same(limbeck: Limbeck, files: tuple[str, str]) -> None:
    shown = " ".join(limbeck("data", *files).stdout.split())
    assert "'1' 4 (57.1%) 1 (50.0%)" in shown
    assert "also in train.csv – 1 (33.3%)" in shown


def test_columns_of_a_table_are_guessed_or_set(limbeck: Limbeck, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("review,stars\n" + "good film,5\nbad film,1\n" * 3)
    assert "text: review, label: stars" in limbeck("data", str(path)).stdout
    assert "text: stars" in limbeck("data", str(path), "--set", "text=stars", "--set", "label=null").stdout


def test_formats_with_settings_and_tagged_words(limbeck: Limbeck, tmp_path: Path) -> None:
    trec = tmp_path / "a.label"
    trec.write_text("NUM:dist How far ?\nNUM:count How many ?\n")
    (coarse,) = json.loads(limbeck("data", str(trec), "--json").stdout)
    (fine,) = json.loads(limbeck("data", str(trec), "--json", "--set", "classes=50").stdout)
    assert (coarse["labels"], fine["labels"]) == ({"NUM": 2}, {"NUM:count": 1, "NUM:dist": 1})
    tagged = tmp_path / "a.conll"
    tagged.write_text("Ann B-PER\nsings O\n\nBob B-PER\n")
    (found,) = json.loads(limbeck("data", str(tagged), "--json").stdout)
    assert (found["format"], found["labels"], found["columns"]) == (
        "conll",
        {"B-PER": 2, "O": 1},
        ["text", "tags"],
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "word"], "there is no format 'word'"),
        (["--set", "classes"], "'classes' is not KEY=VALUE"),
        (["--set", "colour=1"], "'colour'"),
        (["--format", "trec"], "train.csv:1: the line begins with no label"),
    ],
)
def test_what_is_refused(limbeck: Limbeck, files: tuple[str, str], arguments: list[str], told: str) -> None:
    result = limbeck("data", files[0], *arguments, status=2)
    assert told in result.stderr


def test_scores_and_sets_of_labels_are_told_as_such(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "sts-dev.csv").write_text("g\tf\t2012\t1\t3.0\tA b.\tC d.\ng\tf\t2012\t2\t1.0\tE.\tF.\n")
    (scored,) = json.loads(limbeck("data", str(tmp_path / "sts-dev.csv"), "--json").stdout)
    assert scored["columns"] == ["text", "second", "score"]
    assert scored["scores"] == [1.0, 2.0, 3.0]
    assert scored["unlabelled"] == 0
    (tmp_path / "sets.jsonl").write_text(
        '{"text": "a", "labels": ["x", "y"]}\n{"text": "b", "labels": ["x"]}\n'
    )
    (several,) = json.loads(limbeck("data", str(tmp_path / "sets.jsonl"), "--json").stdout)
    assert (several["labels"], several["unlabelled"]) == ({"x": 2, "y": 1}, 0)
