"""Sentences on which teacher and student part ways, from ``predictions.parquet``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError
from limbeck.report.predictions import columns_of, read_predictions

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 25
"""Sentences shown of each kind."""
NEEDED = ("id", "text", "gold")
"""Columns without which predictions of whole texts are none."""


@dataclass(frozen=True)
class Opinion:
    """What one model said about a sentence.

    Attributes:
        role: teacher, student or control.
        label: What it chose.
        confidence: Its probability of that.
        of_gold: Its probability of the gold label.
        right: Whether the two labels are one.
    """

    role: str
    label: str
    confidence: float
    of_gold: float
    right: bool


@dataclass(frozen=True)
class Sentence:
    """A disputed sentence with everybody's opinion: teacher, student, and the control if there is one."""

    id: str
    text: str
    gold: str
    origin: str
    opinions: tuple[Opinion, ...]


Pick: TypeAlias = Callable[[NDArray[np.bool_], str], tuple[Sentence, ...]]


@dataclass(frozen=True)
class Disputes:
    """Where teacher and student differ in being right.

    Attributes:
        student: The student, with its seed where it has one.
        both, neither: How many sentences both got right, and both got wrong.
        teacher_only, student_only: How many sentences only one of them got right.
        teacher_right, student_right: Those sentences, the surest error first; ``SHOWN`` at most.
    """

    student: str
    both: int
    neither: int
    teacher_only: int
    student_only: int
    teacher_right: tuple[Sentence, ...]
    student_right: tuple[Sentence, ...]

    @classmethod
    def between(
        cls, column: str, teacher: NDArray[np.bool_], student: NDArray[np.bool_], pick: Pick
    ) -> Disputes:
        """Where one of both is right.

        Args:
            column: The student's.
            teacher: Whether it is right about each sentence, ``(sentences,)``.
            student: Likewise.
            pick: Of the sentences that are true there, those to be shown, given who is wrong about them.
        """
        return cls(
            student=column.replace("@", ", seed "),
            both=int((teacher & student).sum()),
            neither=int((~teacher & ~student).sum()),
            teacher_only=int((teacher & ~student).sum()),
            student_only=int((~teacher & student).sum()),
            teacher_right=pick(teacher & ~student, "student"),
            student_right=pick(~teacher & student, "teacher"),
        )


def read_disputes(
    path: Path, labels: Sequence[str], models: Mapping[str, tuple[str, int | None]]
) -> Disputes | None:
    """Read the predictions and pick the sentences.

    Args:
        path: The Parquet file.
        labels: Classes, in the order of the probabilities.
        models: Name and seed of ``teacher``, ``student`` and, if there is one, ``control``.

    Returns:
        None where the file lacks the teacher's or the student's column.

    Raises:
        LimbeckError: The file is damaged, or does not fit the labels.
    """
    table = read_predictions(path, NEEDED)
    columns = {role: column for role, column in columns_of(models).items() if column in table.column_names}
    if not {"teacher", "student"} <= columns.keys():
        return None
    gold = _gold(table, labels, path)
    said = {role: probabilities_of(table, column, len(labels), path) for role, column in columns.items()}
    teacher_right = said["teacher"].argmax(axis=1) == gold
    student_right = said["student"].argmax(axis=1) == gold

    def sentences(chosen: NDArray[np.bool_], wrong: str) -> tuple[Sentence, ...]:
        rows = np.flatnonzero(chosen)
        surest = rows[np.argsort(-said[wrong][rows].max(axis=1), kind="stable")][:SHOWN]
        return tuple(_sentence(table, int(row), labels, int(gold[row]), said) for row in surest)

    return Disputes.between(columns["student"], teacher_right, student_right, sentences)


def told(table: pa.Table, row: int, column: str) -> str:
    """What a cell says, as text; empty where there is none."""
    return str(table.column(column)[row].as_py() or "") if column in table.column_names else ""


def _gold(table: pa.Table, labels: Sequence[str], path: Path) -> NDArray[np.intp]:
    """Gold as numbers of labels, ``(rows,)``."""
    number = {label: index for index, label in enumerate(labels)}
    try:
        return np.array([number[label] for label in table.column("gold").to_pylist()], dtype=np.intp)
    except KeyError as error:
        fix = "Run 'limbeck evaluate' again"
        raise LimbeckError(f"gold label {error} is not among the run's labels", where=path, fix=fix) from None


def probabilities_of(table: pa.Table, column: str, classes: int, path: Path) -> NDArray[np.float32]:
    """A model's probabilities, ``(rows, classes)``.

    Raises:
        LimbeckError: The column holds something else.
    """
    lists = table.column(column).combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False)
    if lists.null_count or values.size != len(table) * classes:
        raise LimbeckError(f"column '{column}' does not hold {classes} probabilities a row", where=path)
    probabilities: NDArray[np.float32] = values.astype(np.float32).reshape(-1, classes)
    return probabilities


def _sentence(
    table: pa.Table, row: int, labels: Sequence[str], gold: int, said: Mapping[str, NDArray[np.float32]]
) -> Sentence:
    opinions = []
    for role, probabilities in said.items():
        chosen = int(probabilities[row].argmax())
        confidence, of_gold = float(probabilities[row, chosen]), float(probabilities[row, gold])
        opinions.append(Opinion(role, labels[chosen], confidence, of_gold, chosen == gold))
    id, text, origin = (told(table, row, name) for name in ("id", "text", "origin"))
    return Sentence(id, text, labels[gold], origin, tuple(opinions))
