"""``limbeck analyse``: what is analysed, and what is told of it on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli.output import standard_output
from limbeck.cli.runs import Runs, folder_of, recipe_at
from limbeck.core.errors import LimbeckError

analysing = typer.Typer()

SHOWN = 10
"""Slices that the terminal tells, the first ones; and all of a person's own."""


@analysing.command(rich_help_panel="Look at runs")
def analyse(
    runs: Runs,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slice", metavar="NAME=EXPRESSION", help="A slice of your own, e.g. 'but=has(words, \"but\")'."
        ),
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="The method whose student is looked at. \\[default: each run's first]")
    ] = None,
    ask_models: Annotated[
        bool,
        typer.Option(
            "--ask/--ask-nobody",
            help="Ask models about dev and transfer text, where that was not done before.",
        ),
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Of several runs: the page that compares them.")
    ] = None,
) -> None:
    """Tell what students lost and where: slices, words, flows, calibration, and texts worth reading."""
    from transformers.utils import logging

    from limbeck.pipeline.analysing import analyse as run

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    recipes = [recipe for place in runs if (recipe := recipe_at(place)) is not None]
    own = {recipe.folder: recipe.analyse for recipe in recipes}
    folders = [folder_of(place) for place in runs]
    named = dict(map(_slice, slices or ()))
    done = run(folders, settings=own, slices=named, student=student, ask_models=ask_models, out=out)
    _tell(done.content)
    typer.echo(f"page: {done.page}")


def _slice(told: str) -> tuple[str, str]:
    name, equals, expression = told.partition("=")
    if not (equals and name.strip() and expression.strip()):
        fix = "Write NAME=EXPRESSION, e.g. 'long=length > 30'"
        raise LimbeckError(f"'{told}' names no slice", where="--slice", fix=fix)
    return name.strip(), expression.strip()


def _tell(content: Mapping[str, Any]) -> None:
    """The headline, and the first slices."""
    from rich import box
    from rich.table import Table

    from limbeck.report.analysed_words import Amounts, headline, slice_name, together_headline, untested

    console = standard_output()
    if "runs" in content:
        console.print(f"{together_headline(content)}.", markup=False)
        return
    console.print(f"{headline(content)}.", markup=False)
    own, amounts = content["settings"]["slices"], Amounts.of(content)
    all_slices = enumerate(content["slices"]["ranked"])
    ranked = [row for place, row in all_slices if place < SHOWN or row["feature"] in own]
    if not ranked:
        return
    main = "teacher" if "teacher" in content["cast"] else "control"
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("slice")
    for head in ("size", f"gap to {main}", "elsewhere", "excess", "p"):
        shown.add_column(head, justify="right")
    for row in ranked:
        gap, unit = row["gaps"][main], row["unit"]
        excess, low, high = (amounts.gap(gap[key], unit) for key in ("excess", "excess_low", "excess_high"))
        cells = [
            f"{row['size']:,}",
            amounts.gap(gap["gap"], unit),
            amounts.gap(gap["elsewhere"], unit),
            f"{excess} [{low}, {high}]",
            f"{gap['excess_adjusted']:.3f}",
        ]
        shown.add_row(slice_name(row).replace("[", r"\["), *(cell.replace("[", r"\[") for cell in cells))
    console.print(shown)
    told = (
        f"Of {content['slices']['tried']} slices; p of the excess, adjusted by Holm's method for all of them. "
        f"{untested(content)}"
    ).strip()
    console.print(f"{told}\n", markup=False)
