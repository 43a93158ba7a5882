"""Answer files: reading what somebody else's model said of each text, by id or by text.

Any table that :mod:`limbeck.text.tables` reads: one column a label, or one column ``probabilities`` (or
``logits``) that holds ``{label: value}``, or a list beside a column ``labels`` that holds the names in order. What
``limbeck predict`` writes is such a table, too: there the probabilities are called ``scores``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.tasks import Task
from limbeck.text.tables import Table, read_table
from limbeck.transfer.label_map import SHOWN, LabelMap, Renamed, arrange, listing

Form = Literal["probabilities", "logits"]

FLOOR = 1e-6
"""Least probability: its logarithm stands for zero, whose own is infinite."""
TOLERANCE = 0.02
"""How far the probabilities of a text may sum from one: room for two decimals of a few labels."""
PREDICTED = "scores"
"""What ``limbeck predict`` calls probabilities."""


@dataclass(frozen=True)
class Said:
    """The numbers of a file, as they are there.

    Attributes:
        names: Its labels.
        numbers: Answers in their order, ``(rows, names)``.
        label_map: Where our labels stand among them.
    """

    names: Sequence[str]
    numbers: NDArray[np.float64]
    label_map: LabelMap


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
    path: Path, labels: Sequence[str], form: Form, renamed: Renamed, task: Task = "classification"
) -> FileAnswers:
    """Read a file of answers; probabilities become logits as ``log(max(p, 1e-6))``, and then are put over our labels.

    Those of several labels become ``log(p / (1 - p))``, with p between 1e-6 and one less that. Scores stay as they are.

    Args:
        path: JSON Lines, CSV, TSV or Parquet.
        labels: Our labels, in the order that the logits shall have.
        form: What the numbers are.
        renamed: The file's label names to ours, where they differ; None leaves one out. In a list without ``labels``
            the positions ``"0"``, ``"1"``, ... are the names.
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
    said = (
        _nested(table, labels, column, renamed, task)
        if column
        else _by_column(table, labels, form, renamed, task)
    )
    _check_numbers(table, said, form, ids, task)
    logits = said.numbers
    if form == "probabilities":
        logits = np.log(np.maximum(said.numbers, FLOOR))
        logits -= np.log(np.maximum(1 - said.numbers, FLOOR)) if task == "multilabel" else 0
    logits = said.label_map.over_ours(torch.from_numpy(logits)).numpy()
    return FileAnswers(path, ids, texts, table.lines, logits.astype(np.float32))


def _strings(table: Table, name: str) -> list[str | None]:
    """A column as strings; None where it, or the value, is missing."""
    if name not in table.names:
        return [None] * len(table)
    return [None if value is None or value == "" else str(value) for value in table.column(name, name)]


def _by_column(table: Table, labels: Sequence[str], form: Form, renamed: Renamed, task: Task) -> Said:
    """One column a label."""
    theirs = [name for name in table.names if name in renamed or name in labels]
    if not any(renamed.get(name, name) in labels for name in theirs):
        other = "logits" if form == "probabilities" else "probabilities"
        fix = f"Name a column after each label ({listing(labels)}), or one '{form}'"
        if other in table.names:
            fix = f"It has a column '{other}': set teacher.answers_are={other}"
        raise LimbeckError(
            f"no {form} here; the columns are: {listing(table.names)}", where=table.where, fix=fix
        )
    label_map = arrange(theirs, labels, renamed, task, where=table.where)
    columns = [_numbers(table, name) for name in theirs]
    read = {*theirs, "id", "text", "score"}  # the last one 'limbeck predict' gives to the label it names
    unread = [name for name in table.names if name not in read and _is_number(table, name)]
    if unread:
        told = f"no labels of the data are called {listing(unread)}: columns not read"
        progress.warn(
            f"{table.where}: {told} (if they are the teacher's labels, name them in 'teacher.labels')"
        )
    return Said(theirs, np.stack(columns, axis=1), label_map)


def _nested(table: Table, labels: Sequence[str], column: str, renamed: Renamed, task: Task) -> Said:
    """One column of objects or lists; all rows have the labels of the first one, in any order."""
    values = table.column(column, column)
    declared = table.column("labels", "labels") if "labels" in table.names else [None] * len(table)
    answers = [
        _named(_parsed(value, table.where, line), names, labels, bool(renamed), column, table.where, line)
        for value, names, line in zip(values, declared, table.lines, strict=True)
    ]
    first = answers[0][0]
    label_map = arrange(first, labels, renamed, task, where=table.where, line=table.lines[0])
    orders: dict[tuple[str, ...], list[int]] = {}
    numbers = np.empty((len(table), len(first)))
    for row, ((theirs, said), line) in enumerate(zip(answers, table.lines, strict=True)):
        if theirs not in orders:
            if sorted(theirs) != sorted(first):
                what = (
                    f"{column} of {listing(theirs)}, and line {table.lines[0]} has those of {listing(first)}"
                )
                raise LimbeckError(what, where=table.where, line=line)
            orders[theirs] = [theirs.index(name) for name in first]
        try:
            numbers[row] = [said[place] for place in orders[theirs]]
        except (TypeError, ValueError):
            what = f"one of the {column} is not a number"
            raise LimbeckError(what, where=table.where, line=line) from None
    return Said(first, numbers, label_map)


def _named(
    value: Any, names: Any, labels: Sequence[str], renamed: bool, column: str, where: str, line: int
) -> tuple[tuple[str, ...], Sequence[Any]]:
    """The label names of one answer, and its numbers in their order."""
    if isinstance(value, dict):
        return tuple(value), list(value.values())
    if not isinstance(value, list):
        what = f"'{column}' is neither an object nor a list"
        raise LimbeckError(what, where=where, line=line, fix=f'Write {{"{labels[0]}": 0.9, ...}}')
    # A column of that name may as well hold something else, such as the gold label.
    names = _parsed(names, where, line) if isinstance(names, str) and names.startswith("[") else names
    if isinstance(names, list) and len(names) == len(value):
        return tuple(map(str, names)), value
    positions = tuple(map(str, range(len(value))))
    if not renamed and len(value) != len(labels):
        raise LimbeckError(f"{len(value)} {column} for {len(labels)} labels", where=where, line=line)
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
    except (ValueError, RecursionError) as error:
        raise LimbeckError(f"'{value[:40]}' is not JSON ({error})", where=where, line=line) from None


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


def _check_numbers(table: Table, said: Said, form: Form, ids: Sequence[str | None], task: Task) -> None:
    """Raise at the first row whose numbers are not what ``form`` says."""
    numbers, labels = said.numbers, said.names
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
