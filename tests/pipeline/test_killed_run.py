"""A whole run, killed at random moments of any step and started again, ends like one that was left in peace."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.tagging_recipe import recipe as tagging_recipe

TRAIN = {"epochs": 60, "learning_rate": 0.01, "tokens_per_batch": 128, "checkpoint_seconds": 0}


def weights(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("model.safetensors"))
    }


@pytest.mark.recipe
@pytest.mark.parametrize("task", ["classification", "tagging"])
def test_kill_anywhere_and_go_on(
    task: str, recipe_file: Callable[..., Path], tmp_path: Path, encoder: Path
) -> None:
    from limbeck import distill

    if task == "tagging":
        recipe, method = tagging_recipe(tmp_path, encoder, train=TRAIN | {"epochs": 20}), "chain_structural"
    else:
        recipe, method = recipe_file(seeds=1, train=TRAIN), "logit_regression"
    distill(recipe, f"out={tmp_path / 'peace'}")
    expected = weights(tmp_path / "peace" / "tiny")
    assert len(expected) == 3  # teacher, student, control

    generator, words = (
        random.Random(1),
        [sys.executable, "-m", "limbeck", "--log", "quiet", "distill", str(recipe)],
    )
    done, kills = None, 0
    while done is None:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            done, _ = process.communicate(timeout=(3 + 3 * generator.random()) if kills < 2 else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert process.returncode == 0
    assert method in done
    assert kills >= 1
    found = weights(tmp_path / "runs" / "tiny")
    assert found.keys() == expected.keys()
    assert all(found[name] == expected[name] for name in found)
    assert not list((tmp_path / "runs").rglob("*.partial"))
