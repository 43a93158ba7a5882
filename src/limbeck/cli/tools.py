"""Commands beside a run: on text, on a student that is done, on models and the answer store."""

from __future__ import annotations

import sys
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.output import standard_output
from limbeck.cli.runs import Overrides, RecipeFile, Runs, folder_of, run_of

tools = typer.Typer()
store_app = typer.Typer(help="Look after the store of teachers' answers.", no_args_is_help=True)
tools.add_typer(store_app, name="store", rich_help_panel="Looking after things")
study_app = typer.Typer(help="Look into why distillation works.", no_args_is_help=True)
tools.add_typer(study_app, name="study", rich_help_panel="Look at text")


USE = "Use a student"
TEXT = "Look at text"
RUNS = "Look at runs"
MODELS = "Get a model ready"


class Form(StrEnum):
    """Formats of predictions."""

    jsonl = "jsonl"
    csv = "csv"
    text = "text"


class Words(StrEnum):
    """What counts as a word in parallel text."""

    as_bleu = "13a"
    spaces = "spaces"


class Shown(StrEnum):
    """Formats of a comparison."""

    table = "table"
    markdown = "markdown"
    json = "json"


class Precision(StrEnum):
    """Models of a bundle."""

    int8 = "int8"
    fp32 = "fp32"


@tools.command(rich_help_panel=TEXT)
def data(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Files, folders or data sets: training text first, test last."
        ),
    ],
    form: Annotated[str, typer.Option("--format", help="How they are written, as in a recipe.")] = "auto",
    keys: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another key of a recipe's source, e.g. classes=50."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Tell what files hold: format, columns, labels, lengths, duplicates, and overlap of test with train."""
    import json

    from limbeck.cli import data as show
    from limbeck.text.summary import summaries

    sources, task = show.looked_at(files, form, keys or ())
    found = summaries(sources, task)
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], ensure_ascii=False, indent=2))
    else:
        standard_output().print(show.table(sources, found))


@tools.command(rich_help_panel=TEXT)
def measure(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TRANSFER-SET", help="NAME.arrow, a folder with one, or two text files as SOURCE,TARGET."
        ),
    ],
    against: Annotated[
        str | None, typer.Option(metavar="REAL", help="The real text, named likewise: compare with it.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write all numbers as JSON.")] = None,
    words: Annotated[
        Words, typer.Option(help="Cut text as BLEU does, or at spaces (text in sub-words, say).")
    ] = Words.as_bleu,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Upper and lower case are one.")] = False,
    language: Annotated[
        str, typer.Option(help="Code of the target language, for BLEU of zh, ja and ko.")
    ] = "",
) -> None:
    """Measure parallel text: complexity, faithfulness, word order, BLEU against real translations."""
    from limbeck.analyse.aligned import Reading
    from limbeck.analyse.measures import measure as run
    from limbeck.cli.measure import read_pairs, table
    from limbeck.core.files import write_json

    real = None if against is None else read_pairs(against)
    reading = Reading(words=words.value, lowercase=lowercase)
    measured = run(read_pairs(text), real, reading=reading, language=language)
    if out is not None:
        write_json(out, measured.as_json())
    standard_output().print(table(measured))


@study_app.command("modes")
def study_modes(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Text in several languages, none of them marked: which one do teacher and students write, and is it one?"""
    run = run_of(recipe, overrides)
    from limbeck.cli.study import modes
    from limbeck.pipeline.study import study

    found = study(run)
    standard_output().print(modes(found))
    typer.echo(f"numbers: {found.results}" + (f"\npicture: {found.picture}" if found.picture else ""))


@tools.command(rich_help_panel=RUNS)
def compare(
    runs: Runs,
    over: Annotated[
        str | None,
        typer.Option(
            metavar="RUN:MODEL", help="Compare all with this one. \\[default: the first run's first student]"
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The score. \\[default: the one that decides in all of them]")
    ] = None,
    form: Annotated[Shown, typer.Option("--format", help="How it is printed.")] = Shown.table,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page, too.")] = None,
) -> None:
    """Set all models of several runs side by side: differences with intervals, sizes, speed, passes."""
    from limbeck.cli import compare as shown
    from limbeck.pipeline.compare import compare as run

    found = run([folder_of(place) for place in runs], over, metric)
    shown.show(found, form.value, typer.echo)
    if html is not None:
        typer.echo(shown.write(found, html), err=form is not Shown.table)


@tools.command(rich_help_panel=USE)
def predict(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="An exported bundle, or the folder of a run with one.")
    ],
    text: Annotated[
        list[str] | None, typer.Argument(help="Sentences; without any, lines of --file or standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="One sentence a line; - is standard input.")
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="JSON Lines, CSV, or text: translations alone.")
    ] = Form.jsonl,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Which of the bundle's models. \\[default: int8, where the bundle has one]"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    words: Annotated[
        bool, typer.Option("--words", help="For taggers: words stand between spaces; split nothing else.")
    ] = False,
    beams: Annotated[
        int | None, typer.Option(min=1, help="For translators: beams of the search; 1 is greedy.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="For translators: translations of each text, best first.")
    ] = None,
) -> None:
    """Label text, find spans in it, or translate it, with an exported student. Needs no PyTorch."""
    from limbeck.cli.predict import Asked, opened, sentences, write

    model = opened(bundle, precision.value if precision is not None else None)
    asked = Asked(words, beams, keep)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(
            encoding="utf-8", errors="replace"
        )  # as it is read, whatever the terminal speaks
    write(model, sentences(text or [], file), form.value, batch_size, sys.stdout, asked)


@tools.command(rich_help_panel=MODELS)
def adapt(
    encoder: Annotated[
        str, typer.Argument(metavar="ENCODER", help="A folder, a hub name, or package:NAME/FOLDER.")
    ],
    text: Annotated[
        list[str],
        typer.Argument(metavar="TEXT...", help="One sentence a line, tables, or folders of *.txt files."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    column: Annotated[str, typer.Option(help="Of a table (CSV, TSV, ...), that of the text.")] = "text",
    whole: Annotated[
        bool,
        typer.Option(
            "--whole/--head-only", help="Train the encoder along, or leave it as it is (quicker, worse)."
        ),
    ] = True,
    epochs: Annotated[float, typer.Option(min=0.0, help="Passes over the text.")] = 3,
    learning_rate: Annotated[
        float | None, typer.Option(min=0.0, help="Its peak. \\[default: 3e-4; of the head only 1e-3]")
    ] = None,
    tokens_per_batch: Annotated[int, typer.Option(min=1, help="Padding included.")] = 1024,
    max_length: Annotated[int, typer.Option(min=3, help="Tokens read of a sentence.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of the head's start, batches and masks.")] = 1,
) -> None:
    """Give an encoder a masked-LM head, trained on your text: for the rewriter masked_lm."""
    from limbeck.cli.adapt import texts_of, training
    from limbeck.train.adapt import adapt as run

    settings = training(epochs, learning_rate, tokens_per_batch, whole)
    told = run(encoder, texts_of(text, column), out, settings, whole=whole, max_length=max_length, seed=seed)
    typer.echo(
        f"{out}: loss of a masked token {told.before:.3f} before, {told.after:.3f} after {told.steps:,} steps on "
        f"{told.sentences:,} sentences ({told.held_out:,} others held out for it)"
    )


StoreFolder = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder, e.g. runs/store.")]


@store_app.command("list")
def store_list(store: StoreFolder = Path("runs/store")) -> None:
    """List what is stored: teacher, signal, answers, bytes."""
    from limbeck.cli import store as show

    typer.echo(show.listing(store))


@store_app.command("verify")
def store_verify(store: StoreFolder = Path("runs/store")) -> None:
    """Check every shard; exit status 1 where one is damaged."""
    from limbeck.cli import store as show

    problems = show.problems(store)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo("all shards are whole")


@store_app.command("prune")
def store_prune(
    store: StoreFolder = Path("runs/store"),
    key: Annotated[str | None, typer.Option(help="Forget this key (as 'list' shows it).")] = None,
    days: Annotated[int | None, typer.Option(help="Forget what was not used for so many days.")] = None,
    damaged: Annotated[
        bool, typer.Option(help="Forget damaged shards; their texts are asked again.")
    ] = False,
) -> None:
    """Forget answers, by key, by age, or where damaged."""
    from limbeck.cli import store as show

    typer.echo(show.prune(store, key, days, damaged))
