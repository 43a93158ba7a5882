"""TinyBERT's benchmark: what it reads off its rows, and what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from limbeck.core.errors import LimbeckError

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
