"""Ragged: rows of unlike lengths one after the other in a flat array, and padded batches of them. NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def offsets_of(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Where rows of these lengths start, and the end, ``(rows + 1,)``."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(np.asarray(lengths, dtype=np.int64))))


def joined(arrays: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    """The arrays one after the other; of none, an empty one of this type."""
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=dtype)


def places(
    starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """For slices of a flat array, padded to the longest: what is real, and where it stands, ``(..., longest)``."""
    columns = np.arange(lengths.max(initial=1))
    return columns < lengths[..., None], starts[..., None] + columns


def padded(
    flat: NDArray[np.generic], mask: NDArray[np.bool_], positions: NDArray[np.int64], padding: int
) -> NDArray[np.int64]:
    """The values at these positions, int64, and padding where nothing is real."""
    return np.where(mask, taken(flat, positions), padding).astype(np.int64)


def taken(flat: NDArray[Any], positions: NDArray[np.int64]) -> NDArray[Any]:
    """Values at positions; those past the end, which stand in padding, are any."""
    return flat[np.minimum(positions, len(flat) - 1)] if len(flat) else np.zeros_like(positions)
