"""``limbeck similarity``: flags, or a file of settings, to what is compared."""

from __future__ import annotations

from typing import Annotated

import typer

from limbeck.cli.probe import UNDERSTAND, Models, Out, SettingsFile, Store, asked

comparing = typer.Typer()


@comparing.command(rich_help_panel=UNDERSTAND)
def similarity(
    models: Models = None,
    text: Annotated[
        str | None, typer.Option(metavar="FILE", help="One sentence a line. \\[default: the run's test set]")
    ] = None,
    over: Annotated[
        str | None, typer.Option(help="mean, max, first or last; or words. \\[default: mean]")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Most sentences. \\[default: 1000]")] = None,
    settings: SettingsFile = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting, e.g. max_length=64."),
    ] = None,
    out: Out = None,
    store: Store = None,
) -> None:
    """Which layers of two models are alike (linear CKA), and which mapping of layers that speaks for."""
    from limbeck.pipeline.similarity import SimilaritySettings, run_similarity

    flags = {"text": text, "over": over, "limit": limit, "out": out, "store": store}
    typer.echo(f"page: {run_similarity(asked(SimilaritySettings, settings, models, overrides, flags))}")
