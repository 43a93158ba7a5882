"""Edits: Levenshtein's distance, what an alignment keeps, and the deletions and insertions that lead to a goal.

The distance ``D[i, j]`` of the first ``i`` tokens of one sequence to the first ``j`` of another is the least number of
deletions, insertions and, where they are allowed, substitutions (Levenshtein 1966; Wagner and Fischer 1974). What is
computed is how many edits are saved over deleting all of the one and inserting all of the other, ``S = i + j - D``:

    S[i, j] = max(S[i-1, j], S[i, j-1], S[i-1, j-1] + gain[i, j]),    S[0, j] = S[i, 0] = 0

with a gain of 2 where tokens are the same, of 1 where one is substituted for another, of 0 where that is not allowed.
Without substitutions S is twice the length of the longest common subsequence. A deletion and an insertion cost nothing
in S, so that a row is a running maximum: programs loop over the tokens of one sequence, never over the batch.

The expert of the Levenshtein transformer (Gu, Wang and Zhao 2019, section 3.2) deletes what is in no longest common
subsequence of hypothesis and goal, and inserts what of the goal is missing then.

Axes: ``batch``, ``places`` (tokens of the longest sequence), ``slots`` (before, between and after tokens: one more).
NumPy alone, for serving reads it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

NOT_KEPT = -1
"""Stands in alignments where a token has no partner."""


class Rows(NamedTuple):
    """Sequences of several lengths side by side.

    Attributes:
        tokens: ``(batch, places)``; what stands after a sequence's end is not read.
        lengths: Tokens of each, ``(batch,)``.
    """

    tokens: Ints
    lengths: Ints

    @property
    def real(self) -> Bools:
        """True where there is a token, ``(batch, places)``."""
        return np.arange(self.tokens.shape[1]) < self.lengths[:, None]


class Targets(NamedTuple):
    """The fewest deletions, and insertions after them, that make the goal of a hypothesis.

    Attributes:
        deleted: True where a token of the hypothesis must go, ``(batch, places of hypotheses)``.
        placeholders: Tokens that are missing in each slot of what is left, nought after the last: ``(batch, slots)``.
        inserted: True where a token of the goal is missing; those of a row in order are what fills the
            placeholders: ``(batch, places of goals)``.
    """

    deleted: Bools
    placeholders: Ints
    inserted: Bools


def padded(sequences: Sequence[Sequence[int]], padding: int = 0) -> Rows:
    """Sequences of token ids, side by side."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    flat = np.array([token for sequence in sequences for token in sequence], dtype=np.int64)
    return _packed(flat, lengths, padding)


def distances(one: Rows, other: Rows, *, substitutions: bool = True) -> Ints:
    """Levenshtein's distances of pairs of sequences, ``(batch,)``.

    Args:
        one: A batch of sequences.
        other: As many.
        substitutions: Whether a token may be put for another at the cost of one edit, and not of two.
    """
    saved = np.zeros(len(one.lengths), dtype=np.int64)
    every = np.arange(len(saved))
    for length, row in enumerate(_saved(one, other, int(substitutions))):
        saved = np.where(one.lengths == length, row[other.lengths, every], saved)
    return one.lengths + other.lengths - saved


def alignment(hypotheses: Rows, goals: Rows) -> Ints:
    """The place in its goal of each token that is kept; what is kept is a longest common subsequence.

    Where several are longest, tokens that stand early are kept, and stand for early ones of the goal.

    Args:
        hypotheses: Sequences that are aligned.
        goals: What each is aligned with.

    Returns:
        ``NOT_KEPT`` for all other tokens and after a hypothesis' end, ``(batch, places of hypotheses)``.
    """
    table = list(_saved(hypotheses, goals, 0))
    every = np.arange(len(goals.lengths))
    left = goals.lengths  # tokens of the goal that are still free
    aligned = np.full(hypotheses.tokens.shape, NOT_KEPT, dtype=np.int64)
    for place in range(len(table) - 2, -1, -1):
        saved = table[place + 1][left, every]
        kept = (place < hypotheses.lengths) & (saved > table[place][left, every])
        # Its partner is the first token of the goal by which so much is saved.
        partner = (table[place + 1] < saved).sum(0) - 1
        aligned[:, place] = np.where(kept, partner, NOT_KEPT)
        left = np.where(kept, partner, left)
    return aligned


def targets(hypotheses: Rows, goals: Rows) -> Targets:
    """What must be deleted of hypotheses, and then be inserted, to make their goals with the fewest edits."""
    aligned = alignment(hypotheses, goals)
    kept = aligned != NOT_KEPT
    inserted = goals.real
    inserted[np.nonzero(kept)[0], aligned[kept]] = False
    return Targets(hypotheses.real & ~kept, placeholders(goals, inserted), inserted)


def placeholders(goals: Rows, inserted: Bools) -> Ints:
    """Missing tokens in each slot of goals of which only some tokens are there.

    Args:
        goals: What shall become of them.
        inserted: True where a token is missing, ``(batch, places)``.

    Returns:
        Nought after a sequence's last slot, ``(batch, slots)``.
    """
    there = goals.real & ~inserted
    slots = int(there.sum(1).max(initial=0)) + 1
    row, place = np.nonzero(inserted)
    slot = there.cumsum(1)[row, place]
    counts = np.bincount(row * slots + slot, minlength=len(inserted) * slots)
    return counts.reshape(len(inserted), slots)


def without(rows: Rows, deleted: Bools, padding: int = 0) -> Rows:
    """What deletions leave of sequences.

    Args:
        rows: The sequences.
        deleted: True where a token goes, ``(batch, places)``.
        padding: What stands after a sequence's end.
    """
    kept = rows.real & ~deleted
    return _packed(rows.tokens[kept], kept.sum(1), padding)


def with_placeholders(rows: Rows, counts: Ints, placeholder: int, padding: int = 0) -> Rows:
    """Sequences with placeholders in their slots.

    Args:
        rows: The sequences.
        counts: Placeholders of each slot, ``(batch, slots)``; those after a sequence's last slot are not read.
        placeholder: The token that stands for one to come.
        padding: What stands after a sequence's end.
    """
    places = rows.tokens.shape[1]
    counts = counts[:, : places + 1] * (np.arange(places + 1) <= rows.lengths[:, None])
    lengths = rows.lengths + counts.sum(1)
    grown = _packed(np.full(lengths.sum(), placeholder), lengths, padding)
    row, place = np.nonzero(rows.real)
    grown.tokens[row, place + counts.cumsum(1)[row, place]] = rows.tokens[row, place]
    return grown


def _saved(one: Rows, other: Rows, substituted: int) -> Iterator[NDArray[np.int32]]:
    """``S[i]`` for each ``i`` from 0, ``(places of other + 1, batch)``: the batch last, where NumPy is quickest."""
    columns = np.ascontiguousarray(other.tokens[:, : other.lengths.max(initial=0)].T)
    above = np.zeros((len(columns) + 1, len(one.lengths)), dtype=np.int32)
    yield above
    for place in range(one.lengths.max(initial=0)):
        same = columns == one.tokens[:, place]
        row = above.copy()
        row[1:] = np.maximum(above[1:], above[:-1] + np.where(same, np.int32(2), np.int32(substituted)))
        np.maximum.accumulate(row, axis=0, out=row)
        yield row
        above = row


def _packed(flat: NDArray[Any], lengths: Ints, padding: int) -> Rows:
    """Sequences of these lengths whose tokens stand one after the other."""
    rows = Rows(np.full((len(lengths), lengths.max(initial=0)), padding, dtype=np.int64), lengths)
    rows.tokens[rows.real] = flat
    return rows
