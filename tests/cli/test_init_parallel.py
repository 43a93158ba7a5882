"""``limbeck init`` on parallel text: what it finds, what it tells, and that its recipe can be planned."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.core import recipe
from limbeck.core.recipe import Recipe
from limbeck.text.readers import read

Limbeck = Callable[..., Any]

TEXTS = [f"the house number {number} is red" for number in range(40)]
TARGETS = [f"das Haus mit der Nummer {number} ist rot" for number in range(40)]
TOLD = "40 pairs, 240 words and 320 in their translations, 6 and 8 in the median one"


def lines(texts: list[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def written(folder: Path) -> Recipe:
    """The recipe, which must read the text that it was written for."""
    found = recipe.load(folder / "recipe.yaml")
    assert found.task == "translation"
    pairs = [(one.text, one.targets[0]) for one in read(found.data.train[0], task="translation")]
    assert pairs == list(zip(TEXTS, TARGETS, strict=True))
    return found


@pytest.mark.parametrize("options", [[], ["--target", "train.de"]])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_files_of_lines(limbeck: Limbeck, tmp_path: Path, options: list[str], ending: str) -> None:
    for language, texts in (("en", TEXTS), ("de", TARGETS)):
        data = lines(texts).encode()
        (tmp_path / f"train.{language}{ending}").write_bytes(gzip.compress(data) if ending else data)
    options = [option + ending if option.startswith("train") else option for option in options]
    assert TOLD in limbeck("init", f"train.en{ending}", *options).stdout
    found = written(tmp_path)
    assert (found.name, found.data.train[0].language) == ("train.en-de", "de")
    assert found.teacher.scratch is not None and found.teacher.scratch.kind == "autoregressive"


def test_files_of_any_name(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "ours.txt").write_text(lines(TEXTS), encoding="utf-16")
    (tmp_path / "theirs").write_text(lines(TARGETS), encoding="utf-16")
    assert TOLD in limbeck("init", "ours.txt", "--target", "theirs", "--encoding", "utf-16").stdout
    found = written(tmp_path)
    assert (found.name, found.data.train[0].language) == ("ours", None)


@pytest.mark.parametrize(
    ("file", "content", "options", "source"),
    [
        ("pairs.tsv", "id\ten\tde\n{n}\t{text}\t{target}\n", [], ("pairs.en-de", "en", ["de"], "de")),
        ("pairs.tsv", "de\tfr\ten\n{target}\t\t{text}\n", ["--target", "de"], ("pairs.en-de", "en", ["de"], "de")),
        ("pairs.csv", "german,source,note\n{target},{text},x\n", ["--target", "german"], ("pairs", "source", ["german"], None)),
        ("bare.tsv", "{text}\t{target}\n", ["--target", "1"], ("bare", 0, [1], None)),
        ("bare.tsv", "{target}\t{text}\n", ["--target", "0"], ("bare", 1, [0], None)),
        ("pairs.jsonl", '{{"en": "{text}", "de": "{target}"}}\n', ["--target", "de"], ("pairs.en-de", "en", ["de"], "de")),
        ("opus.jsonl", '{{"translation": {{"en": "{text}", "de": "{target}"}}}}\n', [], ("opus.en-de", "en", ["de"], "de")),
    ],
)  # fmt: skip
def test_tables(
    limbeck: Limbeck, tmp_path: Path, file: str, content: str, options: list[str], source: tuple[Any, ...]
) -> None:
    head, _, row = content.rpartition("\n")[0].rpartition("\n")
    rows = [
        row.format(n=n, text=text, target=target)
        for n, (text, target) in enumerate(zip(TEXTS, TARGETS, strict=True))
    ]
    (tmp_path / file).write_text(lines(([head] if head else []) + rows))
    told = limbeck("init", file, *options).stdout
    assert TOLD in told
    found = written(tmp_path)
    train = found.data.train[0]
    assert (found.name, train.text, train.target, train.language) == source


def test_catalogues(limbeck: Limbeck, tmp_path: Path) -> None:
    pytest.importorskip("polib")
    messages = zip(TEXTS, TARGETS, strict=True)
    text = "".join(f"msgid {json.dumps(one)}\nmsgstr {json.dumps(other)}\n\n" for one, other in messages)
    (tmp_path / "de.po").write_text(text)
    assert TOLD in limbeck("init", "de.po").stdout
    assert written(tmp_path).name == "de"


def test_a_language_without_spaces_is_not_cleaned_by_words(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text(lines(TEXTS))
    (tmp_path / "a.zh").write_text(lines([f"{number}号房子是红色的" for number in range(40)]))
    limbeck("init", "a.en")
    assert recipe.load(tmp_path / "recipe.yaml").data.clean.ratio is None
    (tmp_path / "a.zh").write_text(lines(TARGETS))
    limbeck("init", "a.en", "--out", "other.yaml")
    assert recipe.load(tmp_path / "other.yaml").data.clean.ratio == 4


def test_a_teacher_that_is_there(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text(lines(TEXTS))
    (tmp_path / "a.de").write_text(lines(TARGETS))
    limbeck("init", "a.en", "--teacher", "Helsinki-NLP/opus-mt-en-de")
    teacher = written(tmp_path).teacher
    assert (teacher.model, teacher.scratch, teacher.fine_tune) == ("Helsinki-NLP/opus-mt-en-de", None, None)


def test_what_it_writes_can_be_planned(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text(lines(TEXTS))
    (tmp_path / "a.de").write_text(lines(TARGETS))
    limbeck("init", "a.en")
    small = ("teacher.scratch.scale=0.03", "student.scale=0.03")
    planned = limbeck("plan", "recipe.yaml", *small).stdout
    assert "every check passed; nothing was written" in planned
    assert "34 pairs of texts" in planned
    assert "steps on 34 pairs" in planned
    assert "sequence_level: 1 seed" in planned


@pytest.mark.parametrize(
    ("files", "arguments", "sentence"),
    [
        ({"a.en": TEXTS}, ["a.en"], "no file of translations is beside it"),
        ({"a.en": TEXTS, "a.de": TARGETS, "a.fr": TARGETS}, ["a.en"], "translations may be in a.de, a.fr"),
        (
            {"a.en": TEXTS, "a.de": TARGETS[:-1]},
            ["a.en"],
            "a.en:40: no line of a.de belongs to this one",
        ),
        ({"a.en": TEXTS}, ["a.en", "--target", "b.de"], "b.de: no such file"),
        ({"a.tsv": ["en\tfr", "a\tb"]}, ["a.tsv", "--target", "de"], "there is no column 'de'"),
        ({"a.tsv": ["de", "a"]}, ["a.tsv", "--target", "de"], "no column of texts is beside 'de'"),
        ({"a.tsv": ["en\tde", "a\t"]}, ["a.tsv"], "no text here has a translation"),
    ],
)
def test_refusals(
    limbeck: Limbeck, tmp_path: Path, files: dict[str, list[str]], arguments: list[str], sentence: str
) -> None:
    for name, texts in files.items():
        (tmp_path / name).write_text(lines(texts))
    assert sentence in limbeck("init", *arguments, status=2).sentence
    assert not (tmp_path / "recipe.yaml").exists()
