"""What is said when something is wrong: one sentence, status 2, and earlier work left as it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Limbeck = Callable[..., Any]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["seeds=abc"], "'seeds': a list of whole numbers, or how many there shall be (given: 'abc')"),
        (["method=my.own"], "no method 'my.own'. No module of that name can be imported from here"),
        (["train.epohs=3"], "unknown key 'train.epohs'. Did you mean 'epochs'?"),
        (["method=."], "no method '.'"),
        (["method=.mine"], "no method '.mine'"),
        (["method=logit_regresion"], "no method 'logit_regresion'. Did you mean 'logit_regression'?"),
        (
            ["method={name: soft_labels, temprature: 3}"],
            "unknown key 'method.temprature'. Did you mean 'temperature'?",
        ),
        (["student.kind=bilstms"], "bilstm"),
        (["student={kind: bilstm, hiden: 3}"], "unknown key 'student.hiden'. Did you mean 'hidden'?"),
        (["rewrite=ngram"], "no rewriter 'ngram'. Did you mean 'ngrams'?"),
        (["data.train.label=stars"], "there is no column 'stars'"),
        (["data.train=missing.csv"], "missing.csv"),
        (["data.test=1000"], "test"),
        (["method=[gold, gold]"], "the recipe lists 'gold' twice"),
        (["checksums={reviews.csv: ab00}"], "SHA-256"),
        (["student={kind: transformer, from_teacher: [0, 9]}"], "no layer 9; the teacher has layers 0 to 1"),
        (["student.embeddings=vectors.txt"], "vectors.txt"),
        (["train.trackers=[nobodys]"], "the tracker 'nobodys' is not installed"),
        (["positive=great"], "positive: no class is called 'great'; there are bad and good"),
        (["train.metric=binary_f1", "positive=great"], "no class is called 'great'"),
        (["analyse.slices.long=length >"], "analyse.slices.long: 'length >' is no expression"),
        (["teacher.labels={LABEL_0: bad}"], "'labels' is of a teacher that is taken as it is"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_before_any_work(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path, changes: list[str], words: str
) -> None:
    recipe = recipe_file(data={"train": {"path": str(tmp_path / "reviews.csv")}, "dev": 40, "test": 60})
    planned = limbeck("plan", recipe, *changes, status=2).sentence
    assert words in planned
    assert not (tmp_path / "runs").exists()
    assert limbeck("distill", recipe, *changes, status=2).sentence == planned
    assert not (tmp_path / "runs" / "tiny" / "teacher").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"text,label\n", "no rows"),
        (b"text,label\nfine,good\nbad \xff,bad\n", "not UTF-8"),
        (b"text,label\n" + b"".join(b"text %d,same\n" % n for n in range(50)), "label"),
        (b"text,label\na,b,c,d\n", "bad.csv:2"),
    ],
)
def test_a_file_that_cannot_be_learnt_from(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    recipe = recipe_file(data={"train": str(tmp_path / "bad.csv")})
    told = limbeck("prepare", recipe, status=2).sentence
    assert words in told
    assert "bad.csv" in told
    assert not (tmp_path / "runs" / "tiny" / "prepared").exists()


def test_a_label_that_only_the_test_set_has(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "test.csv").write_text("text,label\nwhat a film,splendid\n")
    recipe = recipe_file(data={"train": str(tmp_path / "reviews.csv"), "test": str(tmp_path / "test.csv")})
    told = limbeck("prepare", recipe, status=2).sentence
    assert "splendid" in told and "test.csv:2" in told


@pytest.mark.recipe
def test_a_teacher_with_other_labels(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    limbeck("prepare", recipe_file())
    limbeck("teach", recipe_file())
    teacher = {"model": str(tmp_path / "runs/tiny/teacher")}
    (tmp_path / "reviews.csv").write_text((tmp_path / "reviews.csv").read_text().replace(",good", ",great"))
    told = limbeck("distill", recipe_file(teacher=teacher, name="other"), status=2).sentence
    assert "great" in told and "good" in told


def test_a_plan_looks_where_the_run_would_go(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    told = limbeck("plan", recipe_file(), f"out={tmp_path / 'reviews.csv'}/runs", status=2).sentence
    where = f"the run would go to {tmp_path / 'reviews.csv'}/runs/tiny. Set 'out' to another folder."
    assert told == f"limbeck: {tmp_path / 'reviews.csv'}: this is a file, and {where}"
