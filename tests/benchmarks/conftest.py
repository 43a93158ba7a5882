"""Data sets of the classifiers' benchmarks in their publishers' form, made up and tiny, and what teaches on them."""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors
from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import command
    import text_sets
finally:
    sys.path.pop(0)

SMALL = {"kind": "bilstm", "embeddings": "random", "dimension": 8, "hidden": 6, "relu": 5, "max_length": 32}


@pytest.fixture
def tiny_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: Path, reviews: Path
) -> dict[str, Any]:
    """Points the benchmarks to tiny data, a tiny encoder and a folder of their own; a tiny student."""
    folder = tmp_path / "data"
    with reviews.open(encoding="utf-8") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    write(folder / "sst5", {"train": rows[:160], "test": rows[160:]}, _sentiment)
    write(folder / "rte", {"train": rows[:80], "val": rows[80:160], "dev": rows[160:]}, _rte)
    write(folder / "stsb" / "original", {"sts-train": rows[:160], "sts-test": rows[160:]}, _stsb, ".csv")
    (folder / "sst2").mkdir()
    phrases = [f"{text.rpartition(' ')[0]}\t1" for text, _ in rows[:100]]
    (folder / "sst2" / "train.tsv").write_text("\n".join(["sentence\tlabel", *phrases]), encoding="utf-8")
    monkeypatch.setenv("LIMBECK_DATA", str(folder))
    monkeypatch.setattr(text_sets, "ENCODER", str(of_pairs(encoder, tmp_path / "encoder-of-pairs")))
    monkeypatch.setattr(text_sets, "LENGTH", 32)
    monkeypatch.setattr(text_sets, "HEARD", 1)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return SMALL


def write(folder: Path, parts: dict[str, list[tuple[str, str]]], form: Any, ending: str = ".tsv") -> None:
    """Write the parts of a set."""
    folder.mkdir(parents=True)
    for name, rows in parts.items():
        (folder / f"{name}{ending}").write_text("\n".join(form(name, rows)) + "\n", encoding="utf-8")


def _sentiment(_: str, rows: list[tuple[str, str]]) -> list[str]:
    return [f"{4 if label == 'good' else 0} {text}" for text, label in rows]


def _rte(name: str, rows: list[tuple[str, str]]) -> list[str]:
    gold = {"good": "entailment", "bad": "not_entailment"}
    lines = [f"{n}\t{text}\tthe film was rich\t{gold[label]}" for n, (text, label) in enumerate(rows)]
    return lines if name == "val" else ["index\tsentence1\tsentence2\tlabel", *lines]


def _stsb(_: str, rows: list[tuple[str, str]]) -> list[str]:
    scores = {"good": "4.500", "bad": "0.500"}
    return [
        f"g\tf\t2012\t{n}\t{scores[label]}\t{text}\tthe film was rich" for n, (text, label) in enumerate(rows)
    ]


def of_pairs(encoder: Path, folder: Path) -> Path:
    """The encoder, with a tokeniser that knows of pairs as BERT's does."""
    shutil.copytree(encoder, folder)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokeniser = AutoTokenizer.from_pretrained(encoder, model_input_names=names)
    tokeniser.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokeniser.save_pretrained(folder)
    return folder
