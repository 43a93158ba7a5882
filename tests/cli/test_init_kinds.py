"""What ``limbeck init`` writes can be planned with each kind of student that it offers, by changing the kind alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck import models
from limbeck.core.recipe import load
from limbeck.core.tasks import Task

Limbeck = Callable[..., Any]


def rows(task: Task) -> str:
    """A small file of the task: texts of the tiny encoder's words."""
    words = ["lovely", "dull", "bright", "grey", "film", "plot", "music", "story", "the", "was"]
    texts = [f"{one} {other} {third}" for one in words for other in words for third in words[:3]]
    if task == "tagging":
        return "\n\n".join(
            "\n".join(f"{word} {'B-X' if word in words[:4] else 'O'}" for word in text.split())
            for text in texts
        )
    if task == "regression":
        return "\n".join(
            ["first,second,score", *(f"{text},{texts[-n]},{n % 11 / 2}" for n, text in enumerate(texts))]
        )
    return "\n".join(["text,label", *(f"{text},{'good' if 'lovely' in text else 'bad'}" for text in texts)])


@pytest.mark.parametrize(
    ("task", "suffix"), [("classification", "csv"), ("regression", "csv"), ("tagging", "conll")]
)
def test_every_kind_of_student_can_be_chosen_by_its_name_alone(
    limbeck: Limbeck, tmp_path: Path, encoder: Path, task: Task, suffix: str
) -> None:
    (tmp_path / f"train.{suffix}").write_text(rows(task) + "\n")
    limbeck("init", f"train.{suffix}", "--teacher", encoder)
    offered = (
        (tmp_path / "recipe.yaml").read_text().partition("\nstudent:")[2].partition("\n")[2].splitlines()[0]
    )
    kinds = [kind for kind in models.kinds(task) if kind in offered]
    assert len(kinds) == {"classification": 4, "regression": 2, "tagging": 2}[task]
    assert load(tmp_path / "recipe.yaml").task == task
    fits = {
        "transformer": ["student.from_teacher=[0]"] if task == "tagging" else [],
        "forest": [],
    }  # the tiny encoder
    for kind in kinds:
        changes = ["student.max_length=8", "teacher.max_length=8", *fits.get(kind, ["student.dimension=8"])]
        planned = limbeck("plan", "recipe.yaml", f"student.kind={kind}", *changes).stdout
        assert ("trees" if kind == "forest" else f", {kind}") in planned


@pytest.mark.recipe
def test_another_kind_leaves_out_the_files_keys_and_no_others(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_file(
        student={"kind": "bilstm", "embeddings": "random", "dimension": 8, "pooling": "max", "hidden": 4}
    )
    done = limbeck("--log", "json", "prepare", recipe, "student.kind=static")
    assert "the recipe's hidden, pooling: left out, for another kind" in done.stderr
    student = load(tmp_path / "runs" / "tiny" / "recipe.yaml").student
    assert (student.kind, student.settings) == ("static", {"embeddings": "random", "dimension": 8})
    assert (
        "unknown key 'student.pooling'"
        in limbeck("plan", recipe, "student.kind=static", "student.pooling=max", status=2).sentence
    )
    typo = recipe_file(student={"kind": "static", "dimensoin": 8})
    assert "'student.dimensoin'" in limbeck("plan", typo, "student.kind=bilstm", status=2).sentence
