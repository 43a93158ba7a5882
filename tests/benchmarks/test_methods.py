"""The benchmark of methods: which it compares, what it reads off its rows, and some of it on a tiny set."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck import methods as all_methods

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import methods
    import text_sets
finally:
    sys.path.pop(0)

TINY = text_sets.Size(labelled=40, dev=20, more=40, test=50, steps=6, seeds=2, jobs=1)
SOME = {
    "bilstm": ["gold", "soft_labels", "combined", "pretrain_then_tune", "ensemble"],
    "transformer": ["gold", "soft_labels", "tinybert"],
}


def test_every_method_of_classifiers_is_there() -> None:
    mine = [name for student in methods.STUDENTS for name in methods.names(student)]
    found = {name for name in all_methods.names() if "classification" in all_methods.get(name).tasks}
    assert set(mine) == found | {"ensemble"} and len(mine) == len(found) + 3
    for student in methods.STUDENTS:
        assert methods.names(student)[:2] == ["gold", "soft_labels"]
    assert {name for name in found if methods.stages(name) == 2} == {
        "hints", "minilm", "pretrain_then_tune", "tinybert",
    }  # fmt: skip
    assert all(methods.stages(name) == 1 for name in ("assistant", "born_again", "distilbert", "ensemble"))
    for sizes in methods.SIZES.values():
        assert all(size.steps % 2 == 0 for size in sizes.values())


def test_aims_take_the_best_method_of_a_student() -> None:
    rows: list[dict[str, Any]] = [
        {
            "data": task,
            "student": student,
            "method": name,
            "score": 0.8 + 0.001 * number,
            "low": 0.01 * number,
        }
        for task in methods.TASKS
        for student in methods.STUDENTS
        for number, name in enumerate(methods.names(student))
    ]
    teachers = [{**row, "method": "teacher", "score": 0.99} for row in rows[:1]]
    most = [len(methods.names(student)) - 1 for student in methods.STUDENTS]
    assert [aim.measure([*teachers, *rows]) for aim in methods.AIMS] == pytest.approx(most * 2)
    assert methods.AIMS[0].measure([row for row in rows if row["method"] != "jacobian"]) is None


def test_some_methods_on_a_tiny_set(
    monkeypatch: pytest.MonkeyPatch, tiny_sets: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.setattr(methods, "TASKS", ("sst2",))
    students = {
        "bilstm": tiny_sets,
        "transformer": {"kind": "transformer", "from_teacher": [1], "max_length": 32},
    }
    monkeypatch.setattr(methods, "STUDENTS", students)
    monkeypatch.setattr(methods, "names", SOME.__getitem__)
    monkeypatch.setattr(methods, "adapted", lambda full: text_sets.ENCODER)
    monkeypatch.setattr(methods, "raw", lambda full: tmp_path / "none.txt")
    monkeypatch.setitem(methods.SIZES, False, dict.fromkeys(students, TINY))
    methods.main([])
    file = tmp_path / "results" / "methods.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert [(row["student"], row["method"]) for row in content["rows"]] == [
        (student, name) for student, names in SOME.items() for name in ("teacher", *names)
    ]
    by = {(row["student"], row["method"]): row for row in content["rows"]}
    for (student, name), row in by.items():
        for over, suffix in (("gold", ""), ("soft_labels", "_over_soft")):
            gain = None if name == over else pytest.approx(row["score"] - by[student, over]["score"])
            assert row[f"gain{suffix}"] == gain
    assert by["bilstm", "teacher"]["score"] == by["transformer", "teacher"]["score"]
    assert by["bilstm", "ensemble"]["seeds"] == 2 and by["bilstm", "teacher"]["seeds"] == 1

    for each in (tmp_path / "runs" / "methods").glob("*/students/*/*"):
        journals = [path.read_text(encoding="utf-8").splitlines() for path in each.rglob("journal.jsonl")]
        last: dict[str, int] = {}
        for line in (json.loads(line) for lines in journals for line in lines):
            last[line["stage"]] = max(last.get(line["stage"], 0), line["step"])
        assert sum(last.values()) == TINY.steps, each
    assert all(aim["measured"] is not None for aim in content["aims"][:2])
