"""Layout: what loops over passes share: likely lengths, sources copied to places, repetitions. NumPy alone.

Axes: ``texts``, ``candidates`` (lengths that are tried for each), ``places`` (of the longest translation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


def likely_lengths(scores: NDArray[np.float32], sources: Ints, candidates: int, longest: int) -> Ints:
    """The likeliest lengths of each translation, likeliest first; :mod:`limbeck.models.translators.lengths` has more.

    A length below one or above ``longest`` is moved to the nearest that may be.

    Args:
        scores: Of the differences to the source's length, from ``-offset`` to ``offset``, ``(texts, classes)``.
        sources: Tokens of the sources, ``(texts,)``.
        candidates: How many are wanted; there are no more than classes.
        longest: Most tokens of a translation.

    Returns:
        ``(texts, candidates)``.
    """
    offset = scores.shape[1] // 2
    best = np.argsort(-scores, axis=1, kind="stable")[:, :candidates] - offset
    lengths: Ints = np.clip(sources[:, None] + best, 1, longest)
    return lengths


def uniform_copy(sources: Ints, lengths: Ints) -> Ints:
    """The source token that each place starts from, as :func:`limbeck.models.translators.layout.uniform_copy` has it.

    Args:
        sources: Tokens of each source, ``(texts,)``.
        lengths: Tokens of the translations, at least one, ``(texts, candidates)``.

    Returns:
        Counted from 0, ``(texts, candidates, places)``.
    """
    place, count, last = np.arange(1, lengths.max() + 1), lengths[:, :, None], sources[:, None, None]
    copied: Ints = np.clip((2 * last * place + count) // (2 * count) - 1, 0, last - 1)
    return copied


def without_repetitions(tokens: Ints) -> Ints:
    """Of equal tokens in a row the first: ``(places,) -> (places or fewer,)``."""
    return tokens[np.append(True, tokens[1:] != tokens[:-1])] if len(tokens) else tokens
