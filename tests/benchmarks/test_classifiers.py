"""The classifiers' benchmark: what it draws, what it reads off its rows, and all of it on tiny sets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import LimbeckError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import classifiers
    import text_sets
finally:
    sys.path.pop(0)

SETS = ("sst2", "stsb", "rte")
TINY = text_sets.Size(labelled=40, dev=20, more=60, test=50, steps=5, seeds=2, jobs=1)


def test_without_data_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIMBECK_DATA", raising=False)
    with pytest.raises(LimbeckError, match="LIMBECK_DATA names no folder that holds sst5"):
        classifiers.design("sst2", TINY, tmp_path)
    assert not list(tmp_path.rglob("*.jsonl"))


def test_the_aim_counts_gains_that_are_clear_of_nought() -> None:
    rows = [
        {"model": model, "data": name, "low": 0.01 * (number - 3) if model == "student" else None}
        for number, name in enumerate(classifiers.SETS)
        for model in ("teacher", "control", "student")
    ]
    (aim,) = classifiers.AIMS
    assert aim.measure(rows) == 6 and not aim.judge(rows)["met"]
    rows[-1 - 3 * 6]["low"] = 0.001
    assert aim.measure(rows) == 7 and aim.judge(rows)["met"]
    assert aim.measure(rows[:-1]) is None


def test_methods_go_by_shape() -> None:
    found = {name: classifiers.method_of(one) for name, one in text_sets.SETS.items()}
    assert {name for name, method in found.items() if method == "logit_regression"} == {
        "sst2", "cola", "stsb", "rte", "qqp",
    }  # fmt: skip
    assert classifiers.shape(text_sets.SETS["stsb"]) == "pairs, scores"
    assert classifiers.shape(text_sets.SETS["trec50"]) == "50 classes"


def test_tiny_sets_from_their_files_to_rows(
    monkeypatch: pytest.MonkeyPatch, tiny_sets: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.setattr(classifiers, "SETS", {name: text_sets.SETS[name] for name in SETS})
    monkeypatch.setitem(classifiers.SIZES, False, TINY)
    monkeypatch.setattr(classifiers, "BILSTM", tiny_sets)
    monkeypatch.setattr(classifiers, "SIAMESE", {**tiny_sets, "kind": "siamese"})
    classifiers.main([])
    file = tmp_path / "results" / "classifiers.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert [(row["data"], row["model"]) for row in rows] == [
        (name, model) for name in SETS for model in ("teacher", "control", "student")
    ]
    by = {(row["data"], row["model"]): row for row in rows}
    assert by["stsb", "student"]["metric"] == "pearson" and by["stsb", "student"]["student"] == "siamese"
    for name in SETS:
        student, control = by[name, "student"], by[name, "control"]
        assert student["gain"] == pytest.approx(student["score"] - control["score"])
        assert student["low"] <= student["gain"] <= student["high"] and control["gain"] is None
    assert by["sst2", "student"]["labelled"] == 40 and by["sst2", "student"]["sentences"] == 100
    assert by["rte", "student"]["labelled"] == 140 and by["rte", "student"]["sentences"] > 140
    assert by["sst2", "student"]["test"] == 50

    trained = sorted((tmp_path / "runs" / "classifiers" / "sst2" / "students").rglob("journal.jsonl"))
    steps = [
        max(line["step"] for line in map(json.loads, each.read_text(encoding="utf-8").splitlines()))
        for each in trained
    ]
    assert steps == [TINY.steps] * 4  # of both seeds, students and controls
    before = file.read_text(encoding="utf-8")
    monkeypatch.setattr(classifiers, "done", None)  # nothing is run again
    classifiers.main([])
    assert file.read_text(encoding="utf-8") == before
