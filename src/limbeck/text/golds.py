"""Golds: what the columns of a table say of each text: a label, a score, or a set of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.core.tasks import Task
from limbeck.text.cells import is_blank, is_one, label_of, labels_of, score_of
from limbeck.text.tables import Table


def golds_of(table: Table, source: Source, name: str, task: Task) -> list[dict[str, Any]]:
    """Of each row the keys of an example that hold its gold; none where the source names no column of it.

    Args:
        table: The rows.
        source: Which columns hold gold, and how labels are written.
        name: What stands for the file.
        task: What examples are for.

    Raises:
        LimbeckError: There is no such column, or a cell does not hold what the task wants (with its line).
    """
    if source.label is None:
        return [{} for _ in range(len(table))]
    if isinstance(source.label, list):
        if task != "multilabel":
            fix = "Name one column, or set 'task: multilabel'"
            what = f"'label' lists {len(source.label)} columns, and in {task} a text has one"
            raise LimbeckError(what, where=source.path, fix=fix)
        return [{"labels": each} for each in _by_column(table, source.label, source)]
    values = table.column(source.label, "label")
    if {str(value).strip() for value in values if not is_blank(value)} <= {"-1", "-1.0"}:
        if not all(map(is_blank, values)):
            progress.warn(
                f"{name}: every label is -1, as test sets are published: they are read as unlabelled"
            )
        return [{} for _ in range(len(table))]
    if task == "regression":
        return [{"score": score_of(value, table, row)} for row, value in enumerate(values)]
    if task == "multilabel":
        sets = [
            labels_of(value, source.separator, table, row, source.labels) for row, value in enumerate(values)
        ]
        warn_of_names(source, name, {label for each in sets for label in each or ()})
        return [{"labels": each} for each in sets]
    labels = [label_of(value, table, row, source.labels) for row, value in enumerate(values)]
    warn_of_names(source, name, set(labels))
    return [{"gold": label} for label in labels]


def warn_of_names(source: Source, name: str, found: set[str] | set[str | None]) -> None:
    """Warn of new names of labels that no row has."""
    if source.labels and not set(source.labels.values()) & found:
        progress.warn(f"{name}: 'labels' renames {', '.join(source.labels)}, and no row is labelled so")


def _by_column(
    table: Table, columns: Sequence[str | int], source: Source
) -> Iterator[tuple[str, ...] | None]:
    """Each row's labels, of which every one has a column; None for a row in which one is not told."""
    names = [source.labels.get(str(column), str(column)) for column in columns]
    values = [table.column(column, "label") for column in columns]
    for row in range(len(table)):
        has = [is_one(column[row], table, row, label) for label, column in zip(names, values, strict=True)]
        known = [label for label, is_there in zip(names, has, strict=True) if is_there]
        yield None if None in has else tuple(sorted(known))
