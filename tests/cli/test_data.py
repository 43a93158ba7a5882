"""``limbeck data``: figures of files against a count by hand; the table, the JSON, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Limbeck = Callable[..., Any]

TRAIN = "text,label\na fine film,1\nA fine  film,1\nso so,0\nSo so,1\nquite a long bad sad film,0\n,0\ncafÃ© film,1\n"
TEST = "text,label\nA FINE film,1\nnew words,0\nonly here,\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "train.csv").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "test.csv").write_text(TEST, encoding="utf-8")
    return str(tmp_path / "train.csv"), str(tmp_path / "test.csv")


def test_figures_are_those_of_a_count_by_hand(limbeck: Limbeck, files: tuple[str, str]) -> None:
    train, test = json.loads(limbeck("data", *files, "--json").stdout)
    assert train == {
        "path": files[0],
        "format": "csv",
        "columns": ["text", "label"],
        "examples": 7,
        "labels": {"1": 4, "0": 3},
        "unlabelled": 0,
        "lengths": {"least": 2, "median": 2.5, "most_of_95": 6, "most": 6},
        "duplicates": 2,
        "contradictory": 2,
        "empty": 1,
        "damaged": 1,
        "overlap": None,
        "scores": None,
    }
    assert (test["unlabelled"], test["overlap"], test["labels"]) == (1, 1, {"0": 1, "1": 1})


def test_the_table_tells_the_same(limbeck: Limbeck, files: tuple[str, str]) -> None:
    shown = " ".join(limbeck("data", *files).stdout.split())
    assert "'1' 4 (57.1%) 1 (50.0%)" in shown
    assert "also in train.csv – 1 (33.3%)" in shown


def test_columns_of_a_table_are_guessed_or_set(limbeck: Limbeck, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("review,stars\n" + "good film,5\nbad film,1\n" * 3)
    assert "text: review, label: stars" in limbeck("data", str(path)).stdout
    assert "text: stars" in limbeck("data", str(path), "--set", "text=stars", "--set", "label=null").stdout


def test_formats_with_settings_and_tagged_words(limbeck: Limbeck, tmp_path: Path) -> None:
    trec = tmp_path / "a.label"
    trec.write_text("NUM:dist How far ?\nNUM:count How many ?\n")
    (coarse,) = json.loads(limbeck("data", str(trec), "--json").stdout)
    (fine,) = json.loads(limbeck("data", str(trec), "--json", "--set", "classes=50").stdout)
    assert (coarse["labels"], fine["labels"]) == ({"NUM": 2}, {"NUM:count": 1, "NUM:dist": 1})
    tagged = tmp_path / "a.conll"
    tagged.write_text("Ann B-PER\nsings O\n\nBob B-PER\n")
    (found,) = json.loads(limbeck("data", str(tagged), "--json").stdout)
    assert (found["format"], found["labels"], found["columns"]) == (
        "conll",
        {"B-PER": 2, "O": 1},
        ["text", "tags"],
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "word"], "there is no format 'word'"),
        (["--set", "classes"], "'classes' is not KEY=VALUE"),
        (["--set", "colour=1"], "'colour'"),
        (["--format", "trec"], "train.csv:1: the line begins with no label"),
    ],
)
def test_what_is_refused(limbeck: Limbeck, files: tuple[str, str], arguments: list[str], told: str) -> None:
    result = limbeck("data", files[0], *arguments, status=2)
    assert told in result.stderr


def test_scores_and_sets_of_labels_are_told_as_such(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "sts-dev.csv").write_text("g\tf\t2012\t1\t3.0\tA b.\tC d.\ng\tf\t2012\t2\t1.0\tE.\tF.\n")
    (scored,) = json.loads(limbeck("data", str(tmp_path / "sts-dev.csv"), "--json").stdout)
    assert scored["columns"] == ["text", "second", "score"]
    assert scored["scores"] == [1.0, 2.0, 3.0]
    assert scored["unlabelled"] == 0
    (tmp_path / "sets.jsonl").write_text(
        '{"text": "a", "labels": ["x", "y"]}\n{"text": "b", "labels": ["x"]}\n'
    )
    (several,) = json.loads(limbeck("data", str(tmp_path / "sets.jsonl"), "--json").stdout)
    assert (several["labels"], several["unlabelled"]) == ({"x": 2, "y": 1}, 0)


def written(path: Path, rows: list[list[Any]]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(rows)
    return str(path)


SENTENCES = [f"this is sentence number {n} of the set" for n in range(12)]


def figures(limbeck: Limbeck, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(limbeck("data", *arguments, "--json").stdout)
    return found


def test_a_first_line_that_is_an_example_is_none_of_names(limbeck: Limbeck, tmp_path: Path) -> None:
    alone = written(tmp_path / "alone.csv", [[text] for text in SENTENCES])
    numbers = written(tmp_path / "numbers.csv", [[text, n / 7] for n, text in enumerate(SENTENCES)])
    twice = written(tmp_path / "twice.tsv", [[0, 0, text] for text in SENTENCES])
    assert [one["examples"] for one in figures(limbeck, alone, numbers, twice)] == [12, 12, 12]


def test_headers_of_several_files_need_not_agree(limbeck: Limbeck, tmp_path: Path) -> None:
    rows: list[list[Any]] = [[text, "ab"[n % 2]] for n, text in enumerate(SENTENCES)]
    headed = written(tmp_path / "headed.csv", [["text", "label"], *rows])
    bare = written(tmp_path / "bare.csv", rows)
    for files in ((headed, bare), (bare, headed)):
        found = figures(limbeck, *files)
        assert [(one["examples"], one["labels"]) for one in found] == [(12, {"a": 6, "b": 6})] * 2


def test_columns_of_one_name_are_passed_over(limbeck: Limbeck, tmp_path: Path) -> None:
    rows = [
        ["text", "label", "note", "note"],
        *([text, "ab"[n % 2], "", ""] for n, text in enumerate(SENTENCES)),
    ]
    (found,) = figures(limbeck, written(tmp_path / "twice.csv", rows))
    assert found["labels"] == {"a": 6, "b": 6}


def test_an_empty_score_leaves_the_others_scores(limbeck: Limbeck, tmp_path: Path) -> None:
    rows = [["text", "label"], *([text, n / 7] for n, text in enumerate(SENTENCES)), ["none", ""]]
    (found,) = figures(limbeck, written(tmp_path / "scores.csv", rows))
    assert (found["labels"], found["unlabelled"], found["scores"][2]) == ({}, 1, pytest.approx(11 / 7))


def test_texts_are_told_from_what_programs_write(limbeck: Limbeck, tmp_path: Path) -> None:
    facebook = [
        [f"alarm/{'ab'[n % 2]}", "12:20:datetime", text, "en_XX", json.dumps({"tokens": text.split()})]
        for n, text in enumerate(SENTENCES)
    ]
    tweets = [
        [n % 2 * 4, n, "Mon Apr 06 22:19:45 PDT 2009", "NO_QUERY", f"user{n}", text]
        for n, text in enumerate(SENTENCES)
    ]
    path = tmp_path / "fb.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in facebook))
    shown = " ".join(limbeck("data", str(path)).stdout.split())
    assert "text: 2, label: 0" in shown
    assert "text: 5, label: 0" in limbeck("data", written(tmp_path / "tweets.csv", tweets)).stdout


def test_tagged_tables_and_data_sets(limbeck: Limbeck, tmp_path: Path) -> None:
    words = [{"tokens": text.split(), "tags": ["O"] * 7 + ["B-SET"]} for text in SENTENCES]
    (tmp_path / "words.jsonl").write_text("\n".join(map(json.dumps, words)))
    spans = [{"text": text, "label": [[0, 4, "SET"]]} for text in SENTENCES]
    (tmp_path / "spans.jsonl").write_text("\n".join(map(json.dumps, spans)))
    conll = "\n".join("".join(f"{word}\tO\n" for word in text.split()) + "end\tB-SET\n" for text in SENTENCES)
    (tmp_path / "words.txt").write_text(conll)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.csv").write_text("sentence,label\n" + "".join(f"{t},{t[24]}\n" for t in SENTENCES))
    for name in ("words.jsonl", "spans.jsonl", "words.txt"):
        (found,) = figures(limbeck, str(tmp_path / name))
        assert found["labels"]["B-SET"] == 12, name
    (found,) = figures(limbeck, str(folder))
    assert (found["format"], found["columns"], found["examples"]) == ("dataset", ["text", "label"], 12)


def test_a_file_that_is_not_there_is_told_at_once(limbeck: Limbeck, tmp_path: Path) -> None:
    assert "nosuch.csv: no such file" in limbeck("data", str(tmp_path / "nosuch.csv"), status=2).stderr


def test_translations_are_measured_elsewhere(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("en,de\nSnow.,Schnee.\n")
    told = limbeck("data", "pairs.csv", "--set", "text=en", "--set", "target=de", status=2).sentence
    assert (
        told
        == "limbeck: pairs.csv: this is text with translations. Of translations, 'limbeck measure' tells."
    )


def test_a_spreadsheet_is_to_be_saved(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "sheet.xlsx").write_text("PK")
    assert limbeck("init", "sheet.xlsx", status=2).sentence.endswith("is written. Save the sheet as CSV.")
