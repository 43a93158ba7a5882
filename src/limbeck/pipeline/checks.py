"""Checks before any work: that what a recipe names exists and fits together, and that a student of it can be made."""

from __future__ import annotations

import copy
import os
from pathlib import Path

from transformers import PreTrainedModel

from limbeck.analyse.mistakes.expressions import features_of
from limbeck.core.errors import LimbeckError
from limbeck.models.embeddings import TokeniserSettings
from limbeck.models.student import longest_input
from limbeck.pipeline import chain, inputs
from limbeck.pipeline.hearing import answers_for, fitted
from limbeck.pipeline.run import Run
from limbeck.text.raw import raw_files
from limbeck.train.loop import check_trackers


def check(run: Run) -> None:
    """The checks that need no data: method, student and their settings exist and fit together.

    Raises:
        LimbeckError: They do not.
    """
    run.check()
    settings = run.student_settings
    run.rewriters  # noqa: B018 - reading them is their check
    for title in run.methods:
        for stage in run.stages_of(title):
            if stage.hears == "raw" and not run.recipe.data.raw:
                raise LimbeckError(
                    f"'{title}' has a stage on raw text ('{stage.name}'), and 'data.raw' names no text",
                    where="data.raw",
                    fix="Name files or folders of plain text there, or leave that stage out of the method",
                )
            own = isinstance(settings, TokeniserSettings) and settings.tokeniser == "words"
            if stage.objective.aligned_by == "token" and own:
                raise LimbeckError(
                    f"'{title}' compares teacher and student token by token, but the student has pieces of its own",
                    where="student.tokeniser",
                    fix="Set student.tokeniser to 'teacher', or choose a method that compares sentences",
                )
    if run.hears_raw:
        raw_files(run.recipe.data.raw)  # finding them is their check
    features_of(run.recipe.analyse.slices)  # so is reading these


def check_student(run: Run) -> None:
    """Make a student once, before a teacher works for hours: what cannot be made is told now.

    Raises:
        LimbeckError: The recipe asks for word vectors, layers or trackers that are not there.
    """
    check_trackers(run.recipe.train)
    if _is_trained(run):
        return
    _ = run.transfer_set, run.tokeniser  # read once, for the trial and for the run
    trial = copy.copy(run)
    if run.is_taught_here:
        trial.use_untaught_teacher()
    trial.check_text()
    seed = run.recipe.seeds[0]
    student = trial.new_student(seed)
    for title in trial.methods:
        for stage in trial.stages_of(title):
            fitted(trial, stage, student, seed)
            if stage.trains == "successor" and run.recipe.task != "translation":
                chain.untaught(trial, stage, 0)  # making it is its check
            if stage.objective.aligned_by == "token" and run.recipe.task != "translation":
                answers_for(trial, title, stage)
    check_positions(trial, student)


def _is_trained(run: Run) -> bool:
    """Whether every student of the recipe is; not where that cannot be told, for something is amiss."""
    try:
        made = (each for step in ("teach", "train") for each in inputs.made(run, step))
        return all(folder.is_done(of) for folder, of in made)
    except LimbeckError:
        return False


def check_positions(run: Run, student: PreTrainedModel) -> None:
    """Insist that a student can read a block of raw text."""
    positions, length = longest_input(student), run.recipe.data.raw_length
    if run.hears_raw and positions is not None and positions < length:
        what = f"blocks of {length} tokens are longer than the student's {positions} positions"
        raise LimbeckError(what, where="data.raw_length", fix=f"Set it to {positions} or less")


def check_place(folder: Path) -> None:
    """Insist that a run can be written to its folder."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        what = "nothing can be written there" if there.is_dir() else "this is a file"
        raise LimbeckError(
            f"{what}, and the run would go to {folder}", where=there, fix="Set 'out' to another folder"
        )
