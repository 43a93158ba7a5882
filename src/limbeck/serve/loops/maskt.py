"""Mask-predict: how a conditional masked language model translates (Ghazvininejad, Levy, Liu, Zettlemoyer 2019).

Section 4 of the paper, for ``N`` places and ``T`` passes: the first pass writes every place from masks alone; before
pass ``t`` the ``n = floor(N (T - t) / T)`` places whose tokens were least probable are masked again, and written anew
with the others in view; a token's probability is that of the pass that wrote it (equations 1 to 5). Several lengths
are tried side by side, and the translation with the largest mean log-probability is taken (section 4.3).

A pass before which nothing would be masked changes nothing, and is left out: a text of ``N`` tokens takes the
passes ``t < T`` with ``N (T - t) >= T`` only.

Axes: ``texts``, ``candidates`` (lengths of each), ``rows`` (texts times candidates), ``places`` (of the longest).
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

FILL = "fill"
"""The graph: ``tokens (rows, places)`` to the likeliest token of each place and its log-probability."""


@dataclass(frozen=True)
class Loop:
    """See :class:`limbeck.serve.passes.Loop`.

    Attributes:
        mask: The token that stands for a hidden one.
        padding: The token that stands where there is none.
        longest: Most tokens that the model can write.
        deduplicate: Whether of equal tokens in a row the first alone is kept.
    """

    mask: int
    padding: int
    longest: int
    deduplicate: bool

    def __call__(self, passes: Passes, sources: Ints, decoding: Decoding) -> list[Found]:
        """The best translation of each text; its score is the mean log-probability of a token, in nats."""
        (scores,) = passes.first
        longest = min(decoding.max_length - 1, self.longest)
        lengths = likely_lengths(scores, sources, decoding.candidates, longest)
        texts, candidates = lengths.shape
        real = np.arange(lengths.max()) < lengths.reshape(-1, 1)  # (rows, places)
        written, said = self._fill(passes, np.where(real, self.mask, self.padding))
        needed = np.array([_needed(int(longest), decoding.passes) for longest in lengths.max(1)])
        open_texts = np.arange(texts)
        for number in range(1, int(needed.max())):
            running = needed[open_texts] > number
            if not running.all():
                passes.keep(np.flatnonzero(running))
                open_texts = open_texts[running]
            rows = (open_texts[:, None] * candidates + np.arange(candidates)).reshape(-1)
            count = lengths.reshape(-1)[rows] * (decoding.passes - number) // decoding.passes
            hidden = least_probable(np.where(real[rows], said[rows], np.inf), count)
            tokens = np.where(hidden, self.mask, np.where(real[rows], written[rows], self.padding))
            ids, log_probabilities = self._fill(passes, tokens)
            written[rows] = np.where(hidden, ids, written[rows])
            said[rows] = np.where(hidden, log_probabilities, said[rows])
        means = np.where(real, said, 0).sum(1).reshape(texts, candidates) / lengths
        best = means.argmax(1)
        chosen = np.arange(texts) * candidates + best
        return [
            Found(self._tokens(written[row], real[row]), float(means.flat[row]), int(count))
            for row, count in zip(chosen, needed, strict=True)
        ]

    def _fill(self, passes: Passes, tokens: Ints) -> tuple[Ints, Floats]:
        ids, log_probabilities = passes.run(FILL, tokens=tokens)
        return ids, log_probabilities

    def _tokens(self, row: Ints, real: NDArray[np.bool_]) -> tuple[int, ...]:
        kept = row[real]
        if self.deduplicate:
            kept = kept[np.append(True, kept[1:] != kept[:-1])]
        return tuple(kept.tolist())


def least_probable(log_probabilities: Floats, count: Ints) -> NDArray[np.bool_]:
    """True at so many places of each row, those that are least probable, of equal ones the first: ``(rows, places)``.

    Args:
        log_probabilities: ``(rows, places)``, infinity where there is no token.
        count: ``(rows,)``.
    """
    order = np.argsort(log_probabilities, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1, kind="stable")
    least: NDArray[np.bool_] = ranks < count[:, None]
    return least


def _needed(places: int, passes: int) -> int:
    """Passes that change anything: the first, and all before which a place at least is masked."""
    return 1 + sum(places * (passes - number) >= passes for number in range(1, passes))
