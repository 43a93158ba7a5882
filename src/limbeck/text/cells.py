"""Cells: what one cell of a table means as a text, a label or an id."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.text.sentences import SURROGATES
from limbeck.text.tables import Table


def text_of(value: Any, table: Table, row: int) -> str:
    """The text without the space around it; of no value the empty one.

    Raises:
        LimbeckError: It is a list or an object.
    """
    if isinstance(value, str):
        return value.strip() if value.isascii() else SURROGATES.sub("\ufffd", value).strip()
    if _is_nothing(value):
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
    if _is_nothing(value):
        return None
    if isinstance(value, list | dict | bytes):
        what = f"the label is {_kind(value)}; an example has one label"
        raise LimbeckError(what, where=table.where, line=table.lines[row])
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    label = SURROGATES.sub("\ufffd", str(value)).strip()
    return renamed.get(label, label) or None


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


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "a list", dict: "an object", bytes: "bytes"}
    return names.get(type(value), type(value).__name__)
