"""``limbeck predict`` on bundles of taggers and translators."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from limbeck import TranslatorBundle, models
from limbeck.core.decoding import Decoding
from limbeck.core.recipe import Export
from limbeck.models.export import export
from limbeck.models.taggers import bilstm
from tiny_translation import write_bundle

Limbeck = Callable[..., Any]

TEXT = ["Ada lives in York .", "York , York", "Ada and Bo went there", "nobody"]


def made(folder: Path, tags: tuple[str, ...]) -> Path:
    """An untrained tagger's bundle."""
    torch.set_num_threads(1)
    settings = bilstm.Settings(embeddings="random", dimension=8, hidden=6, tokeniser="words")
    tokeniser = models.tokeniser_for(settings, teacher_tokeniser=None, texts=TEXT, task="tagging")
    model = models.build(
        "bilstm", settings, labels=tags, tokeniser=tokeniser, teacher=None, seed=2, task="tagging"
    )
    with torch.no_grad():
        model.head.emissions.bias[0] = -9  # few words are outside
    texts = [text.split() for text in TEXT]
    export(model, tokeniser, folder, texts=texts, max_length=12, settings=Export(changed=1), card={})
    return folder


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tagger") / "bundle", ("O", "B-PER", "I-PER"))


@pytest.fixture(scope="module")
def part_of_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("pos") / "bundle", ("ADJ", "NOUN", "VERB"))


def test_json_lines_hold_words_tags_and_spans(limbeck: Limbeck, tagger: Path) -> None:
    told = limbeck("predict", tagger, "Ada lives in York.", "")
    first, empty = map(json.loads, told.stdout.splitlines())
    assert empty == {"text": "", "words": [], "tags": [], "spans": []}
    assert list(first) == ["text", "words", "tags", "spans"]
    assert first["text"] == "Ada lives in York."
    assert first["words"] == ["Ada", "lives", "in", "York", "."]
    assert len(first["tags"]) == 5
    assert first["spans"]
    for span in first["spans"]:
        assert list(span) == ["type", "text", "start", "end", "words", "score"]
        assert first["text"][span["start"] : span["end"]] == span["text"]
        assert first["words"][span["words"][0]] == span["text"].split()[0].rstrip(".")
        assert 0 <= span["score"] <= 1


def test_words_may_be_split_already(limbeck: Limbeck, tagger: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("Ada's  York.\n")
    told = limbeck("predict", tagger, "--words", "--file", tmp_path / "in.txt", "--precision", "fp32")
    line = json.loads(told.stdout)
    assert line["text"] == "Ada's York."
    assert line["words"] == ["Ada's", "York."]


def test_what_would_be_answered_otherwise_than_asked_is_refused(
    limbeck: Limbeck, tagger: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("text,id\nAda lives,1\n")
    told = limbeck("predict", tagger, "--file", "in.csv", status=2).sentence
    assert told.startswith(
        "limbeck: in.csv: a sentence a line is read, and '.csv' is the ending of a table. Write"
    )
    lean = shutil.copytree(tagger, tmp_path / "lean")
    (lean / "model.int8.onnx").unlink()
    card = json.loads((lean / "bundle.json").read_text())
    del card["files"]["model.int8.onnx"]
    (lean / "bundle.json").write_text(json.dumps(card))
    assert json.loads(limbeck("predict", lean, "Ada").stdout)["words"] == ["Ada"]
    told = limbeck("predict", lean, "--precision", "int8", "Ada", status=2).sentence
    assert told.startswith(f"limbeck: {lean}: the bundle holds no int8 model. Leave --precision out")


def test_csv_has_a_row_a_span(limbeck: Limbeck, tagger: Path) -> None:
    typed = "Ada lives in York .\n\nBo , there\n"
    lines = [json.loads(line) for line in limbeck("predict", tagger, typed=typed).stdout.splitlines()]
    table = limbeck("predict", tagger, "--format", "csv", "--batch-size", "32", typed=typed).stdout
    header, *rows = csv.reader(io.StringIO(table))
    assert header == ["text", "start", "end", "type", "span", "score"]
    wanted = [
        [line["text"], *(str(span[key]) for key in ("start", "end", "type", "text", "score"))]
        for line in lines
        for span in line["spans"]
    ]
    assert rows == wanted != []


def test_csv_of_plain_tags_has_a_row_a_word(limbeck: Limbeck, part_of_speech: Path) -> None:
    told = limbeck("predict", part_of_speech, "--format", "csv", "Ada went there.")
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert [row["span"] for row in rows] == ["Ada", "went", "there", "."]
    assert [(row["start"], row["end"]) for row in rows] == [("0", "3"), ("4", "8"), ("9", "14"), ("14", "15")]
    assert all(row["type"] in ("ADJ", "NOUN", "VERB") for row in rows)


def test_predicting_loads_no_torch(tagger: Path) -> None:
    check = (
        "import sys; from limbeck.cli import main; status = main(sys.argv[1:]); "
        "heavy = {'torch', 'transformers', 'numba'} & set(sys.modules); sys.exit(status or bool(heavy))"
    )
    command = [sys.executable, "-c", check, "predict", str(tagger), "Ada"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_words_are_for_taggers(limbeck: Limbeck, tmp_path: Path) -> None:
    settings = models.settings_for("static", {"embeddings": "random", "dimension": 4, "tokeniser": "words"})
    tokeniser = models.tokeniser_for(settings, teacher_tokeniser=None, texts=TEXT)
    model = models.build("static", settings, labels=("a", "b"), tokeniser=tokeniser, teacher=None, seed=1)
    folder = tmp_path / "bundle"
    export(model, tokeniser, folder, texts=TEXT, max_length=12, settings=Export(changed=1), card={})
    assert json.loads(limbeck("predict", folder, "Ada").stdout)["label"] in ("a", "b")
    refused = limbeck("predict", folder, "--words", "Ada", status=2)
    assert (
        refused.sentence == f"limbeck: {folder}: --words is for taggers, and this bundle is a classifier's."
    )


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained translator's bundle, in the folder of a run."""
    return write_bundle(tmp_path_factory.mktemp("run") / "bundle", TEXT, 12, Decoding(beams=3, max_length=7))


def test_translations_as_json_lines(limbeck: Limbeck, translator: Path) -> None:
    bundle = TranslatorBundle(translator, threads=1)
    told = limbeck("predict", translator, "--batch-size", "1", *TEXT)
    for line, text in zip(told.stdout.splitlines(), TEXT, strict=True):
        (found,) = bundle.predict([text])
        assert json.loads(line) == {"text": text, "translation": found.text, "score": round(found.score, 6)}
    best = bundle.k_best(["York"], Decoding(beams=4, keep=2, max_length=7))[0]
    line = json.loads(limbeck("predict", translator, "--beams", "4", "--keep", "2", "York").stdout)
    assert line["translations"] == [
        {"translation": each.text, "score": round(each.score, 6)} for each in best
    ]
    assert {key: line[key] for key in ("translation", "score")} == line["translations"][0]


def test_any_text_goes_in_and_comes_out_whatever_the_terminal_speaks(
    translator: Path, tmp_path: Path
) -> None:
    """A terminal of Windows, an argument that is not UTF-8, and sentences that another program writes."""
    (tmp_path / "in.txt").write_text("New York\n", encoding="utf-8")
    command = [sys.executable, "-m", "limbeck", "predict", str(translator)]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252:strict"}
    told = subprocess.run(
        [*command, "漢字", b"a red \xff car"], capture_output=True, check=True, env=environment
    )
    lines = [json.loads(line) for line in told.stdout.decode("utf-8").splitlines()]
    assert [line["text"] for line in lines] == ["漢字", "a red ? car"]
    piped = subprocess.run(
        f"cat {tmp_path / 'in.txt'} | {' '.join(command)} --file /dev/stdin",
        shell=True,
        capture_output=True,
        check=True,
    )
    assert json.loads(piped.stdout)["text"] == "New York"


def test_a_file_that_is_none(limbeck: Limbeck, translator: Path, tmp_path: Path) -> None:
    assert "it is a folder" in limbeck("predict", translator, "--file", tmp_path, status=2).sentence
    assert "no such file" in limbeck("predict", translator, "--file", tmp_path / "none", status=2).sentence


def test_translations_line_by_line(limbeck: Limbeck, translator: Path, tmp_path: Path) -> None:
    """Of the run's folder, too; with one beam it is the greedy search."""
    (tmp_path / "in.txt").write_text("\n".join(TEXT) + "\n")
    told = limbeck(
        "predict", translator.parent, "--file", tmp_path / "in.txt", "--format", "text", "--beams", "1"
    )
    greedy = Decoding(search="greedy", max_length=7)
    expected = TranslatorBundle(translator, threads=1).translate(TEXT, greedy)
    assert told.stdout.splitlines() == expected
    table = limbeck("predict", translator, "--format", "csv", "--keep", "2", *TEXT).stdout
    header, *rows = csv.reader(io.StringIO(table))
    assert header == ["text", "translation", "score"]
    assert [row[0] for row in rows] == [text for text in TEXT for _ in range(2)]


def test_what_translators_alone_or_others_alone_can(limbeck: Limbeck, translator: Path, tagger: Path) -> None:
    refused = limbeck("predict", translator, "--words", "Ada", status=2)
    assert refused.sentence.endswith("--words is for taggers, and this bundle is a translator's.")
    refused = limbeck("predict", tagger, "--beams", "2", "Ada", status=2)
    assert refused.sentence.endswith("--beams and --keep are for translators, and this bundle is a tagger's.")
    refused = limbeck("predict", tagger, "--format", "text", "Ada", status=2)
    assert refused.sentence.endswith("--format text is for translators, and this bundle is none.")
    refused = limbeck("predict", translator, "--keep", "9", "Ada", status=2)
    assert "beam finds 3 translations of a text, and 'keep' is 9" in refused.sentence


def test_translating_loads_no_torch(translator: Path) -> None:
    check = (
        "import sys; from limbeck.cli import main; status = main(sys.argv[1:]); "
        "heavy = {'torch', 'transformers', 'numba', 'sacrebleu'} & set(sys.modules); sys.exit(status or bool(heavy))"
    )
    command = [sys.executable, "-c", check, "predict", str(translator), "Ada"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
