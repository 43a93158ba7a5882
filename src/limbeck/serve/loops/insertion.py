"""The pass loop of the insertion student: from an empty canvas to a translation. NumPy alone.

A *canvas* is what is written so far between two boundary tokens; ``k`` tokens have ``k + 1`` *slots*. In each pass the
model says of every slot which token it would insert, and how likely it is that nothing more goes there. As Stern, Chan,
Kiros and Uszkoreit (2019) say of inference, every slot takes its token at once (parallel decoding), or the likeliest of
all alone does (greedy decoding). A slot stays empty where its end is likelier by more than a penalty (the EOS penalty
of their experiments). The translation is done when all slots stay empty.

Axes: ``texts`` (still being translated), ``places`` (of the longest canvas, boundaries included), ``slots``
(``places - 1``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from limbeck.serve.layout import without_repetitions
from limbeck.serve.loops.levenshtein import framed
from limbeck.serve.search import NEVER, Found
from limbeck.structure.edits import Rows, with_placeholders

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limbeck.core.decoding import Decoding
    from limbeck.serve.passes import Passes

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]


INSERT = "insert"
"""The graph: canvases ``tokens (texts, places)`` to the likeliest token of each slot, its log-probability, and that of
the slot's end, ``(texts, slots)`` each."""
TO_COME = -1
"""Stands for a token that is being inserted."""


@dataclass(frozen=True)
class Loop:
    """How canvases grow; see :class:`limbeck.serve.passes.Loop`.

    Attributes:
        start: The token that stands before all others.
        end: The token that stands after all others.
        padding: The token that stands where there is none.
        longest: Most tokens of a translation.
        greedy: Whether a pass inserts one token only; then there are as many as a translation asks for.
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
        canvas = Canvas.empty(len(sources))
        most = longest + 1 if self.greedy else decoding.passes
        for number in range(1, most + 1):
            read = framed(canvas.rows, self.start, self.end, self.padding)
            tokens, gained, ends = passes.run(INSERT, tokens=read)
            wanted = self._wanted(canvas.rows.lengths, gained, ends, longest)
            canvas = canvas.grown(wanted, tokens, gained)
            done = ~wanted.any(1) | (canvas.rows.lengths == longest) | (number == most)
            for row in np.flatnonzero(done):
                found[int(texts[row])] = self._found(canvas, int(row), ends[row, 0], number)
            if done.all():
                break
            if done.any():
                going = np.flatnonzero(~done)
                passes.keep(going)
                texts, canvas = texts[going], canvas.kept(going)
        return [found[text] for text in range(len(sources))]

    def _wanted(self, lengths: Ints, gained: Floats, ends: Floats, longest: int) -> Bools:
        """Which slots take their token, ``(texts, slots)``: of more than there is room for, the likeliest."""
        slots = np.arange(gained.shape[1]) <= lengths[:, None]
        wanted: Bools = slots & (gained > ends - self.end_penalty)
        room = np.full(len(gained), 1) if self.greedy else longest - lengths
        if (wanted.sum(1) <= room).all():
            return wanted
        likeliest = np.argsort(-np.where(wanted, gained, NEVER), axis=1, kind="stable")
        ranks = np.argsort(likeliest, axis=1, kind="stable")
        return wanted & (ranks < room[:, None])

    def _found(self, canvas: Canvas, row: int, end: np.float32, passes: int) -> Found:
        length = canvas.rows.lengths[row]
        tokens, scores = canvas.rows.tokens[row, :length], canvas.scores[row, :length]
        if not length:
            return Found((), float(end), passes)
        kept = without_repetitions(tokens) if self.deduplicate else tokens
        return Found(tuple(kept.tolist()), float(scores.mean()), passes)


class Canvas(NamedTuple):
    """Translations in the making.

    Attributes:
        rows: Their tokens, without boundaries.
        scores: The log-probability of each when it was inserted, ``(texts, tokens of the longest)``.
    """

    rows: Rows
    scores: Floats

    @classmethod
    def empty(cls, texts: int) -> Canvas:
        """So many, without a token."""
        rows = Rows(np.zeros((texts, 0), dtype=np.int64), np.zeros(texts, dtype=np.int64))
        return cls(rows, np.zeros((texts, 0), dtype=np.float32))

    def grown(self, wanted: Bools, tokens: Ints, scores: Floats) -> Canvas:
        """With tokens inserted.

        Args:
            wanted: Which slots take one, ``(texts, slots)``.
            tokens: The one of each slot.
            scores: Its log-probability.
        """
        rows = with_placeholders(self.rows, wanted.astype(np.int64), TO_COME)
        new = rows.tokens == TO_COME
        grown = np.zeros(new.shape, dtype=np.float32)
        rows.tokens[new], grown[new] = tokens[wanted], scores[wanted]
        grown[rows.real & ~new] = self.scores[self.rows.real]
        return Canvas(rows, grown)

    def kept(self, texts: Ints) -> Canvas:
        """Of these texts only."""
        lengths = self.rows.lengths[texts]
        longest = lengths.max(initial=0)
        return Canvas(Rows(self.rows.tokens[texts, :longest], lengths), self.scores[texts, :longest])
