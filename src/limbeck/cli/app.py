"""The command ``limbeck``: what all its commands share, and where they are put together."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from limbeck.cli.analyse import analysing
from limbeck.cli.probe import probing
from limbeck.cli.runs import runs
from limbeck.cli.similarity import comparing
from limbeck.cli.tools import tools
from limbeck.core import progress

app = typer.Typer(
    name="limbeck",
    help="Distil large NLP models into small, fast ones, and prove what was kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(runs)
app.add_typer(analysing)
app.add_typer(probing)
app.add_typer(comparing)
app.add_typer(tools)


class Log(StrEnum):
    """How much is said on standard error."""

    auto = "auto"
    quiet = "quiet"
    json = "json"


def _version(asked: bool) -> None:
    if asked:
        from limbeck import __version__

        typer.echo(f"limbeck {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    log: Annotated[
        Log, typer.Option(help="What is told on standard error: bars, nothing, or JSON lines.")
    ] = Log.auto,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    if log is not Log.quiet:
        progress.use(progress.JsonReporter() if log is Log.json else progress.RichReporter())
