"""Cells: what one cell of a table means as a text, a label or an id."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.text.sentences import SURROGATES
from limbeck.text.tables import Table

ONES = frozenset({"1", "1.0", "true", "yes"})
NOUGHTS = frozenset({"0", "0.0", "false", "no"})
UNKNOWN = frozenset({"", "-1", "-1.0"})
"""What cells hold of several labels a text, or of one of them, each in a column."""
WHOLE = re.compile(r"^(-?\d+)\.0+$")
"""A whole number, as it is written where others of its column are missing."""


def text_of(value: Any, table: Table, row: int) -> str:
    """The text without the space around it; of no value the empty one.

    Raises:
        LimbeckError: It is a list or an object.
    """
    if isinstance(value, str):
        return value.strip() if value.isascii() else SURROGATES.sub("\ufffd", value).strip()
    if is_nothing(value):
        return ""
    if isinstance(value, int | float):
        return str(value)
    what = f"the text is {_kind(value)}, not a sentence"
    raise LimbeckError(what, where=table.where, line=table.lines[row])


def label_of(value: Any, table: Table, row: int, renamed: Mapping[str, str]) -> str | None:
    """The label's name; whole numbers read alike whether a file keeps them as 1 or as 1.0.

    Raises:
        LimbeckError: It is a list or an object.
    """
    if is_nothing(value):
        return None
    if isinstance(value, list | dict | bytes):
        what = f"the label is {_kind(value)}; an example has one label"
        raise LimbeckError(what, where=table.where, line=table.lines[row])
    if isinstance(value, bool):
        value = str(value).lower()
    label = SURROGATES.sub("\ufffd", str(value)).strip()
    short = WHOLE.sub(r"\1", label)
    return renamed.get(label, renamed.get(short, short)) or None


def score_of(value: Any, table: Table, row: int) -> float | None:
    """The score that a cell holds; None where it is empty.

    Raises:
        LimbeckError: It is no finite number.
    """
    if is_blank(value):
        return None
    return number_of(value, table.where, table.lines[row])


def number_of(value: Any, where: str | Path, line: int) -> float:
    """A finite number, as it stands in a file or as text.

    Raises:
        LimbeckError: It is none.
    """
    try:
        score = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        what = f"the score is {_kind(value) if isinstance(value, list | dict | bytes) else repr(value)}, not a number"
        raise LimbeckError(what, where=where, line=line)
    return score


def labels_of(
    value: Any, separator: str | None, table: Table, row: int, renamed: Mapping[str, str]
) -> tuple[str, ...] | None:
    """The labels that a cell holds, sorted: a list (``[]`` of none), or text with a separator between.

    None where it is empty or -1: nobody looked.

    Args:
        value: The cell.
        separator: What stands between labels in text.
        table: For the error.
        row: Likewise.
        renamed: New names of labels.

    Raises:
        LimbeckError: It is no list, and no separator is told.
    """
    if is_nothing(value) or str(value).strip() in UNKNOWN:
        return None
    if isinstance(value, str):
        value = _split_labels(value.strip(), separator, table, row)
    if not isinstance(value, list):
        fix = 'Give a list, e.g. ["joy", "love"], or one column a label, or a \'separator\''
        raise LimbeckError(
            f"the labels are {_kind(value)}, not a list", where=table.where, line=table.lines[row], fix=fix
        )
    names = (label_of(one, table, row, renamed) for one in value)
    return tuple(sorted({name for name in names if name is not None}))


def _split_labels(text: str, separator: str | None, table: Table, row: int) -> list[Any]:
    if separator is not None and text != "[]":
        return [part.strip() for part in text.split(separator)]
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            what = f"the labels are no JSON list: {text[:60]}"
            raise LimbeckError(what, where=table.where, line=table.lines[row]) from None
        return list(found)
    fix = "Set 'separator' in the source, e.g. separator: \"|\", or write JSON lists"
    what = f"'{text[:60]}' does not say where one label ends and the next begins"
    raise LimbeckError(what, where=table.where, line=table.lines[row], fix=fix)


def is_one(value: Any, table: Table, row: int, column: str) -> bool | None:
    """Whether a cell of a label's own column says that the text has it: 1, true or yes.

    None where it is empty, or -1, as the data of Jigsaw has it where nobody looked.

    Raises:
        LimbeckError: It says neither that nor 0, false or no.
    """
    if is_nothing(value):
        return None
    text = str(value).strip().lower()
    if text in UNKNOWN:
        return None
    if text in ONES or text in NOUGHTS:
        return text in ONES
    what = f"'{str(value)[:40]}' in the column of the label '{column}' is neither 0 nor 1"
    raise LimbeckError(what, where=table.where, line=table.lines[row])


def ids_of(table: Table, key: str | int) -> list[str]:
    """The ids in a column.

    Raises:
        LimbeckError: One is empty, or stands there twice.
    """
    first: dict[str, int] = {}
    for value, line in zip(table.column(key, "id"), table.lines, strict=True):
        one = "" if value is None else str(value).strip()
        if not one:
            raise LimbeckError("the id is empty", where=table.where, line=line)
        if one in first:
            what = f"the id '{one}' stands here again, after line {first[one]}"
            fix = "Give every row its own id, or leave out 'id' and let file name and line serve"
            raise LimbeckError(what, where=table.where, line=line, fix=fix)
        first[one] = line
    return list(first)


def is_nothing(value: Any) -> bool:
    """Whether a cell is empty, as tables of several makers have it: null, or not a number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_blank(value: Any) -> bool:
    """Whether a cell is empty, or holds space alone."""
    return is_nothing(value) or (isinstance(value, str) and not value.strip())


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "a list", dict: "an object", bytes: "bytes"}
    return names.get(type(value), type(value).__name__)
