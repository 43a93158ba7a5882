"""The benchmark of searches: what it reads off its rows, and all of it on a few pairs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import LimbeckError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import command
    import decoding
    import translators
finally:
    sys.path.pop(0)

WORDS = {"the": "die", "a": "eine", "cat": "Katze", "cow": "Kuh", "sees": "sieht", "hears": "hört"}


def summary(text: str, bleu: float, complexity: float, faithfulness: float) -> dict[str, Any]:
    fields = {"text": text, "bleu": bleu, "complexity": complexity, "faithfulness": faithfulness}
    return {"kind": "summary", **fields}


ROWS = [
    summary("real", 8, 3.0, 0.2),
    summary("sampling", 6, 3.6, 3.4),
    summary("sampling among 10", 14, 2.4, 2.9),
    summary("greedy", 19, 2.0, 3.0),
    summary("beam 5", 19, 1.9, 2.9),
]


def test_without_data_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMBECK_DATA", raising=False)
    with pytest.raises(LimbeckError, match="LIMBECK_DATA names no folder that holds tatoeba_multi"):
        decoding.recipe(full=False)


def test_aims_are_the_order_of_the_slides_rows() -> None:
    found = [aim.measure(ROWS) for aim in decoding.AIMS]
    assert found == pytest.approx([8, 5, 0, 11, 1.2, 0.4, 0.1, 0.4])
    assert all(aim.judge(ROWS)["met"] for aim in decoding.AIMS)


def test_an_order_turned_round_is_not_met_and_what_is_not_there_is_not_measured() -> None:
    turned = [dict(row) for row in ROWS]
    turned[4]["bleu"], turned[4]["complexity"], turned[1]["faithfulness"] = 18, 2.1, 2.5
    assert [aim.judge(turned)["met"] for aim in decoding.AIMS] == [1, 1, 0, 1, 1, 1, 0, 0]
    assert [aim.measure(ROWS[:4]) for aim in decoding.AIMS][2:] == [
        None, None, pytest.approx(1.2), pytest.approx(0.4), None, None,
    ]  # fmt: skip


def test_means_are_over_rounds() -> None:
    rows = [dict.fromkeys(translators.MEASURES, number) for number in (1.0, 2.0)]
    assert translators.mean_measures(rows) == {**dict.fromkeys(translators.MEASURES, 1.5), "rounds": 2}


def write_pairs(folder: Path) -> None:
    """Sentences of four words, in each language that the set has."""
    lines = ["en\tde\tfr\tes"]
    for one in WORDS:
        for two in WORDS:
            for three in WORDS:
                said = " ".join(WORDS[word] for word in (one, two, three, one))
                lines.append(f"{one} {two} {three} {one}\t{said}\t-\t-")
    file = folder / "tatoeba_multi_en_de_fr_es" / "multi.tsv"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_small(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let benchmarks read some pairs and write into a folder."""
    write_pairs(folder)
    monkeypatch.setenv("LIMBECK_DATA", str(folder))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(command.progress, "use", lambda _: None)
    monkeypatch.setattr(command, "RESULTS", folder / "results")
    monkeypatch.setattr(translators, "HELD_OUT", {"dev": 10, "test": 20})
    monkeypatch.setattr(translators, "VOCABULARY", 320)
    monkeypatch.setattr(translators, "MAX_LENGTH", 8)
    monkeypatch.setattr(translators, "ROUNDS", 1)
    monkeypatch.setattr(translators, "TRAINING", {**translators.TRAINING, "evaluate": 1, "average": 1})


@pytest.mark.slow
def test_all_rows_are_there_and_are_not_made_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("eflomal")
    make_small(monkeypatch, tmp_path)
    monkeypatch.setattr(decoding, "EPOCHS", {"teacher": 1, "student": 1})
    monkeypatch.setattr(decoding, "SCALE", 0.0625)
    decoding.main([])
    results = command.opened("decoding", full=False)
    texts = ["real", "sampling", "sampling among 10", "greedy", "beam 5"]
    for kind in ("text", "student", "summary"):
        assert [row["text"] for row in results.find(kind=kind)] == texts
    (real,) = results.find(kind="summary", text="real")
    assert real["text_bleu"] == pytest.approx(100) and real["length_ratio"] == 1
    assert all(aim["measured"] is not None for aim in results.aims)
    monkeypatch.setattr(decoding, "fill", None)
    decoding.main([])
    assert command.opened("decoding", full=False).rows == results.rows
