"""The ablations' benchmark: averages, and how their order agrees with the paper's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import tinybert_ablations
finally:
    sys.path.pop(0)


def test_averages_stand_beside_the_papers() -> None:
    scores = {"uniform": (0.8, 0.6), "top": (0.7, 0.5), "bottom": (0.9, 0.3)}
    rows = [
        {"table": "mappings", "task": task, "row": name, "mean": score}
        for name, both in scores.items()
        for task, score in zip(tinybert_ablations.TASKS, both, strict=True)
    ]
    found = tinybert_ablations.averages(rows, "mappings")
    assert {row["row"]: (round(row["mean"], 6), row["rank"], row["paper_rank"]) for row in found} == {
        "uniform": (0.7, 1, 1),
        "top": (0.6, 2, 3),
        "bottom": (0.6, 2, 2),
    }
    averaged = [{"table": "mappings", "task": "average", **row} for row in found]
    aims = {aim.what.partition(":")[0]: aim for aim in tinybert_ablations.AIMS}
    # Of three pairs two are ordered as in the paper, and one is a tie.
    assert aims["mappings"].measure([*rows, *averaged]) == pytest.approx(1 / 3)
    assert aims["objectives"].measure([*rows, *averaged]) is None
