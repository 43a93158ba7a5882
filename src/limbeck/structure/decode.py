"""Decoding a chain with NumPy alone, for serving: best paths, and how probable their parts are.

A path ``y`` of ``n`` tags scores, as in :mod:`limbeck.structure.chain.scores`,

    s(y) = start[y_1] + sum_{l=1..n} emissions[l, y_l] + sum_{l=2..n} transitions[y_{l-1}, y_l] + end[y_n]

The best path (Viterbi 1967) and the sums over all paths (Baum and Welch; Rabiner 1989, equations 20 and 25) are

    delta[l, j] = emissions[l, j] + max_i     (delta[l-1, i] + transitions[i, j]),    delta[1] = start + emissions[1]
    alpha[l, j] = emissions[l, j] + log sum_i exp(alpha[l-1, i] + transitions[i, j]), alpha[1] = start + emissions[1]
    beta[l, i]  = log sum_j exp(transitions[i, j] + emissions[l+1, j] + beta[l+1, j]), beta[n] = end

All run word by word over a whole batch, in float64; minus infinity forbids. Axes: ``batch, words, tags``; what stands
after a sentence's last word is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NO_TAG = -1
"""Stands in paths after a sentence's last word, and where all paths are forbidden."""


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """What a chain scores beside emissions; the same for all sentences.

    Attributes:
        transitions: From, to: ``(tags, tags)``.
        start: Of the first tag, ``(tags,)``.
        end: Of the last tag, ``(tags,)``.
    """

    transitions: Floats
    start: Floats
    end: Floats

    def __post_init__(self) -> None:
        tags = len(self.start)
        shapes = self.transitions.shape, self.start.shape, self.end.shape
        if shapes != ((tags, tags), (tags,), (tags,)):
            raise ValueError(f"transitions, start and end of shapes {shapes} do not make a chain")


def viterbi(emissions: NDArray[Any], lengths: Ints, links: Links) -> tuple[Floats, Ints]:
    """The best path of every sentence; one of them, where several score the same.

    Args:
        emissions: ``(batch, words, tags)``.
        lengths: Words of each sentence, ``(batch,)``; nought is allowed.
        links: Transitions, start and end.

    Returns:
        Scores ``(batch,)``, minus infinity where all paths are forbidden, and tags ``(batch, words)``.
    """
    batch, words, tags = emissions.shape
    paths = np.full((batch, words), NO_TAG, dtype=np.int64)
    if not batch or not words:
        return np.zeros(batch), paths
    into = np.ascontiguousarray(links.transitions.T)  # (to, from)
    wide = emissions.astype(np.float64)
    best = links.start + wide[:, 0]
    came_from = np.empty((words, batch, tags), dtype=np.int64)
    shortest = lengths.min()
    for word in range(1, words):
        candidates = best[:, None, :] + into  # (batch, to, from)
        came_from[word] = candidates.argmax(2)
        here = np.maximum.reduce(candidates, axis=2) + wide[:, word]
        if word >= shortest:  # a sentence that has ended keeps what it had
            over = lengths <= word
            came_from[word, over] = np.arange(tags)
            here[over] = best[over]
        best = here
    best = best + links.end
    paths[:, -1] = last = best.argmax(1)
    scores = np.where(lengths > 0, best.max(1), 0.0)
    rows = np.arange(batch)
    for word in range(words - 1, 0, -1):
        paths[:, word - 1] = last = came_from[word, rows, last]
    impossible = ~np.isfinite(scores)[:, None]
    paths[impossible | (np.arange(words) >= lengths[:, None])] = NO_TAG
    return scores, paths


@dataclass(frozen=True, slots=True, eq=False)
class Trellis:
    """All paths of a batch, summed from both ends.

    Attributes:
        emissions: ``(batch, words, tags)``.
        links: Transitions, start and end.
        alphas: Log of the sum over what leads to each word's tag, it included: ``(batch, words, tags)``.
        betas: Log of the sum over what follows on it.
        log_z: Log of the sum over all paths (nats), ``(batch,)``; nought for a sentence of no words.
    """

    emissions: Floats
    links: Links
    alphas: Floats
    betas: Floats
    log_z: Floats

    def probability(self, sentence: int, start: int, tags: Sequence[int] | Ints) -> float:
        """That words from ``start`` on bear exactly these tags, whatever the other words bear.

        The sums from both ends close the gap on either side, so this is exact:
        ``exp(alpha[start, y_start] + sum of what lies between + beta[end, y_end] - log Z)``.

        Args:
            sentence: Its row.
            start: The first of the words.
            tags: At least one.
        """
        path = np.asarray(tags)
        inner = np.arange(start + 1, start + len(path))
        score = (
            self.alphas[sentence, start, path[0]]
            + self.links.transitions[path[:-1], path[1:]].sum()
            + self.emissions[sentence, inner, path[1:]].sum()
            + self.betas[sentence, start + len(path) - 1, path[-1]]
        )
        return float(np.exp(min(score - self.log_z[sentence], 0.0))) if np.isfinite(score) else 0.0

    def marginals(self) -> Floats:
        """``p(y_l = j)``, ``(batch, words, tags)``; anything after the last word, nought where all is forbidden."""
        log_z = np.where(np.isfinite(self.log_z), self.log_z, 0.0)
        return np.exp(np.minimum(self.alphas + self.betas - log_z[:, None, None], 0.0))


def forward_backward(emissions: NDArray[Any], lengths: Ints, links: Links) -> Trellis:
    """The sums over all paths; arguments as of :func:`viterbi`."""
    scores = np.asarray(emissions, dtype=np.float64)
    batch, words, _ = scores.shape
    alphas, betas = np.zeros_like(scores), np.zeros_like(scores)
    if not batch or not words:
        return Trellis(scores, links, alphas, betas, np.zeros(batch))
    into = links.transitions.T
    alphas[:, 0] = links.start + scores[:, 0]
    for word in range(1, words):
        alphas[:, word] = scores[:, word] + _logsumexp(alphas[:, word - 1, None, :] + into)
    betas[:, -1] = links.end
    for word in range(words - 2, -1, -1):
        after = scores[:, word + 1] + betas[:, word + 1]  # (batch, to)
        follows = (word < lengths - 1)[:, None]
        betas[:, word] = np.where(follows, _logsumexp(links.transitions + after[:, None, :]), links.end)
    last = np.maximum(lengths - 1, 0)
    log_z = _logsumexp(alphas[np.arange(batch), last] + links.end)
    return Trellis(scores, links, alphas, betas, np.where(lengths > 0, log_z, 0.0))


def _logsumexp(scores: Floats) -> Floats:
    """Over the last axis; of nothing but minus infinities it is minus infinity."""
    largest = scores.max(-1)
    shift = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        found: Floats = np.log(np.exp(scores - shift[..., None]).sum(-1)) + shift
    return found
