"""Delimited: CSV and TSV files to rows of cells, each with the line on which it starts.

CSV is read as RFC 4180 has it. TSV is read without quoting, as GLUE and its kin are written, where a lone
quotation mark is text; unless the whole file proves that a CSV writer quoted its fields.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limbeck.core import progress
from limbeck.core.errors import LimbeckError

Rows = list[list[str]]
Wanted = Sequence[str | int]
DELIMITERS = ",;\t|"
"""Of a CSV, the most usual first."""
SEPARATOR = re.compile("sep=(.)(?=\n)")
"""The first line by which Excel is told the delimiter."""
SAMPLE = 50
"""Lines that are looked at to tell a file's delimiter."""


@contextmanager
def _long_fields() -> Iterator[None]:
    """Fields as long as they come, where the csv module allows 131,072 characters unless told."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


@_long_fields()
def rows_of_csv(path: Path, text: str, header: bool, wanted: Wanted) -> tuple[Rows, list[int]]:
    """Rows of a CSV but for empty ones, and the line on which each starts.

    Quotes inside a quoted field are doubled, or written with a backslash. Where neither reading works, text
    after a closing quote (``"Great" film,1``) is let pass, in files without line breaks in fields.

    Args:
        path: The file, for errors.
        text: What it holds.
        header: Whether the first line names the columns.
        wanted: Columns that will be asked for; they help to tell the delimiter.

    Raises:
        LimbeckError: A quote is never closed, or closed too early.
    """
    text = _tame_returns(text)
    told = SEPARATOR.match(text)
    delimiter = told[1] if told else _delimiter(text, header, wanted)
    if told:  # the line stays, empty, so that others keep their numbers
        text = text[told.end() :]
    try:
        plain = _parse(text, delimiter)
        bad = None
    except _QuoteError as error:
        plain, bad = ([], []), error
    if (
        f'{delimiter} "' in text
        and any(cell.startswith(' "') for row in plain[0] for cell in row)
        and (spaced := _parse_or_none(text, delimiter, skipinitialspace=True))
    ):
        return spaced  # the space before an opening mark is none of the field's
    if bad is None and (_is_even(plain[0]) or '\\"' not in text):
        return plain
    if '\\"' in text and (escaped := _parse_or_none(text, delimiter, doublequote=False, escapechar="\\")):
        return escaped
    if bad is None:
        return plain
    apart = [next(csv.reader([line], delimiter=delimiter), []) for line in text.split("\n")]
    if not bad.is_open and _is_even(apart):
        progress.warn(
            f"{path.name}:{bad.line}: text goes on after a closing quotation mark; the mark was dropped"
        )
        return _filled(apart, range(1, len(apart) + 1))
    fix = 'Quote the whole field and double the quotes inside it: "say ""cheese"", please"'
    raise LimbeckError(str(bad), where=path, line=bad.line, fix=fix)


@_long_fields()
def rows_of_tsv(text: str) -> tuple[Rows, list[int]]:
    """Rows of a TSV but for empty ones, and the line on which each starts.

    Lines are cut at tabs alone, unless the file can only be meant as quoted.
    """
    cut = [line.split("\t") for line in lines_of(text)]
    rows, lines = _filled(cut, range(1, len(cut) + 1))
    if '"' not in text:
        return rows, lines
    if _is_even(rows):
        return (_unquoted(rows), lines) if _writer_quoted(rows) else (rows, lines)
    # Cutting fails, so quoted fields may hold tabs or line breaks; believe it where that reading is even.
    return _parse_or_none(_tame_returns(text), "\t") or (rows, lines)


def lines_of(text: str) -> list[str]:
    """Lines as an editor counts them: other separators that ``splitlines`` knows stay inside."""
    return text.replace("\r\n", "\n").split("\n")


def _tame_returns(text: str) -> str:
    """Line feeds alone end lines; the csv module, unlike an editor, would end one at a carriage return."""
    return text.replace("\r\n", "\n").replace("\r", " ") if "\r" in text else text


def _delimiter(text: str, header: bool, wanted: Wanted) -> str:
    """The delimiter under which the first lines have what is wanted and are even; the most usual of those."""
    sample = [line for line in itertools.islice(io.StringIO(text), SAMPLE) if line.strip()]

    def fits(delimiter: str) -> tuple[bool, bool, bool]:
        rows = list(csv.reader(sample, delimiter=delimiter))
        first = [cell.strip() for cell in rows[0]] if rows else []
        has = all(key < len(first) if isinstance(key, int) else header and key in first for key in wanted)
        # The last row may be cut off inside a quoted field.
        return has, len(first) > 1, _is_even(rows[:-1] or rows)

    return max(DELIMITERS, key=fits)


class _QuoteError(Exception):
    """A quoted field that does not end as it should; ``is_open`` where it does not end at all."""

    def __init__(self, what: str, line: int, *, is_open: bool) -> None:
        super().__init__(what)
        self.line, self.is_open = line, is_open


def _parse(text: str, delimiter: str, **dialect: Any) -> tuple[Rows, list[int]]:
    """Rows with quoted fields, but for empty ones, and the line on which each starts."""
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True, **dialect)
    rows, lines, end = [], [], 0
    try:
        for row in reader:
            rows.append(row)
            lines.append(end + 1)
            end = reader.line_num
    except csv.Error as error:
        if "unexpected end" in str(error):
            what = "a quotation mark opens a field here that is never closed"
            raise _QuoteError(what, end + 1, is_open=True) from None
        what = "text goes on after a closing quotation mark"
        raise _QuoteError(what, reader.line_num, is_open=False) from None
    return _filled(rows, lines)


def _parse_or_none(text: str, delimiter: str, **dialect: Any) -> tuple[Rows, list[int]] | None:
    """The same, where it works and gives rows of one width."""
    try:
        rows, lines = _parse(text, delimiter, **dialect)
    except _QuoteError:
        return None
    return (rows, lines) if _is_even(rows) else None


def _filled(rows: Rows, lines: Sequence[int]) -> tuple[Rows, list[int]]:
    """Rows but for empty lines and lines of separators alone, which spreadsheets leave at the end."""
    kept = [(row, line) for row, line in zip(rows, lines, strict=True) if any(map(str.strip, row))]
    return [row for row, _ in kept], [line for _, line in kept]


def _is_even(rows: Iterable[Sequence[str]]) -> bool:
    return len({len(row) for row in rows if any(map(str.strip, row))}) == 1


QUOTED = re.compile('"(?:[^"]|"")*"')


def _writer_quoted(rows: Rows) -> bool:
    """Whether cells look as a CSV writer leaves them: quotation marks in quoted cells only, doubled there."""
    marked = [cell for row in rows for cell in row if '"' in cell]
    all_quoted = all(map(QUOTED.fullmatch, rows[0]))
    doubled = any('""' in cell[1:-1] for cell in marked)
    return all(map(QUOTED.fullmatch, marked)) and (all_quoted or doubled)


def _unquoted(rows: Rows) -> Rows:
    return [[cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in row] for row in rows]
