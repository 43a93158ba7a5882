"""Tables: what a file of rows holds, by column, with the line on which each row starts."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import textwrap
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import parse_json
from limbeck.text.delimited import Wanted, lines_of, rows_of_csv, rows_of_tsv

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
GZIP = ".gz"
LISTS = ("data", "rows", "examples", "items", "records")
"""Keys under which an object has a list of rows."""
WITHOUT = {"label": ", or to null for unlabelled text", "target": ", or to null for untranslated text"}
"""What else an error offers where a column is missing that text can do without."""
SIGNS = 1000
"""Characters of a file by which a wrong encoding shows."""
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
        header: Whether a header line gave the names; None where the format does without.
        classes: Label names of a column that holds their numbers, or lists of them.
    """

    where: str
    names: tuple[str, ...]
    columns: Mapping[str, Any]
    lines: Sequence[int]
    header: bool | None = None
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
            return [_class_name(value, names) for value in plain]
        return plain

    def _name(self, key: str | int, role: str) -> str:
        if isinstance(key, int):
            if 0 <= key < len(self.names):
                return self.names[key]
            what = f"there is no column number {key} ('{role}'): the columns are 0 to {len(self.names) - 1}"
            raise LimbeckError(what, where=self.where)
        if self.header is False:
            fix = f"Give '{role}' as a column number, from 0 to {len(self.names) - 1}"
            raise LimbeckError(
                f"'{role}' names a column '{key}' of a file without a header", where=self.where, fix=fix
            )
        if self.names.count(key) == 1:
            return key
        if key in self.names:
            fix = "Rename one of them"
            fix += ", or, if the first line is no header, set 'header: false'" if self.header else ""
            raise LimbeckError(f"two columns are called '{key}'", where=self.where, fix=fix)
        shown = ", ".join(f"'{textwrap.shorten(name, 40)}'" for name in self.names[:SHOWN])
        more = f" and {len(self.names) - SHOWN} more" if len(self.names) > SHOWN else ""
        fix = f"Set '{role}' to one of them" + WITHOUT.get(role, "")
        fix += "; if the first line is no header, set 'header: false' and give numbers" if self.header else ""
        raise LimbeckError(f"there is no column '{key}'; there are: {shown}{more}", where=self.where, fix=fix)


SPREADSHEETS = frozenset({".xlsx", ".xls", ".ods"})


def ending_of(path: Path) -> str:
    """A file's ending in small letters; of a compressed one (``.gz``) that before it."""
    return (path.with_suffix("") if path.suffix.lower() == GZIP else path).suffix.lower()


def format_of(path: Path) -> TableFormat:
    """The format that a file's ending says.

    Raises:
        LimbeckError: It says none.
    """
    if (found := ENDINGS.get(ending_of(path))) is None:
        known = ", ".join(sorted(set(ENDINGS.values())))
        ending = f"the ending '{path.suffix}' does not say" if path.suffix else "no ending says"
        fix = f"Give 'format' in a recipe: {known}, or another of docs/data.md"
        if path.suffix.lower() in SPREADSHEETS:
            fix = "Save the sheet as CSV"
        raise LimbeckError(f"{ending} how the file is written", where=path, fix=fix)
    return found


def read_table(
    path: Path,
    form: TableFormat | Literal["auto"] = "auto",
    *,
    header: bool = True,
    encoding: str = "utf-8",
    undecodable: Literal["error", "replace"] = "error",
    wanted: Wanted = (),
) -> Table:
    """Read a file of rows.

    Args:
        path: The file.
        form: How it is written; ``auto`` goes by its ending.
        header: Whether the first line of a csv or tsv names the columns.
        encoding: Of text files.
        undecodable: Whether bytes that are not in this encoding are an error, or become U+FFFD.
        wanted: Columns that will be asked for; they tell a CSV with semicolons from one with commas.

    Raises:
        LimbeckError: The file is missing, empty or not in this encoding, or a line does not parse.
    """
    _check_file(path)
    form = format_of(path) if form == "auto" else form
    if form == "parquet":
        return _parquet(path)
    text = read_text(path, encoding, undecodable)
    if form == "txt":
        table = _plain_lines(path, text)
    elif form == "jsonl":
        table = _json(path, text)
    else:
        table = _delimited(path, text, form, header, wanted)
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


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise LimbeckError("no such file" if not path.exists() else "a folder, not a file", where=path)


def read_text(path: Path, name: str, undecodable: Literal["error", "replace"]) -> str:
    """The file's text, without a byte order mark, lines ended by a line feed alone or as they are inside.

    Args:
        path: The file.
        name: Its encoding; a byte order mark is believed before it.
        undecodable: Whether bytes that are not in this encoding are an error, or become U+FFFD.

    Raises:
        LimbeckError: The file is missing, damaged, or not in this encoding (with the line).
    """
    _check_file(path)
    data = _bytes(path).removeprefix(codecs.BOM_UTF8)
    name = marked(data, name)
    try:
        text = data.decode(name, "strict" if undecodable == "error" else "replace")
    except LookupError:
        raise LimbeckError(f"there is no encoding '{name}'", where=path, fix="Try utf-8 or cp1252") from None
    except UnicodeDecodeError as error:
        shown = "UTF-8" if codecs.lookup(name).name == "utf-8" else name
        raise LimbeckError(
            f"not {shown} (byte 0x{data[error.start]:02x})",
            where=path,
            line=data.count(b"\n", 0, error.start) + 1,
            fix="Give the file's 'encoding' (cp1252 is common), or 'undecodable: replace' to have 'clean' "
            "drop the texts that hold such bytes",
        ) from None
    if codecs.lookup(name).name == "iso8859-1" and re.search("[\x80-\x9f]", text):
        progress.warn(f"{path.name} holds bytes that Latin-1 gives no character; is its encoding cp1252?")
    if 4 * text[:SIGNS].count("\0") > len(text[:SIGNS]):
        what = "every other character is a NUL, as where UTF-16 is read as something else"
        raise LimbeckError(what, where=path, fix="Give the file's 'encoding': utf-16-le or utf-16-be")
    text = text.removeprefix("\ufeff")
    # Old Macintosh line ends, in files that have no others.
    return text.replace("\r", "\n") if "\r" in text and "\n" not in text else text


def marked(data: bytes, name: str) -> str:
    """The encoding that a byte order mark at the start says, or else the one that is named."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else name


def _bytes(path: Path) -> bytes:
    """What the file holds, unpacked."""
    data = path.read_bytes()
    if path.suffix.lower() != GZIP:
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise LimbeckError(f"damaged, or not compressed by gzip ({error})", where=path) from None


def _plain_lines(path: Path, text: str) -> Table:
    numbered = [(line, number) for number, line in enumerate(lines_of(text), 1) if line.strip()]
    columns = {"text": [line for line, _ in numbered]}
    return Table(str(path), ("text",), columns, [number for _, number in numbered])


# JSON Lines.


def _json(path: Path, text: str) -> Table:
    """Objects, one a line, or all in one list; keys inside keys are columns named ``OUTER.INNER``."""
    if text.lstrip().startswith("["):
        rows, lines = _json_list(path, parse_json(text, path)), None
    elif (whole := _rows_of_object(path, text)) is not None:
        rows, lines = _json_list(path, whole), None
    else:
        numbered = [
            (number, line) for number, line in enumerate(lines_of(text), 1) if line and not line.isspace()
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
    value = parse_json(line, path, number, fix="JSON Lines has one whole object a line")
    if not isinstance(value, dict):
        raise LimbeckError(
            "not a JSON object", where=path, line=number, fix='Write {"text": ..., "label": ...}'
        )
    return value


def _rows_of_object(path: Path, text: str) -> list[Any] | None:
    """Of a file that is one object: the list of rows in it, or else it alone; None where objects stand one a line.

    Raises:
        LimbeckError: It is an object of columns, as pandas writes tables.
    """
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(whole, dict):
        return None
    lists: list[list[Any]] = [whole[key] for key in LISTS if isinstance(whole.get(key), list)]
    if len(lists) == 1 and all(isinstance(one, dict) for one in lists[0]):
        return lists[0]
    if len(whole) > 1 and all(isinstance(one, dict) and all(map(str.isdigit, one)) for one in whole.values()):
        fix = "Write one object a line; pandas does with to_json(orient='records', lines=True)"
        raise LimbeckError("one object of columns, not of rows", where=path, fix=fix)
    return [whole]


def _json_list(path: Path, rows: list[Any]) -> list[dict[str, Any]]:
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


def _delimited(path: Path, text: str, form: Literal["csv", "tsv"], header: bool, wanted: Wanted) -> Table:
    rows, lines = rows_of_tsv(text) if form == "tsv" else rows_of_csv(path, text, header, wanted)
    if not rows:
        return Table(str(path), (), {}, ())
    width = len(rows[0])
    ragged = next((number for number, row in enumerate(rows) if len(row) != width), None)
    if ragged is not None:
        other = "the header has" if header else f"line {lines[0]} has"
        fix = "Quote fields that hold the separator, or a line break, and close every quote"
        what = f"{len(rows[ragged])} columns where {other} {width}"
        raise LimbeckError(what, where=path, line=lines[ragged], fix=fix)
    names = tuple(name.strip() for name in rows[0]) if header else tuple(map(str, range(width)))
    body = rows[1:] if header else rows
    columns = {name: [row[place] for row in body] for place, name in enumerate(names)}
    return Table(str(path), names, columns, lines[1:] if header else lines, header=header)


# Parquet.


def _parquet(path: Path) -> Table:
    """Rows of a Parquet file; class numbers of a file that the hub wrote become names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        if (twice := next((name for name in names if names.count(name) > 1), None)) is not None:
            raise LimbeckError(f"two columns are called '{twice}'", where=path, fix="Rename one of them")
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise LimbeckError(
            f"not a Parquet file ({str(error).splitlines()[0].rstrip('.')})", where=path
        ) from None
    if not table.num_rows:
        raise LimbeckError("the file holds no rows", where=path)
    return from_arrow(str(path), table, classes_of(table.schema))


def classes_of(schema: Any) -> dict[str, Sequence[str]]:
    """Names of the classes whose numbers columns hold, as ``datasets`` notes them in an Arrow schema.

    Columns of lists of such numbers, a tagger's tags, are among them.
    """
    noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = noted.get("info", {}).get("features", {})
    inner = {name: _element(feature) for name, feature in _features(features)}
    return {name: feature["names"] for name, feature in inner.items() if feature.get("_type") == "ClassLabel"}


def _features(features: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Features by the names of their columns; those of structs as ``OUTER.INNER``."""
    for name, feature in features.items():
        yield prefix + name, feature
        if isinstance(feature, dict) and "_type" not in feature:
            yield from _features(feature, f"{prefix}{name}.")


def _element(feature: Any) -> dict[str, Any]:
    """A feature, or what the lists of a feature hold."""
    if isinstance(feature, list):
        feature = feature[0] if feature else {}
    if isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        feature = feature["feature"]
    return feature if isinstance(feature, dict) else {}


def _class_name(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_class_name(one, names) for one in value]
    if isinstance(value, float) and value.is_integer():  # as a column of numbers with gaps has them
        value = int(value)
    if not isinstance(value, int):
        return value  # the name itself, in a column that somebody mapped
    return names[value] if 0 <= value < len(names) else None
