"""Labelled: the formats that data for classification is released in, each in one place, recognised or named.

A format is recognised only where a file could be nothing else that is read here, and where the source names no
columns of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.core.tasks import Task
from limbeck.text import glue, intents, rasa, scicite, trec, trees
from limbeck.text.rows import Row, examples_of, head_of

LabelledFormat = Literal["glue", "trees", "trec", "seq_in", "word_tag", "top", "scicite", "rasa"]


@dataclass(frozen=True, slots=True)
class Family:
    """How a format is told, and read.

    Attributes:
        is_like: Whether a file is surely of this format, by its path and beginning.
        read: Its rows.
    """

    is_like: Callable[[Path, str], bool]
    read: Callable[[Path, Source], Iterable[Row]]


FAMILIES: dict[LabelledFormat, Family] = {
    "seq_in": Family(intents.is_parallel, intents.read_parallel),
    "rasa": Family(rasa.is_like, rasa.read),
    "trees": Family(trees.is_like, trees.read),
    "trec": Family(trec.is_like, trec.read),
    "word_tag": Family(intents.is_tagged, intents.read_tagged),
    "top": Family(intents.is_top, intents.read_top),
    "scicite": Family(scicite.is_like, scicite.read),
    "glue": Family(glue.is_like, glue.read),
}
"""Every format, in the order in which files are tried."""
DEFAULTS = {key: Source.model_fields[key].default for key in ("text", "second", "header", "id")}


def recognise(path: Path, source: Source) -> LabelledFormat | None:
    """The format that a file or folder is surely in; None where tables and data sets have the say."""
    is_own = source.label not in (None, Source.model_fields["label"].default)
    if is_own or any(getattr(source, key) != default for key, default in DEFAULTS.items()):
        return None
    head = "" if path.is_dir() else head_of(path)
    return next((form for form, family in FAMILIES.items() if family.is_like(path, head)), None)


def read_labelled(
    path: Path, form: LabelledFormat, source: Source, name: str, task: Task = "classification"
) -> list[Example]:
    """The examples of a file, in its order.

    Args:
        path: The file, or for ``seq_in`` a folder.
        form: How it is written.
        source: Encoding, new names of labels, and what formats ask besides (``classes``, ``phrases``, ``subset``).
        name: Stands for the file in ids.
        task: Whether rows have labels, or scores.

    Raises:
        LimbeckError: The file is missing or empty, or a line is malformed (with its number).
    """
    if path.is_dir() and form != "seq_in":
        raise LimbeckError(f"a folder, and the format {form} is of files", where=path)
    if form == "glue":
        glue.check_task(path, source, task)
    return examples_of(FAMILIES[form].read(path, source), source, name, task)


def files_of(source: Source, path: Path) -> tuple[str, ...] | None:
    """The files that a source in several of them is read from; None where it is its path alone."""
    is_several = source.format == "seq_in" or (source.format == "auto" and intents.is_parallel(path, ""))
    return tuple(map(str, intents.files_of(path))) if is_several else None
