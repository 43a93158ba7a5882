"""Tables: what a file of rows holds, by column, with the line on which each row starts.

CSV is read as RFC 4180 has it. TSV is read without quoting, as GLUE and its kin are written, where a lone quotation
mark is text; unless the whole file proves that its fields were quoted by a CSV writer.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from limbeck.core import progress
from limbeck.core.errors import LimbeckError

TableFormat = Literal["csv", "tsv", "jsonl", "parquet", "txt"]
ENDINGS: dict[str, TableFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "txt",
}
DELIMITERS = {"csv": ",;\t|", "tsv": "\t"}
"""Tried in this order, until the header has the columns that are asked for."""
REPLACE = ":replace"
"""After an encoding's name: undecodable bytes become U+FFFD, where they would be an error."""
SAMPLE = 50
"""Lines that are looked at to tell a file's delimiter."""
SHOWN = 12
"""Column names that an error lists."""


@dataclass(frozen=True)
class Table:
    """Rows of a file, by column.

    Attributes:
        where: The file.
        names: Column names; ``"0"``, ``"1"`` ... where the file names none.
        columns: Values of each column, one a row: lists, or Arrow columns.
        lines: For each row the line it starts on, counted from one; or its number, where a file has no lines.
        header: Whether the names come from the file.
        classes: Label names of a column that holds their numbers.
    """

    where: str
    names: tuple[str, ...]
    columns: Mapping[str, Any]
    lines: Sequence[int]
    header: bool = True
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.lines)

    def column(self, key: str | int, role: str) -> list[Any]:
        """The values of a column, class numbers turned into names.

        Args:
            key: Its name, or its number from 0.
            role: What the recipe calls it, for the error.

        Raises:
            LimbeckError: There is no such column, or there are two.
        """
        name = self._name(key, role)
        values = self.columns[name]
        plain: list[Any] = values if isinstance(values, list) else values.to_pylist()
        if (names := self.classes.get(name)) is not None:
            return [
                names[value] if value is not None and 0 <= value < len(names) else None for value in plain
            ]
        return plain

    def _name(self, key: str | int, role: str) -> str:
        if isinstance(key, int):
            if 0 <= key < len(self.names):
                return self.names[key]
            what = f"there is no column number {key} ('{role}'): the columns are 0 to {len(self.names) - 1}"
            raise LimbeckError(what, where=self.where)
        if not self.header:
            fix = f"Give '{role}' as a column number, from 0 to {len(self.names) - 1}"
            raise LimbeckError(
                f"'{role}' names a column '{key}' of a file without a header", where=self.where, fix=fix
            )
        if self.names.count(key) == 1:
            return key
        if key in self.names:
            raise LimbeckError(f"two columns are called '{key}'", where=self.where, fix="Rename one of them")
        shown = ", ".join(f"'{textwrap.shorten(name, 40)}'" for name in self.names[:SHOWN])
        more = f" and {len(self.names) - SHOWN} more" if len(self.names) > SHOWN else ""
        fix = f"Set '{role}' to one of them" + (", or to null for unlabelled text" if role == "label" else "")
        raise LimbeckError(f"there is no column '{key}'; there are: {shown}{more}", where=self.where, fix=fix)


def format_of(path: Path) -> TableFormat:
    """The format that a file's ending says.

    Raises:
        LimbeckError: It says none.
    """
    if (found := ENDINGS.get(path.suffix.lower())) is None:
        known = ", ".join(sorted(set(ENDINGS.values())))
        what = (
            f"the ending '{path.suffix}' does not say how the file is written"
            if path.suffix
            else "no file ending"
        )
        raise LimbeckError(what, where=path, fix=f"Give 'format': {known}")
    return found


def read_table(
    path: Path,
    form: TableFormat | Literal["auto"] = "auto",
    *,
    header: bool = True,
    encoding: str = "utf-8",
    wanted: Sequence[str | int] = (),
) -> Table:
    """Read a file of rows.

    Args:
        path: The file.
        form: How it is written; ``auto`` goes by its ending.
        header: Whether the first line of a csv or tsv names the columns.
        encoding: Of text files; with ``:replace`` after it, undecodable bytes become U+FFFD.
        wanted: Columns that will be asked for; they tell a CSV with semicolons from one with commas.

    Raises:
        LimbeckError: The file is missing, empty, not in this encoding, or a line does not parse (with its number).
    """
    if not path.is_file():
        raise LimbeckError("no such file" if not path.exists() else "a folder, not a file", where=path)
    form = format_of(path) if form == "auto" else form
    if form == "parquet":
        return _parquet(path)
    text = _decode(path, encoding)
    if form == "txt":
        table = _plain_lines(path, text)
    elif form == "jsonl":
        table = _json(path, text)
    else:
        table = _delimited(path, text, DELIMITERS[form], header, wanted)
    if not len(table):
        raise LimbeckError("the file holds no rows" if text.strip() else "the file is empty", where=path)
    return table


def from_arrow(where: str, table: Any, classes: Mapping[str, Sequence[str]] | None = None) -> Table:
    """An Arrow table as a Table; fields of structs are columns too, named ``OUTER.INNER``."""
    columns = dict(zip(table.column_names, table.columns, strict=True))
    flat = table
    while any(str(column.type).startswith("struct") for column in flat.columns):
        flat = flat.flatten()
        columns.update(zip(flat.column_names, flat.columns, strict=True))
    return Table(where, tuple(columns), columns, range(table.num_rows), classes=classes or {})


# Text.


def _decode(path: Path, encoding: str) -> str:
    """The file's text, without a byte order mark, lines ended by a line feed alone or as they are inside."""
    data = path.read_bytes()
    name, errors = (
        (encoding.removesuffix(REPLACE), "replace") if encoding.endswith(REPLACE) else (encoding, "strict")
    )
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not data.startswith(
        codecs.BOM_UTF32_LE
    ):
        name = "utf-16"
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode(name, errors)
    except LookupError:
        raise LimbeckError(f"there is no encoding '{name}'", where=path, fix="Try utf-8 or cp1252") from None
    except UnicodeDecodeError as error:
        line = data.removeprefix(codecs.BOM_UTF8).count(b"\n", 0, error.start) + 1
        fix = (
            f"Give the file's 'encoding' (cp1252 is common), or '{name}{REPLACE}' to mark damaged characters, "
            "which 'clean' then drops"
        )
        shown = "UTF-8" if codecs.lookup(name).name == "utf-8" else name
        raise LimbeckError(
            f"not {shown} (byte 0x{data[error.start]:02x})", where=path, line=line, fix=fix
        ) from None
    if codecs.lookup(name).name == "iso8859-1" and re.search("[\x80-\x9f]", text):
        progress.warn(f"{path.name} holds bytes that Latin-1 gives no character; is its encoding cp1252?")
    text = text.removeprefix("\ufeff")
    # Old Macintosh line ends, in files that have no others.
    return text.replace("\r", "\n") if "\r" in text and "\n" not in text else text


def _plain_lines(path: Path, text: str) -> Table:
    numbered = [(line, number) for number, line in enumerate(_lines(text), 1) if line.strip()]
    return Table(
        str(path), ("text",), {"text": [line for line, _ in numbered]}, [number for _, number in numbered]
    )


def _lines(text: str) -> list[str]:
    """Lines as an editor counts them: other separators that ``splitlines`` knows stay inside."""
    return text.replace("\r\n", "\n").split("\n")


# JSON Lines.


def _json(path: Path, text: str) -> Table:
    """Objects, one a line, or all in one list; keys inside keys are columns named ``OUTER.INNER``."""
    if text.lstrip().startswith("["):
        rows, lines = _json_list(path, text), None
    else:
        numbered = [
            (number, line) for number, line in enumerate(_lines(text), 1) if line and not line.isspace()
        ]
        rows, lines = (
            [_json_object(path, number, line) for number, line in numbered],
            [n for n, _ in numbered],
        )
    flat = [dict(_flat(row)) for row in rows]
    names = tuple(dict.fromkeys(name for row in flat for name in row))
    columns = {name: [row.get(name) for row in flat] for name in names}
    return Table(str(path), names, columns, lines or range(1, len(rows) + 1))


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        fix = "JSON Lines has one whole object a line"
        raise LimbeckError(f"not JSON ({error.msg})", where=path, line=number, fix=fix) from None
    if not isinstance(value, dict):
        raise LimbeckError(
            "not a JSON object", where=path, line=number, fix='Write {"text": ..., "label": ...}'
        )
    return value


def _json_list(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise LimbeckError(f"not JSON ({error.msg})", where=path, line=error.lineno) from None
    stranger = next((number for number, row in enumerate(rows, 1) if not isinstance(row, dict)), None)
    if stranger is not None:
        raise LimbeckError(f"item {stranger} of the list is not a JSON object", where=path)
    found: list[dict[str, Any]] = rows
    return found


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        yield prefix + key, value
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")


# CSV and TSV.

Rows = list[list[str]]


def _delimited(path: Path, text: str, delimiters: str, header: bool, wanted: Sequence[str | int]) -> Table:
    if delimiters == "\t":
        rows, lines = _plain_or_quoted(path, text)
    else:
        # A lone carriage return would end the row for the csv module, though not for an editor's line count.
        text = text.replace("\r\n", "\n").replace("\r", " ")
        rows, lines = _quoted(path, text, _delimiter(text, delimiters, header, wanted))
    filled = [number for number, row in enumerate(rows) if _filled(row)]
    if not filled:
        return Table(str(path), (), {}, ())
    width = len(rows[filled[0]])
    ragged = next((number for number in filled if len(rows[number]) != width), None)
    if ragged is not None:
        raise _ragged(path, lines[ragged], len(rows[ragged]), width, lines[filled[0]], header)
    names = tuple(name.strip() for name in rows[filled[0]]) if header else tuple(map(str, range(width)))
    body = filled[1:] if header else filled
    columns = {name: [rows[number][place] for number in body] for place, name in enumerate(names)}
    return Table(str(path), names, columns, [lines[number] for number in body], header=header)


def _filled(row: Sequence[str]) -> bool:
    """Whether a row is no empty line (nor a line of separators alone, as spreadsheets leave them)."""
    return any(cell and not cell.isspace() for cell in row)


def _even(rows: Iterable[Sequence[str]]) -> bool:
    return len({len(row) for row in rows if _filled(row)}) == 1


def _ragged(path: Path, line: int, found: int, width: int, first: int, header: bool) -> LimbeckError:
    other = "the header has" if header else f"line {first} has"
    fix = "Quote fields that hold the separator, or a line break, and close every quote"
    return LimbeckError(f"{found} columns where {other} {width}", where=path, line=line, fix=fix)


def _delimiter(text: str, delimiters: str, header: bool, wanted: Sequence[str | int]) -> str:
    """The delimiter under which the first lines have what is wanted and are even; the most usual of those."""
    sample = [line for line in itertools.islice(io.StringIO(text), SAMPLE) if line.strip()]

    def fits(delimiter: str) -> tuple[bool, bool, bool]:
        rows = list(csv.reader(sample, delimiter=delimiter))
        first = [cell.strip() for cell in rows[0]] if rows else []
        has = all(key < len(first) if isinstance(key, int) else header and key in first for key in wanted)
        # The last row may be cut off inside a quoted field.
        return has, len(first) > 1, _even(rows[:-1] or rows)

    return max(delimiters, key=fits)


def _quoted(path: Path, text: str, delimiter: str) -> tuple[Rows, list[int]]:
    """Rows of a file whose fields may be quoted, and the line on which each starts.

    Quotes inside a field are doubled, or written with a backslash. Where neither reading works, text after a
    closing quote (``"Great" film,1``) is let pass, in files without line breaks in fields.

    Raises:
        LimbeckError: A quote is never closed, or closed too early.
    """
    try:
        rows, lines = _parse(text, delimiter)
        failed = None
    except _BadQuote as error:
        rows, lines, failed = [], [], error
    if failed is None and (_even(rows) or '\\"' not in text):
        return rows, lines
    if '\\"' in text:
        try:
            escaped, starts = _parse(text, delimiter, doublequote=False, escapechar="\\")
        except _BadQuote:
            escaped = []
        if _even(escaped):
            return escaped, starts
    if failed is None:
        return rows, lines
    apart = [next(csv.reader([line], delimiter=delimiter), []) for line in text.split("\n")]
    if not failed.open and _even(apart):
        progress.warn(
            f"{path.name}:{failed.line}: text goes on after a closing quotation mark; the marks were dropped"
        )
        return apart, list(range(1, len(apart) + 1))
    fix = 'Quote the whole field and double the quotes inside it: "say ""cheese"", please"'
    raise LimbeckError(str(failed), where=path, line=failed.line, fix=fix)


class _BadQuote(Exception):
    """A quoted field that does not end as it should; ``open`` where it does not end at all."""

    def __init__(self, what: str, line: int, *, is_open: bool = False) -> None:
        super().__init__(what)
        self.line, self.open = line, is_open


def _parse(text: str, delimiter: str, **dialect: Any) -> tuple[Rows, list[int]]:
    limit = csv.field_size_limit(sys.maxsize)
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
            raise _BadQuote(what, end + 1, is_open=True) from None
        raise _BadQuote("text goes on after a closing quotation mark", reader.line_num) from None
    finally:
        csv.field_size_limit(limit)
    return rows, lines


def _plain_or_quoted(path: Path, text: str) -> tuple[Rows, list[int]]:
    """Rows of a TSV: cut at tabs alone, unless the file can only be meant as quoted."""
    rows = [line.split("\t") for line in _lines(text)]
    lines = list(range(1, len(rows) + 1))
    if '"' not in text:
        return rows, lines
    if _even(rows):
        return (_unquoted(rows), lines) if _writer_quoted(rows) else (rows, lines)
    # Plain cutting fails, so quoted fields may hold tabs or line breaks; believe it where that reading is even.
    try:
        quoted, starts = _parse(text.replace("\r\n", "\n").replace("\r", " "), "\t")
    except _BadQuote:
        return rows, lines
    return (quoted, starts) if _even(quoted) else (rows, lines)


QUOTED = re.compile('"(?:[^"]|"")*"')


def _writer_quoted(rows: Sequence[Sequence[str]]) -> bool:
    """Whether cells look as a CSV writer leaves them: a quotation mark only in quoted cells, there doubled."""
    marked = [cell for row in rows for cell in row if '"' in cell]
    all_quoted = all(map(QUOTED.fullmatch, rows[0]))
    return all(map(QUOTED.fullmatch, marked)) and (all_quoted or any('""' in cell[1:-1] for cell in marked))


def _unquoted(rows: Rows) -> Rows:
    return [[cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in row] for row in rows]


# Parquet.


def _parquet(path: Path) -> Table:
    """Rows of a Parquet file; class numbers of a file that the hub wrote become names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise LimbeckError(
            f"not a Parquet file ({str(error).splitlines()[0].rstrip('.')})", where=path
        ) from None
    if not table.num_rows:
        raise LimbeckError("the file holds no rows", where=path)
    return from_arrow(str(path), table, classes_of(table.schema))


def classes_of(schema: Any) -> dict[str, Sequence[str]]:
    """Names of the classes that columns hold the numbers of, as ``datasets`` notes them in an Arrow schema."""
    noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = noted.get("info", {}).get("features", {})
    return {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }
