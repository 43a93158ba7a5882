"""Every command of ``limbeck``, in the order in which a person meets them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.core import progress
from limbeck.core.errors import LimbeckError

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run

app = typer.Typer(
    name="limbeck",
    help="Distil large NLP models into small, fast ones, and prove what was kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
store_app = typer.Typer(help="Look after the store of teachers' answers.", no_args_is_help=True)
app.add_typer(store_app, name="store", rich_help_panel="Looking after things")
study_app = typer.Typer(help="Look into why distillation works.", no_args_is_help=True)
app.add_typer(study_app, name="study", rich_help_panel="Look at text")

START = "Start here"
STEPS = "The steps of a run, one by one"
USE = "Use a student"
TEXT = "Look at text"
MODELS = "Get a model ready"


class Over(StrEnum):
    """What an ablation takes apart."""

    procedures = "procedures"
    objectives = "objectives"
    mappings = "mappings"


class Log(StrEnum):
    """How much is said on standard error."""

    auto = "auto"
    quiet = "quiet"
    json = "json"


class Form(StrEnum):
    """Formats of predictions."""

    jsonl = "jsonl"
    csv = "csv"
    text = "text"


class Words(StrEnum):
    """What counts as a word in parallel text."""

    as_bleu = "13a"
    spaces = "spaces"


class Precision(StrEnum):
    """Models of a bundle."""

    int8 = "int8"
    fp32 = "fp32"


RecipeFile = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A recipe (YAML), or the folder of a run.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, e.g. train.epochs=3."),
]


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


def _run(recipe: Path, overrides: list[str] | None) -> Run:
    """The run for a recipe, or for the folder of an earlier run."""
    from transformers.utils import logging

    from limbeck.core.recipe import load
    from limbeck.pipeline import Run, check

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if recipe.is_dir() and overrides:
        raise LimbeckError(
            "a run's folder takes no changes", where=recipe, fix="Change the recipe, and name that"
        )
    run = Run.open(recipe) if recipe.is_dir() else Run.of(load(recipe, overrides or ()))
    check(run)
    return run


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the result table."""
    from rich.console import Console

    from limbeck.evaluate.table import terminal

    Console().print(terminal(rows))


@app.command(rich_help_panel=START)
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
            help="Hub name or folder of the teacher. [default: distilbert-base-uncased; of translators one that is "
            "trained from scratch]"
        ),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of your text, e.g. cp1252.")] = "utf-8",
) -> None:
    """Write a commented recipe for your own data."""
    from limbeck.cli.init import write_recipe

    told = write_recipe(data, out, teacher, encoding, target)
    typer.echo(f"{out}: {told}. Next: limbeck plan {out}")


@app.command(rich_help_panel=START)
def plan(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Check a recipe, and tell its steps, bytes and time, doing nothing."""
    from limbeck.pipeline.plan import plan as make

    typer.echo(make(_run(recipe, overrides)).text())


@app.command(rich_help_panel=START)
def distill(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Do the whole job: prepare, teach, ask, train, evaluate, export, report."""
    from limbeck.pipeline import distill as run_all

    result = run_all(_run(recipe, overrides))
    _show(result.rows)
    typer.echo(f"report: {result.page}")


@app.command(rich_help_panel=START)
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
    from limbeck.cli.ablate import run

    run(_run(recipe, overrides).recipe, over.value, only_plan=only_plan, say=typer.echo)


@app.command(rich_help_panel=START)
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


@app.command(rich_help_panel=STEPS)
def prepare(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Read, clean and cut the data."""
    from limbeck.pipeline import steps

    steps.prepare(_run(recipe, overrides))


@app.command(rich_help_panel=STEPS)
def rewrite(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Make more text for the teacher to answer on, where the recipe asks for it."""
    from limbeck.pipeline import steps

    steps.rewrite(_run(recipe, overrides))


@app.command(rich_help_panel=STEPS)
def pack(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Tokenise raw text and pack it to length, where a method hears it."""
    from limbeck.pipeline import steps

    steps.pack(_run(recipe, overrides))


@app.command(rich_help_panel=STEPS)
def teach(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Fine-tune the teacher, or check the one that is given."""
    from limbeck.pipeline import steps

    steps.teach(_run(recipe, overrides))


@app.command(rich_help_panel=STEPS)
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
    from limbeck.pipeline import steps

    steps.ask(_run(recipe, overrides), None if shard is None else shard_of(shard))


@app.command(rich_help_panel=STEPS)
def train(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Train the students and the control."""
    from limbeck.pipeline import steps

    steps.train(_run(recipe, overrides))


@app.command(rich_help_panel=STEPS)
def evaluate(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Score teacher, students and control on the test set."""
    from limbeck.evaluate import table
    from limbeck.pipeline import steps

    run = _run(recipe, overrides)
    steps.evaluate(run)
    _show(table.rows(run.evaluation))


@app.command(rich_help_panel=STEPS)
def export(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Export the best student to ONNX (float32 and int8), check it, and time it beside the teacher."""
    from limbeck.pipeline import steps

    run = _run(recipe, overrides)
    steps.export(run)
    typer.echo(f"bundle: {run.bundle_folder.path}")


@app.command(rich_help_panel=STEPS)
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs (or one recipe).")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The page to write.")] = None,
) -> None:
    """Make the page of one run, or of several side by side."""
    from limbeck.report.page import write

    folders = [path if path.is_dir() else _run(path, None).folder for path in runs]
    typer.echo(f"report: {write(folders, out)}")


@app.command(rich_help_panel=TEXT)
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

    from rich.console import Console

    from limbeck.cli import data as show
    from limbeck.text.summary import summaries

    sources = show.sources_of(files, form, keys or ())
    found = summaries(sources, show.task_of(sources))
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], ensure_ascii=False, indent=2))
    else:
        Console().print(show.table(sources, found))


@app.command(rich_help_panel=TEXT)
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
    from rich.console import Console

    from limbeck.analyse.aligned import Reading
    from limbeck.analyse.measures import measure as run
    from limbeck.cli.measure import read_pairs, table
    from limbeck.core.files import write_json

    real = None if against is None else read_pairs(against)
    reading = Reading(words=words.value, lowercase=lowercase)
    measured = run(read_pairs(text), real, reading=reading, language=language)
    if out is not None:
        write_json(out, measured.as_json())
    Console().print(table(measured))


@study_app.command("modes")
def study_modes(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Text in several languages, none of them marked: which one do teacher and students write, and is it one?"""
    from rich.console import Console

    from limbeck.cli.study import modes
    from limbeck.pipeline.study import study

    found = study(_run(recipe, overrides))
    Console().print(modes(found))
    typer.echo(f"numbers: {found.results}" + (f"\npicture: {found.picture}" if found.picture else ""))


@app.command(rich_help_panel=USE)
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
    precision: Annotated[Precision, typer.Option(help="Which of the bundle's models.")] = Precision.int8,
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
    from limbeck.cli.predict import Asked, bundle_in, sentences, write
    from limbeck.serve.opening import open_bundle

    model = open_bundle(bundle_in(bundle), precision=precision.value, threads=1)
    asked = Asked(words, beams, keep)
    write(model, sentences(text or [], file), form.value, batch_size, sys.stdout, asked)


@app.command(rich_help_panel=MODELS)
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
        float | None, typer.Option(min=0.0, help="Its peak. [default: 3e-4; of the head only 1e-3]")
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
