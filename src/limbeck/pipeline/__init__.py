"""The steps of a run, in order; each skips what is already done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.recipe import Recipe, load
from limbeck.evaluate import table
from limbeck.pipeline import steps
from limbeck.pipeline.checks import check, check_student
from limbeck.pipeline.run import Run
from limbeck.report.page import write

__all__ = ["Result", "Run", "check", "distill"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a whole run came to.

    Attributes:
        folder: The run's folder.
        evaluation: The content of ``evaluation.json``.
        page: The report.
    """

    folder: Path
    evaluation: dict[str, Any]
    page: Path

    @property
    def bundle(self) -> Path:
        """The exported student."""
        return self.folder / "bundle"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The result table: one flat row a model."""
        return table.rows(self.evaluation)


def distill(job: Run | Recipe | Path | str, *changes: str) -> Result:
    """Do the whole job: prepare, rewrite and pack (where asked for), teach, ask, train, export, evaluate, report.

    Args:
        job: A recipe's file, a recipe, or a run.
        changes: Changes to a recipe's file, as on the command line: ``"train.epochs=3"``.

    Raises:
        LimbeckError: Bad input.
    """
    if isinstance(job, Path | str):
        job = load(Path(job), changes)
    run = job if isinstance(job, Run) else Run.of(job, changes)
    check(run)
    for step in steps.ALL:
        if step is steps.rewrite and not run.rewriters:
            continue
        if step is steps.pack and not run.recipe.data.raw:
            continue
        if step is steps.teach:
            check_student(run)
        step(run)
    steps.note(run)
    return Result(run.folder, run.evaluation, write([run.folder]))
