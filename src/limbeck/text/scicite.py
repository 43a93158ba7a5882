"""SciCite: sentences that cite, in JSON Lines, by what they cite for (Cohan et al. 2019)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.rows import Row
from limbeck.text.tables import read_table

TEXTS = ("string", "text")
"""Key of the sentence: as released, and in SciBERT's copy."""


def is_like(_: Path, head: str) -> bool:
    """Whether the first line is an object with ``string`` and ``label`` and without ``text``."""
    try:
        first = json.loads(head.partition("\n")[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"string", "label"} <= first.keys() and "text" not in first


def read(path: Path, source: Source) -> Iterator[Row]:
    """The sentences of a file.

    Raises:
        LimbeckError: A line is no JSON object, there is no ``string``, or one is no text.
    """
    table = read_table(path, "jsonl", encoding=source.encoding, undecodable=source.undecodable)
    key = next((name for name in TEXTS if name in table.names), TEXTS[0])
    labels = table.column("label", "label") if "label" in table.names else [None] * len(table)
    for line, text, label in zip(table.lines, table.column(key, "text"), labels, strict=True):
        if not isinstance(text, str) or not isinstance(label, str | None):
            what = f"'{key}' and 'label' are not both strings"
            raise LimbeckError(what, where=path, line=line)
        yield Row(line, text, label)
