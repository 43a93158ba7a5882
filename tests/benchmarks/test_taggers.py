"""The taggers' benchmark: what it reads off its rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import LimbeckError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import taggers
finally:
    sys.path.pop(0)


def test_without_data_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMBECK_DATA", raising=False)
    with pytest.raises(LimbeckError, match="LIMBECK_DATA names no folder that holds conll2003"):
        taggers.recipe("entities", "transformer", "tagged", "chain_kbest", full=False)


def test_means_are_over_seeds() -> None:
    scores = {"precision": 0.5, "recall": 0.5, "token_accuracy": 0.9}
    found = taggers.mean([{"f1": 0.4, **scores}, {"f1": 0.6, **scores}])
    assert found["f1"] == pytest.approx(0.5) and found["precision"] == 0.5 and found["seeds"] == 2
    assert found["deviation"] == pytest.approx(0.1414, abs=1e-4)


def test_aims_are_the_gap_that_is_closed_and_the_price_of_exactness() -> None:
    rows: list[dict[str, Any]] = []
    for data, step in (("entities", 1.05), ("chunks", 1.2)):
        place = {"data": data, "student": "transformer"}
        for text, share in (("tagged", 0.3), ("more", 0.4)):
            rows.append(
                {"kind": "summary", **place, "text": text, "method": "chain_substructure", "closed": share}
            )
        for method, time in (("chain_structural", step), ("chain_substructure", 1.0)):
            rows.append({"kind": "seconds", **place, "method": method, "student_step": time})
    assert [aim.measure(rows) for aim in taggers.AIMS] == pytest.approx([30, 40, 30, 40, 1.2])
    assert [aim.judge(rows)["met"] for aim in taggers.AIMS] == [True, True, False, True, False]
    assert [aim.measure(rows[:2]) for aim in taggers.AIMS] == [
        pytest.approx(30),
        pytest.approx(40),
        None,
        None,
        None,
    ]
