"""Which columns of a table hold texts, and which one labels: by their names, and else by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.text.tables import Table

TEXTS = ("text", "sentence", "content", "review", "tweet", "question")
"""What data sets call the text."""
PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("text", "text_pair"),
    ("text", "second"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("first", "second"),
    ("query", "passage"),
    ("question", "sentence"),
)
"""What data sets of pairs call the two texts."""
LABELS = ("label", "labels", "class", "category", "sentiment", "intent", "target")
"""What they call the label."""
SCORES = ("score", "similarity", "similarity_score", "rating", "gold")
"""What they call scores, where nothing is called a label."""
KNOWN = {*TEXTS, *LABELS, *SCORES, *(name for names in PAIRS for name in names), "id", "index"}
"""Names that no example begins with."""
MOST_LABELS = 200
"""A column with more different values than this holds no labels, unless its name says so."""
WORDS = 2
"""A text of so many words is no column's name, where what stands beside it is a label."""
SENTENCE = 3
"""Words of a sentence, on average, under which a column holds none."""
OF_DATE = 6
"""Words of a date with its time, at most."""
CLOCK = re.compile(r"\d\d:\d\d:\d\d")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what: its name, or its number where the file names none.

    Attributes:
        text: Of the text.
        second: Of the second text, where examples are pairs.
        label: Of the label; None where nothing looks like labels.
    """

    text: str | int
    second: str | int | None
    label: str | int | None

    @property
    def texts(self) -> tuple[str | int, ...]:
        """Columns of texts."""
        return (self.text,) if self.second is None else (self.text, self.second)


def guess_columns(table: Table, where: Path) -> Columns:
    """The column with the longest texts, or those of both texts of pairs; and the one that looks most like labels.

    A column called ``text`` or ``label`` (or the like) is taken at its word, and so are two that are called as those of
    pairs. Without names, two columns of sentences are those of pairs.

    Raises:
        LimbeckError: There is no column of text.
    """
    values = {}
    for number, name in enumerate(table.names):
        if table.names.count(name) > 1:
            continue  # a recipe cannot name it
        cells = [value for value in table.column(_key(table, number), "text") if value not in (None, "")]
        if cells and not any(isinstance(value, dict | list) for value in cells):
            values[name] = list(map(str, cells))
    if not values:
        raise LimbeckError("there is no column of text", where=where)
    written = {name: column for name, column in values.items() if not _is_data(column)} or values
    text, second = _pair(written, named=table.header is not False) or (called(values, TEXTS), None)
    unnamed = {name: column for name, column in written.items() if name.strip().lower() not in LABELS}
    unnamed = {name: column for name, column in unnamed.items() if _words(column) >= SENTENCE} or unnamed
    text = text or max(unnamed or written, key=lambda name: fmean(map(len, written[name])))
    others = {name: column for name, column in values.items() if name not in (text, second)}
    label = called(others, LABELS) or _like_labels(others)
    keys = {None: None} | {name: _key(table, number) for number, name in enumerate(table.names)}
    found = keys[text]
    assert found is not None
    return Columns(found, keys[second], keys[label])


def _like_labels(columns: Mapping[str, list[str]]) -> str | None:
    """The column with the fewest values, each of which stands there several times."""
    kinds = {name: len(set(column)) for name, column in columns.items()}
    few = {
        name: kinds[name] for name in kinds if 2 <= kinds[name] <= min(MOST_LABELS, len(columns[name]) // 2)
    }
    return min(few, key=few.__getitem__, default=None)


def _pair(values: Mapping[str, list[str]], named: bool) -> tuple[str, str] | None:
    """The columns of both texts of pairs, if the examples are such."""
    for names in PAIRS:
        first, second = (called(values, (name,)) for name in names)
        if first is not None and second is not None:
            return first, second
    if named:
        return None
    sentences = [name for name, cells in values.items() if _words(cells) >= SENTENCE]
    return (sentences[0], sentences[1]) if len(sentences) == 2 else None


def _words(cells: Sequence[str]) -> float:
    """Words of a cell, on average."""
    return fmean(len(cell.split()) for cell in cells)


def _is_data(cells: Sequence[str]) -> bool:
    """Whether a column holds no texts, but what programs write: JSON, or times."""
    are_json = all(cell[:1] in ("{", "[") and cell[-1:] in ("}", "]") for cell in cells)
    return are_json or (_words(cells) <= OF_DATE and all(map(CLOCK.search, cells)))


def lacks_header(columns: Columns, table: Table) -> bool:
    """Whether the line taken for a header is an example.

    So it is where no name is a usual one, and the only one is a sentence; or beside a text stands a label that others
    have too, or a number above numbers.
    """
    if not table.header or called(table.names, KNOWN) is not None:
        return False
    words = len(str(columns.text).split())
    if len(table.names) == 1:
        return words >= SENTENCE
    others = [] if columns.label is None else table.column(columns.label, "label")
    if str(columns.label) in {str(value).strip() for value in others}:
        return words >= WORDS
    return words >= WORDS and any(
        _is_number(name) and all(map(_is_number, column)) for name, column in table.columns.items()
    )


def _is_number(value: object) -> bool:
    return NUMBER.fullmatch(str(value).strip()) is not None


def called(columns: Iterable[str], names: Iterable[str]) -> str | None:
    """The first column with one of these names."""
    by_name = {column.strip().lower(): column for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)


def _key(table: Table, number: int) -> Any:
    """What a recipe calls a column: its name, or its number where the file names none."""
    return number if table.header is False else table.names[number]
