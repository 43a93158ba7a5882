"""Mapping: which of the teacher's layers each of the student's layers learns from (Jiao et al. 2020, TinyBERT)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from limbeck.core.errors import LimbeckError

Strategy = Literal["uniform", "top", "bottom"]
Mapping = Strategy | tuple[int, ...]
"""A strategy, or the teacher's layer for each of the student's, counted from 1."""


def mapped_layers(mapping: Mapping, student: int, teacher: int) -> tuple[int, ...]:
    """The teacher's layer for each of the student's, counted from 1.

    ``uniform`` spreads them up to the last (``g(m) = m N/M``, rounded up where N is no multiple of M), ``top`` takes
    the last M (``g(m) = m + N - M``), ``bottom`` the first (``g(m) = m``).

    Args:
        mapping: A strategy, or a list.
        student: Layers of the student, M.
        teacher: Layers of the teacher, N.

    Raises:
        LimbeckError: The student has more layers than the teacher, or the list does not fit.
    """
    if isinstance(mapping, str):
        if student > teacher:
            what = f"the student has {student} layers, and the teacher {teacher}"
            raise LimbeckError(what, where="method.mapping", fix="List the teacher's layer for each of them")
        own = range(1, student + 1)
        if mapping == "uniform":
            return tuple(-(-layer * teacher // student) for layer in own)
        return tuple(layer + (teacher - student if mapping == "top" else 0) for layer in own)
    if len(mapping) != student:
        what = f"it lists {len(mapping)} layers for a student of {student}"
        raise LimbeckError(what, where="method.mapping")
    absent = [layer for layer in mapping if not 1 <= layer <= teacher]
    if absent:
        raise LimbeckError(
            f"no layer {absent[0]}: the teacher has layers 1 to {teacher}", where="method.mapping"
        )
    return tuple(mapping)


def drawn(layers: Sequence[int]) -> str:
    """A mapping as a person reads it: ``1←3 2←6``."""
    return " ".join(f"{own}←{theirs}" for own, theirs in enumerate(layers, 1))
