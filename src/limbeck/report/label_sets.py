"""Texts on whose labels teacher and student part ways, where a text may have several.

A model is right about a text where it gives the very set of gold. How sure it is of a set is the product over labels of
the probability that each is there, or is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limbeck.report.disputes import NEEDED, SHOWN, Disputes, Opinion, Sentence, probabilities_of, told
from limbeck.report.predictions import columns_of, read_predictions

NONE = "none"
"""What a person reads where a text has no label."""


def read_set_disputes(
    path: Path, labels: Sequence[str], models: Mapping[str, tuple[str, int | None]]
) -> Disputes | None:
    """Read the predictions and pick the texts; arguments, return and errors as of :func:`read_disputes`."""
    table = read_predictions(path, NEEDED)
    columns = {role: column for role, column in columns_of(models).items() if column in table.column_names}
    if not {"teacher", "student"} <= columns.keys():
        return None
    gold = np.array([[label in (row or ()) for label in labels] for row in table.column("gold").to_pylist()])
    shares = {role: probabilities_of(table, column, len(labels), path) for role, column in columns.items()}
    chosen = {role: each > 0.5 for role, each in shares.items()}
    teacher_right, student_right = ((chosen[role] == gold).all(axis=1) for role in ("teacher", "student"))

    def sentence(row: int) -> Sentence:
        opinions = tuple(
            Opinion(
                role,
                _named(chosen[role][row], labels),
                _sureness(each[row], chosen[role][row]),
                _sureness(each[row], gold[row]),
                bool((chosen[role][row] == gold[row]).all()),
            )
            for role, each in shares.items()
        )
        id, text, origin = (told(table, row, name) for name in ("id", "text", "origin"))
        return Sentence(id, text, _named(gold[row], labels), origin, opinions)

    def sentences(rows: NDArray[np.bool_], wrong: str) -> tuple[Sentence, ...]:
        places = np.flatnonzero(rows)
        sure = [_sureness(shares[wrong][row], chosen[wrong][row]) for row in places]
        return tuple(sentence(int(places[n])) for n in np.argsort(-np.array(sure), kind="stable")[:SHOWN])

    return Disputes.between(columns["student"], teacher_right, student_right, sentences)


def _sureness(probabilities: NDArray[np.float32], there: NDArray[np.bool_]) -> float:
    return float(np.prod(np.where(there, probabilities, 1 - probabilities), dtype=np.float64))


def _named(there: NDArray[np.bool_], labels: Sequence[str]) -> str:
    return ", ".join(label for label, has in zip(labels, there, strict=True) if has) or NONE
