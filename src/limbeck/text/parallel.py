"""Parallel text: texts and their translations, from text files aligned line by line, or from columns of a table.

Ids are ``NAME:LINE``; where the source names its ``language``, ``NAME:LINE/LANGUAGE``, so that sources with the same
texts and translations into several languages stay apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.text import resources
from limbeck.text.cells import ids_of, text_of
from limbeck.text.delimited import lines_of
from limbeck.text.tables import Table, read_text


def translated(
    place: str, text: str, targets: Sequence[str], source: Source, name: str, id: str | None = None
) -> Example:
    """A text with its translations, of which empty ones are none.

    Args:
        place: Where it stands in its source: a line, counted from one.
        text: What is translated.
        targets: Its translations, the one to learn first.
        source: Says the language that ids end in.
        name: Stands for the source in ids.
        id: Its id, where the source gives one.
    """
    origin = f"{name}:{place}"
    language = f"/{source.language}" if source.language else ""
    return Example((id or origin) + language, text, origin=origin, targets=tuple(filter(None, targets)))


def language_of(id: str, languages: Collection[str]) -> str | None:
    """The language that an id ends in, of those that sources name; None where it ends in none."""
    language = id.rpartition("/")[2]
    return language if language in languages else None


# Text files.


def read_lines(path: Path, source: Source, name: str) -> list[Example]:
    """The lines of a text file with those of the files of its translations; lines that all leave empty are no text.

    Args:
        path: The texts, one a line.
        source: Files of translations, and how all are encoded.
        name: Stands for the file in ids.

    Raises:
        LimbeckError: A file is missing, empty or not in its encoding, or the files are not aligned: one has more
            lines than another, or a translation where the text is empty (with the first such line).
    """
    others = [Path(resources.resolve(ref)) for ref in source.target_file]
    columns = [_lines(one, source) for one in (path, *others)]
    for other, lines in zip(others, columns[1:], strict=True):
        _check_lengths(path, columns[0], other, lines)
    rows = list(zip(*(column[: _filled(columns[0])] for column in columns), strict=True))
    for number, (text, *targets) in enumerate(rows, 1):
        if not text and any(targets):
            _, other = next(pair for pair in zip(targets, others, strict=True) if pair[0])
            raise _apart(f"the line is empty, and has a translation in {other}", path, number)
    examples = [
        translated(str(number), text, targets, source, name)
        for number, (text, *targets) in enumerate(rows, 1)
        if text
    ]
    if not examples:
        raise LimbeckError("the file is empty", where=path)
    return examples


def _lines(path: Path, source: Source) -> list[str]:
    """All lines, without the space around them and without what the last line end is followed by: nothing."""
    lines = [line.strip() for line in lines_of(read_text(path, source.encoding, source.undecodable))]
    return lines[:-1] if not lines[-1] else lines


def _filled(lines: Sequence[str]) -> int:
    """How many lines there are but for empty ones at the end."""
    return next((end for end in range(len(lines), 0, -1) if lines[end - 1]), 0)


def _check_lengths(path: Path, texts: list[str], other: Path, targets: list[str]) -> None:
    """Refuse files of unlike length; empty lines at the end of one do not count."""
    longer, lines = (path, texts) if _filled(texts) > len(targets) else (other, targets)
    shorter, partners = (other, targets) if longer is path else (path, texts)
    if _filled(lines) > len(partners):
        what = f"no line of {shorter} belongs to this one: {len(lines):,} lines here, and {len(partners):,} there"
        raise _apart(what, longer, len(partners) + 1)


def _apart(what: str, where: Path, line: int) -> LimbeckError:
    fix = "A text and its translation stand on lines of the same number; look for the line that is missing"
    return LimbeckError(what, where=where, line=line, fix=fix)


# Tables.


def pairs_of(table: Table, source: Source, name: str) -> list[Example]:
    """The texts of a table's rows with their translations.

    A column ``translation`` of objects by language counts as columns of these names.

    Args:
        table: The rows.
        source: Which columns hold what.
        name: Stands for the table in ids.

    Raises:
        LimbeckError: A column is missing, a cell holds no text, or an id comes twice.
    """
    texts = _texts(table, source.text, "text")
    columns = [_texts(table, key, "target") for key in source.target]
    ids = [None] * len(table) if source.id is None else ids_of(table, source.id)
    return [
        translated(str(line), text, targets, source, name, id)
        for line, id, text, *targets in zip(table.lines, ids, texts, *columns, strict=True)
    ]


def _texts(table: Table, key: str | int, role: str) -> list[str]:
    inner = f"translation.{key}"
    values = table.column(inner if key not in table.names and inner in table.names else key, role)
    return [text_of(value, table, row) for row, value in enumerate(values)]
