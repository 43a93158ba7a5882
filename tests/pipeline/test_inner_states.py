"""Whole runs that ask for a teacher's inner states once, or at every step, and what a plan picks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import Listener
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.pipeline import Run, inner, steps
from limbeck.pipeline.plan import plan
from limbeck.transfer.tokenwise import TokenAnswers

STUDENT = {"kind": "transformer", "layers": 1, "hidden_size": 8, "heads": 2, "max_length": 32}


@pytest.fixture
def recipe(recipe_file: Callable[..., Path], reviews: Path, tmp_path: Path) -> Callable[..., Path]:
    (tmp_path / "raw.txt").write_text(reviews.read_text().replace(",", " "))
    data = {"train": str(reviews), "dev": 40, "test": 60, "labelled": 80}
    data |= {"raw": str(tmp_path / "raw.txt"), "raw_length": 16}

    def write(**changes: Any) -> Path:
        values = {
            "data": data,
            "student": STUDENT,
            "method": [{"name": "tinybert", "general_epochs": 2}, "minilm"],
            "train": {"epochs": 2, "learning_rate": 0.01, "evaluate": 1, "tokens_per_batch": 256},
            "evaluate": {"latency_sentences": 0, "resamples": 50},
            "seeds": 1,
            "control": False,
        }
        return recipe_file(**values | changes)

    return write


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The rows of every batch that a teacher is asked about, token by token."""
    rows: list[int] = []
    on = TokenAnswers.on

    def counted(self: TokenAnswers, inputs: Mapping[str, torch.Tensor], *others: Any) -> Any:
        rows.append(len(inputs["input_ids"]))
        return on(self, inputs, *others)

    monkeypatch.setattr(TokenAnswers, "on", counted)
    return rows


def trained(path: Path, *changes: str) -> Path:
    """The run folder, after all steps up to training."""
    run = Run(load(path, changes))
    for step in (steps.prepare, steps.pack, steps.teach, steps.ask, steps.train):
        step(run)
    return run.folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.relative_to(folder)} {name}": tensor
        for path in sorted((folder / "students").rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


@pytest.mark.recipe
def test_stored_states_teach_as_live_ones_do(recipe: Callable[..., Path], asked: list[int]) -> None:
    path, found = recipe(), {}
    for setting in ("live", "stored"):
        asked.clear()
        folder = trained(path, f"name={setting}", f"inner_states={setting}")
        found[setting] = weights(folder), sum(asked)
        assert not (folder / "inner").exists()
    (live, often), (stored, once) = found["live"], found["stored"]
    run = Run(load(path, ["name=stored"]))
    texts, blocks = len(run.transfer_set), len(run.encoded_raw)
    assert once == texts + blocks  # both methods and all epochs
    # Two passes of each stage, and the loss doctor's look at the first batch of each.
    assert often >= 2 * (2 * texts + blocks)
    assert live.keys() == stored.keys()
    for name, tensor in live.items():
        torch.testing.assert_close(stored[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.recipe
def test_states_that_are_kept_teach_the_next_seed(recipe: Callable[..., Path], asked: list[int]) -> None:
    path = recipe(method=["minilm"])
    folder = trained(path, "inner_states=kept")
    assert (folder / "inner").is_dir()
    first = len(asked)
    trained(path, "inner_states=kept", "seeds=2", "jobs=2")  # the second seed's process would not be counted
    assert len(asked) == first > 0
    asked.clear()
    trained(path, "inner_states=stored", "seeds=2")
    assert not (folder / "inner").exists()
    trained(path, "inner_states=stored", "seeds=2", "method=[minilm,soft_labels]")
    assert not asked  # soft labels are no inner states, and whoever hears some is trained
    trained(path, "inner_states=live", "seeds=3")
    assert asked
    assert not (folder / "inner").exists()


@pytest.mark.recipe
def test_students_side_by_side_read_what_was_asked_once(recipe: Callable[..., Path]) -> None:
    path = recipe(method=["minilm"])
    folder = trained(path, "inner_states=kept")
    values = next(folder.glob("inner/*/keys-2/values.float32"))
    values.write_bytes(values.read_bytes()[:-4])
    with pytest.raises(LimbeckError, match="not the"):
        trained(path, "inner_states=kept", "seeds=3", "jobs=2")


def picked(path: Path, *changes: str) -> dict[str, tuple[bool, str]]:
    run = Run(load(path, changes))
    run.use_untaught_teacher()
    return {one.wanted.stages[0][1].name: (one.stored, one.why) for one in inner.pick(run)}


@pytest.fixture
def prepared(recipe: Callable[..., Path]) -> Path:
    path = recipe()
    run = Run(load(path))
    steps.prepare(run)
    steps.pack(run)
    return path


def test_what_is_stored_is_picked_by_bytes(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert picked(prepared) == {"general": (True, "read 2 times"), "intermediate": (True, "read 4 times")}
    assert picked(prepared, "inner_states=live")["general"] == (False, "as inner_states: live says")
    run = Run(load(prepared))
    run.use_untaught_teacher()
    small, large = sorted(inner.wanted(run), key=lambda one: one.bytes)
    monkeypatch.setattr(inner, "MOST", small.bytes + large.bytes - 1)
    stored = [one.stored for one in inner.pick(run)]
    assert stored == [True, False]
    monkeypatch.setattr(inner, "MOST", 10)
    assert all(not stored and "do not fit into" in why for stored, why in picked(prepared).values())
    assert all(stored for stored, _ in picked(prepared, "inner_states=stored").values())


def test_what_is_read_once_is_not_stored(recipe: Callable[..., Path]) -> None:
    path = recipe(method=[{"name": "tinybert", "intermediate_epochs": 1}])
    steps.prepare(Run(load(path)))
    assert picked(path) == {"intermediate": (False, "each is read once")}
    assert picked(path, "seeds=2") == {"intermediate": (True, "read 2 times")}


def test_methods_whose_questions_change_stay_live(recipe: Callable[..., Path]) -> None:
    path = recipe(method=["jacobian", "soft_labels", "distilbert"])
    run = Run(load(path))
    steps.prepare(run)
    assert inner.wanted(run) == []


def test_a_disk_that_is_too_small_is_told(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inner, "_free", lambda run: 100)
    with pytest.raises(LimbeckError, match="do not fit on the disk"):
        trained(prepared, "inner_states=stored")


def test_a_run_that_goes_on_keeps_to_its_choice(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(load(prepared))
    run.use_untaught_teacher()
    inner.keep(run, run.methods)
    held = sorted(path.name for path in run.inner_folder.rglob("done.json"))
    monkeypatch.setattr(inner, "MOST", 10)  # as though the disk had filled up meanwhile
    again = Run(load(prepared))
    again.use_untaught_teacher()
    inner.keep(again, again.methods)
    assert sorted(path.name for path in run.inner_folder.rglob("done.json")) == held
    assert held
    other = Run(load(prepared, ["inner_states=live"]))
    other.use_untaught_teacher()
    inner.keep(other, other.methods)
    assert not list(run.inner_folder.rglob("done.json"))


def test_a_plan_tells_what_it_picked(recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = recipe()
    text = plan(Run(load(path))).text()
    assert "inner states for tinybert, minilm: " in text
    assert "asked once, and kept on disk until students are trained (read 4 times)" in text
    assert "of the encoder that is not fine-tuned" in text
    assert not Run(load(path)).folder.exists()
    monkeypatch.setattr(inner, "MOST", 10)
    text = plan(Run(load(path))).text()
    assert "asked at every step" in text
    assert "do not fit into" in text


@pytest.mark.recipe
def test_a_run_says_what_it_asked(recipe: Callable[..., Path], listener: Listener) -> None:
    trained(recipe(method=["minilm"]))
    assert any("inner states of 140 sentences, for minilm: asked once" in line for line in listener.said)
