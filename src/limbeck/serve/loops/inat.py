"""Iterative refinement: how the student of Lee, Mansimov and Cho (2018) translates. NumPy alone.

The first pass writes all places from the source, whose tokens are copied to them evenly; each later pass reads what
the one before wrote, and writes all places anew. A text is done when a pass changes nothing in any of its lengths that
are tried side by side (from there on nothing could change any more), or after ``decoding.passes`` passes; then the
translation with the largest mean log-probability in the last pass is taken.

Axes: ``texts`` (still being translated), ``candidates`` (lengths of each), ``rows`` (texts times candidates),
``places`` (of the longest).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from limbeck.serve.loops.lengths import likely_lengths
from limbeck.serve.search import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limbeck.core.decoding import Decoding
    from limbeck.serve.passes import Passes

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]

WRITE = "write"
"""The graph: ``tokens (rows, places)``, ``lengths (rows,)`` and whether the tokens are the source's, ``copied ()``, to
the likeliest token of each place and its log-probability."""


@dataclass(frozen=True)
class Loop:
    """See :class:`limbeck.serve.passes.Loop`.

    Attributes:
        longest: Most tokens that the model can write.
        deduplicate: Whether of equal tokens in a row the first alone is kept.
    """

    longest: int
    deduplicate: bool

    def __call__(self, passes: Passes, sources: Ints, decoding: Decoding) -> list[Found]:
        """The best translation of each text; its score is the mean log-probability of a token, in nats."""
        scores, ids = passes.first
        longest = min(decoding.max_length - 1, self.longest)
        lengths = likely_lengths(scores, sources, decoding.candidates, longest)  # (texts, candidates)
        tokens = np.take_along_axis(ids[:, None], uniform_copy(sources, lengths), axis=2)
        found: dict[int, Found] = {}
        texts = np.arange(len(sources))
        for number in range(1, decoding.passes + 1):
            written, said = self._write(passes, tokens, lengths, copied=number == 1)
            real = np.arange(tokens.shape[2]) < lengths[:, :, None]
            same = ((written == tokens) | ~real).all((1, 2)) & (number > 1)
            done = same | (number == decoding.passes)
            for row in np.flatnonzero(done):
                found[int(texts[row])] = self._best(written[row], said[row], lengths[row], number)
            if done.all():
                break
            going = np.flatnonzero(~done)
            if done.any():
                passes.keep(going)
            texts, lengths = texts[going], lengths[going]
            tokens = written[going, :, : lengths.max()]
        return [found[text] for text in range(len(sources))]

    def _write(self, passes: Passes, tokens: Ints, lengths: Ints, *, copied: bool) -> tuple[Ints, Floats]:
        """The tokens of a pass and their log-probabilities, ``(texts, candidates, places)`` each."""
        rows = tokens.reshape(-1, tokens.shape[2])
        ids, said = passes.run(WRITE, tokens=rows, lengths=lengths.reshape(-1), copied=np.array(copied))
        return ids.reshape(tokens.shape), said.reshape(tokens.shape)

    def _best(self, tokens: Ints, said: Floats, lengths: Ints, passes: int) -> Found:
        """Of a text's candidates."""
        means = [float(row[:length].mean()) for row, length in zip(said, lengths, strict=True)]
        best = int(np.argmax(means))
        kept = tokens[best, : lengths[best]]
        if self.deduplicate:
            kept = kept[np.append(True, kept[1:] != kept[:-1])]
        return Found(tuple(kept.tolist()), means[best], passes)


def uniform_copy(sources: Ints, lengths: Ints) -> Ints:
    """As :func:`limbeck.models.translators.layout.uniform_copy`.

    Args:
        sources: Tokens of each source, ``(texts,)``.
        lengths: Tokens of the translations, at least one, ``(texts, candidates)``.

    Returns:
        The source token that each place starts from, counted from 0, ``(texts, candidates, places)``.
    """
    place, count, last = np.arange(1, lengths.max() + 1), lengths[:, :, None], sources[:, None, None]
    copied: Ints = np.clip((2 * last * place + count) // (2 * count) - 1, 0, last - 1)
    return copied
