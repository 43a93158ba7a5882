"""Predictions: the file of an evaluation that samples and disputes are read from, and whose each column is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.core.errors import LimbeckError

if TYPE_CHECKING:
    import pyarrow as pa


def read_predictions(path: Path, needed: Iterable[str]) -> pa.Table:
    """A row a test sentence.

    Raises:
        LimbeckError: The file is damaged, or lacks a column that is needed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise LimbeckError("not a readable Parquet file", where=path) from error
    if missing := set(needed) - set(table.column_names):
        raise LimbeckError(f"the column '{min(missing)}' is missing", where=path)
    return table


def columns_of(models: Mapping[str, tuple[str, int | None]]) -> dict[str, str]:
    """The column of each role, by name and seed: ``NAME@SEED``, or ``NAME`` of a model without seeds."""
    return {role: name if seed is None else f"{name}@{seed}" for role, (name, seed) in models.items()}
