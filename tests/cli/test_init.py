"""What ``limbeck init`` and ``limbeck data`` see in people's tables: both the same, and what a name says is believed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest

from limbeck.cli.columns import guess_columns
from limbeck.cli.outcomes import find_columns
from limbeck.core import recipe
from limbeck.core.sources import Source
from limbeck.text import readers
from limbeck.text.tables import read_table

Limbeck = Callable[..., Any]
Rows = list[list[object]]


def written(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(rows)
    return path


def looked(limbeck: Limbeck, *files: Path, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(limbeck("data", *files, *options, "--json").stdout)
    return found


def source_of(limbeck: Limbeck, file: Path) -> tuple[recipe.Recipe, Source]:
    limbeck("init", file, "--out", file.with_suffix(".yaml"))
    loaded = recipe.load(file.with_suffix(".yaml"))
    (source,) = loaded.data.train
    return loaded, source


def texts(count: int) -> list[str]:
    return [f"some film of many words {n}" for n in range(count)]


@pytest.mark.parametrize(
    ("head", "cells", "task", "label"),
    [
        (["text", "intent"], [["ab"[n % 2]] for n in range(8)], "classification", "intent"),
        (["text", "label", "score"], [["xyz"[n % 3], n / 9] for n in range(9)], "classification", "label"),
        (["text", "label", "is_reply", "has_url", "is_ad"],
         [["xy"[n % 2], n % 2, 1, n % 3 % 2] for n in range(9)], "classification", "label"),
        (["id", "text", "label", "lang"], [[f"intent {n % 250}", "de" if n % 2 else "en"] for n in range(600)],
         "classification", "label"),
        (["text", "label"], [[f"intent {n % 100}"] for n in range(150)], "classification", "label"),
        (["text", "score"], [[n / 4] for n in range(9)], "regression", "score"),
        (["text", "label"], [[n / 4] for n in range(9)], "regression", "label"),
        (["comment", "rating"], [[n / 4] for n in range(9)], "regression", "rating"),
        (["says", "intent"], [[f"a label that is longer than any text {n % 2}"] for n in range(9)],
         "classification", "intent"),
        (["text", "tags"], [["a|b" if n % 2 else "b"] for n in range(9)], "multilabel", "tags"),
    ],
)  # fmt: skip
def test_init_and_data_see_the_same(
    limbeck: Limbeck, tmp_path: Path, head: list[str], cells: Rows, task: str, label: str
) -> None:
    lead = [[str(n)] if head[0] == "id" else [] for n in range(len(cells))]
    rows = [[*first, text, *more] for first, text, more in zip(lead, texts(len(cells)), cells, strict=True)]
    path = written(tmp_path / "own.csv", [list(head), *rows])
    made, source = source_of(limbeck, path)
    assert (made.task, source.label) == (task, label)
    (found,) = looked(limbeck, path)
    assert (found["examples"], found["unlabelled"]) == (len(rows), 0)
    assert (found["scores"] is None) == (task != "regression")
    if task == "classification":
        kinds = {str(row[len(head) - len(cells[0])]) for row in rows}
        assert set(found["labels"]) == kinds
        many = len(kinds) > 2
        assert made.method[0].name == ("soft_labels" if many else "logit_regression")


def test_pairs_are_told_apart_by_both_texts(limbeck: Limbeck, tmp_path: Path) -> None:
    """The same premise stands beside three hypotheses: no duplicate, nothing contradictory, nothing of train in test."""
    firsts, seconds = (
        ("the man sleeps", "a dog runs", "kids play"),
        ("someone rests", "nobody moves", "it rains"),
    )
    rows: Rows = [[a, b, "xyz"[(n + m) % 3]] for n, a in enumerate(firsts) for m, b in enumerate(seconds)]
    head: list[object] = ["premise", "hypothesis", "label"]
    train = written(tmp_path / "train.csv", [head, *rows])
    test = written(tmp_path / "test.csv", [head, *([a, f"{b} now", c] for a, b, c in rows)])
    one, other = looked(limbeck, train, test)
    assert one["columns"] == ["text", "second", "label"]
    assert (one["duplicates"], one["contradictory"], other["overlap"]) == (0, 0, 0)


def test_other_files_have_the_columns_of_the_first(limbeck: Limbeck, tmp_path: Path) -> None:
    head: list[object] = ["sentence", "label"]
    rows: Rows = [[text, "ab"[n % 2]] for n, text in enumerate(texts(9))]
    train = written(tmp_path / "train.csv", [head, *rows])
    small = written(tmp_path / "small.csv", [head, *rows[:2], ["new", "a"]])
    bare = written(tmp_path / "bare.csv", [["sentence"], *([row[0]] for row in rows)])
    _, of_small, of_bare = looked(limbeck, train, small, bare)
    assert (of_small["labels"], of_small["overlap"]) == ({"a": 2, "b": 1}, 2)
    assert (of_bare["unlabelled"], of_bare["overlap"]) == (9, 9)


def test_a_first_line_that_is_an_example_is_kept(limbeck: Limbeck, tmp_path: Path) -> None:
    rows: Rows = [["fine film", "pos"], *([text, ("pos", "neg")[n % 2]] for n, text in enumerate(texts(12)))]
    path = written(tmp_path / "bare.csv", rows)
    assert looked(limbeck, path)[0]["examples"] == 13
    assert looked(limbeck, path, options=("--set", "header=true"))[0]["examples"] == 12
    _, source = source_of(limbeck, path)
    assert len(readers.read(source)) == 13
    named = written(
        tmp_path / "named.csv",
        [["message", "spam"], *([text, "spam" if n % 3 else "ham"] for n, text in enumerate(texts(12)))],
    )
    assert looked(limbeck, named)[0]["examples"] == 12
    short = written(
        tmp_path / "short.csv", [["good", "1"], *([text, n % 2] for n, text in enumerate(texts(12)))]
    )
    assert looked(limbeck, short, options=("--set", "header=false"))[0]["examples"] == 13


def test_an_empty_label_makes_no_scores_of_classes(limbeck: Limbeck, tmp_path: Path) -> None:
    path = tmp_path / "nan.jsonl"
    told = (
        {"text": text, "label": float("nan") if n % 5 == 0 else n % 3} for n, text in enumerate(texts(30))
    )
    path.write_text("\n".join(map(json.dumps, told)))
    (found,) = looked(limbeck, path)
    assert (sorted(found["labels"]), found["unlabelled"], found["scores"]) == (["0", "1", "2"], 6, None)
    assert source_of(limbeck, path)[0].task == "classification"


def test_a_table_by_another_ending_is_seen_for_what_it_is(limbeck: Limbeck, tmp_path: Path) -> None:
    path = tmp_path / "sts.txt"
    path.write_text("sentence1\tsentence2\tscore\na b\tc d\t0.5\ne f\tg h\t1.5\n")
    (found,) = looked(limbeck, path, options=("--format", "tsv"))
    assert (found["scores"], found["columns"]) == ([0.5, 1.0, 1.5], ["text", "second", "score"])


def test_a_table_headed_as_sst2_is_glue_in_its_own_folder_alone(limbeck: Limbeck, tmp_path: Path) -> None:
    own: Rows = [
        ["sentence", "label"],
        *([f'they said "{text}"', ("joy", "fear", "rage")[n % 3]] for n, text in enumerate(texts(9))),
    ]
    made, source = source_of(limbeck, written(tmp_path / "own.tsv", own))
    assert (source.format, made.train.metric) == ("auto", "accuracy")
    assert readers.read(source)[0].text == f'they said "{texts(1)[0]}"'
    (tmp_path / "SST-2").mkdir()
    glue: Rows = [["sentence", "label"], *([text, n % 2] for n, text in enumerate(texts(9)))]
    made, source = source_of(limbeck, written(tmp_path / "SST-2" / "dev.tsv", glue))
    assert (source.format, made.train.metric) == ("glue", "accuracy")


RASA = {
    "lang": "en",
    "rasa_nlu_data": {"common_examples": [{"text": "hi", "intent": "greet"}, {"text": "x", "intent": "y"}]},
}
PUBLISHED: Mapping[str, tuple[str, str]] = {
    "rasa.json": (json.dumps(RASA, indent=1), "rasa"),
    "nlu.yml": ("version: '3.1'\nnlu:\n- intent: a\n  examples: |\n    - hello\n    - hi\n- intent: b\n  examples: |\n    - bye\n", "rasa"),
    "train_5500.label": ("NUM:dist How far ?\nHUM:ind Who ?\n" * 3, "trec"),
    "trees.txt": ("(3 (2 A) (3 film))\n(1 (2 Dull) (1 film))\n", "trees"),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_init_knows_the_formats_that_labelled_text_is_published_in(
    limbeck: Limbeck, tmp_path: Path, name: str
) -> None:
    content, form = PUBLISHED[name]
    (tmp_path / name).write_text(content)
    made, source = source_of(limbeck, tmp_path / name)
    assert (made.task, source.format) == ("classification", form)
    assert len({example.gold for example in readers.read(source)}) == 2


def test_init_on_a_folder_of_intents(limbeck: Limbeck, tmp_path: Path) -> None:
    folder = tmp_path / "snips"
    folder.mkdir()
    for name, line in (("seq.in", "play it\n"), ("seq.out", "O O\n"), ("label", "Play\n")):
        (folder / name).write_text(line * 4)
    (folder / "label").write_text("Play\nStop\n" * 2)
    limbeck("init", folder, "--out", tmp_path / "r.yaml")
    (source,) = recipe.load(tmp_path / "r.yaml").data.train
    assert {example.gold for example in readers.read(source)} == {"Play", "Stop"}
    (folder / "label").unlink()
    assert "no data set can be read here" in limbeck("init", folder, status=2).sentence


@pytest.mark.parametrize("saved", [False, True])
def test_init_on_a_data_set(limbeck: Limbeck, tmp_path: Path, saved: bool) -> None:
    folder = tmp_path / "mine"
    rows = {"sentence": list(texts(12)), "label": ["a", "b"] * 6}
    if saved:
        both = datasets.DatasetDict(
            train=datasets.Dataset.from_dict(rows), test=datasets.Dataset.from_dict(rows)
        )
        both.save_to_disk(folder)
    else:
        folder.mkdir()
        for name in ("train.csv", "test.csv"):
            written(folder / name, [list(rows), *map(list, zip(*rows.values(), strict=True))])
    limbeck("init", folder, "--out", tmp_path / "r.yaml")
    (source,) = recipe.load(tmp_path / "r.yaml").data.train
    assert (source.split, source.text) == ("train", "sentence")
    assert {example.gold for example in readers.read(source)} == {"a", "b"}


def test_a_file_without_labels_is_refused_with_what_to_do(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "bare.txt").write_text("\n".join(texts(5)))
    assert "no column looks like labels" in limbeck("init", tmp_path / "bare.txt", status=2).sentence
    assert looked(limbeck, tmp_path / "bare.txt")[0]["unlabelled"] == 5


@pytest.mark.parametrize(
    "cell", ['{"text": "a", "label": ' + "9" * 5000 + "}", "[" * 100_000, '{"a":' * 3000 + "1" + "}" * 3000]
)
@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_json_that_nobody_can_read_is_refused_in_a_sentence(
    limbeck: Limbeck, tmp_path: Path, name: str, cell: str
) -> None:
    (tmp_path / name).write_text(cell)
    assert "JSON" in limbeck("data", tmp_path / name, status=2).sentence


def test_columns_are_the_longest_and_the_fewest_where_no_name_tells(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.csv",
        [["x", "y", "z"], *([f"u{n}", text, "ab"[n % 2]] for n, text in enumerate(texts(8)))],
    )
    columns = guess_columns(read_table(path), path)
    assert (columns.text, columns.second, columns.label) == ("y", None, "z")
    assert find_columns(Source(path=str(path))).classes == 2
