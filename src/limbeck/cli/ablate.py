"""``limbeck ablate``: what will be run, and the table."""

from __future__ import annotations

from collections.abc import Callable

from limbeck.core.recipe import Recipe
from limbeck.pipeline import Run
from limbeck.pipeline.ablate import ablate
from limbeck.pipeline.ablation_rows import Over, design
from limbeck.pipeline.plan import plan


def run(recipe: Recipe, over: Over, *, only_plan: bool, say: Callable[[str], None]) -> None:
    """Tell the rows; then plan their run, or run it and tell the table.

    Raises:
        LimbeckError: The recipe is not one of TinyBERT, or cannot be run.
    """
    planned = design(recipe, over)
    say(planned.text())
    if only_plan:
        say("\n" + plan(Run.of(planned.run_recipe)).text())
        return
    found = ablate(planned)
    say(f"\n{found.table()}\ntable: {found.path}.md")
