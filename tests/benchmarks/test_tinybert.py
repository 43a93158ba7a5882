"""TinyBERT's benchmark: what it reads off its rows, and what it needs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_json
from limbeck.core.recipe import Export
from limbeck.pipeline import Run

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import tinybert
finally:
    sys.path.pop(0)


def test_without_data_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIMBECK_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LimbeckError, match="LIMBECK_DATA names no folder that holds glove"):
        tinybert.recipe("sst2", "half", full=False)
    assert not list(tmp_path.rglob("*.tsv"))


def test_aims_are_averages_over_all_tasks() -> None:
    rows = [
        {"task": task, "model": model, "score": score + 0.01 * number, "times_faster": 9.0 + number}
        for model, score in (("teacher", 0.8), ("TinyBERT", 0.78), ("BERT_SMALL", 0.73))
        for number, task in enumerate(tinybert.TASKS)
    ]
    assert [aim.measure(rows) for aim in tinybert.AIMS] == pytest.approx([100 * 0.795 / 0.815, 10.5, 5.0])
    assert [aim.judge(rows)["met"] for aim in tinybert.AIMS] == [True, True, True]
    assert [aim.measure(rows[:-1]) for aim in tinybert.AIMS][2] is None


@pytest.mark.parametrize(("over", "engine", "p50"), [(-0.001, "onnx-int8", 1.0), (0.001, "onnx", 2.0)])
def test_where_int8_changes_too_much_float32_is_timed(
    over: float, engine: str, p50: float, tmp_path: Path
) -> None:
    changed = Export().changed + over
    write_json(tmp_path / "bundle.json", {"parity": {"int8": {"changed": changed}}})

    def cost(name: str, engine: str, p50_ms: float) -> dict[str, Any]:
        return {"name": name, "engine": engine, "p50_ms": p50_ms, "parameters": 9, "bytes": 36}

    names = {"teacher": [0.9], "tinybert": [0.8, 0.7]}
    found = {
        "cost": [
            cost("teacher", "pytorch", 20.0),
            cost("tinybert", "pytorch", 4.0),
            cost("tinybert", "onnx", 2.0),
            cost("tinybert", "onnx-int8", 1.0),
        ],
        "models": [
            {"name": name, "scores": {"accuracy": score}}
            for name, scores in names.items()
            for score in scores
        ],
        "summary": [
            {"name": name, "role": "student", "seeds": len(scores), "retention": None}
            | {"mean": {"accuracy": 0.0}, "deviation": {"accuracy": 0.0}}
            for name, scores in names.items()
        ],
        "gains": [],
        "faults": [],
    }
    run = cast(Run, SimpleNamespace(evaluation=found, bundle_folder=SimpleNamespace(path=tmp_path)))
    teacher, student = tinybert.rows(run, "sst2")
    assert (teacher["engine"], teacher["changed"], teacher["times_faster"]) == ("pytorch", None, 1.0)
    assert (student["engine"], student["p50_ms"], student["times_faster"]) == (engine, p50, 20.0 / p50)
    assert (student["score"], student["changed"]) == (pytest.approx(0.75), changed)


def touched(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch()


def test_only_pairs_have_a_row_of_their_own_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    for name in ("vectors.float16.npy", "vocab.txt"):
        touched(tmp_path / "glove_6b_50d_top100k" / name)
    for name in ("dev.txt", "test.txt"):
        touched(tmp_path / "qqp" / name)
    found = {task: tinybert.groups(task, full=False) for task in tinybert.TASKS}
    assert [task for task, groups in found.items() if "own" in groups] == ["stsb"]
    own, more = found["stsb"]["own"], found["stsb"]["tinybert"]
    assert "rewrite" in own and "data" not in own
    assert "data" in more and "rewrite" not in more
    assert {key: own[key] for key in own if key != "rewrite"} == {k: more[k] for k in more if k != "data"}
