"""Inner: whether a run asks for its teachers' inner states once and keeps them, or anew at every step; picked by bytes.

What is kept lies in the run's folder while students are trained. All seeds read the same files, and so do methods and
stages where they read the same layers of one teacher on one text.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from limbeck.core import fingerprint, progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json, write_json
from limbeck.core.tasks import OF_SENTENCES
from limbeck.evaluate.table import size
from limbeck.models.shapes import shape_of
from limbeck.pipeline.budget import epochs_of
from limbeck.pipeline.hearing import answers_for, fitted, heard, model_heard
from limbeck.transfer.inner import LASTING, InnerAnswers, InnerFolder, Part, parts_of
from limbeck.transfer.teachers import ModelTeacher, fingerprint_model
from limbeck.transfer.tokenwise import TokenAnswers

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from limbeck.core.method import Stage
    from limbeck.pipeline.run import Run
    from limbeck.train.lesson import Heard

MOST = 8 * 2**30
"""Bytes that ``auto`` takes at most."""
SHARE = 0.25
"""Of the disk that is free, that ``auto`` takes at most."""
PICKED = "picked.json"
"""What was picked, while students are trained: a run that goes on later finds less of the disk free."""


@dataclass(frozen=True)
class Wanted:
    """What some stages of a run hear of one teacher on one text.

    Attributes:
        run: The run.
        stages: Those stages, fitted, each with its method's title.
    """

    run: Run
    stages: tuple[tuple[str, Stage], ...]

    @property
    def text(self) -> str:
        """Which text and whose states, in words."""
        stage = self.stages[0][1]
        told = {
            "raw": "blocks of raw text",
            "labelled": "labelled sentences",
            "given": "sentences that were not made",
            "all": "sentences",
        }
        untuned = ", of the encoder that is not fine-tuned" if stage.teacher == "pretrained" else ""
        return f"{len(self.lengths):,} {told[stage.hears]}{untuned}"

    @cached_property
    def titles(self) -> list[str]:
        """Of the methods."""
        return list(dict.fromkeys(title for title, _ in self.stages))

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, ``(texts,)``."""
        title, stage = self.stages[0]
        return self.run.raw_lengths if stage.hears == "raw" else heard(self.run, title, stage).lengths

    @cached_property
    def parts(self) -> frozenset[Part]:
        """All that is read."""
        return frozenset().union(*(parts_read(self.run, stage) for _, stage in self.stages))

    @cached_property
    def live(self) -> TokenAnswers:
        """The teacher, to be asked for all of it."""
        each = [_teacher(self.run, title, stage) for title, stage in self.stages]
        label_map = next((one.label_map for one in each if one.label_map is not None), None)
        return TokenAnswers(each[0].model, frozenset(part.signal for part in self.parts), label_map)

    @cached_property
    def bytes(self) -> int:
        """What it takes on disk."""
        shape = shape_of(self.live.model)
        assert shape is not None  # the objectives were fitted to it
        return sum(part.bytes(self.lengths, shape, len(self.run.labels)) for part in self.parts)

    @property
    def passes(self) -> float:
        """How often each text is read, by all students."""
        return len(self.run.recipe.seeds) * sum(epochs_of(self.run, stage) for _, stage in self.stages)

    @property
    def folder(self) -> InnerFolder:
        """Where it is kept."""
        title, stage = self.stages[0]
        return _folder(self.run, title, stage, self.live)


@dataclass(frozen=True, slots=True)
class Picked:
    """What is done about it.

    Attributes:
        wanted: What is heard.
        stored: Asked once; else anew at every step.
        why: The reason, as a phrase.
    """

    wanted: Wanted
    stored: bool
    why: str


def wanted(run: Run) -> list[Wanted]:
    """What stages hear of inner states that stay the same, by text and teacher."""
    found: dict[tuple[str, str], list[tuple[str, Stage]]] = {}
    for title in run.methods:
        for stage in run.students_stages(title):
            if lasts(run, stage):
                fitted(run, stage, run.pattern, run.recipe.seeds[0])
                found.setdefault((stage.hears, stage.teacher), []).append((title, stage))
    return [Wanted(run, tuple(stages)) for stages in found.values()]


def lasts(run: Run, stage: Stage) -> bool:
    """Whether a stage compares tokens, and would be told the same whenever it asks."""
    objective, task = stage.objective, run.recipe.task
    return (
        objective.aligned_by == "token"
        and bool(objective.needs)
        and objective.needs <= LASTING
        and not stage.masked
        and stage.teacher in ("tuned", "pretrained")
        and not run.members
        and (task in OF_SENTENCES or (task == "tagging" and "logits" not in objective.needs))
    )


def parts_read(run: Run, stage: Stage) -> frozenset[Part]:
    """What a stage reads, once it is fitted."""
    return parts_of(stage.objective.needs, stage.objective.layers_read(), _depth(run, stage))


def pick(run: Run) -> list[Picked]:
    """What is stored, by the recipe's ``inner_states``: of ``auto`` the smallest first, as far as there is room.

    It goes by the whole recipe, whatever of it is trained already.
    """
    setting, all_of_it = run.recipe.inner_states, wanted(run)
    if setting != "auto":
        told = f"as inner_states: {setting} says"
        return [Picked(one, setting != "live", told) for one in all_of_it]
    room, found = _room(run), []
    for one in sorted(all_of_it, key=lambda one: one.bytes):
        why = _against(one, _device(run), room)
        if not why:
            room -= one.bytes
        found.append(Picked(one, not why, why or f"read {one.passes:g} times"))
    return found


def keep(run: Run, left: Collection[str]) -> None:
    """Ask for what is to be stored, before students are trained; what was asked before is not asked again.

    Args:
        run: The run.
        left: Methods whose students are not all trained yet.

    Raises:
        LimbeckError: The disk is too small for what the recipe insists on, or full.
    """
    stored = _as_before(run, pick(run))
    folders = [one.folder for one in stored]
    _clear_others(run, [folder.path for folder in folders])
    for one, folder in zip(stored, folders, strict=True):
        if not set(one.titles) & set(left):
            continue
        if not folder.lacking(one.parts, one.live.label_map):
            progress.say(f"train     inner states of {one.text}: asked before")
            continue
        _check_room(run, one)
        what = f"train     inner states of {one.text}, for {', '.join(one.titles)}"
        folder.fill(one.live, one.parts, _device(run), what)
        progress.say(f"{what}: asked once, {size(one.bytes)} on disk", bytes=one.bytes)


def clear(run: Run) -> None:
    """Remove what was kept, unless the recipe says otherwise."""
    if run.recipe.inner_states != "kept":
        shutil.rmtree(run.inner_folder, ignore_errors=True)


def answers(run: Run, title: str, stage: Stage) -> Heard | None:
    """What a stage, fitted, hears of the teacher: inner states from files where they were kept, else live.

    Raises:
        LimbeckError: The teacher does not read the student's tokens, or a file is damaged.
    """
    live = answers_for(run, title, stage)
    if not isinstance(live, TokenAnswers) or not run.inner_folder.is_dir() or not lasts(run, stage):
        return live
    folder, parts = _folder(run, title, stage, live), parts_read(run, stage)
    if folder.lacking(parts, live.label_map):
        return live
    return InnerAnswers(folder, parts, _depth(run, stage))


def _teacher(run: Run, title: str, stage: Stage) -> TokenAnswers:
    live = answers_for(run, title, stage)
    assert isinstance(live, TokenAnswers)  # the stage compares tokens
    return live


def _folder(run: Run, title: str, stage: Stage, live: TokenAnswers) -> InnerFolder:
    return InnerFolder(run.inner_folder, fingerprint_model(live.model), heard(run, title, stage))


def _depth(run: Run, stage: Stage) -> int:
    """Layers of the teacher that a stage hears."""
    model = model_heard(run, stage)
    shape = None if model is None else shape_of(model)
    assert shape is not None  # the objective was fitted to it
    return shape.layers


def _device(run: Run) -> torch.device:
    """Where the teacher computes."""
    assert isinstance(run.teacher, ModelTeacher)
    return run.teacher.device


def _against(one: Wanted, device: torch.device, room: float) -> str:
    """What speaks against storing it; empty for nothing."""
    if device.type != "cpu":
        return "a GPU is asked anew"
    if one.passes <= 1:
        return "each is read once"
    if one.bytes > room:
        return f"{size(one.bytes)} do not fit into {size(max(0, int(room)))}"
    return ""


def _room(run: Run) -> float:
    """Bytes that ``auto`` may take."""
    return min(MOST, SHARE * _free(run))


def _free(run: Run) -> int:
    """Bytes of disk that are free where the run is, or will be, what it keeps there now included."""
    there = next(place for place in (run.folder, *run.folder.absolute().parents) if place.exists())
    kept = sum(path.stat().st_size for path in run.inner_folder.rglob("*") if path.is_file())
    return shutil.disk_usage(there).free + kept


def _check_room(run: Run, one: Wanted) -> None:
    free = _free(run)
    if one.bytes > free:
        what = f"{size(one.bytes)} of inner states do not fit on the disk, where {size(free)} are free"
        raise LimbeckError(what, where=run.inner_folder, fix="Set inner_states=live, or free some space")


def _as_before(run: Run, picked: list[Picked]) -> list[Wanted]:
    """What is stored, as it was picked when the students of this recipe were begun."""
    choices = [[one.wanted.text, sorted(part.name for part in one.wanted.parts)] for one in picked]
    stored = [number for number, one in enumerate(picked) if one.stored]
    key, path = fingerprint.of_value([run.recipe.inner_states, choices]), run.inner_folder / PICKED
    if path.is_file() and (before := read_json(path))["key"] == key:
        stored = before["stored"]
    elif picked:
        write_json(path, {"key": key, "stored": stored})
    return [picked[number].wanted for number in stored]


def _clear_others(run: Run, kept: list[Path]) -> None:
    """Remove what an earlier recipe kept."""
    for folder in _folders(run):
        if folder not in kept:
            shutil.rmtree(folder)


def _folders(run: Run) -> Iterator[Path]:
    if run.inner_folder.is_dir():
        yield from (path for path in run.inner_folder.iterdir() if path.is_dir())
