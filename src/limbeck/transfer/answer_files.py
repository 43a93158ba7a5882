"""Answer files: reading what somebody else's model said of each text, by id or by text.

Any table that :mod:`limbeck.text.tables` reads: one column a label, or one column ``probabilities`` (or
``logits``) that holds ``{label: value}``, or a list beside a column ``labels`` that holds the names in order. What
``limbeck predict`` writes is such a table, too: there the probabilities are called ``scores``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.tasks import Task
from limbeck.text.tables import Table, read_table

Form = Literal["probabilities", "logits"]

FLOOR = 1e-6
"""Least probability: its logarithm stands for zero, whose own is infinite."""
TOLERANCE = 0.02
"""How far the probabilities of a text may sum from one: room for two decimals of a few labels."""
PREDICTED = "scores"
"""What ``limbeck predict`` calls probabilities."""
SHOWN = 10
"""Names that an error lists."""


@dataclass(frozen=True)
class FileAnswers:
    """The answers of a file.

    Attributes:
        path: The file.
        ids: Example ids, one a row; None where the file has no such column, or the row no id.
        texts: Texts, likewise.
        lines: Where each row stands in the file, counted from one.
        logits: Answers in the order of our labels, ``(rows, classes)``.
    """

    path: Path
    ids: Sequence[str | None]
    texts: Sequence[str | None]
    lines: Sequence[int]
    logits: NDArray[np.float32]


def read_answers(
    path: Path, labels: Sequence[str], form: Form, renamed: Mapping[str, str], task: Task = "classification"
) -> FileAnswers:
    """Read a file of answers; probabilities become logits as ``log(max(p, 1e-6))``.

    Those of several labels become ``log(p / (1 - p))``, with p between 1e-6 and one less that. Scores stay as they are.

    Args:
        path: JSON Lines, CSV, TSV or Parquet.
        labels: Our labels, in the order that the logits shall have.
        form: What the numbers are.
        renamed: The file's label names to ours, where they differ; in a list without ``labels`` the positions
            ``"0"``, ``"1"``, ... are the names.
        task: What the numbers are about.

    Raises:
        LimbeckError: The file does not parse, has other labels, or numbers that are not what ``form`` says.
    """
    table = read_table(path)
    ids, texts = _strings(table, "id"), _strings(table, "text")
    nameless = next((row for row in range(len(table)) if ids[row] is None and texts[row] is None), None)
    if nameless is not None:
        fix = "Answers are found by a column 'id' or 'text'"
        raise LimbeckError("an answer without id and text", where=path, line=table.lines[nameless], fix=fix)
    form = "logits" if task == "regression" else form
    nested = (form, PREDICTED) if form == "probabilities" and PREDICTED not in labels else (form,)
    column = next((name for name in nested if name in table.names), None)
    numbers = _nested(table, labels, column, renamed) if column else _by_column(table, labels, form, renamed)
    _check_numbers(table, numbers, labels, form, ids, task)
    logits = numbers
    if form == "probabilities":
        logits = np.log(np.maximum(numbers, FLOOR))
        logits -= np.log(np.maximum(1 - numbers, FLOOR)) if task == "multilabel" else 0
    return FileAnswers(path, ids, texts, table.lines, logits.astype(np.float32))


def arrange(
    theirs: Sequence[str],
    ours: Sequence[str],
    renamed: Mapping[str, str],
    *,
    where: str | Path | None = None,
    line: int | None = None,
) -> list[int]:
    """For each of our labels its place among the teacher's.

    Args:
        theirs: The teacher's labels.
        ours: The data's labels.
        renamed: The teacher's names to ours, where they differ.
        where: Where the teacher's labels stand, for the error.
        line: The line there.

    Raises:
        LimbeckError: They are not the same labels, or a name in ``renamed`` is not the teacher's.
    """
    stranger = next((name for name in renamed if name not in theirs), None)
    if stranger is not None:
        raise LimbeckError(
            f"'teacher.labels' renames '{stranger}', and the teacher's labels are: {listing(theirs)}",
            where=where,
            line=line,
        )
    names = [renamed.get(name, name) for name in theirs]
    if sorted(names) != sorted(ours):
        after = f", which 'teacher.labels' makes {listing(names)}" if renamed else ""
        differing, fix = _difference(theirs, names, ours)
        what = (
            f"the teacher's labels ({listing(theirs)}{after}) are not the data's ({listing(ours)}){differing}"
        )
        raise LimbeckError(what, where=where, line=line, fix=fix)
    return [names.index(label) for label in ours]


def _difference(theirs: Sequence[str], names: Sequence[str], ours: Sequence[str]) -> tuple[str, str]:
    """Which labels one side lacks, for an error, and what to do; ``names`` are ``theirs`` as they are renamed."""
    lacking = [label for label in ours if label not in names]
    strange = [name for name, label in zip(theirs, names, strict=True) if label not in ours]
    told = ""
    if len(lacking) < len(ours):
        told += f"; the teacher has no {listing(lacking)}" if lacking else ""
        told += f"; the data has no {listing(strange)}" if strange else ""
    example = ", ".join(f'"{name}": {label}' for name, label in zip(strange[:2], lacking[:2], strict=False))
    known = "these labels" if example else "the data's labels"
    fix = f"Say which is which, e.g. teacher.labels={{{example}}}, or take" if example else "Take"
    return told, f"{fix} a teacher of {known}"


def listing(names: Sequence[str]) -> str:
    """The first few names, for an error."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _strings(table: Table, name: str) -> list[str | None]:
    """A column as strings; None where it, or the value, is missing."""
    if name not in table.names:
        return [None] * len(table)
    return [None if value is None or value == "" else str(value) for value in table.column(name, name)]


def _by_column(
    table: Table, labels: Sequence[str], form: Form, renamed: Mapping[str, str]
) -> NDArray[np.float64]:
    """One column a label: the numbers in the order of our labels, ``(rows, classes)``."""
    theirs = [name for name in table.names if renamed.get(name, name) in labels]
    if not theirs:
        other = "logits" if form == "probabilities" else "probabilities"
        fix = f"Name a column after each label ({listing(labels)}), or one '{form}'"
        if other in table.names:
            fix = f"It has a column '{other}': set teacher.answers_are={other}"
        raise LimbeckError(
            f"no {form} here; the columns are: {listing(table.names)}", where=table.where, fix=fix
        )
    order = arrange(theirs, labels, renamed, where=table.where)
    columns = [_numbers(table, name) for name in theirs]
    read = {*theirs, "id", "text", "score"}  # the last one 'limbeck predict' gives to the label it names
    unread = [name for name in table.names if name not in read and _is_number(table, name)]
    if unread:
        progress.warn(f"{table.where}: no labels of the data are called {listing(unread)}: columns not read")
    return np.stack(columns, axis=1)[:, order]


def _nested(
    table: Table, labels: Sequence[str], column: str, renamed: Mapping[str, str]
) -> NDArray[np.float64]:
    """One column of objects or lists: the numbers in the order of our labels, ``(rows, classes)``."""
    values = table.column(column, column)
    declared = table.column("labels", "labels") if "labels" in table.names else [None] * len(table)
    orders: dict[tuple[str, ...], list[int]] = {}
    numbers = np.empty((len(table), len(labels)))
    for row, line in enumerate(table.lines):
        value = _parsed(values[row], table.where, line)
        theirs, said = _named(value, declared[row], labels, bool(renamed), column, table.where, line)
        if theirs not in orders:
            orders[theirs] = arrange(theirs, labels, renamed, where=table.where, line=line)
        try:
            numbers[row] = [said[place] for place in orders[theirs]]
        except (TypeError, ValueError):
            what = f"one of the {column} is not a number"
            raise LimbeckError(what, where=table.where, line=line) from None
    return numbers


def _named(
    value: Any, names: Any, labels: Sequence[str], renamed: bool, column: str, where: str, line: int
) -> tuple[tuple[str, ...], Sequence[Any]]:
    """The label names of one answer, and its numbers in their order."""
    if isinstance(value, dict):
        return tuple(value), list(value.values())
    if not isinstance(value, list):
        what = f"'{column}' is neither an object nor a list"
        raise LimbeckError(what, where=where, line=line, fix=f'Write {{"{labels[0]}": 0.9, ...}}')
    if len(value) != len(labels):
        raise LimbeckError(f"{len(value)} {column} for {len(labels)} labels", where=where, line=line)
    positions = tuple(map(str, range(len(labels))))
    # A column of that name may as well hold something else, such as the gold label.
    names = _parsed(names, where, line) if isinstance(names, str) and names.startswith("[") else names
    if isinstance(names, list) and len(names) == len(value):
        return tuple(map(str, names)), value
    if not renamed and set(positions) != set(labels):
        raise LimbeckError(
            f"a list of {column} does not say which label is first",
            where=where,
            line=line,
            fix=f'Give each row "labels": {json.dumps(list(labels)[:SHOWN], ensure_ascii=False)}, '
            f'or map positions to labels, e.g. teacher.labels={{"0": {labels[0]}, "1": {labels[1]}}}',
        )
    return positions, value


def _parsed(value: Any, where: str, line: int) -> Any:
    """The value of a cell; in CSV objects and lists are written as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise LimbeckError(f"'{value[:40]}' is not JSON ({error.msg})", where=where, line=line) from None


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    values = table.column(name, name)
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError):
        row = next(row for row, value in enumerate(values) if not _converts(value))
        what = f"'{values[row]}' is not a number (column '{name}')"
        raise LimbeckError(what, where=table.where, line=table.lines[row]) from None


def _is_number(table: Table, name: str) -> bool:
    return table.names.count(name) == 1 and _converts(table.column(name, name)[0])


def _converts(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return value is None
    return True


def _check_numbers(
    table: Table,
    numbers: NDArray[np.float64],
    labels: Sequence[str],
    form: Form,
    ids: Sequence[str | None],
    task: Task,
) -> None:
    """Raise at the first row whose numbers are not what ``form`` says."""
    wrong = np.argwhere(~np.isfinite(numbers))
    fix = None
    if len(wrong):
        row, place = wrong[0]
        value = numbers[row, place]
        what = f"the answer for '{labels[place]}' is {'missing or NaN' if np.isnan(value) else 'infinite'}"
    elif form == "logits":
        return
    elif len(wrong := np.argwhere(numbers < 0)):
        row, place = wrong[0]
        what = f"the probability of '{labels[place]}' is negative ({numbers[row, place]:g})"
        fix = "For raw scores set teacher.answers_are=logits"
    elif task == "multilabel":
        if not len(wrong := np.argwhere(numbers > 1)):
            return
        row, place = wrong[0]
        what = f"the probability of '{labels[place]}' is above one ({numbers[row, place]:g})"
        fix = "For raw scores set teacher.answers_are=logits; divide percentages by a hundred"
    elif len(wrong := np.argwhere(np.abs(numbers.sum(1) - 1) > TOLERANCE)):
        row = wrong[0][0]
        total = numbers[row].sum()
        what = f"the probabilities of {listing(labels)} sum to {total:g}, not to one"
        fix = "For raw scores set teacher.answers_are=logits"
        if abs(total - 100) <= 100 * TOLERANCE:
            fix = "Divide percentages by a hundred"
    else:
        return
    example = f" (example '{ids[row]}')" if ids[row] is not None else ""
    raise LimbeckError(what + example, where=table.where, line=table.lines[row], fix=fix)
