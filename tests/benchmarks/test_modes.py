"""The benchmark of modes: the recipe that it runs, the rows that it writes, and what it reads off them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import LimbeckError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import modes
finally:
    sys.path.pop(0)

FALLING = {"b": (3.67, 2.9), "c": (3.30, 2.5), "d": (2.64, 2.0)}
"""By panel, C(d) as the slides have it, and a made-up one by link."""


def rows(**decided: float) -> list[dict[str, Any]]:
    told = {"a": FALLING["b"], **FALLING}
    return [
        {
            "panel": panel,
            "complexity": by_word,
            "complexity_by_link": by_link,
            "decided": decided.get(panel, 0.5),
        }
        for panel, (by_word, by_link) in told.items()
    ]


def table(folder: Path, count: int) -> None:
    place = folder.joinpath(*modes.DATA)
    place.parent.mkdir(parents=True)
    lines = ["en\tde\tfr\tes", *(f"e{n}\td{n}\tf{n}\ts{n}" for n in range(count))]
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_without_data_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMBECK_DATA", raising=False)
    with pytest.raises(LimbeckError, match="LIMBECK_DATA names no folder that holds tatoeba_multi"):
        modes.recipe(full=False)


def test_sentences_are_drawn_whole_once_and_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table(tmp_path / "data", 200)
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    drawn = modes.sentences(50)
    head, *lines = drawn.read_text().splitlines()
    numbers = [int(line.split("\t")[0][1:]) for line in lines]
    assert head == "en\tde\tfr\tes" and len(numbers) == 50
    assert numbers == sorted(set(numbers)) and numbers != list(range(50))
    assert all(line == f"e{n}\td{n}\tf{n}\ts{n}" for line, n in zip(lines, numbers, strict=True))
    before = drawn.stat().st_mtime_ns
    assert modes.sentences(50) == drawn and drawn.stat().st_mtime_ns == before
    assert modes.sentences(None) == (tmp_path / "data").joinpath(*modes.DATA)


def test_the_recipe_has_the_same_texts_once_a_language(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table(tmp_path, 20)
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    small, full = modes.recipe(full=False), modes.recipe(full=True)
    assert [source.language for source in small.data.train] == ["de", "fr", "es"]
    assert len({source.path for source in small.data.train}) == 1
    assert [choice.title for choice in small.method] == ["random_selection", "sequence_level"]
    assert (small.control, small.jobs, len(small.seeds), len(full.seeds)) == (True, 2, 1, 3)
    assert full.train.epochs == 2 * small.train.epochs and full.name != small.name


def test_a_row_has_a_field_a_language() -> None:
    row = {"panel": "a", "pairs": 3, "bleu": {"de": 1.5, "fr": None}, "decided_for": {"de": 0.2, "fr": 0.1}}
    assert modes.flat(row) == {
        "panel": "a",
        "pairs": 3,
        "bleu_de": 1.5,
        "bleu_fr": None,
        "decided_for_de": 0.2,
        "decided_for_fr": 0.1,
    }


def test_aims_are_the_falls_of_complexity_and_the_decided_student() -> None:
    found = rows(b=0.3, d=0.8)
    assert [aim.measure(found) for aim in modes.AIMS] == pytest.approx([0.37, 0.66, 0.4, 0.5, 0.5])
    assert all(aim.judge(found)["met"] for aim in modes.AIMS)
    other = [row | {"complexity": 3.0} if row["panel"] == "d" else row for row in rows(b=0.8, d=0.8)]
    assert [aim.judge(other)["met"] for aim in modes.AIMS] == [True, True, True, True, False]
    worse = [row | {"complexity_by_link": 2.6} if row["panel"] == "d" else row for row in found]
    assert [aim.judge(worse)["met"] for aim in modes.AIMS] == [True, True, True, False, True]
    assert [aim.measure(found[:3]) for aim in modes.AIMS] == [
        pytest.approx(0.37),
        None,
        pytest.approx(0.4),
        None,
        None,
    ]
