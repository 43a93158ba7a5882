"""``limbeck init``: look at a person's file, and write a recipe for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from limbeck.cli.init_parallel import RATIO, Pairs, find_pairs
from limbeck.cli.outcomes import Found, find_columns, find_format
from limbeck.cli.tagged import find_tagged
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import atomic_write
from limbeck.core.sources import Source
from limbeck.text.tags import mark_spans

OF_WORDS = ("word_tag", "seq_in")
"""Formats whose files have tagged words besides; a folder of them is taken for its intents."""
ENCODER = "distilbert-base-uncased"
"""The teacher where nobody names one, of classifiers and taggers."""


def write_recipe(
    data: Path, out: Path, teacher: str | None = None, encoding: str = "utf-8", target: str | None = None
) -> str:
    """Write a commented recipe for a file of labelled text, of tagged words, or of texts with translations.

    Args:
        data: The file.
        out: The recipe; must not exist.
        teacher: Hub name or folder of the encoder to fine-tune, or of a model that translates; None is ``ENCODER``,
            and a translator trained from scratch.
        encoding: Of the file.
        target: Of parallel text, the file or column of translations, as :func:`find_pairs` takes it.

    Returns:
        What was found in the file, to be told.

    Raises:
        LimbeckError: The file cannot be read, has no text and label columns, or the recipe is there already.
    """
    if out.exists():
        raise LimbeckError("there is such a file already", where=out, fix="Name another with --out")
    template, told, values = _looked_at(data, target, teacher, encoding)
    name = _plain_name(values.pop("stem", data.stem))
    values |= {"name": _quoted(name), "folder": f"runs/{name}", "path": _quoted(str(data))}
    values["more"] += "" if encoding == "utf-8" else f"\n    encoding: {_quoted(encoding)}"
    values.setdefault("teacher", _quoted(teacher or ENCODER))
    filled = files("limbeck.cli").joinpath(template).read_text(encoding="utf-8")
    with atomic_write(out) as file:
        file.write(filled.format_map(values))
    return told


Filled = tuple[str, str, dict[str, str]]
"""A template, what was found, and what fills it."""


def _looked_at(data: Path, target: str | None, teacher: str | None, encoding: str) -> Filled:
    published = None if target else find_format(Source(path=str(data), encoding=encoding))
    if published is not None and (data.is_dir() or published.keys["format"] not in OF_WORDS):
        return _of_labelled(published)
    if (pairs := find_pairs(data, target, encoding)) is not None:
        return _of_pairs(pairs, teacher)
    if (tagged := find_tagged(Source(path=str(data), encoding=encoding))) is not None:
        return _of_words(*tagged)
    return _of_labelled(_in_table(data, encoding))


# Texts and translations.


TRANSLATOR = "translator.yaml"
SCRATCH = """
  scratch: {kind: autoregressive, size: small, dropout: 0.2}  # trained here from nothing
  fine_tune:
    epochs: 30
    learning_rate: 7.0e-4
    schedule: inverse_sqrt
    warmup: 0.1
    tokens_per_batch: 4096
    clip: 1
    average: 3                   # the weights of so many evaluations are averaged
"""
GIVEN = """
  model: {teacher}
  fine_tune: null                # it translates as it is; {{epochs: 1}} trains it on your text before
"""


def _of_pairs(pairs: Pairs, teacher: str | None) -> Filled:
    """The template for parallel text, what was found, and what fills it."""
    told = pairs.source.model_dump(exclude_defaults=True, exclude={"path", "encoding"})
    keys = {key: value[0] if isinstance(value, list) else value for key, value in told.items()}
    values = {
        "stem": pairs.name,
        "more": "".join(f"\n    {key}: {_quoted(value)}" for key, value in keys.items()),
        "teacher": SCRATCH if teacher is None else GIVEN.format(teacher=_quoted(teacher)),
        "dev": "0.05" if pairs.is_small else "500 ",
        "test": "0.1 " if pairs.is_small else "1000",
        "clean": f"longest: 100, ratio: {RATIO}" if pairs.has_spaces else "longest: 100",
    }
    values["teacher"] = values["teacher"].rstrip("\n")
    return TRANSLATOR, pairs.told, values


# Tagged words.


def _of_words(source: Source, sentences: Sequence[Example]) -> Filled:
    """The template for tagged words, what was found, and what fills it."""
    tags = {tag for sentence in sentences for tag in sentence.tags or ()}
    kinds = sorted({tag.partition("-")[2] for tag in tags} - {""}) if mark_spans(tags) else sorted(tags)
    shown = ", ".join(kinds[:6]) + (f" and {len(kinds) - 6} more" if len(kinds) > 6 else "")
    more = "" if source.format == "auto" else f"\n    format: {source.format}"
    return "tagger.yaml", f"{len(sentences):,} sentences of words tagged {shown}", {"more": more}


# Sentences, or pairs of them, with labels.


TRAIN = "train"
"""What the split is called that data sets are trained on."""
COMMENTS = {
    "text": "the column of the sentence",
    "label": "the column of the label; an empty label means unlabelled",
    "header": "its first line is an example already",
}


def _in_table(data: Path, encoding: str) -> Found:
    """What a table or data set holds, of which labels have been found.

    Raises:
        LimbeckError: None have, or it cannot be read.
    """
    source = Source(path=str(data), encoding=encoding)
    found = find_columns(source) if data.is_file() else _in_data_set(source)
    if found.keys["label"] is None:
        fix = "Write the recipe's data.train by hand, with 'text' and 'label'"
        raise LimbeckError("no column looks like labels (few values, each many times)", where=data, fix=fix)
    return found


def _in_data_set(source: Source) -> Found:
    """The same of a folder or a name on the hub: of its only split, or else of the one to train on."""
    try:
        return find_columns(source)
    except LimbeckError as error:
        if "say which split" not in str(error):
            raise
    found = find_columns(source.model_copy(update={"split": TRAIN}))
    return replace(found, keys=found.keys | {"split": TRAIN})


def _of_labelled(found: Found) -> Filled:
    """The template for labelled text, what was found, and what fills it."""
    plain = found.task == "classification"
    keys = {key: f"\n    {key}: {_listed(value)}" for key, value in found.keys.items()}
    if plain and found.metric is None:
        keys = {
            key: f"{line:<34} # {COMMENTS[key]}" if key in COMMENTS else line for key, line in keys.items()
        }
    student = (
        "bilstm                   # or static (fastest), transformer" + ", or forest (to be read)" * plain
    )
    if found.pairs:
        student = "siamese                  # each text by itself, by one BiLSTM; or transformer (both at once; slower)"
    metric = found.metric and f"\n  metric: {found.metric:<22} # picks the best weights, and decides on test"
    values = {
        "columns": "".join(keys.values()),
        "more": "",
        "task": "" if plain and found.metric is None else f"\ntask: {found.task}",
        "metric": metric or "",
        "student": student,
        "method": "soft_labels     " if (found.classes or 0) > 2 else "logit_regression",
    }
    return "recipe.yaml", found.told, values


def _listed(value: Any) -> str:
    return f"[{', '.join(map(_quoted, value))}]" if isinstance(value, list) else _quoted(value)


def _plain_name(stem: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_.-" else "-" for letter in stem) or "run"


def _quoted(value: str | int) -> str:
    """A YAML value; a string in quotes where it needs them."""
    import yaml

    return str(yaml.safe_dump(value, allow_unicode=True, width=10_000)).removesuffix("\n...\n").rstrip("\n")
