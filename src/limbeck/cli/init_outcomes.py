"""What ``limbeck init`` sees in files of GLUE, and in tables of scores or of texts with several labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.sources import Source
from limbeck.core.tasks import METRICS_OF, Metric, Task
from limbeck.text import glue, labelled
from limbeck.text.tables import Table

SCORES = ("score", "similarity", "similarity_score", "rating", "label", "gold")
SETS = ("labels", "label", "tags", "categories", "topics", "emotions")
FIRST = ("sentence1", "text1", "question1", "premise", "text_a", "text", "sentence")
SECOND = ("sentence2", "text2", "question2", "hypothesis", "text_b", "second")
SEPARATORS = ("|", ";")
"""What labels of one cell are looked for between; a comma is part of too many names."""
LEAST_COLUMNS = 3
"""So many columns of noughts and ones are taken for labels of their own."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds.

    Attributes:
        task: What it is for.
        metric: The score that decides.
        keys: Of its source, beside the path.
        pairs: Whether it holds pairs of texts.
        told: The same in words.
    """

    task: Task
    metric: Metric
    keys: dict[str, Any]
    pairs: bool
    told: str


def find_glue(data: Path) -> Found | None:
    """A file of GLUE with its task's own metric; None where it is none."""
    if not data.is_file() or labelled.recognise(data, Source(path=str(data))) != "glue":
        return None
    name = glue.task_of_file(data)
    if name is None:
        return None
    task, metric = glue.MEASURED_BY[name]
    text, second, _ = glue.TASKS[name]
    told = f"GLUE's {name.upper()}, measured by {metric}: " + _texts(text, second)
    return Found(task, metric, {"format": "glue"}, second is not None, told)


def find_outcomes(table: Table) -> Found | None:
    """Scores, or several labels a text, in a table whose columns are named; None where there are none."""
    if table.header is False or len(set(table.names)) < len(table.names):
        return None
    columns = {name: list(table.column(name, "label")) for name in table.names}
    text = _called(columns, FIRST)
    if text is None:
        return None
    keys: dict[str, Any] = {"text": text}
    if (second := _called(columns, SECOND)) is not None:
        keys["second"] = second
    if (name := _scores(columns)) is not None:
        told = f"{_texts(text, second)}, scores from '{name}'"
        return Found(
            "regression", METRICS_OF["regression"][0], {**keys, "label": name}, "second" in keys, told
        )
    if (labels := _sets(columns)) is not None:
        where = labels["label"] if isinstance(labels["label"], str) else f"{len(labels['label'])} columns"
        told = f"{_texts(text, second)}, any number of labels each from {where}"
        return Found("multilabel", METRICS_OF["multilabel"][0], {**keys, **labels}, "second" in keys, told)
    return None


def _texts(text: str, second: str | None) -> str:
    return f"pairs of texts from '{text}' and '{second}'" if second else f"text from '{text}'"


def _scores(columns: dict[str, list[Any]]) -> str | None:
    """A column of numbers that are not all whole."""
    name = _called(columns, SCORES)
    if name is None:
        return None
    numbers = [_number(value) for value in columns[name] if value not in (None, "")]
    known = [number for number in numbers if number is not None]
    if not known or len(known) < len(numbers) or all(number.is_integer() for number in known):
        return None
    return name


def _sets(columns: dict[str, list[Any]]) -> dict[str, Any] | None:
    """How labels are told, of which a text may have several."""
    name = _called(columns, SETS)
    cells = [value for value in columns[name] if value not in (None, "")] if name else []
    if cells and all(isinstance(value, list) or str(value).startswith("[") for value in cells):
        return {"label": name}
    for separator in SEPARATORS:
        if any(isinstance(value, str) and separator in value for value in cells):
            return {"label": name, "separator": separator}
    bits = [name for name, values in columns.items() if _are_bits(values)]
    rows = zip(*(columns[name] for name in bits), strict=True)
    several = any(sum(str(value) in ("1", "1.0", "True") for value in row) > 1 for row in rows)
    return {"label": bits} if len(bits) >= LEAST_COLUMNS and several else None


def _are_bits(values: Sequence[Any]) -> bool:
    return {str(value) for value in values} in ({"0", "1"}, {"False", "True"}, {"0.0", "1.0"})


def _number(value: Any) -> float | None:
    if isinstance(value, bool | list | dict):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _called(columns: dict[str, Any], names: tuple[str, ...]) -> str | None:
    by_name = {column.strip().lower(): column for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)
