"""The benchmark of mistakes: what it takes of an analysis, and what it reads off its rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import mistakes
    from results_file import ResultsFile
finally:
    sys.path.pop(0)


def slice_of(name: str, gap: float, adjusted: float, excess: float, excess_adjusted: float) -> dict[str, Any]:
    found = {"gap": gap, "low": gap - 0.1, "high": gap + 0.1, "adjusted": adjusted, "elsewhere": gap - excess}
    found |= {"excess": excess, "excess_adjusted": excess_adjusted}
    return {"name": name, "unit": "text", "size": 30, "gaps": {"teacher": found}}


def lost_with(of: str, over: str, share: float | None) -> dict[str, Any]:
    ends = {"low": None, "high": None} if share is None else {"low": share - 0.1, "high": share + 0.1}
    return {"of": of, "over": over, "lost": 12.0, "share": share, "luck": 0.2, **ends}


CONTENT = {
    "cast": {"student": "soft", "teacher": "teacher", "control": "gold"},
    "cells": [{"unit": "text"}],
    "overall": {"text": {"size": 90, "quality": {"student": 0.8, "teacher": 0.9, "control": 0.7}}},
    "slices": {
        "tried": 4,
        "ranked": [
            slice_of("negation", -0.3, 0.001, -0.25, 0.01),
            {**slice_of("negation", -0.2, 0.002, -0.1, 0.2), "unit": "sentence"},
            slice_of("gold: 1", -0.1, 0.04, 0.02, 1.0),
            slice_of("questions", -0.1, 0.06, -0.1, 0.2),
            slice_of("numbers", 0.1, 0.01, 0.2, 0.01),
        ],
    },
    "overlap": [lost_with("soft", "gold", 0.6), lost_with("soft", "soft", 0.7)],
}


def test_rows_tell_of_sure_losses_alone(tmp_path: Path) -> None:
    results = ResultsFile(tmp_path / "mistakes.json", "command")
    for _ in range(2):  # as after a stop before the last row
        mistakes.write("films", CONTENT, results)
    lost = results.find(kind="slice", run="films")
    assert [(row["slice"], row["unit"], row["worse_here"]) for row in lost] == [
        ("negation", "text", True),
        ("negation", "sentence", False),
        ("gold: 1", "text", False),
    ]
    assert [row["share"] for row in results.find(kind="overlap")] == [0.6, 0.7]
    told = results.find(kind="run")[0]
    assert (told["units"], told["student"], told["slices_tried"], told["slices_lost"]) == (90, 0.8, 4, 3)


def test_the_aim_is_held_against_luck() -> None:
    (aim,) = mistakes.AIMS
    rows = [{"kind": "overlap", **lost_with("soft", "gold", share)} for share in (0.6, 0.35, None)]
    assert aim.measure(rows) == pytest.approx(5.0)
    assert not aim.judge([*rows, {"kind": "overlap", **lost_with("soft", "gold", 0.25)}])["met"]
    assert aim.measure([{"kind": "overlap", **lost_with("soft", "soft", 0.9)}]) is None


def test_runs_are_those_of_two_benchmarks() -> None:
    some, every = (mistakes.looked_into(full) for full in (False, True))
    assert [one.name for one in some] == [
        "sentiment, bilstm on sentences",
        "sentiment, bilstm on phrases",
        "entities, transformer",
        "entities, bilstm",
        "chunks, transformer",
    ]
    assert {one.name for one in some} < {one.name for one in every}
