"""Commands on a recipe or a run's folder: the whole job, and its steps one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.output import standard_output
from limbeck.core.errors import LimbeckError

if TYPE_CHECKING:
    from limbeck.core.recipe import Recipe
    from limbeck.pipeline.plan import Plan
    from limbeck.pipeline.run import Run

runs = typer.Typer()

START = "Start here"
STEPS = "The steps of a run, one by one"


class Over(StrEnum):
    """What an ablation takes apart."""

    procedures = "procedures"
    objectives = "objectives"
    mappings = "mappings"


RecipeFile = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A recipe (YAML), or the folder of a run.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, e.g. train.epochs=3."),
]


Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Folders of evaluated runs, or their recipes.")
]


def run_of(recipe: Path, overrides: list[str] | None) -> Run:
    """The run for a recipe, or for the folder of an earlier run.

    The recipe is read first: what is wrong with it is told at once, before all that takes seconds to import.
    """
    from limbeck.core.recipe import load

    if recipe.is_dir() and overrides:
        raise LimbeckError(
            "a run's folder takes no changes", where=recipe, fix="Change the recipe, and name that"
        )
    read = None if recipe.is_dir() else load(recipe, overrides or ())

    from transformers.utils import logging

    from limbeck.pipeline import Run, check

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    run = Run.open(recipe) if read is None else Run.of(read, overrides or ())
    check(run)
    return run


def recipe_at(place: Path) -> Recipe | None:
    """The recipe where a run is named by it, and not by its folder."""
    if place.is_dir() or place.suffix.lower() not in (".yaml", ".yml"):
        return None
    from limbeck.core.recipe import load

    return load(place)


def folder_of(place: Path) -> Path:
    """The folder of a run that is named by it, or by its recipe."""
    recipe = recipe_at(place)
    return place if recipe is None else recipe.folder


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the result table."""
    from limbeck.evaluate.table import terminal

    standard_output().print(terminal(rows))


@runs.command(rich_help_panel=START)
def init(
    data: Annotated[
        Path,
        typer.Argument(
            help="Your text: labelled or with translations (CSV, TSV, JSON Lines, Parquet), tagged (CoNLL columns "
            "and others), or lines with translations in a file of their own (train.en beside train.de)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The recipe to write.")] = Path("recipe.yaml"),
    target: Annotated[
        str | None, typer.Option(help="Where translations are: a file of lines, or a column.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Hub name or folder of the teacher. \\[default: distilbert-base-uncased; of translators one that is "
            "trained from scratch]"
        ),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of your text, e.g. cp1252.")] = "utf-8",
) -> None:
    """Write a commented recipe for your own data."""
    from limbeck.cli.init import write_recipe

    told = write_recipe(data, out, teacher, encoding, target)
    typer.echo(f"{out}: {told}. Next: limbeck plan {out}")


@runs.command(rich_help_panel=START)
def plan(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Check a recipe, and tell its steps, bytes and time, doing nothing."""
    run = run_of(recipe, overrides)
    from limbeck.pipeline.plan import plan as make

    _show_plan(make(run))


def _show_plan(made: Plan) -> None:
    """On a terminal a table as wide as it is, else Markdown."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from limbeck.pipeline.plan import HEADINGS, WORDS

    console = standard_output()
    if not console.is_terminal:
        typer.echo(made.text())
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in WORDS else "right", no_wrap=heading != "what")
    for row in made.rows:
        table.add_row(*map(Text, row))
    console.print(f"{made.told}\n", markup=False)
    console.print(table)


@runs.command(rich_help_panel=START)
def distill(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Do the whole job: prepare, teach, ask, train, export, evaluate, report."""
    run = run_of(recipe, overrides)
    from limbeck.pipeline import distill as run_all

    result = run_all(run)
    _show(result.rows)
    typer.echo(f"report: {result.page}")


@runs.command(rich_help_panel=START)
def ablate(
    recipe: RecipeFile,
    over: Annotated[
        Over, typer.Option(help="What is left out, one at a time (of mappings: what is chosen).")
    ],
    overrides: Overrides = None,
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Tell the rows, their steps and time; do nothing.")
    ] = False,
) -> None:
    """Take TinyBERT apart: its paper's ablation tables, for your recipe, with intervals."""
    taken_apart = run_of(recipe, overrides).recipe
    from limbeck.cli.ablate import run

    run(taken_apart, over.value, only_plan=only_plan, say=typer.echo)


@runs.command(rich_help_panel=START)
def methods(
    name: Annotated[str | None, typer.Argument(help="Tell of this one.")] = None,
    pages: Annotated[
        Path | None, typer.Option(help="Write one Markdown page a method into this folder.")
    ] = None,
) -> None:
    """List the methods, or tell of one: paper, equation, settings, when to choose it."""
    from limbeck.cli import cards

    if pages is not None:
        cards.write_pages(pages)
    else:
        typer.echo(cards.overview() if name is None else cards.card(name))


@runs.command(rich_help_panel=STEPS)
def prepare(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Read, clean and cut the data."""
    run = run_of(recipe, overrides)
    from limbeck.pipeline import steps

    steps.prepare(run)


@runs.command(rich_help_panel=STEPS)
def rewrite(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Make more text for the teacher to answer on, where the recipe asks for it."""
    run = run_of(recipe, overrides)
    from limbeck.pipeline import steps

    steps.rewrite(run)


@runs.command(rich_help_panel=STEPS)
def pack(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Tokenise raw text and pack it to length, where a method hears it."""
    run = run_of(recipe, overrides)
    from limbeck.pipeline import steps

    steps.pack(run)


@runs.command(rich_help_panel=STEPS)
def teach(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Fine-tune the teacher, or check the one that is given."""
    run = run_of(recipe, overrides)
    from limbeck.pipeline import steps

    steps.teach(run)


@runs.command(rich_help_panel=STEPS)
def ask(
    recipe: RecipeFile,
    overrides: Overrides = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="For translators: part I of N of the texts only, for machines that share a store.",
        ),
    ] = None,
) -> None:
    """Ask the teacher about the transfer set; answers are stored for good."""
    from limbeck.cli.store import shard_of

    part = None if shard is None else shard_of(shard)
    run = run_of(recipe, overrides)
    from limbeck.pipeline import steps

    steps.ask(run, part)


@runs.command(rich_help_panel=STEPS)
def train(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Train the students and the control."""
    run = run_of(recipe, overrides)
    from limbeck.pipeline import steps

    steps.train(run)


@runs.command(rich_help_panel=STEPS)
def export(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Export the best student to ONNX (float32 and int8), and check it."""
    run = run_of(recipe, overrides)
    from limbeck.pipeline import steps

    steps.export(run)
    typer.echo(f"bundle: {run.bundle_folder.path}")


@runs.command(rich_help_panel=STEPS)
def evaluate(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Score teacher, students and control on the test set, and time them side by side."""
    run = run_of(recipe, overrides)
    from limbeck.evaluate import table
    from limbeck.pipeline import steps

    steps.evaluate(run)
    _show(table.rows(run.evaluation))


@runs.command(rich_help_panel=STEPS)
def report(
    runs: Runs,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The page to write.")] = None,
) -> None:
    """Make the page of one run, or of several side by side."""
    from limbeck.report.page import write

    typer.echo(f"report: {write([folder_of(place) for place in runs], out)}")
