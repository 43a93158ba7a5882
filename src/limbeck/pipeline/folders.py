"""Folders of a run: what each step writes, and the answer store."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.core.errors import LimbeckError
from limbeck.core.files import StepFolder
from limbeck.core.recipe import Recipe
from limbeck.transfer.store import AnswerStore

if TYPE_CHECKING:
    from limbeck.core.method import Stage


class Folders:
    """Where a recipe's steps write.

    Args:
        recipe: The resolved recipe.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = recipe.folder

    @property
    def prepared_folder(self) -> StepFolder:
        """What ``prepare`` writes."""
        return StepFolder(self.folder / "prepared")

    @property
    def rewritten_folder(self) -> StepFolder:
        """What ``rewrite`` writes, where the recipe asks for more text."""
        return StepFolder(self.folder / "rewritten")

    @property
    def packed_folder(self) -> StepFolder:
        """What ``pack`` writes, where a method hears raw text."""
        return StepFolder(self.folder / "packed")

    @property
    def teacher_folder(self) -> StepFolder:
        """What ``teach`` writes, for a teacher that is fine-tuned here."""
        return StepFolder(self.folder / "teacher")

    @property
    def weights_folder(self) -> StepFolder:
        """What ``teach`` writes of an ensemble whose weights are fitted."""
        return StepFolder(self.folder / "weights")

    def student_folder(self, method: str, seed: int) -> StepFolder:
        """What ``train`` writes for one student."""
        return StepFolder(self.folder / "students" / method / f"seed-{seed}")

    def successor_folder(self, method: str, stage: Stage) -> StepFolder:
        """What ``ask`` writes for the model that a stage trains before the student: an assistant, a generation."""
        return StepFolder(self.folder / "successors" / method / stage.name)

    @property
    def inner_folder(self) -> Path:
        """What teachers say of every token, while students that hear it are trained."""
        return self.folder / "inner"

    @property
    def evaluation_folder(self) -> StepFolder:
        """What ``evaluate`` writes."""
        return StepFolder(self.folder / "evaluation")

    @property
    def bundle_folder(self) -> StepFolder:
        """What ``export`` writes."""
        return StepFolder(self.folder / "bundle")

    @cached_property
    def store(self) -> AnswerStore:
        """The answer store, shared with other runs."""
        return AnswerStore(self.recipe.store_folder)


def require(folder: StepFolder, step: str) -> None:
    """Insist that a step is finished.

    Raises:
        LimbeckError: It is not.
    """
    if not (folder.path / "done.json").is_file():
        raise LimbeckError("this step is not finished", where=folder.path, fix=f"Run 'limbeck {step}' first")
