"""Ablate: TinyBERT without one of its parts at a time, as in its paper's tables (Jiao et al. 2020, tables 5 to 7).

The rows of a table are methods of one run, so that teacher, transfer set and answers are shared. The three tables share
its folder: what one of them has trained, the next one need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.files import atomic_write, write_json
from limbeck.core.tasks import as_share
from limbeck.evaluate.compared import compare, read_predicted
from limbeck.evaluate.table import markdown_table, percent, points
from limbeck.pipeline import distill
from limbeck.pipeline.ablation_rows import Design
from limbeck.pipeline.checks import check
from limbeck.pipeline.run import Run


@dataclass(frozen=True)
class Ablation:
    """A finished table.

    Attributes:
        design: What was run.
        folder: The run's.
        rows: ``name``, ``settings`` (the changed ones); ``mean`` and ``deviation`` of the recipe's metric over
            ``seeds``; ``difference`` from the first row, and its interval from ``low`` to ``high``.
    """

    design: Design
    folder: Path
    rows: list[dict[str, Any]]

    @property
    def path(self) -> Path:
        """Where the table lies, but for its ending: ``.json`` or ``.md``."""
        return self.folder / f"ablation-{self.design.over}"

    def table(self) -> str:
        """The rows as Markdown."""
        whole, metric = self.design.rows[0].name, self.design.recipe.train.metric
        headings = ("row", "changes", metric.replace("_", " "), f"difference from {whole}", "seeds")
        lines = [
            (
                row.name,
                row.changes,
                percent(*_as_shares(metric, found, "mean", "deviation")),
                points(*_as_shares(metric, found, "difference", "low", "high")),
                str(found["seeds"]),
            )
            for row, found in zip(self.design.rows, self.rows, strict=True)
        ]
        return markdown_table(headings, lines, frozenset({"row", "changes"}))

    def markdown(self) -> str:
        """The table with a title, and with what its numbers are."""
        design, settings = self.design, self.design.recipe.evaluate
        numbers = (
            "Scores on test, in points of a hundred: mean ± deviation over seeds. In brackets the "
            f"{100 * settings.interval:g}% "
            f"interval of a paired bootstrap over test sentences ({settings.resamples:,} resamples)."
        )
        left_out = [f"Left out: {name}, for {why}." for name, why in design.left_out.items()]
        title = f"# {design.recipe.name}: TinyBERT's {design.over}"
        return "\n\n".join([title, self.table(), " ".join([numbers, *left_out])]) + "\n"

    def write(self) -> None:
        """Write both files."""
        content = {
            "over": self.design.over,
            "metric": self.design.recipe.train.metric,
            "evaluate": self.design.recipe.evaluate.model_dump(include={"resamples", "interval"}),
            "rows": self.rows,
            "left_out": dict(self.design.left_out),
        }
        write_json(self.path.with_suffix(".json"), content)
        with atomic_write(self.path.with_suffix(".md")) as file:
            file.write(self.markdown())


def _as_shares(metric: str, found: Mapping[str, Any], *keys: str) -> list[Any]:
    """Numbers in the unit of a metric, as shares of one; what is not there stays None."""
    return [None if found[key] is None else as_share(metric, found[key]) for key in keys]


def ablate(plan: Design) -> Ablation:
    """Run all rows, and write their table; what is done already is skipped.

    Raises:
        LimbeckError: The recipe cannot be run.
    """
    run = Run(plan.run_recipe)
    check(run)
    distill(run)
    found = Ablation(plan, run.folder, _compared(plan, run))
    found.write()
    return found


def _compared(plan: Design, run: Run) -> list[dict[str, Any]]:
    """The rows' scores and differences, by what their students predicted."""
    examples, by, folder = run.prepared.test.examples, run.yardstick, run.evaluation_folder.path
    predicted = {
        row.name: read_predicted(folder, examples, row.label, plan.recipe.seeds, by) for row in plan.rows
    }
    recipe, whole = plan.recipe, plan.rows[0].name
    rows = compare(by, examples, predicted, whole, recipe.train.metric, recipe.evaluate)
    return [
        {"name": row.name, "settings": dict(row.settings), **found}
        for row, found in zip(plan.rows, rows, strict=True)
    ]
