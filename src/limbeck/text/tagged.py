"""Tagged: rows of a table to tagged sentences: lists of words and tags, or texts with spans counted in characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.offsets import SpanError, tokens_of, words_and_tags
from limbeck.text.sentences import SURROGATES, Sentence, clean_word
from limbeck.text.tables import Table

WORDS = ("tokens", "words")
TAGS = ("tags", "ner_tags")
SPANS = ("spans", "entities", "labels", "label")
"""Columns looked for, in this order, where the source names none."""

Row = tuple[tuple[str, ...], tuple[str, ...] | None]
"""Words, and tags where there are any."""


def sentences_of(table: Table, source: Source, ids: Sequence[str] | None = None) -> list[Sentence]:
    """The sentences of a table, in its order.

    Args:
        table: Its rows.
        source: Which columns hold words and tags, or spans; or what they are looked for among.
        ids: Ids of the rows, where the table gives them.

    Raises:
        LimbeckError: A column is missing, or a row does not fit (with its line).
    """
    rows = _rows(table, source)
    given: Sequence[str | None] = ids or [None] * len(table)
    return [
        Sentence(line, words, tags, id=one)
        for line, (words, tags), one in zip(table.lines, rows, given, strict=True)
    ]


def has_tags(table: Table, source: Source) -> bool:
    """Whether a table has a column of tags or of spans, among those that are looked for or as the source names them."""
    named = source.tags != "auto" or source.spans is not None
    return named or _found(table, TAGS) is not None or _column_of_lists(table) is not None


def _rows(table: Table, source: Source) -> Iterator[Row]:
    """Words and tags of each row, from the columns that are there."""
    spans = source.spans
    words = _found(table, WORDS) if source.words == "auto" else source.words
    tags = _found(table, TAGS) if source.tags == "auto" else source.tags
    if spans is None and tags is None and source.tags == "auto":
        spans = _column_of_lists(table)
    if spans is not None:
        return _by_spans(table, source.text, spans)
    if words is not None:
        return _by_words(table, words, tags)
    if not _has(table, source.text):
        fix = "Name the columns in 'words' and 'tags'; if the file holds one word a line, set 'format: conll'"
        raise LimbeckError("there is no column of words", where=table.where, fix=fix)
    return _by_words(table, source.text, tags)


def _found(table: Table, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table.names), None)


def _has(table: Table, key: str | int) -> bool:
    return key in table.names if isinstance(key, str) else 0 <= key < len(table.names)


def _column_of_lists(table: Table) -> str | None:
    """The first column with a name for spans that holds lists."""

    def holds_lists(name: str) -> bool:
        value = next((value for value in table.column(name, "spans") if value is not None), None)
        return isinstance(value, list)

    return next((name for name in SPANS if name in table.names and holds_lists(name)), None)


# Words and tags.


def _by_words(table: Table, words: str | int, tags: str | int | None) -> Iterator[Row]:
    all_tags = [None] * len(table) if tags is None else table.column(tags, "tags")
    for row, (some_words, some_tags) in enumerate(zip(table.column(words, "words"), all_tags, strict=True)):
        ours = _strings(some_words if some_words is not None else [], "words", table, row)
        theirs = None if some_tags is None else _strings(some_tags, "tags", table, row)
        if theirs is not None and len(theirs) != len(ours):
            what = f"{len(ours)} words and {len(theirs)} tags; every word has one"
            raise LimbeckError(what, where=table.where, line=table.lines[row])
        yield ours, theirs


def _strings(value: Any, role: str, table: Table, row: int) -> tuple[str, ...]:
    """A list of strings, or one string that is cut at spaces; annotation tools make words objects with a text."""
    if isinstance(value, str):
        return tuple(map(clean_word, value.split()))
    if isinstance(value, list):
        inner = [one.get("text") if isinstance(one, dict) else one for one in value]
        strings = [one for one in inner if isinstance(one, str)]
        if len(strings) == len(inner):
            return tuple(map(clean_word, strings))
        # Numbers may stand for words (2024); numbers of tags say nothing without their names.
        if role == "words" and all(isinstance(one, str | int | float) for one in inner):
            return tuple(clean_word(str(one)) for one in inner)
    what = f"'{role}' is not a list of strings"
    fix = "Numbers of tags need their names: write the names" if role == "tags" else None
    raise LimbeckError(what, where=table.where, line=table.lines[row], fix=fix)


# Texts with spans.


def _by_spans(table: Table, text: str | int, spans: str | int) -> Iterator[Row]:
    """Words are cut at spaces and punctuation; no list of spans means no gold, an empty one no span."""
    for row, (value, some) in enumerate(
        zip(table.column(text, "text"), table.column(spans, "spans"), strict=True)
    ):
        try:
            yield _one(value, some)
        except SpanError as error:
            raise LimbeckError(str(error), where=table.where, line=table.lines[row]) from None


def _one(value: Any, spans: Any) -> Row:
    if not isinstance(value, str):
        raise SpanError("the text is missing or no string")
    # One character for one, so that offsets stay.
    text = SURROGATES.sub("\ufffd", value)
    if spans is None:
        return tuple(text[start:end] for start, end in tokens_of(text)), None
    if not isinstance(spans, list):
        raise SpanError("the spans are no list")
    return words_and_tags(text, spans)
