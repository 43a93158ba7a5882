"""TREC: questions by the kind of their answer, ``LABEL:fine text`` on each line, 6 coarse classes and 50 fine ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.rows import Row, numbered
from limbeck.text.tables import ending_of, read_text

LINE = re.compile(r"(([A-Z]+):[a-z]+)\s+(\S.*)")
KINDS = "ABBR|DESC|ENTY|HUM|LOC|NUM"
"""The coarse classes of Li and Roth (2002)."""


def is_like(path: Path, head: str) -> bool:
    """Whether the file ends in .label and begins with a question under one of the classes."""
    return ending_of(path) == ".label" and re.match(f"({KINDS}):[a-z]+ ", head) is not None


def read(path: Path, source: Source) -> Iterator[Row]:
    """The questions of a file.

    Args:
        path: The file, in Latin-1 where the source does not say otherwise, as it was released.
        source: ``classes`` is 6, the labels before the colon, or 50, the whole of them.

    Raises:
        LimbeckError: Another number of classes is asked for, or a line has no label.
    """
    if source.classes not in (None, 6, 50):
        raise LimbeckError(f"TREC has 6 or 50 classes, not {source.classes}", where=source.path)
    if source.encoding == "utf-8":
        source = source.model_copy(update={"encoding": _encoding(path)})
    for number, line in numbered(path, source):
        if not (found := LINE.fullmatch(line.strip())):
            fix = "Write LABEL:fine and the question, e.g. 'NUM:dist How far is it ?'"
            raise LimbeckError("the line begins with no label", where=path, line=number, fix=fix)
        yield Row(number, found[3], found[1] if source.classes == 50 else found[2])


def _encoding(path: Path) -> str:
    """UTF-8 where the file is that, and Latin-1 where it is not."""
    try:
        read_text(path, "utf-8", "error")
    except LimbeckError:
        return "latin-1"
    return "utf-8"
