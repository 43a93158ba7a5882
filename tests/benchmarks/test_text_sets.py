"""What is drawn of the classifiers' sets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import text_sets
finally:
    sys.path.pop(0)

SIZE = text_sets.Size(labelled=50, dev=20, more=30, test=40, steps=1)


def rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in folder.glob("*.jsonl")
    }


def test_parts_are_as_large_as_asked_and_share_nothing(tiny_sets: dict[str, Any], tmp_path: Path) -> None:
    found = rows(text_sets.draw("sst2", tmp_path / "drawn", SIZE))
    assert {name: len(part) for name, part in found.items()} == {
        "train": 50, "dev": 20, "more": 30, "test": 40,
    }  # fmt: skip
    ids = [row["id"] for part in found.values() for row in part]
    assert len(ids) == len(set(ids))
    assert {row["label"] for row in found["train"]} == {"0", "1"}


def test_a_share_keeps_its_labels_and_the_rest_is_more(tiny_sets: dict[str, Any], tmp_path: Path) -> None:
    whole = text_sets.draw("sst2", tmp_path / "whole", SIZE)
    before, found = rows(whole), rows(text_sets.keep(0.3, whole, tmp_path / "share"))
    assert len(found["train"]) == 15 and len(found["more"]) == 35
    both = sorted([*found["train"], *found["more"]], key=lambda row: row["id"])
    assert both == sorted(before["train"], key=lambda row: row["id"])
    assert found["dev"] == before["dev"] and found["test"] == before["test"]
    share = [sum(row["label"] == "1" for row in part) / len(part) for part in (found["train"], both)]
    assert share[0] == pytest.approx(share[1], abs=0.05)


@pytest.mark.data
@pytest.mark.parametrize(("name", "one"), text_sets.SETS.items())
def test_published_sets_have_their_classes(
    name: str, one: text_sets.TextSet, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIMBECK_DATA", str(data))
    size = text_sets.Size(labelled=850, dev=150, more=6000, test=2000, steps=1)
    found = rows(text_sets.draw(name, tmp_path, size))
    assert len(found["dev"]) == 150 and 270 < len(found["test"]) <= 2000
    assert len(found["train"]) == 850 if one.more else len(found["train"]) > 2000
    assert len(found["more"]) > 3000 if one.more else not found["more"]
    labels = {row["label"] for row in found["train"]}
    assert len(labels) == one.classes if one.classes else all(0 <= label <= 5 for label in labels)
    assert {row["label"] for row in found["test"]} <= labels or not one.classes
    assert all(bool(row["second"]) == one.pairs for row in found["train"])
