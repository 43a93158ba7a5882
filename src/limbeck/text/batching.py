"""Batches of sentences of like length, as many as a budget of tokens holds, padding included.

Lengths are rounded up to a grid of about an eighth, and rows shuffle freely inside a step of the grid.
Batches are cut by the grid alone, so there are equally many in every epoch, whatever the seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS_A_DOUBLING = 8
"""Steps of the grid between a length and its double; more waste less padding and mix less."""


def batches(
    lengths: NDArray[np.int64],
    tokens_per_batch: int,
    rows_per_batch: int | None = None,
    *,
    seed: int | None = None,
    epoch: int = 0,
) -> list[NDArray[np.int64]]:
    """Row numbers of each batch; every row once.

    Args:
        lengths: Tokens of each row, ``(rows,)``.
        tokens_per_batch: Rows times the longest of them stay within it; a longer single row is its own batch.
        rows_per_batch: Most rows of a batch; None leaves it to their tokens.
        seed: Shuffles which rows share a batch, and the batches' order; None gives the longest first.
        epoch: Gives each epoch its own shuffle.
    """
    if not len(lengths):
        return []
    most = rows_per_batch or len(lengths)
    if seed is None:
        order = np.argsort(-lengths, kind="stable")
        return _cut(order, lengths[order], tokens_per_batch, most)
    random = np.random.default_rng((seed, epoch))
    longest = _longest_of_step(lengths)
    shuffled = random.permutation(len(lengths))
    order = shuffled[np.argsort(-longest[shuffled], kind="stable")]
    cut = _cut(order, longest[order], tokens_per_batch, most)
    return [cut[number] for number in random.permutation(len(cut))]


def _longest_of_step(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row, the longest length that stands on the same step of the grid, ``(rows,)``."""
    doubling = np.floor(np.log2(np.maximum(lengths, 1)))
    width = np.maximum(1, 2**doubling / STEPS_A_DOUBLING)
    _, step = np.unique(np.ceil(lengths / width) * width, return_inverse=True)
    longest = np.zeros(step.max() + 1, dtype=np.int64)
    np.maximum.at(longest, step, lengths)
    return longest[step]


def _cut(
    order: NDArray[np.int64], lengths: NDArray[np.int64], tokens_per_batch: int, most: int
) -> list[NDArray[np.int64]]:
    """Cut rows in order of falling length: the first of a batch is its longest and says how many fit."""
    cut, start = [], 0
    while start < len(order):
        size = min(most, max(1, tokens_per_batch // max(1, int(lengths[start]))))
        cut.append(order[start : start + size])
        start += size
    return cut
