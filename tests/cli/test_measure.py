"""``limbeck measure``: transfer sets, folders and files; the table and the JSON; refusals."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.example import Example
from limbeck.transfer.transfer_set import TransferSet

Limbeck = Callable[..., Any]

SOURCE = ["the dog sleeps", "the cat sleeps", "the cat runs", "the dog runs", "a dog sees the cat"]
REAL = [
    "der hund schläft",
    "der kater schläft",
    "der kater läuft",
    "der hund läuft",
    "ein hund sieht den kater",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("eflomal", reason="the aligner is an extra: pip install 'limbeck[measure]'")
    (tmp_path / "real.en").write_text("\n".join(SOURCE) + "\n", encoding="utf-8")
    with gzip.open(tmp_path / "real.de.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(REAL) + "\n")
    said = [*REAL[:4], "ein hund sieht den"]
    examples = tuple(
        Example(f"real.en:{n}", s, targets=(t,)) for n, (s, t) in enumerate(zip(SOURCE, said, strict=True), 1)
    )
    TransferSet(examples, ()).save(tmp_path / "runs" / "x" / "distilled", "sequence_level")
    TransferSet(examples, ()).save(tmp_path / "runs" / "x" / "prepared", "train")
    TransferSet(examples[:1], ()).save(tmp_path / "runs" / "x" / "prepared", "dev")
    return tmp_path


@pytest.mark.parametrize(
    "place", ["runs/x", "runs/x/prepared", "runs/x/distilled", "runs/x/distilled/sequence_level.arrow"]
)
def test_a_transfer_set_against_files(limbeck: Limbeck, folder: Path, place: str) -> None:
    told = limbeck("measure", place, "--against", "real.en,real.de.gz", "--out", "out/measures.json")
    assert "complexity C(d)" in told.stdout and "faithfulness F(d), interpolated 0.1" in told.stdout
    written = json.loads((folder / "out" / "measures.json").read_text())
    assert written["text"]["pairs"] == written["real"]["pairs"] == written["against"]["partners"] == 5
    assert written["text"]["target_words"] == 16 and written["real"]["target_words"] == 17
    assert 0 < written["against"]["bleu"] < 100
    assert len(written["against"]["faithfulness"]) == 8


def test_a_text_alone(limbeck: Limbeck, folder: Path) -> None:
    told = limbeck("measure", "real.en,real.de.gz", "--words", "spaces", "--lowercase")
    assert "fuzzy reordering" in told.stdout and "BLEU" not in told.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "nothing: no such file or folder. Name a transfer set"),
        (["real.en"], "real.en: this is no transfer set"),
        (["real.en,short.de"], "real.en:2: "),
        (["real.en,missing.de"], "missing.de"),
        (["several"], "the folder holds several transfer sets (a.arrow, b.arrow). Name one."),
        (["empty"], "empty: the folder holds no transfer set"),
        (["broken.arrow"], "broken.arrow: a damaged transfer set"),
        (["unlabelled.arrow"], "unlabelled.arrow: there are no translations in it to measure"),
        (["real.en,real.de.gz", "--against", "gone.arrow"], "gone.arrow: no such file or folder"),
    ],
)
def test_refusals(limbeck: Limbeck, folder: Path, arguments: list[str], words: str) -> None:
    (folder / "short.de").write_text("eins\n")
    (folder / "empty").mkdir()
    (folder / "broken.arrow").write_bytes(b"no arrow")
    TransferSet((Example("a", "x"),), ()).save(folder, "unlabelled")
    for name in "ab":
        TransferSet((Example("a", "x", targets=("y",)),), ()).save(folder / "several", name)
    assert words in limbeck("measure", *arguments, status=2).sentence
