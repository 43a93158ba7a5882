"""SentEval's published files: read as they are, and refused in a sentence where they are not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from limbeck.analyse.probes.senteval import FILES, read, read_file
from limbeck.analyse.probes.task import Sizes, majority, rows_of
from limbeck.core.errors import LimbeckError

SIZES = Sizes(train=6, dev=2, test=3)


def write(path: Path, *parts: str) -> Path:
    lines = [
        f"{part}\t{'PAST' if n % 3 else 'PRES'}\tHe ran {n} \u2019 miles\n"
        for part in parts
        for n in range(9)
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_parts_classes_and_words(tmp_path: Path) -> None:
    write(tmp_path / FILES["tense"], "tr", "te", "va")
    (task,) = read(tmp_path, None, SIZES, seed=1)
    assert task.name == "tense"
    assert Counter(task.parts) == {"train": 6, "dev": 2, "test": 3}
    assert all(words[:2] == ("He", "ran") and words[3] == "\u2019" for words in task.sentences)
    assert set(task.labels) <= {"PAST", "PRES"}
    whole = read_file(tmp_path / FILES["tense"], "tense", Sizes(train=100, dev=100, test=100), 1)
    assert len(whole.sentences) == 27
    assert majority(whole) == pytest.approx(6 / 9)
    assert len(rows_of(whole)["test"]) == 9


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "tr", "te", "va")
    draws = [list(read_file(path, "tense", SIZES, seed).sentences) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tr\tPAST\tHe ran\nva\tPAST\tHe sat\n", "there are no 'te' lines in it"),
        ("tr\tPAST\tHe ran\nhe ran\n", "past_present.txt:2: this is no example of a probing task"),
        ("xx\tPAST\tHe ran\n", "past_present.txt:1"),
        ("tr\tPAST\t \n", "past_present.txt:1"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "past_present.txt").write_text(text, encoding="utf-8")
    with pytest.raises(LimbeckError) as caught:
        read(tmp_path, ["tense"], SIZES, 1)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_folder_no_file_no_tasks(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match="no such folder"):
        read(tmp_path / "gone", None, SIZES, 1)
    with pytest.raises(LimbeckError, match="holds none of SentEval's tasks"):
        read(tmp_path, None, SIZES, 1)
    with pytest.raises(LimbeckError, match=r"subj_number.txt: no such file"):
        read(tmp_path, ["subject_number"], SIZES, 1)
