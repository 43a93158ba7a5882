"""Readers: files of other people, and data sets of the hub, to examples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Task
from limbeck.core.sources import Source
from limbeck.text import resources
from limbeck.text.columns import LineFormat, read_sentences
from limbeck.text.sentences import SURROGATES, examples_of, in_documents
from limbeck.text.tables import ENDINGS, Table, TableFormat, classes_of, format_of, from_arrow, read_table
from limbeck.text.tagged import sentences_of

HUB_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
PLAIN_TEXT = {
    "text": "text",
    "second": None,
    "label": None,
    "id": None,
    "words": "auto",
    "tags": None,
    "spans": None,
}
"""Columns of a file of sentences, one a line."""
CONLL_ENDINGS = (".conll", ".conllu", ".iob", ".iob2", ".bio")


def read(
    source: Source, name: str | None = None, task: Task = "classification", context: int = 0
) -> list[Example]:
    """The examples of a file or data set, in its order.

    Texts and labels lose the space around them; an empty label means no gold. Ids default to ``FILE:LINE``,
    of a data set to ``NAME/SPLIT:ROW`` with rows from 0. For tagging, examples have words, and tags in IOB2.

    Args:
        source: Where, in which format, and in which columns.
        name: Stands for the file or data set in ids; by default the last part of its path.
        task: Whether sentences have labels, or their words have tags.
        context: Words of its document that an example of a conll file keeps on each side.

    Raises:
        LimbeckError: The source cannot be found or read (with the line), lacks a column, or repeats an id.
    """
    place = resources.resolve(source.path)
    form = _form(source, place)
    name = name or Path(source.path).name
    if form == "conll" or form == "word_tag" or form == "parallel":
        if task != "tagging":
            what = f"the format {form} holds tagged words, which '{task}' has no use for"
            raise LimbeckError(what, where=source.path, fix="Set 'task: tagging' in the recipe")
        sentences = read_sentences(Path(place), form, source)
        examples = examples_of(sentences, source, name)
        return in_documents(examples, sentences, context) if form == "conll" and context else examples
    if form == "txt":
        source = source.model_copy(update=PLAIN_TEXT)
    table, name = _table(source, place, form, name)
    if task == "tagging":
        ids = None if source.id is None else _ids(table, source.id)
        return examples_of(sentences_of(table, source, ids), source, name)
    return _examples(table, source, name)


def _form(source: Source, place: Path | str) -> TableFormat | LineFormat | Literal["dataset"]:
    """How the source is written: as it says, or by what stands at its place."""
    if source.format == "po":
        raise LimbeckError("catalogues of messages are for 'task: translation'", where=source.path)
    if source.format != "auto":
        return source.format
    if isinstance(place, Path):
        if place.suffix.lower() in CONLL_ENDINGS:
            return "conll"
        return "dataset" if place.is_dir() else format_of(place)
    if Path(place).suffix.lower() in ENDINGS or not HUB_NAME.fullmatch(place):
        raise LimbeckError("no such file", where=place)
    return "dataset"


def _table(
    source: Source, place: Path | str, form: TableFormat | Literal["dataset"], name: str
) -> tuple[Table, str]:
    """The rows of a file or data set, and what stands for it in ids."""
    if form == "dataset":
        table, split = _data_set(source, place)
        return table, "/".join([name, *filter(None, [source.subset]), split])
    table = read_table(
        Path(place),
        form,
        header=source.header,
        encoding=source.encoding,
        undecodable=source.undecodable,
        wanted=[key for key in (source.text, source.second, source.label, source.id) if key is not None],
    )
    return table, name


# Examples of a table.


def _examples(table: Table, source: Source, name: str) -> list[Example]:
    texts = [_text(value, table, row) for row, value in enumerate(table.column(source.text, "text"))]
    seconds = [""] * len(table)
    if source.second is not None:
        values = table.column(source.second, "second")
        seconds = [_text(value, table, row) for row, value in enumerate(values)]
    golds: list[str | None] = [None] * len(table)
    if source.label is not None:
        labels = table.column(source.label, "label")
        golds = [_label(value, table, row, source.labels) for row, value in enumerate(labels)]
        if source.labels and not set(source.labels.values()) & set(golds):
            progress.warn(f"{name}: 'labels' renames {', '.join(source.labels)}, and no row is labelled so")
    origins = [f"{name}:{line}" for line in table.lines]
    ids = origins if source.id is None else _ids(table, source.id)
    read = zip(ids, texts, golds, origins, seconds, strict=True)
    return [Example(id, text, gold, origin, second=second) for id, text, gold, origin, second in read]


def _text(value: Any, table: Table, row: int) -> str:
    if isinstance(value, str):
        return value.strip() if value.isascii() else SURROGATES.sub("\ufffd", value).strip()
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    kind = (
        "a list"
        if isinstance(value, list)
        else "an object"
        if isinstance(value, dict)
        else type(value).__name__
    )
    raise LimbeckError(f"the text is {kind}, not a sentence", where=table.where, line=table.lines[row])


def _label(value: Any, table: Table, row: int, renamed: dict[str, str]) -> str | None:
    """The label's name; whole numbers read alike whether a file keeps them as 1 or as 1.0."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list | dict | bytes):
        what = f"the label is {_kind(value)}; an example has one label"
        raise LimbeckError(what, where=table.where, line=table.lines[row])
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    label = SURROGATES.sub("\ufffd", str(value)).strip()
    return renamed.get(label, label) or None


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "a list", dict: "an object", bytes: "bytes"}
    return names.get(type(value), f"a {type(value).__name__}")


def _ids(table: Table, key: str | int) -> list[str]:
    first: dict[str, int] = {}
    for value, line in zip(table.column(key, "id"), table.lines, strict=True):
        one = "" if value is None else str(value).strip()
        if not one:
            raise LimbeckError("the id is empty", where=table.where, line=line)
        if one in first:
            what = f"the id '{one}' stands here again, after line {first[one]}"
            fix = "Give every row its own id, or leave out 'id' and let file name and line serve"
            raise LimbeckError(what, where=table.where, line=line, fix=fix)
        first[one] = line
    return list(first)


# Data sets.


def _data_set(source: Source, place: Path | str) -> tuple[Table, str]:
    """One split of a data set, and its name.

    The data set is a folder that ``save_to_disk`` wrote, a folder of files, or a name on the hub.
    """
    import datasets

    theirs = (
        datasets.exceptions.DatasetsError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        ImportError,
        RuntimeError,
    )
    with _quiet():
        try:
            if isinstance(place, Path) and _was_saved(place):
                found = datasets.load_from_disk(str(place))
            else:
                found = datasets.load_dataset(str(place), source.subset)
        except theirs as error:
            raise _no_data_set(source, error) from None
    split, data = _split(found, source)
    if not len(data):
        raise LimbeckError("the data set holds no rows", where=source.path)
    arrow = data.with_format("arrow")[:]
    return from_arrow(source.path, arrow, classes_of(data.features.arrow_schema)), split


def _was_saved(folder: Path) -> bool:
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def _split(found: Any, source: Source) -> tuple[str, Any]:
    """The split that the source names, or the only one."""
    if not isinstance(found, dict):
        return str(found.split or source.split or "all"), found
    if source.split is None and len(found) == 1:
        return next((str(name), data) for name, data in found.items())
    if source.split is None or source.split not in found:
        what = "say which split" if source.split is None else f"there is no split '{source.split}'"
        fix = f"Set 'split' to one of: {', '.join(map(str, found))}"
        raise LimbeckError(what, where=source.path, fix=fix)
    return source.split, found[source.split]


def _no_data_set(source: Source, error: Exception) -> LimbeckError:
    # What datasets raises says that something went wrong, and its cause says what.
    told = error.__cause__ or error
    reason = str(told).strip().partition("\n")[0].rstrip(".:") or type(told).__name__
    fix = "Check the spelling; for a file, give its 'format'; a name on the hub needs the network once"
    return LimbeckError(f"no data set can be read here ({reason})", where=source.path, fix=fix)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars of ``datasets``: progress is told in one voice."""
    import datasets

    shown = datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not shown:
            datasets.enable_progress_bars()
