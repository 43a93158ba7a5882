"""Fertilities: how many tokens of a translation each token of its text stands for, by a lexical aligner. NumPy alone.

The aligner is IBM model 2 in the form of Dyer, Chahuneau and Smith (2013, "A Simple, Fast, and Effective
Reparameterization of IBM Model 2": fast_align, by which Gu et al. 2018 have their fertilities), without an empty source
word, so that every target token has a source token and fertilities add up to the translation's length:

    p(a_i = j, y_i | x) ~ exp(-TENSION |i / m - j / n|) t(y_i | x_j),   i = 1..m, j = 1..n

``t`` begins alike for all pairs and is learnt by expectation maximisation on the very text that a student learns from,
so that the same text has the same fertilities always. A target token belongs to the source token of the largest
posterior, of equal ones to the first. End tokens are left out of both sides.

Axes: ``cells`` (pairs of a target and a source token of one sentence, by sentence, target token, source token).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from limbeck.text.encode import Encoded
from limbeck.text.ragged import joined, offsets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

TENSION = 4.0
"""How much places near the diagonal are preferred."""
ROUNDS = 5
"""Of expectation maximisation."""
UNSEEN = 1e-7
"""Probability of a pair of tokens that the learnt text does not have: their places decide then."""
CELLS = 1 << 22
"""Held at a time."""
WIDTH = 1 << 31
"""More than any token's number."""


class Cells(NamedTuple):
    """Some sentences' cells.

    Attributes:
        sources: Source tokens' places in the flat array of all tokens, ``(cells,)``.
        pairs: A number for each cell's two tokens, ``(cells,)``.
        prior: Of their places, unnormalised, ``(cells,)``.
        starts: Where each target token's cells start, ``(target tokens,)``.
        sizes: How many those are, ``(target tokens,)``.
    """

    sources: Ints
    pairs: Ints
    prior: Floats
    starts: Ints
    sizes: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Aligner:
    """A learnt ``t``.

    Attributes:
        pairs: Those of the text, sorted, ``(pairs,)``: the source token times ``WIDTH`` plus the target token.
        table: ``t`` of each, ``(pairs,)``.
    """

    pairs: Ints
    table: Floats

    @classmethod
    def learn(cls, data: Encoded) -> Aligner:
        """Learn from texts with translations."""
        assert data.targets is not None
        pairs = np.unique(joined([np.unique(cells.pairs) for cells in _cells(data)], np.int64))
        table = np.ones(len(pairs))
        _, source = np.unique(pairs // WIDTH, return_inverse=True)
        for _ in range(ROUNDS):
            counts = np.zeros(len(pairs))
            for cells in _cells(data):
                found = np.searchsorted(pairs, cells.pairs)
                counts += np.bincount(found, _posterior(cells, table[found]), minlength=len(pairs))
            table = counts / np.bincount(source, counts)[source]
        return cls(pairs, table)

    def posterior(self, cells: Cells) -> Floats:
        """How probable it is that a target token comes from each source token, ``(cells,)``."""
        found = np.searchsorted(self.pairs, cells.pairs).clip(max=len(self.pairs) - 1)
        return _posterior(cells, np.where(self.pairs[found] == cells.pairs, self.table[found], 0.0))

    def fertilities(self, data: Encoded) -> NDArray[np.int32]:
        """Of every source token, noughts where there is no translation: ``(tokens,)``."""
        found = np.zeros(len(data.tokens), dtype=np.int64)
        for cells in _cells(data):
            posterior = self.posterior(cells)
            largest = np.maximum.reduceat(posterior, cells.starts)
            target = np.repeat(np.arange(len(cells.starts)), cells.sizes)
            best = np.flatnonzero(posterior == largest[target])
            _, first = np.unique(target[best], return_index=True)
            found += np.bincount(cells.sources[best[first]], minlength=len(found))
        return found.astype(np.int32)


def _posterior(cells: Cells, chances: Floats) -> Floats:
    """From ``t`` of each cell, ``(cells,)``."""
    joint = np.maximum(chances, UNSEEN) * cells.prior
    shares: Floats = joint / np.repeat(np.add.reduceat(joint, cells.starts), cells.sizes)
    return shares


def _cells(data: Encoded) -> Iterator[Cells]:
    """The cells of all sentences that are translated, some sentences at a time."""
    assert data.targets is not None
    own, theirs = np.maximum(data.lengths - 1, 1), data.targets.lengths - 1
    rows = np.flatnonzero(theirs > 0)
    part = np.cumsum(own[rows] * theirs[rows]) // CELLS
    for number in np.unique(part):
        yield _cells_of(data, rows[part == number], own, theirs)


def _cells_of(data: Encoded, rows: Ints, own: Ints, theirs: Ints) -> Cells:
    assert data.targets is not None
    n, m = own[rows], theirs[rows]
    sizes = np.repeat(n, m)  # (target tokens,)
    starts = offsets_of(sizes)
    row = np.repeat(np.arange(len(rows)), m)  # (target tokens,)
    i = np.arange(len(row)) - offsets_of(m)[row]
    j = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)  # (cells,)
    sources = np.repeat(data.offsets[rows][row], sizes) + j
    targets = data.targets.tokens[data.targets.offsets[rows][row] + i].astype(np.int64)
    pairs = data.tokens[sources].astype(np.int64) * WIDTH + np.repeat(targets, sizes)
    across, down = (j + 1) / np.repeat(n[row], sizes), np.repeat((i + 1) / m[row], sizes)
    return Cells(sources, pairs, np.exp(-TENSION * np.abs(down - across)), starts[:-1], sizes)
