"""``limbeck probe``: flags, or a file of settings, to what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from limbeck.core.schema import Settings

Asked = TypeVar("Asked", bound="Settings")
probing = typer.Typer()
UNDERSTAND = "Look into models"

Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL...", help="Runs, model folders, package:NAME/FOLDER, hub names; NAME=FOLDER names one."
    ),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="YAML with all that can be asked.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another setting, e.g. sizes.train=5000."),
]
Out = Annotated[
    str | None,
    typer.Option("--out", "-o", metavar="FOLDER", help="Where results go. \\[default: in the run]"),
]
Store = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="The answer store. \\[default: runs/store]")
]


def asked(
    schema: type[Asked],
    file: Path | None,
    models: list[str] | None,
    overrides: list[str] | None,
    flags: Mapping[str, Any],
) -> Asked:
    """The settings: a file's, changed by flags, changed by overrides.

    Raises:
        LimbeckError: The file or a value does not fit.
    """
    from limbeck.core import overrides as keys
    from limbeck.core.schema import load_as, validate

    given = {key: value for key, value in {**flags, "models": models}.items() if value not in (None, [], ())}
    if file is not None:
        import json

        changes = [f"{key}={json.dumps(value)}" for key, value in given.items()]
        return load_as(schema, file, [*changes, *(overrides or ())], called="file of settings")
    for override in overrides or ():
        keys.apply(override, given)
    return validate(schema, given)


@probing.command(rich_help_panel=UNDERSTAND)
def probe(
    models: Models = None,
    senteval: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="SentEval's published files.")
    ] = None,
    treebank: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Trees, to build tasks of.")
    ] = None,
    tagged: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Tagged text, to build tasks of.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Ask this task only; several times.")
    ] = None,
    pooling: Annotated[
        list[str] | None, typer.Option(help="mean, max, first or last. \\[default: mean]")
    ] = None,
    classifier: Annotated[
        list[str] | None, typer.Option(help="logistic or perceptron. \\[default: logistic]")
    ] = None,
    vectors: Annotated[str | None, typer.Option(metavar="FILE", help="Word vectors, as a baseline.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Probes of a kind. \\[default: 3]")] = None,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    out: Out = None,
    store: Store = None,
) -> None:
    """What every layer of a model knows of language: SentEval's tasks and edge probes, beside baselines."""
    from limbeck.pipeline.probing import ProbeSettings, run_probes

    flags = {
        "senteval": senteval,
        "treebank": treebank,
        "tagged": tagged,
        "tasks": task,
        "poolings": pooling,
        "classifiers": classifier,
        "vectors": vectors,
        "seeds": seeds,
        "out": out,
        "store": store,
    }
    typer.echo(f"page: {run_probes(asked(ProbeSettings, settings, models, overrides, flags))}")
