"""Refinement by deletions and insertions: how the Levenshtein transformer translates (Gu, Wang and Zhao 2019).

Section 3.3 of the paper, greedily: from the empty translation, each iteration

1. deletes the tokens that the deletion policy would rather be without (the first has none to delete),
2. puts as many placeholders into each slot as the placeholder policy says,
3. fills all placeholders at once, as the token policy says,

each a pass of the decoder; a text for which there is nothing to delete from, or nothing to fill, is not counted as
passed. A text is done when an iteration leaves it as it was, or after ``decoding.passes`` iterations, which are at
most three times as many passes. Where placeholders would make a translation too long, those further left are given.

A translation's score is the mean log-probability, in nats, of the tokens that were filled in last; nought where there
never was one.

Axes: ``texts`` (those still being translated), ``places`` (of the longest), ``slots`` (before, between and after
tokens).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from limbeck.serve.search import Found
from limbeck.structure.edits import Rows, with_placeholders, without

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limbeck.core.decoding import Decoding
    from limbeck.serve.passes import Passes

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]

DELETE = "delete"
"""Graph: ``tokens (texts, places)``, framed, to ones where a token must go ``(texts, places)``."""
INSERT = "insert"
"""Graph: ``tokens (texts, places)``, framed, to placeholders between neighbours ``(texts, places - 1)``."""
FILL = "fill"
"""Graph: ``tokens (texts, places)``, framed, to ids and log-probabilities for its placeholders, ``(placeholders,)``."""


@dataclass(frozen=True)
class Loop:
    """See :class:`limbeck.serve.passes.Loop`.

    Attributes:
        start: The token before a translation.
        end: The token after it.
        placeholder: The token that stands for one to come.
        padding: The token that stands where there is none.
        longest: Most tokens that the model can write.
        deduplicate: Whether of equal tokens in a row the first alone is kept.
    """

    start: int
    end: int
    placeholder: int
    padding: int
    longest: int
    deduplicate: bool

    def __call__(self, passes: Passes, sources: Ints, decoding: Decoding) -> list[Found]:
        """The translation of each text."""
        texts, longest = len(sources), min(decoding.max_length - 1, self.longest)
        found: list[tuple[int, ...]] = [()] * texts
        scores, ran = np.zeros(texts), np.zeros(texts, dtype=np.int64)
        open_texts = np.arange(texts)
        rows = Rows(np.empty((texts, 0), dtype=np.int64), np.zeros(texts, dtype=np.int64))
        for iteration in range(decoding.passes):
            before = rows
            if iteration:
                rows = self._deleted(passes, rows)
                ran[open_texts] += before.lengths > 0
            counts = self._placeholders(passes, rows, longest)
            rows, means = self._filled(passes, rows, counts)
            filled = counts.any(1)
            ran[open_texts] += 1 + filled
            scores[open_texts[filled]] = means[filled]
            running = ~_same(before, rows) & (iteration + 1 < decoding.passes)
            for text, row in zip(open_texts[~running], np.flatnonzero(~running), strict=True):
                found[text] = self._tokens(rows.tokens[row, : rows.lengths[row]])
            if not running.any():
                break
            if not running.all():
                passes.keep(np.flatnonzero(running))
                open_texts, rows = open_texts[running], Rows(rows.tokens[running], rows.lengths[running])
        return [Found(*each) for each in zip(found, scores.tolist(), ran.tolist(), strict=True)]

    def _deleted(self, passes: Passes, rows: Rows) -> Rows:
        """What the deletion policy leaves; the frame stays."""
        if not rows.lengths.any():
            return rows
        (gone,) = passes.run(DELETE, tokens=self._framed(rows))
        return without(rows, gone[:, 1:-1].astype(bool), self.padding)

    def _placeholders(self, passes: Passes, rows: Rows, longest: int) -> Ints:
        """Placeholders for each slot, no more than there is room for, ``(texts, slots)``."""
        (counts,) = passes.run(INSERT, tokens=self._framed(rows))
        counts = counts * (np.arange(counts.shape[1]) <= rows.lengths[:, None])
        room = longest - rows.lengths[:, None]
        given: Ints = np.diff(np.minimum(counts.cumsum(1), room), axis=1, prepend=0)
        return given

    def _filled(self, passes: Passes, rows: Rows, counts: Ints) -> tuple[Rows, Floats]:
        """Translations with new tokens for placeholders, and the mean log-probability of these, ``(texts,)``."""
        if not counts.any():
            return rows, np.zeros(len(counts), dtype=np.float32)
        opened = with_placeholders(rows, counts, self.placeholder, self.padding)
        ids, log_probabilities = passes.run(FILL, tokens=self._framed(opened))
        places = opened.tokens == self.placeholder
        opened.tokens[places] = ids
        number = places.sum(1)
        sums = np.bincount(np.nonzero(places)[0], log_probabilities, len(counts))
        return opened, (sums / np.maximum(number, 1)).astype(np.float32)

    def _framed(self, rows: Rows) -> Ints:
        return framed(rows, self.start, self.end, self.padding)

    def _tokens(self, row: Ints) -> tuple[int, ...]:
        if self.deduplicate and len(row):
            row = row[np.append(True, row[1:] != row[:-1])]
        return tuple(row.tolist())


def framed(rows: Rows, start: int, end: int, padding: int) -> Ints:
    """Translations between a start and an end token, with padding after it: ``(texts, places + 2)``."""
    texts, places = rows.tokens.shape
    tokens = np.full((texts, places + 2), padding, dtype=np.int64)
    tokens[:, 0] = start
    tokens[:, 1:-1][rows.real] = rows.tokens[rows.real]
    tokens[np.arange(texts), rows.lengths + 1] = end
    return tokens


def _same(one: Rows, other: Rows) -> NDArray[np.bool_]:
    """Whether sequences are equal, ``(texts,)``."""
    places = min(one.tokens.shape[1], other.tokens.shape[1])
    equal = one.tokens[:, :places] == other.tokens[:, :places]
    same: NDArray[np.bool_] = (one.lengths == other.lengths) & (equal | ~one.real[:, :places]).all(1)
    return same
