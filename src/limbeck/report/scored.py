"""Texts whose score teacher and student see differently, and all scores against gold, from ``predictions.parquet``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from limbeck.report.disputes import NEEDED, SHOWN, told
from limbeck.report.predictions import columns_of, read_predictions

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredText:
    """A text with its gold score, and what each role says of it: its name and its score."""

    id: str
    text: str
    origin: str
    gold: float
    said: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ScoreDisputes:
    """Where teacher and student differ most in how far they are from gold.

    Attributes:
        student: The student, with its seed where it has one.
        total: Test texts.
        teacher_nearer, student_nearer: How many texts each of them is nearer to gold on.
        teacher_right, student_right: Those where the other is farthest behind; ``SHOWN`` at most.
        gold: Of every test text, ``(texts,)``.
        said: What each role says of every text, ``(texts,)``.
    """

    student: str
    total: int
    teacher_nearer: int
    student_nearer: int
    teacher_right: tuple[ScoredText, ...]
    student_right: tuple[ScoredText, ...]
    gold: Floats
    said: Mapping[str, Floats]


def read_score_disputes(path: Path, models: Mapping[str, tuple[str, int | None]]) -> ScoreDisputes | None:
    """Read the predictions and pick the texts.

    Args:
        path: The Parquet file.
        models: Name and seed of ``teacher``, ``student`` and, if there is one, ``control``.

    Returns:
        None where the file lacks the teacher's or the student's column.

    Raises:
        LimbeckError: The file is damaged.
    """
    table = read_predictions(path, NEEDED)
    columns = {role: column for role, column in columns_of(models).items() if column in table.column_names}
    if not {"teacher", "student"} <= columns.keys():
        return None
    gold = _numbers(table, "gold")
    said = {role: _numbers(table, column) for role, column in columns.items()}
    behind = np.abs(said["student"] - gold) - np.abs(said["teacher"] - gold)

    def texts(how_far: Floats) -> tuple[ScoredText, ...]:
        rows = np.argsort(-how_far, kind="stable")[:SHOWN]
        return tuple(_text(table, int(row), gold, said) for row in rows if how_far[row] > 0)

    return ScoreDisputes(
        student=columns["student"].replace("@", ", seed "),
        total=len(gold),
        teacher_nearer=int((behind > 0).sum()),
        student_nearer=int((behind < 0).sum()),
        teacher_right=texts(behind),
        student_right=texts(-behind),
        gold=gold,
        said=said,
    )


def _numbers(table: pa.Table, column: str) -> Floats:
    found: Floats = table.column(column).to_numpy().astype(np.float64)
    return found


def _text(table: pa.Table, row: int, gold: Floats, said: Mapping[str, Floats]) -> ScoredText:
    scores = tuple((role, float(each[row])) for role, each in said.items())
    id, text, origin = (told(table, row, name) for name in ("id", "text", "origin"))
    return ScoredText(id, text, origin, float(gold[row]), scores)
