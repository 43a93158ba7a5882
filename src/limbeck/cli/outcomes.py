"""What a file of labelled text is made for: its task, its columns, and the metric that goes with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.cli.columns import LABELS, SCORES, Columns, called, guess_columns, lacks_header
from limbeck.core.sources import Source
from limbeck.core.tasks import METRICS_OF, Metric, Task
from limbeck.text import glue, labelled
from limbeck.text.cells import is_blank
from limbeck.text.readers import read, table_of
from limbeck.text.tables import Table

SETS = ("labels", "label", "tags", "categories", "topics", "emotions")
"""What they call the labels of a text, where it may have several."""
SEPARATORS = ("|", ";")
"""What labels of one cell are looked for between; a comma is part of too many names."""
LEAST_COLUMNS = 3
"""So many columns of noughts and ones are taken for labels of their own."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds.

    Attributes:
        task: What it is for.
        metric: The score that decides; None where nothing calls for another than the task's own.
        keys: Of its source, beside the path; a label of None is one that was not found.
        pairs: Whether it holds pairs of texts.
        classes: Different labels of texts that have one each; None of others.
        told: The same in words.
    """

    task: Task
    metric: Metric | None
    keys: dict[str, Any]
    pairs: bool
    classes: int | None
    told: str


def find_format(source: Source) -> Found | None:
    """A file, or a folder, in a format that labelled text is published in; None for tables, and for tagged words."""
    path = Path(source.path)
    if not path.exists() or source.format not in ("auto", "glue"):
        return None
    form = labelled.recognise(path, source) if source.format == "auto" else "glue"
    if form is None:
        return None
    name = glue.named_task(path, source) if form == "glue" else None
    if form == "glue" and name is None:
        return None
    measured: tuple[Task, Metric | None] = glue.MEASURED_BY[name] if name else ("classification", None)
    task, metric = measured
    source = source.model_copy(update={"format": form})
    kinds = {example.gold for example in read(source, task=task)} - {None}
    if name is None:
        told, pairs = f"{form}: texts with {len(kinds)} labels", False
    else:
        text, second, _ = glue.TASKS[name]
        told, pairs = (
            f"GLUE's {name.upper()}, measured by {metric}: {_texts(text, second)}",
            second is not None,
        )
    return Found(
        task, metric, {"format": form}, pairs, len(kinds) if task == "classification" else None, told
    )


def find_columns(source: Source) -> Found:
    """A table of texts with labels, scores or sets of labels.

    Args:
        source: The file or data set; whether it has a header, if that is told.

    Raises:
        LimbeckError: It cannot be read, or has no column of text.
    """
    path = Path(source.path)
    table = table_of(source)
    columns = guess_columns(table, path)
    if "header" not in source.model_fields_set and lacks_header(columns, table):
        table = table_of(source.model_copy(update={"header": False}))
        columns = guess_columns(table, path)
    keys: dict[str, Any] = {"text": columns.text}
    if columns.second is not None:
        keys["second"] = columns.second
    if table.header is False:
        keys["header"] = False
    found = outcome(table, columns)
    return Found(
        found.task,
        found.metric,
        keys | found.keys,
        columns.second is not None,
        found.classes,
        f"{_texts(*columns.texts)}, {found.told}",
    )


def outcome(table: Table, columns: Columns) -> Found:
    """What the texts of a table have: scores, any number of labels, or one."""
    others = {
        name: list(table.column(name, "label"))
        for name in table.names
        if name not in columns.texts and table.header is not False and table.names.count(name) == 1
    }
    if (score := _scores(others)) is not None:
        keys = {"label": score}
        return Found("regression", METRICS_OF["regression"][0], keys, False, None, f"scores from '{score}'")
    if (sets := _sets(others)) is not None:
        where = sets["label"] if isinstance(sets["label"], str) else f"{len(sets['label'])} columns"
        told = f"any number of labels each from {where}"
        return Found("multilabel", METRICS_OF["multilabel"][0], sets, False, None, told)
    if (label := columns.label) is None:
        return Found("classification", None, {"label": None}, False, 0, "no labels")
    kinds = {str(value) for value in table.column(label, "label") if not is_blank(value)}
    return Found("classification", None, {"label": label}, False, len(kinds), f"labels from '{label}'")


def _texts(text: str | int, second: str | int | None = None) -> str:
    return f"text from '{text}'" if second is None else f"pairs of texts from '{text}' and '{second}'"


def _scores(columns: Mapping[str, Sequence[Any]]) -> str | None:
    """A column of numbers that are not all whole: the one that is called a label, if one is."""
    name = called(columns, LABELS) or called(columns, SCORES)
    if name is None:
        return None
    numbers = [_number(value) for value in columns[name] if not is_blank(value)]
    if not numbers or not all(map(math.isfinite, numbers)) or all(number.is_integer() for number in numbers):
        return None
    return name


def _sets(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any] | None:
    """How labels are told, of which a text may have several."""
    label = called(columns, LABELS)
    name = called(columns if label is None else [label], SETS)
    cells = [value for value in columns[name] if not is_blank(value)] if name else []
    if cells and all(isinstance(value, list) or str(value).startswith("[") for value in cells):
        return {"label": name}
    for separator in SEPARATORS:
        if any(isinstance(value, str) and separator in value for value in cells):
            return {"label": name, "separator": separator}
    bits = [] if label else [name for name, values in columns.items() if _are_bits(values)]
    rows = zip(*(columns[name] for name in bits), strict=True)
    several = any(sum(str(value) in ("1", "1.0", "True") for value in row) > 1 for row in rows)
    return {"label": bits} if len(bits) >= LEAST_COLUMNS and several else None


def _are_bits(values: Sequence[Any]) -> bool:
    return {str(value) for value in values if not is_blank(value)} in (
        {"0", "1"},
        {"False", "True"},
        {"0.0", "1.0"},
    )


def _number(value: Any) -> float:
    """A cell's number; not a number where it holds none."""
    if isinstance(value, bool | list | dict):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
