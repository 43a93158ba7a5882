"""What is said when a recipe of translators cannot work: one sentence, status 2, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.example import Example
from pipeline.translation_recipe import SIZE, recipe, write

Limbeck = Callable[..., Any]
AUTOREGRESSIVE = "{kind: autoregressive, layers: 1, width: 32, heads: 2, max_length: 16}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["method=word_level"], "the student (vanilla) writes all at once"),
        (["method={name: sequence_level, word_level: 0.5}"], "the student (vanilla) writes all at once"),
        (
            ["method=word_level", f"student={AUTOREGRESSIVE}", "teacher.scratch.kind=vanilla"],
            "the teacher (vanilla) writes all at once",
        ),
        (["method=word_level", f"student={AUTOREGRESSIVE}", "teacher.max_length=20"], "student.max_length"),
        (["student.max_length=2000"], "'student.max_length' is 2000, and translators have 1024 positions"),
        (["teacher.max_length=2000"], "'teacher.max_length' is 2000"),
        (["teacher={answers: a.jsonl}"], "holds scores of classes"),
        (["teacher.fine_tune=null"], "say in 'fine_tune' how it is trained"),
        (["teacher.scratch.kind=autoregresive"], "autoregressive"),
        (["teacher.scratch.size=huge"], "'teacher.scratch.size'"),
        (["teacher.scratch.hiden=3"], "unknown key 'teacher.scratch.hiden'"),
        (["method=logit_regression"], "Methods for translation"),
        (["student={kind: bilstm}"], "vanilla"),
        (["teacher={model: some/hub-name}", "method=born_again"], "trains successors of the teacher"),
        (["method={name: sequence_level, decoding: {beams: 2, keep: 3}}"], "'keep' is 3"),
        (
            ["evaluate.decoding.search=importance"],
            "'search: importance' is for flowseq, and the student is of kind vanilla",
        ),
        (
            ["method={name: sequence_level, decoding: {search: importance}}"],
            "'search: importance' is for flowseq, and the teacher is of kind autoregressive",
        ),
        (["evaluate.decoding.search=sampling"], "exported students draw nothing"),
        (["evaluate.decoding={beams: 2, keep: 2}"], "the student (vanilla) finds one translation"),
        (
            ["method={name: sequence_level, decoding: {search: sampling}}", "teacher.scratch.kind=vanilla"],
            "the teacher (vanilla) finds one translation",
        ),
        (
            ["teacher.engine=ctranslate2", "teacher.members=2"],
            "'members' asks for several models, and CTranslate2 decodes with one",
        ),
        (["teacher={model: some/hub-name}", "teacher.members=2"], "'members' are built from 'scratch'"),
        (["teacher.prefix=translate"], "'prefix' and 'languages' are of a 'model'"),
        (["teacher.languages=[en]"], "teacher.languages"),
    ],
)
def test_a_recipe_that_cannot_work(limbeck: Limbeck, tmp_path: Path, changes: list[str], words: str) -> None:
    told = limbeck("plan", recipe(tmp_path), *changes, status=2).sentence
    assert words in told
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("key", ["engine=ctranslate2", "prefix=say", "languages=[en, de]"])
def test_what_is_of_translators_alone(limbeck: Limbeck, recipe_file: Callable[..., Path], key: str) -> None:
    told = limbeck("plan", recipe_file(), f"teacher.{key}", status=2).sentence
    assert (
        f"'teacher.{key.partition('=')[0]}' is for translators, and this recipe's task is classification"
        in told
    )


def test_scratch_is_of_translators_alone(limbeck: Limbeck, recipe_file: Callable[..., Path]) -> None:
    changes = ["teacher={scratch: {kind: autoregressive}, fine_tune: {}}"]
    told = limbeck("plan", recipe_file(), *changes, status=2).sentence
    assert "'teacher.scratch' is for translators" in told


def test_other_pieces_of_words(limbeck: Limbeck, tmp_path: Path) -> None:
    from limbeck.core.sources import Vocabulary
    from limbeck.models.translators import autoregressive
    from limbeck.text.subwords import Subwords

    other = Subwords.learn([Example("1", "na ne ni no", targets=("la le li lo",))], Vocabulary(size=320))
    settings = autoregressive.Settings(**SIZE)
    model = autoregressive.build(settings, labels=(), tokeniser=other, teacher=None)
    model.save_pretrained(tmp_path / "model")
    other.save_pretrained(tmp_path / "model")
    changes = [f"teacher={{model: {tmp_path / 'model'}, max_length: 16}}", f"student={AUTOREGRESSIVE}"]
    for command in ("plan", "distill"):
        told = limbeck(command, recipe(tmp_path), *changes, "method=word_level", status=2).sentence
        assert "whose pieces of words differ" in told
    assert not (tmp_path / "runs/toy/distilled").exists()


def test_files_that_do_not_fit_together(limbeck: Limbeck, tmp_path: Path) -> None:
    file = recipe(tmp_path)
    with (tmp_path / "train.src").open("a") as lines:
        lines.write("ba ba\n")
    told = limbeck("plan", file, status=2).sentence
    assert "train.src:301" in told and "train.trg.gz" in told


@pytest.mark.parametrize("part", ["dev", "test"])
def test_held_out_texts_without_translation(limbeck: Limbeck, tmp_path: Path, part: str) -> None:
    (tmp_path / "held.txt").write_text("ba be bi\nbo bo\n")
    file = recipe(tmp_path, data={"train": write(tmp_path), part: {"path": str(tmp_path / "held.txt")}})
    told = limbeck("plan", file, status=2).sentence
    assert "held.txt" in told and "translation" in told


def test_a_teacher_that_says_nothing(
    limbeck: Limbeck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.transfer.translation_teacher import TranslationTeacher

    monkeypatch.setattr(
        TranslationTeacher, "decode", lambda self, examples, decoding: [(("", -1.0),)] * len(examples)
    )
    file = recipe(tmp_path)
    changes = ["teacher.fine_tune.epochs=0.1"]
    told = limbeck("distill", file, *changes, status=2).sentence
    assert "are empty" in told


@pytest.mark.parametrize("given", ["0/2", "3/2", "half", "1"])
def test_no_such_part_of_the_texts(limbeck: Limbeck, tmp_path: Path, given: str) -> None:
    told = limbeck("ask", recipe(tmp_path), "--shard", given, status=2).sentence
    assert f"there is no shard '{given}'" in told
