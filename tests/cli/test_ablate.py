"""``limbeck ablate`` as a person calls it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Limbeck = Callable[..., Any]
STUDENT = {"kind": "transformer", "layers": 1, "hidden_size": 8, "heads": 2, "max_length": 32}


@pytest.mark.recipe
def test_a_plan_and_a_table(limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path) -> None:
    recipe = recipe_file(student=STUDENT, method="tinybert", rewrite="ngrams", seeds=1)
    told = limbeck("ablate", recipe, "--over", "procedures", "--plan").stdout
    assert "| no DA    | augmented: false " in told
    assert "left out: no GD, for the recipe has no general stage" in told
    assert "tiny-ablation: every check passed; nothing was written." in told
    assert "no-TD: 1 seed of" in told and "no-DA: 1 seed of" in told
    assert not (tmp_path / "runs").exists()

    table = limbeck("ablate", recipe, "--over", "mappings", "rewrite=[]", "train.epochs=1").stdout
    folder = tmp_path / "runs" / "tiny-ablation"
    rows = json.loads((folder / "ablation-mappings.json").read_text())["rows"]
    assert [(row["name"], row["deviation"]) for row in rows] == [
        (n, None) for n in ("uniform", "top", "bottom")
    ]
    assert f"| bottom  | mapping: bottom | {100 * rows[2]['mean']:8.1f} |" in table
    assert table.endswith(f"table: {folder}/ablation-mappings.md\n")


def test_a_recipe_of_another_method_is_refused(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    told = limbeck("ablate", recipe_file(), "--over", "objectives", status=2).sentence
    assert told == (
        "limbeck: method: an ablation takes 'tinybert' apart, and this recipe's method is logit_regression. "
        "Set method=tinybert."
    )
    told = limbeck("ablate", recipe_file(), "method=tinybert", "--over", "objectives", status=2).sentence
    assert "student.kind: the student is no transformer but of kind 'static'" in told
    assert not (tmp_path / "runs").exists()
