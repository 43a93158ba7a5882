"""Readers: files of other people, and data sets of the hub, to examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, cast

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Task
from limbeck.core.sources import Source
from limbeck.core.tasks import OF_SENTENCES
from limbeck.text import catalogues, columns, labelled, resources
from limbeck.text.catalogues import read_catalogues
from limbeck.text.cells import ids_of, text_of
from limbeck.text.columns import LineFormat, read_sentences
from limbeck.text.data_sets import read_data_set
from limbeck.text.golds import golds_of
from limbeck.text.labelled import FAMILIES, LabelledFormat, read_labelled
from limbeck.text.parallel import pairs_of, read_lines
from limbeck.text.sentences import examples_of, in_documents
from limbeck.text.tables import (
    ENDINGS,
    Table,
    TableFormat,
    ending_of,
    format_of,
    read_table,
)
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
CATALOGUE_ENDINGS = (".po", ".mo")
LANGUAGE_ENDING = re.compile(r"\.[a-z]{2}(?:[-_][a-z]{2,4})?")
"""What parallel text files often end in: ``train.en``, ``train.pt_BR``."""

Format = TableFormat | LineFormat | LabelledFormat | Literal["dataset", "po"]
USES: dict[Format, tuple[str, tuple[Task, ...]]] = {
    **dict.fromkeys(FAMILIES, ("labelled texts", ("classification",))),
    "glue": ("labelled texts or scores", ("classification", "regression")),
    "word_tag": ("tagged words and intents", ("tagging", "classification")),
    "conll": ("tagged words", ("tagging",)),
    "parallel": ("tagged words", ("tagging",)),
    "po": ("messages", ("translation",)),
}
"""What formats hold that are not for all tasks, and for which they are."""


def read(
    source: Source, name: str | None = None, task: Task = "classification", context: int = 0
) -> list[Example]:
    """The examples of a file or data set, in its order.

    Texts and labels lose the space around them; an empty label means no gold. Ids default to ``FILE:LINE``,
    of a data set to ``NAME/SPLIT:ROW`` with rows from 0. For tagging, examples have words, and tags in IOB2; for
    translation they have targets, and ids as :mod:`limbeck.text.parallel` gives them.

    Args:
        source: Where, in which format, and in which columns.
        name: Stands for the file or data set in ids; by default the last part of its path.
        task: Whether sentences have a label, a score or several labels, their words have tags, or they have
            translations.
        context: Words of its document that an example of a conll file keeps on each side.

    Raises:
        LimbeckError: The source cannot be found or read (with the line), lacks a column, or repeats an id.
    """
    name = name or Path(source.path).name
    form = form_of(source, task)
    if form == "po":
        return read_catalogues(source, name)
    place = resources.resolve(source.path)
    if task in OF_SENTENCES and form in FAMILIES:
        return read_labelled(Path(place), form, source, name, task)
    if form == "conll" or form == "word_tag" or form == "parallel":
        sentences = read_sentences(Path(place), form, source)
        examples = examples_of(sentences, source, name)
        return in_documents(examples, sentences, context) if form == "conll" and context else examples
    if form == "txt" and task == "translation":
        return read_lines(Path(place), source, name)
    if form == "txt":
        source = source.model_copy(update=PLAIN_TEXT)
    table, name = _table(source, place, cast(TableFormat, form), name, task)
    if task == "tagging":
        ids = None if source.id is None else ids_of(table, source.id)
        return examples_of(sentences_of(table, source, ids), source, name)
    return pairs_of(table, source, name) if task == "translation" else _examples(table, source, name, task)


def table_of(source: Source) -> Table:
    """All columns of a table or data set.

    Raises:
        LimbeckError: It cannot be read, or is none.
    """
    place = resources.resolve(source.path)
    form = source.format
    if form == "auto":
        form = format_of(place) if isinstance(place, Path) and place.is_file() else form_of(source)
    if form == "dataset":
        return read_data_set(source, place)[0]
    return read_table(
        Path(place),
        cast(TableFormat, form),
        header=source.header,
        encoding=source.encoding,
        undecodable=source.undecodable,
    )


def files_of(source: Source) -> tuple[str, ...]:
    """The files that a source is read from, as the recipe would name them."""
    if _is_catalogue(source):
        return tuple(map(str, catalogues.files_of(source.path)))
    if (several := labelled.files_of(source, Path(resources.resolve(source.path)))) is not None:
        return several
    return (*columns.files_of(source), *source.target_file)


def form_of(source: Source, task: Task = "classification") -> Format:
    """How the source is written: as it says, or by what stands at its place.

    Raises:
        LimbeckError: There is no such file, its ending does not tell, or it is of no use for the task.
    """
    form = "po" if _is_catalogue(source) else source.format
    if source.target_file and task == "translation":
        if form not in ("auto", "txt"):
            what = f"'target_file' goes with lines of text, and the format is {form}"
            raise LimbeckError(what, where=source.path, fix="Name the columns of translations in 'target'")
        return "txt"
    found = _form_of_place(source, resources.resolve(source.path), task) if form == "auto" else form
    holds, uses = USES.get(found, ("", (task,)))
    if task not in uses:
        what = f"the format {found} holds {holds}, which '{task}' has no use for"
        raise LimbeckError(what, where=source.path, fix=f"Set 'task: {uses[0]}' in the recipe")
    return found


def _is_catalogue(source: Source) -> bool:
    ending = Path(source.path).suffix.lower()
    return source.format == "po" or (source.format == "auto" and ending in CATALOGUE_ENDINGS)


def _form_of_place(source: Source, place: Path | str, task: Task) -> Format:
    ending = ending_of(Path(place))
    if isinstance(place, Path):
        found = labelled.recognise(place, source) if task in OF_SENTENCES else None
        if found is not None and task in USES[found][1]:
            return found
        if ending in CONLL_ENDINGS:
            return "conll"
        if task == "translation" and place.is_file() and LANGUAGE_ENDING.fullmatch(ending):
            return "txt"
        return "dataset" if place.is_dir() else format_of(place)
    if ending in ENDINGS or not HUB_NAME.fullmatch(place):
        raise LimbeckError("no such file", where=place)
    return "dataset"


def _table(
    source: Source, place: Path | str, form: TableFormat | Literal["dataset"], name: str, task: Task
) -> tuple[Table, str]:
    """The rows of a file or data set, and what stands for it in ids."""
    if form == "dataset":
        table, split = read_data_set(source, place)
        return table, "/".join([name, *filter(None, [source.subset]), split])
    labels = source.label if isinstance(source.label, list) else [source.label]
    told = source.target if task == "translation" else (source.second, *labels)
    wanted = (source.text, *told, source.id)
    table = read_table(
        Path(place),
        form,
        header=source.header,
        encoding=source.encoding,
        undecodable=source.undecodable,
        wanted=[key for key in wanted if key is not None],
    )
    return table, name


# Examples of a table.


def _examples(table: Table, source: Source, name: str, task: Task) -> list[Example]:
    texts = [text_of(value, table, row) for row, value in enumerate(table.column(source.text, "text"))]
    seconds: list[str | None] = [None] * len(table)
    if source.second is not None:
        values = table.column(source.second, "second")
        seconds = [text_of(value, table, row) for row, value in enumerate(values)]
    golds = golds_of(table, source, name, task)
    origins = [f"{name}:{line}" for line in table.lines]
    ids = origins if source.id is None else ids_of(table, source.id)
    read = zip(ids, texts, golds, origins, seconds, strict=True)
    return [
        Example(id, text, origin=origin, second=second, **gold) for id, text, gold, origin, second in read
    ]
