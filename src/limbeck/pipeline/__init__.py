"""The steps of a run, in order; each skips what is already done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.evaluate import table
from limbeck.pipeline import steps
from limbeck.pipeline.plan import check
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
    def rows(self) -> list[dict[str, Any]]:
        """The result table: one flat row a model."""
        return table.rows(self.evaluation)


def distill(run: Run) -> Result:
    """Prepare, rewrite (where asked for), teach, ask, train, export, evaluate, report."""
    check(run)
    steps.prepare(run)
    steps.rewrite(run)
    steps.teach(run)
    steps.ask(run)
    steps.train(run)
    steps.export(run)
    steps.evaluate(run)
    return Result(run.folder, run.evaluation, write([run.folder]))
