"""The pass loop of the insertion student: from an empty canvas to a translation. NumPy alone.

A *canvas* is what is written so far between two boundary tokens; ``k`` tokens have ``k + 1`` *slots*. In each pass the
model says of every slot which token it would insert, and how likely it is that nothing more goes there. Every slot
takes its token at once (parallel decoding, Stern et al. 2019, section 5.2), or only the likeliest of all does (greedy
decoding, section 5.1); a slot stays empty where the end is more likely, by more than a penalty (section 6). The
translation is done when all slots stay empty.

Axes: ``texts`` (still being translated), ``places`` (of the longest canvas, boundaries included), ``slots``
(``places - 1``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from limbeck.serve.search import NEVER, Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limbeck.core.decoding import Decoding
    from limbeck.serve.passes import Passes

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]
    Truths = NDArray[np.bool_]


INSERT = "insert"
"""The graph: canvases ``tokens (texts, places)`` to the likeliest token of each slot, its log-probability, and that of
the slot's end, ``(texts, slots)`` each."""


@dataclass(frozen=True)
class Loop:
    """How canvases grow; see :class:`limbeck.serve.passes.Loop`.

    Attributes:
        start: The token that stands before all others.
        end: The token that stands after all others.
        padding: The token that stands where there is none.
        longest: Most tokens of a translation.
        greedy: Whether a pass inserts one token only.
        end_penalty: By so many nats the end of a slot must be likelier than a token.
        deduplicate: Whether of equal tokens in a row only the first is kept.
    """

    start: int
    end: int
    padding: int
    longest: int
    greedy: bool
    end_penalty: float
    deduplicate: bool

    def __call__(self, passes: Passes, sources: Ints, decoding: Decoding) -> list[Found]:
        """The translation of each text; its score is the mean log-probability of a token when it was inserted."""
        longest = min(decoding.max_length - 1, self.longest)
        found: dict[int, Found] = {}
        texts = np.arange(len(sources))
        canvas = self._empty(len(sources))
        for number in range(1, decoding.passes + 1):
            tokens, gained, ends = passes.run(INSERT, tokens=canvas.tokens)
            wanted = self._wanted(canvas, gained, ends, longest)
            canvas = canvas.grown(wanted, tokens, gained, self.padding)
            full = canvas.lengths - 2 == longest
            done = ~wanted.any(1) | full | (number == decoding.passes)
            for row in np.flatnonzero(done):
                found[int(texts[row])] = self._found(canvas, int(row), ends[row, 0], number)
            if done.all():
                break
            if done.any():
                going = np.flatnonzero(~done)
                passes.keep(going)
                texts, canvas = texts[going], canvas.kept(going)
        return [found[text] for text in range(len(sources))]

    def _empty(self, texts: int) -> Canvas:
        tokens = np.tile(np.array([self.start, self.end], dtype=np.int64), (texts, 1))
        return Canvas(tokens, np.zeros(tokens.shape, np.float32), np.full(texts, 2, dtype=np.int64))

    def _wanted(self, canvas: Canvas, gained: Floats, ends: Floats, longest: int) -> Truths:
        """Which slots take their token, ``(texts, slots)``: of more than there is room for, the likeliest."""
        slots = np.arange(gained.shape[1]) < canvas.lengths[:, None] - 1
        wanted = slots & (gained > ends - self.end_penalty)
        room = np.full(len(gained), 1) if self.greedy else longest - (canvas.lengths - 2)
        if (wanted.sum(1) <= room).all():
            return wanted
        likeliest = np.argsort(-np.where(wanted, gained, NEVER), axis=1, kind="stable")
        ranks = np.empty_like(likeliest)
        np.put_along_axis(ranks, likeliest, np.arange(gained.shape[1])[None], axis=1)
        return wanted & (ranks < room[:, None])

    def _found(self, canvas: Canvas, row: int, end: np.float32, passes: int) -> Found:
        written = slice(1, canvas.lengths[row] - 1)
        tokens, scores = canvas.tokens[row, written], canvas.scores[row, written]
        if not len(tokens):
            return Found((), float(end), passes)
        kept = np.append(True, tokens[1:] != tokens[:-1]) if self.deduplicate else slice(None)
        return Found(tuple(tokens[kept].tolist()), float(scores.mean()), passes)


class Canvas(NamedTuple):
    """Translations in the making.

    Attributes:
        tokens: With the boundaries, ``(texts, places)``.
        scores: The log-probability of each when it was inserted, ``(texts, places)``; of boundaries 0.
        lengths: Tokens of each, boundaries included, ``(texts,)``.
    """

    tokens: Ints
    scores: Floats
    lengths: Ints

    def grown(self, wanted: Truths, tokens: Ints, scores: Floats, padding: int) -> Canvas:
        """With tokens inserted.

        Args:
            wanted: Which slots take one, ``(texts, slots)``.
            tokens: The one of each slot.
            scores: Its log-probability.
            padding: What stands after the end.
        """
        before = np.cumsum(wanted, axis=1)  # tokens inserted up to a slot, itself included
        shift = np.pad(before, ((0, 0), (1, 0)))  # what is inserted before a token of the canvas
        place = np.arange(self.tokens.shape[1])
        lengths = self.lengths + before[:, -1]
        size = len(lengths), int(lengths.max())
        grown, gained = np.full(size, padding, dtype=np.int64), np.zeros(size, dtype=np.float32)
        rows, old = np.nonzero(place < self.lengths[:, None])
        at = old + shift[rows, old]
        grown[rows, at], gained[rows, at] = self.tokens[rows, old], self.scores[rows, old]
        rows, slots = np.nonzero(wanted)
        at = slots + before[rows, slots]
        grown[rows, at], gained[rows, at] = tokens[rows, slots], scores[rows, slots]
        return Canvas(grown, gained, lengths)

    def kept(self, texts: Ints) -> Canvas:
        """Of these texts only."""
        lengths = self.lengths[texts]
        longest = lengths.max(initial=2)
        return Canvas(self.tokens[texts, :longest], self.scores[texts, :longest], lengths)
