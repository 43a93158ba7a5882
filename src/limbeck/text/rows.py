"""Rows: what readers of labelled text hand over, and what they are made to examples by."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.core.tasks import Task
from limbeck.text.cells import number_of
from limbeck.text.delimited import lines_of
from limbeck.text.sentences import clean_word
from limbeck.text.tables import GZIP, marked, read_text

HEAD = 20_000
"""Bytes of a file by which its format is told."""


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled text as it stands in a file.

    Attributes:
        line: Its line, counted from one.
        text: The text.
        label: Its label; None or empty where it has none.
        second: The second text of a pair; None of a single text.
        part: Tells rows of one line apart in ids; empty where a line holds one.
    """

    line: int
    text: str
    label: str | None
    second: str | None = None
    part: str = ""


def numbered(path: Path, source: Source) -> Iterator[tuple[int, str]]:
    """The lines of a text file but for blank ones, with their numbers.

    Raises:
        LimbeckError: The file is missing, or not in the source's encoding.
    """
    lines = lines_of(read_text(path, source.encoding, source.undecodable))
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def head_of(path: Path) -> str:
    """The beginning of a file in UTF-8, or in what a byte order mark says; empty where it cannot be read."""
    try:
        with gzip.open(path) if path.suffix.lower() == GZIP else path.open("rb") as file:
            data = file.read(HEAD)
    except (OSError, EOFError):
        return ""
    return data.decode(marked(data, "utf-8-sig"), "replace").removeprefix("\ufeff")


def examples_of(
    rows: Iterable[Row], source: Source, name: str, task: Task = "classification"
) -> list[Example]:
    """Examples with ids ``NAME:LINE``, labels under their new names; without gold where ``label`` is null.

    For regression labels are scores.

    Raises:
        LimbeckError: There are no rows, or a score is no number (with its line).
    """
    found = [_example(row, source, name, task) for row in rows]
    if not found:
        raise LimbeckError("the file holds no examples", where=source.path)
    if source.labels and not set(source.labels.values()) & {example.gold for example in found}:
        progress.warn(f"{name}: 'labels' renames {', '.join(source.labels)}, and no row is labelled so")
    return found


def _example(row: Row, source: Source, name: str, task: Task) -> Example:
    label = clean_word(row.label or "")
    is_told = bool(label) and source.label is not None
    gold = (source.labels.get(label, label) or None) if is_told and task != "regression" else None
    origin = f"{name}:{row.line}"
    return Example(
        f"{origin}/{row.part}" if row.part else origin,
        clean_word(row.text),
        gold,
        origin,
        second=None if row.second is None else clean_word(row.second),
        score=number_of(label, source.path, row.line) if is_told and task == "regression" else None,
    )
