"""A whole run, killed at random moments of any step and started again, ends like one that was left in peace."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import ready
from pipeline.tagging_recipe import recipe as tagging_recipe
from pipeline.translation_recipe import recipe as translation_recipe

TRAIN = {"epochs": 25, "learning_rate": 0.01, "tokens_per_batch": 128, "checkpoint_seconds": 0}


def weights(folder: Path, name: str = "model.safetensors") -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob(name))}


def kill_at(moments: Sequence[Path], *words: object) -> None:
    """Kill a command once at each moment, when this file is there, start it again, and let it end at last."""
    for moment in moments:
        process = ready.start_command("--log", "quiet", *words)
        while not moment.exists():
            assert process.is_alive()
            time.sleep(0.01)
        ready.kill(process)
    process = ready.start_command("--log", "quiet", *words)
    process.join()
    assert process.exitcode == 0


@pytest.mark.recipe
@pytest.mark.parametrize("task", ["classification", "tagging"])
def test_kill_anywhere_and_go_on(
    task: str, recipe_file: Callable[..., Path], tmp_path: Path, encoder: Path
) -> None:
    from limbeck import distill

    if task == "tagging":
        recipe, method = tagging_recipe(tmp_path, encoder, train=TRAIN | {"epochs": 10}), "chain_structural"
    else:
        recipe, method = recipe_file(seeds=1, train=TRAIN), "logit_regression"
    distill(recipe, f"out={tmp_path / 'peace'}")
    expected = weights(tmp_path / "peace" / "tiny")
    assert len(expected) == 3  # teacher, student, control

    generator, output, kills = random.Random(1), tmp_path / "output.txt", 0
    for patience in (0.3 + 1.5 * generator.random(), 0.3 + 1.5 * generator.random(), None):
        process = ready.start_command("--log", "quiet", "distill", recipe, output=output)
        process.join(patience)
        if process.is_alive():
            ready.kill(process)
            kills += 1
    assert process.exitcode == 0
    assert method in output.read_text()
    assert kills >= 1
    found = weights(tmp_path / "runs" / "tiny")
    assert found.keys() == expected.keys()
    assert all(found[name] == expected[name] for name in found)
    assert not list((tmp_path / "runs").rglob("*.partial"))


@pytest.mark.recipe
def test_translators_killed_in_each_of_their_steps_go_on(tmp_path: Path) -> None:
    """Killed once while each step trains, and once between shards of translations: the same text, the same students."""
    from limbeck import distill

    train = {
        "epochs": 3,
        "learning_rate": 0.01,
        "tokens_per_batch": 128,
        "evaluate": 2,
        "checkpoint_seconds": 0,
    }
    born_again = {"name": "born_again", "decoding": {"search": "greedy", "max_length": 8}, "epochs": 4}
    recipe = translation_recipe(tmp_path, method=[born_again], train=train, evaluate={"latency_sentences": 0})
    changes = ["teacher.fine_tune.checkpoint_seconds=0", "teacher.fine_tune.epochs=8"]
    distill(recipe, f"out={tmp_path / 'peace'}", *changes)
    expected = weights(tmp_path / "peace" / "toy")
    assert len(expected) == 4  # teacher, successor, student, control

    run = tmp_path / "runs" / "toy"
    moments = (
        run / "teacher.partial" / "checkpoint" / "checkpoint.safetensors",
        run / "distilled" / "born_again" / "generation_1.partial",
        run / "successors" / "born_again" / "generation_1.partial" / "checkpoint" / "checkpoint.safetensors",
        run / "students" / "born_again" / "seed-1.partial" / "checkpoint" / "checkpoint.safetensors",
    )
    kill_at(moments, "distill", recipe, *changes)
    found = weights(run)
    assert found.keys() == expected.keys()
    assert all(found[name] == expected[name] for name in found)
    assert not list((tmp_path / "runs").rglob("*.partial"))


@pytest.mark.recipe
@pytest.mark.timeout(900)
def test_tinybert_killed_in_each_of_its_stages_goes_on(
    recipe_file: Callable[..., Path], reviews: Path, tmp_path: Path
) -> None:
    """Asking for inner states, general, intermediate, prediction: the same students, and the same projections."""
    from limbeck import distill

    (tmp_path / "raw.txt").write_text(reviews.read_text().replace(",", " "))
    recipe = recipe_file(
        data={
            "train": str(reviews),
            "dev": 40,
            "test": 60,
            "labelled": 80,
            "raw": str(tmp_path / "raw.txt"),
            "raw_length": 16,
        },
        student={"kind": "transformer", "layers": 1, "hidden_size": 8, "heads": 2, "max_length": 32},
        method={"name": "tinybert", "general_epochs": 2},
        train=TRAIN | {"epochs": 3, "evaluate": 1},
        evaluate={"latency_sentences": 0, "resamples": 50},
        seeds=1,
        control=False,
    )
    distill(recipe, f"out={tmp_path / 'peace'}")
    student = tmp_path / "runs" / "tiny" / "students" / "tinybert" / "seed-1.partial"
    stages = (student / "general", student / "intermediate", student)
    inner = tmp_path / "runs" / "tiny" / "inner" / "picked.json"
    kill_at(
        [inner, *(stage / "checkpoint" / "checkpoint.safetensors" for stage in stages)],
        "distill",
        recipe,
    )
    for name, count in (("model.safetensors", 4), ("objective.safetensors", 2)):
        expected, found = (weights(tmp_path / out / "tiny", name) for out in ("peace", "runs"))
        assert len(expected) == count
        assert found == expected
    assert not inner.parent.exists()
