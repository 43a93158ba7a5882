"""Numba kernels over single paths: the best ones, and scores and counts of given ones.

Arrays: ``emissions`` ``(batch, words, tags)``; ``transitions`` ``(1, 1, tags, tags)`` if all words share them, else
``(batch, words - 1, tags, tags)`` or ``(batch, 1, tags, tags)``; ``start`` and ``end`` ``(tags,)``. A kernel works on
the sentences ``first, first + step, ...``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.structure.chain.calling import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@kernel
def path_scores(
    first: int,
    step: int,
    emissions: NDArray[Any],
    transitions: NDArray[Any],
    start: NDArray[Any],
    end: NDArray[Any],
    lengths: Integers,
    tags: Integers,
    weights: Floats,
    scores: Floats,
) -> None:
    """Scores of paths, weighted and summed: ``(batch,)``.

    ``tags`` is ``(batch, paths, words)``, ``weights`` ``(batch, paths)``.
    """
    for s in range(first, emissions.shape[0], step):
        for path in range(tags.shape[1]):
            if weights[s, path] != 0.0:
                total = 0.0
                for l in range(lengths[s]):
                    now = tags[s, path, l]
                    if now < 0 or now >= emissions.shape[2]:
                        raise IndexError("a path holds a number that is no tag's")
                    total += emissions[s, l, now]
                    if l == 0:
                        total += start[now]
                    else:
                        edge = transitions[
                            s if transitions.shape[0] > 1 else 0, l - 1 if transitions.shape[1] > 1 else 0
                        ]
                        total += edge[tags[s, path, l - 1], now]
                    if l == lengths[s] - 1:
                        total += end[now]
                scores[s] += weights[s, path] * total


@kernel
def count_paths(
    first: int,
    step: int,
    tokens: NDArray[Any],
    pairs: Floats,
    lengths: Integers,
    tags: Integers,
    weights: Floats,
) -> None:
    """Add to counts what weighted paths hold; paths as in :func:`path_scores`, ``pairs`` as in :func:`backward`."""
    for s in range(first, tokens.shape[0], step):
        for path in range(tags.shape[1]):
            if weights[s, path] != 0.0:
                for l in range(lengths[s]):
                    now = tags[s, path, l]
                    tokens[s, l, now] += weights[s, path]
                    if l > 0:
                        there = pairs[s if pairs.shape[0] > 1 else 0, l - 1 if pairs.shape[1] > 1 else 0]
                        there[tags[s, path, l - 1], now] += weights[s, path]


@kernel
def expected_scores(
    first: int,
    step: int,
    emissions: NDArray[Any],
    transitions: NDArray[Any],
    start: NDArray[Any],
    end: NDArray[Any],
    lengths: Integers,
    tokens: NDArray[Any],
    pairs: Floats,
    scores: Floats,
) -> None:
    """Scores of paths whose tags and pairs have these expected counts, ``(batch,)``.

    ``pairs`` is ``(batch, 1, tags, tags)``, summed over words, where words share transitions, else
    ``(batch, words - 1, tags, tags)``. What does not occur counts nothing, were it forbidden or not.
    """
    tags = emissions.shape[2]
    for s in range(first, emissions.shape[0], step):
        total = 0.0
        for l in range(lengths[s]):
            for j in range(tags):
                if tokens[s, l, j] > 0.0:
                    score = np.float64(emissions[s, l, j])
                    if l == 0:
                        score += start[j]
                    if l == lengths[s] - 1:
                        score += end[j]
                    total += tokens[s, l, j] * score
        for l in range(min(pairs.shape[1], max(lengths[s] - 1, 0))):
            edge = transitions[s if transitions.shape[0] > 1 else 0, l if transitions.shape[1] > 1 else 0]
            for i in range(tags):
                for j in range(tags):
                    if pairs[s, l, i, j] > 0.0:
                        total += pairs[s, l, i, j] * edge[i, j]
        scores[s] = total


@kernel
def add_counts(
    first: int,
    step: int,
    tokens: NDArray[Any],
    pairs: Floats,
    lengths: Integers,
    more_tokens: Floats,
    more_pairs: Floats,
    weights: Floats,
) -> None:
    """Add other counts, times their sentence's weight; ``pairs`` as in :func:`backward`."""
    tags = tokens.shape[2]
    for s in range(first, tokens.shape[0], step):
        for l in range(lengths[s]):
            for j in range(tags):
                tokens[s, l, j] += weights[s] * more_tokens[s, l, j]
        for l in range(min(more_pairs.shape[1], max(lengths[s] - 1, 0))):
            there = pairs[s if pairs.shape[0] > 1 else 0, l if pairs.shape[1] > 1 else 0]
            for i in range(tags):
                for j in range(tags):
                    there[i, j] += weights[s] * more_pairs[s, l, i, j]


@kernel
def k_best(
    first: int,
    step: int,
    emissions: NDArray[Any],
    transitions: NDArray[Any],
    start: NDArray[Any],
    end: NDArray[Any],
    lengths: Integers,
    scores: Floats,
    paths: Integers,
) -> None:
    """The best paths of each sentence, best first; a score of minus infinity where there are fewer.

    Each tag of a word keeps its k best prefixes. ``transitions`` has a shape of ``E``'s, ``scores`` is ``(batch, k)``
    and ``paths`` ``(batch, k, words)``.
    """
    batch, words, tags = emissions.shape
    k = scores.shape[1]
    best = np.empty((tags, k))
    former = np.empty((tags, k))
    back = np.empty((words, tags, k), np.int64)  # former tag and its rank, as one number
    for s in range(first, batch, step):
        n = lengths[s]
        if n == 0:
            scores[s, 0] = 0.0
            continue
        best[:] = -np.inf
        for j in range(tags):
            best[j, 0] = np.float64(emissions[s, 0, j]) + start[j]
        for l in range(1, n):
            edge = transitions[s if transitions.shape[0] > 1 else 0, l - 1 if transitions.shape[1] > 1 else 0]
            former, best = best, former
            best[:] = -np.inf
            for i in range(tags):
                for j in range(tags):
                    for rank in range(k):
                        score = former[i, rank] + edge[i, j]
                        if score <= best[j, k - 1]:
                            break  # the later ranks of this tag score no more
                        _insert(best[j], back[l, j], score, i * k + rank)
            for j in range(tags):
                for rank in range(k):
                    best[j, rank] += emissions[s, l, j]
        ends = np.full(k, -np.inf)
        last = np.zeros(k, np.int64)
        for j in range(tags):
            for rank in range(k):
                if best[j, rank] + end[j] > ends[k - 1]:
                    _insert(ends, last, best[j, rank] + end[j], j * k + rank)
        for rank in range(k):
            scores[s, rank] = ends[rank]
            if ends[rank] > -np.inf:
                at = last[rank]
                for l in range(n - 1, -1, -1):
                    paths[s, rank, l] = at // k
                    if l > 0:
                        at = back[l, at // k, at % k]


@kernel
def _insert(scores: Floats, marks: Integers, score: float, mark: int) -> None:
    """Insert into a list sorted from the best down, dropping its last; the earlier comes first of equals."""
    at = len(scores) - 1
    while at > 0 and scores[at - 1] < score:
        scores[at] = scores[at - 1]
        marks[at] = marks[at - 1]
        at -= 1
    scores[at] = score
    marks[at] = mark
