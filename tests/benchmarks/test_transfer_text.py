"""The benchmark of transfer text: what it reads off its rows, and cells of it on a tiny set."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import LimbeckError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import text_sets
    import transfer_text
finally:
    sys.path.pop(0)

TINY = transfer_text.Sizes(
    text_sets.Size(labelled=60, dev=20, more=0, test=50, steps=5, seeds=2, jobs=1), made=60, read=60
)


def cells(task: str) -> list[dict[str, Any]]:
    """Rows in which masked_lm is the best of what is made, and gains less with more labels."""
    gains = {"rules": 0.01, "masked_lm": 0.04, "causal_lm": 0.02, "unlabelled": 0.03}
    return [
        {
            "data": task, "share": share, "text": text, "score": 0.7 + gain / (1 + share),
            "gain_over_none": gain / (1 + share), "low_over_none": gain - 0.02,
        }
        for share in transfer_text.SHARES
        for text, gain in gains.items()
    ]  # fmt: skip


def test_without_data_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIMBECK_DATA", raising=False)
    with pytest.raises(LimbeckError, match="LIMBECK_DATA names no folder that holds sst5"):
        transfer_text.design("sst2", 0.1, "none", TINY, tmp_path)


def test_aims_read_the_best_text_of_those_that_are_made() -> None:
    rows = [*cells("sst2"), *cells("cola")]
    rows[1]["low_over_none"] = 0.015  # sst2, 10 %, masked_lm
    found = [aim.measure(rows) for aim in transfer_text.AIMS]
    fading = 100 * (0.04 / 1.1 - 0.04 / 2)
    assert found == pytest.approx([1.5, 1.0, fading, 2.0, 1.0, fading])
    assert all(aim.judge(rows)["met"] for aim in transfer_text.AIMS)
    without = [row for row in rows if (row["data"], row["share"], row["text"]) != ("sst2", 0.1, "rules")]
    assert [aim.measure(without) is None for aim in transfer_text.AIMS] == [1, 0, 1, 0, 0, 0]


def test_rewriters_make_as_much_of_few_sentences_as_of_many(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(transfer_text, "vectors", lambda: {"vectors": "v", "words": "w"})
    sizes = transfer_text.SIZES[False]
    for labelled in (400, 1200, 4000):
        copies = {
            transfer_text.rewriter("rules", labelled, sizes)["n_iter"],
            transfer_text.rewriter("masked_lm", labelled, sizes)["copies"],
            transfer_text.rewriter("causal_lm", labelled, sizes)["samples"],
        }
        assert copies == {round(12_000 / labelled)}
        assert transfer_text.rewriter("causal_lm", labelled, sizes)["epochs"] * labelled == 12_000


def test_cells_of_a_tiny_set(
    monkeypatch: pytest.MonkeyPatch, tiny_sets: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.setattr(transfer_text, "TASKS", ("sst2",))
    monkeypatch.setattr(transfer_text, "SHARES", (0.5, 1))
    monkeypatch.setattr(transfer_text, "TEXTS", ("none", "rules", "unlabelled"))
    monkeypatch.setattr(transfer_text, "BILSTM", tiny_sets)
    monkeypatch.setitem(transfer_text.SIZES, False, TINY)
    transfer_text.main([])
    file = tmp_path / "results" / "transfer_text.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    texts = ["teacher", "gold", "none", "rules", "unlabelled"]
    assert [(row["share"], row["text"]) for row in rows] == [
        (share, text) for share in (0.5, 1) for text in texts
    ]
    by = {(row["share"], row["text"]): row for row in rows}
    assert [by[0.5, text]["sentences"] for text in ("teacher", "gold", "none", "unlabelled")] == [
        30, 30, 30, 60,
    ]  # fmt: skip
    assert by[0.5, "rules"]["sentences"] > 30 and by[1, "unlabelled"]["sentences"] > 60
    for share in (0.5, 1):
        row, none = by[share, "rules"], by[share, "none"]
        assert row["gain"] == pytest.approx(row["score"] - by[share, "gold"]["score"])
        assert row["gain_over_none"] == pytest.approx(row["score"] - none["score"])
        assert none["gain_over_none"] is None and by[share, "gold"]["gain"] is None

    journals = list((tmp_path / "runs" / "transfer_text").glob("*/students/*/*/**/journal.jsonl"))
    assert len(journals) == 2 * 2 * 4  # both shares and seeds, three texts and the control
    for each in journals:
        lines = map(json.loads, each.read_text(encoding="utf-8").splitlines())
        assert max(line["step"] for line in lines) == TINY.drawn.steps
    for share in (50, 100):  # the teacher is fine-tuned once, and handed on
        folders = (tmp_path / "runs" / "transfer_text").glob(f"sst2-{share}-*")
        made = {
            file.stat().st_mtime_ns for each in folders for file in each.rglob("teacher/model.safetensors")
        }
        assert len(made) == 1
    before = file.read_text(encoding="utf-8")
    monkeypatch.setattr(transfer_text, "cell", None)  # nothing is run again
    transfer_text.main([])
    assert file.read_text(encoding="utf-8") == before
