"""What stands outside the recipe, and is trained from, is part of what a student's weights depend on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limbeck import Run, distill
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.evaluate.current import STEPS
from limbeck.pipeline import steps
from limbeck.pipeline.chain import successor_inputs
from limbeck.pipeline.inputs import student_inputs, teach_inputs
from limbeck.pipeline.outside import outside
from limbeck.transfer.rewrites import settings_for

RecipeFile = Callable[..., Path]
METHOD = """
from limbeck.methods.logit_regression import *
from limbeck.methods.logit_regression import CARD, Settings, tiny
FACTOR = {factor}
"""


def told(path: Path, method: str = "logit_regression") -> dict[str, object]:
    run = Run(load(path))
    return outside(run, method, run.student_settings)


@pytest.mark.parametrize("matrix", [False, True])
def test_word_vectors_and_their_words(recipe_file: RecipeFile, tmp_path: Path, matrix: bool) -> None:
    words = tmp_path / "v.txt"
    words.write_text("good\nbad\n" if matrix else "good 1 2\nbad 3 4\n")
    np.save(tmp_path / "v.npy", np.eye(2, dtype=np.float32))
    vectors = tmp_path / ("v.npy" if matrix else "v.txt")
    path = recipe_file(student={"kind": "static", "embeddings": str(vectors)})
    before = told(path)
    words.write_text("bad\ngood\n" if matrix else "good 1 2\nbad 3 5\n")
    assert set(before) == {"vectors"} and told(path) != before
    if matrix:
        reads = settings_for("masked_lm", {"vectors": str(vectors)}).reads
        assert reads == (str(vectors), str(words))


def test_an_encoder_a_method_and_the_class_of_a_score(
    recipe_file: RecipeFile, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ours").mkdir()
    module = tmp_path / "ours" / "mine.py"
    (tmp_path / "ours" / "__init__.py").write_text("")
    module.write_text(METHOD.format(factor=1))
    path = recipe_file(
        student={"kind": "transformer", "encoder": str(encoder)},
        method="ours.mine",
        train={"metric": "binary_f1"},
        positive="pos",
    )
    before = told(path, "ours.mine")
    assert set(before) == {"encoder", "own method", "positive"}
    module.write_text(METHOD.format(factor=2))
    assert told(path, "ours.mine") != before
    assert told(recipe_file()) == {}


@pytest.mark.recipe
def test_teachers_students_and_those_between_depend_on_it(recipe_file: RecipeFile, tmp_path: Path) -> None:
    vectors = tmp_path / "v.txt"
    vectors.write_text("good 1 2\nbad 3 4\n")
    path = recipe_file(
        student={"kind": "bilstm", "embeddings": str(vectors), "hidden": 4, "layers": 1},
        method={"name": "born_again", "epochs": 1},
        train={"epochs": 1, "metric": "binary_f1", "tokens_per_batch": 256},
        positive="good",
        seeds=1,
        control=False,
    )
    run = Run(load(path))
    for step in steps.ALL[: steps.ALL.index(steps.train)]:
        step(run)
    assert teach_inputs(run)["positive"] == "good"
    for inputs in (student_inputs(run, "born_again", 1), successor_inputs(run, "born_again", 0)):
        assert inputs["positive"] == "good" and len(inputs["vectors"]) == 1


def test_gold_in_the_last_epoch_wants_one_before(recipe_file: RecipeFile) -> None:
    chains = {"task": "tagging", "method": "chain_substructure", "student": {"kind": "bilstm"}}
    with pytest.raises(
        LimbeckError, match=r"train\.epochs: the last epoch of 'chain_substructure' is of gold alone"
    ):
        Run(load(recipe_file(**chains, train={"epochs": 1}))).methods  # noqa: B018
    Run(load(recipe_file(**chains, train={"epochs": 1.5}))).methods  # noqa: B018


@pytest.mark.recipe
def test_students_trained_since_are_not_mixed_with_an_evaluation(
    recipe_file: RecipeFile, listener: object
) -> None:
    from limbeck.pipeline.analysing import analyse

    folder = distill(recipe_file(seeds=1, evaluate={"latency_sentences": 0})).folder
    run = Run(
        load(
            recipe_file(seeds=1, evaluate={"latency_sentences": 0}, train={"epochs": 1, "learning_rate": 0.1})
        )
    )
    steps.train(run)
    with pytest.raises(LimbeckError, match="'students/gold/seed-1' was made after this run was evaluated"):
        analyse([folder])
    (folder / "evaluation" / STEPS).unlink()  # as evaluations were that listed no steps
    analyse([folder])
    assert not (folder / "analysis" / "answers" / "done.json").exists()
    assert any("run 'limbeck evaluate'" in warning for warning in listener.warnings)  # type: ignore[attr-defined]
