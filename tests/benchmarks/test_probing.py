"""The benchmark of probing: what it reads off its rows, its table, and what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from limbeck.core.errors import LimbeckError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import probing
    import tables
finally:
    sys.path.pop(0)


def test_without_data_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIMBECK_DATA", raising=False)
    with pytest.raises(LimbeckError, match="LIMBECK_DATA names no folder that holds nltk_treebank"):
        probing.settings_of(probing.USUAL, tmp_path / "runs")
    assert not list(tmp_path.rglob("*.mrg"))


def test_aims_are_read_off_rows() -> None:
    reading = [
        {"kind": "reading", "way": way, "seconds": seconds}
        for way, seconds in (("one pass", 2.0), ("each task", 3.0), ("each probe", 14.0))
    ]
    tasks = [{"kind": "task", "task": name} for name in tables.PROBES]
    means = [{"kind": "mean", "model": str(number)} for number in range(7)]
    rows = [*reading, *tasks, *means]
    assert [aim.measure(rows) for aim in probing.AIMS] == [7.0, 10, 7]
    assert all(aim.judge(rows)["met"] for aim in probing.AIMS)
    assert [aim.measure(reading[:1]) for aim in probing.AIMS] == [None, None, None]
    assert probing.times_faster(rows, "each task") == 1.5


def test_the_table_shows_the_layer_that_dev_prefers() -> None:
    probes = [
        {"kind": "probe", "model": "m", "task": "tense", "layer": n, "dev": dev, "accuracy": accuracy}
        for n, (dev, accuracy) in enumerate([(0.7, 0.9), (0.8, 0.85)])
    ]
    content = {"rows": [*probes, {"kind": "mean", "model": "m", "layers": 2, "accuracy": 0.85}]}
    (row,) = tables.TABLES["probing"].rows("probing", content)
    assert tables.TABLES["probing"].columns["tense"](row) == "85.0% (1)"
    assert tables.TABLES["probing"].columns["tree depth"](row) == "–"
