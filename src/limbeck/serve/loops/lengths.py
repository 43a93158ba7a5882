"""Lengths: the likeliest ones of each translation, by what a length head says; see ``models.translators.lengths``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


def likely_lengths(scores: NDArray[np.float32], sources: Ints, candidates: int, longest: int) -> Ints:
    """The likeliest lengths of each translation, likeliest first, no more than there are classes.

    A length below one or above ``longest`` is moved to the nearest that may be.

    Args:
        scores: Of the differences to the source's length, from ``-offset`` to ``offset``, ``(texts, classes)``.
        sources: Tokens of the sources, ``(texts,)``.
        candidates: How many are wanted.
        longest: Most tokens of a translation.

    Returns:
        ``(texts, candidates)``.
    """
    offset = scores.shape[1] // 2
    best = np.argsort(-scores, axis=1, kind="stable")[:, :candidates] - offset
    lengths: Ints = np.clip(sources[:, None] + best, 1, longest)
    return lengths
