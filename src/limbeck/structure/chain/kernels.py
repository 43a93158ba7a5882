"""Numba kernels: the forward-backward algorithm with scaled probabilities, a sentence at a time.

With factors ``x[l, j] = exp(emission)`` and ``E[i, j] = exp(transition)`` (each divided by its largest), a forward
pass keeps ``a[l]``, scaled to sum to one, and its scale ``c[l]``:

    a[l, j] = x[l, j] sum_i a[l-1, i] E[i, j] / c[l]          log Z = sum_l log c[l]  (plus what was divided out)

a backward pass ``b[l]`` uses the same scales, so that ``a[l] b[l]`` are the marginals themselves (Rabiner 1989,
section V.A). No logarithm or exponential is taken inside a loop over tags.

Arrays: ``x`` and ``a`` ``(batch, words, width)``; ``c`` ``(batch, words)``; ``E`` ``(1, 1, tags, width)`` if all words
share it, else ``(batch, words - 1, tags, width)`` or ``(batch, 1, tags, width)``; ``E[., l-1]`` leads to word ``l``.
``width`` is the number of tags, filled up with noughts so that whole vectors are multiplied. All are float32 or all
float64; whether that loses anything is the caller's question: see :func:`limbeck.structure.chain.scaled.factors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

LEAST = 1e-150
"""A scaled probability under this may have lost what it is made of, where transitions are forbidden."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at first use, kept on disk, run without the interpreter's lock; sums may be reordered."""
    compiled: Callable[..., Any] = njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(function)
    return compiled


@kernel
def extremes(edges: NDArray[Any], divided_out: Floats) -> tuple[bool, float]:
    """Fill ``divided_out`` (the first two axes of ``edges``) with each table's largest score.

    Returns:
        Whether a transition is forbidden, and how far apart the others lie, in the table where that is most.
    """
    forbidden, widest = False, 0.0
    for s in range(edges.shape[0]):
        for l in range(edges.shape[1]):
            largest, least = -np.inf, np.inf
            for i in range(edges.shape[2]):
                for j in range(edges.shape[3]):
                    score = np.float64(edges[s, l, i, j])
                    largest = max(largest, score)
                    if score == -np.inf:
                        forbidden = True
                    else:
                        least = min(least, score)
            if largest == -np.inf:
                largest = 0.0
            divided_out[s, l] = largest
            widest = max(widest, largest - least)
    return forbidden, widest


@kernel
def exponentials(edges: NDArray[Any], divided_out: Floats, E: NDArray[Any], transposed: NDArray[Any]) -> None:
    """Fill ``E``, and the same with its last axes changed over."""
    for s in range(edges.shape[0]):
        for l in range(edges.shape[1]):
            for i in range(edges.shape[2]):
                for j in range(edges.shape[3]):
                    E[s, l, i, j] = np.exp(edges[s, l, i, j] - divided_out[s, l])
                    transposed[s, l, j, i] = E[s, l, i, j]


@kernel
def spread(
    first: int,
    step: int,
    emissions: NDArray[Any],
    start: NDArray[Any],
    end: NDArray[Any],
    lengths: Integers,
    x: NDArray[Any],
    log_z: Floats,
    watch: bool,
) -> float:
    """Add start and end to emissions, and divide out each word's largest: ``x`` is what is left, as logarithms.

    ``log_z`` takes what was divided out.

    Returns:
        Where it was to watch, the least finite ``x``.
    """
    batch, _, tags = emissions.shape
    least = 0.0
    for s in range(first, batch, step):
        n = lengths[s]
        x[s, n:] = 0.0
        x[s, :n, tags:] = -np.inf
        for l in range(n):
            row, out = emissions[s, l], x[s, l]
            for j in range(tags):
                out[j] = row[j]
            if l == 0:
                for j in range(tags):
                    out[j] += start[j]
            if l == n - 1:
                for j in range(tags):
                    out[j] += end[j]
            largest = out[0]
            for j in range(1, tags):
                largest = out[j] if out[j] > largest else largest
            if largest > -np.inf:
                log_z[s] += largest
                for j in range(tags):
                    out[j] -= largest
            if watch:
                for j in range(tags):
                    if out[j] < least and out[j] > -np.inf:
                        least = out[j]
    return least


@kernel
def forward(
    first: int,
    step: int,
    x: NDArray[Any],
    transposed: NDArray[Any],
    lengths: Integers,
    a: NDArray[Any],
    c: NDArray[Any],
    log_z: Floats,
    divided_out: Floats,
    watch: bool,
) -> bool:
    """Fill ``a`` and ``c``, and add to ``log_z`` the logarithms of ``c`` and what was divided out of ``E``.

    Returns:
        False where it was to watch, and a reachable tag's probability fell below ``LEAST``.
    """
    nought, one = x.dtype.type(0), x.dtype.type(1)
    tags, width = transposed.shape[2:]
    safe = True
    for s in range(first, x.shape[0], step):
        product = 1.0  # of scales whose logarithm is yet to be taken
        for l in range(lengths[s]):
            there = s if transposed.shape[0] > 1 else 0, l - 1 if transposed.shape[1] > 1 else 0
            factor, now, before = x[s, l], a[s, l], a[s, l - 1]
            now[:] = nought
            scale = nought
            for j in range(tags):
                total = one
                if l > 0:
                    total = nought
                    into = transposed[there][j]
                    for i in range(width):
                        total += before[i] * into[i]
                now[j] = total * factor[j]
                scale += now[j]
            c[s, l] = scale
            if l > 0:
                log_z[s] += divided_out[there]
            product *= scale
            if scale > nought:
                if product < 1e-100 or product > 1e100:
                    log_z[s] += np.log(product)
                    product = 1.0
                inverse = one / scale
                for j in range(width):
                    now[j] *= inverse
            if watch and safe:
                safe = _is_safe(before, transposed[there], factor, now, l)
        log_z[s] += np.log(product) if product > 0.0 else product - np.inf  # all forbidden, or not a number
    return safe


@kernel
def _is_safe(before: Floats, into: Floats, factor: Floats, now: Floats, l: int) -> bool:
    """Whether every tag that some former one leads to has more probability than ``LEAST``."""
    for j in range(len(into)):
        if now[j] < LEAST and factor[j] > 0.0:
            if l == 0:
                return False
            for i in range(len(into)):
                if before[i] > 0.0 and into[j, i] > 0.0:
                    return False
    return True


@kernel
def backward(
    first: int,
    step: int,
    x: NDArray[Any],
    E: NDArray[Any],
    lengths: Integers,
    a: NDArray[Any],
    c: NDArray[Any],
    weights: Floats,
    b: NDArray[Any],
    tokens: NDArray[Any],
    pairs: NDArray[Any],
) -> None:
    """Fill ``tokens`` with the marginals of each word's tag, and add those of pairs to ``pairs``.

    Marginals are multiplied by their sentence's weight. ``tokens`` is ``(batch, words, tags)``; ``pairs`` has a shape
    of ``E``'s, so that it may be summed over words, or over sentences too. What cannot be reached has no future
    either: ``b`` is nought where ``a`` is. It is kept if it has the shape of ``a``; else it is ``(., 0, .)``.
    """
    nought, one = x.dtype.type(0), x.dtype.type(1)
    tags, width = E.shape[2:]
    q, now = np.zeros(width, x.dtype), np.zeros(width, x.dtype)
    for s in range(first, x.shape[0], step):
        n = lengths[s]
        weight = x.dtype.type(weights[s])
        tokens[s, n:] = 0.0
        for l in range(n - 1, -1, -1):
            row = a[s, l]
            if l == n - 1:
                for i in range(tags):
                    now[i] = one if row[i] > nought else nought
            else:
                edge = E[s if E.shape[0] > 1 else 0, l if E.shape[1] > 1 else 0]
                there = pairs[s if pairs.shape[0] > 1 else 0, l if pairs.shape[1] > 1 else 0]
                inverse = one / c[s, l + 1] if c[s, l + 1] > nought else nought
                for j in range(width):
                    q[j] = x[s, l + 1, j] * now[j] * inverse
                for i in range(tags):
                    future, share = nought, weight * row[i]
                    out, into = edge[i], there[i]
                    for j in range(width):
                        both = out[j] * q[j]
                        future += both
                        into[j] += share * both
                    now[i] = future if row[i] > nought else nought
            for i in range(tags):
                tokens[s, l, i] = weight * row[i] * now[i]
            if b.shape[1] > 0:
                b[s, l] = now


@kernel
def covariances(
    first: int,
    step: int,
    x: NDArray[Any],
    E: NDArray[Any],
    lengths: Integers,
    a: NDArray[Any],
    c: NDArray[Any],
    weights: Floats,
    b: NDArray[Any],
    g: Floats,
    W: Floats,
    out_emissions: Floats,
    out_mean: Floats,
    out_transitions: Floats,
) -> None:
    """Derivatives of marginals: covariances of each word's tag, and of each pair, with a sum G along the path.

    ``G(y) = sum_l g[l, y_l] + sum_l W[y_{l-1}, y_l]``. A forward pass keeps ``u[l, j] = E[G up to l | y_l = j]``, a
    backward pass ``v[l, i] = E[G after l | y_l = i]``; then ``E[G | y_l = j] = u[l, j] + v[l, j]``.

    Fills ``out_emissions`` ``(batch, words, tags)`` and ``out_mean`` (E[G], ``(batch,)``), adds to
    ``out_transitions``, whose shape is one of ``E``'s; ``W`` is as ``E``, without what fills it up.
    """
    batch, words, tags = g.shape
    u, v, q, total = np.empty((words, tags)), np.empty((words, tags)), np.empty(tags), np.empty(tags)
    for s in range(first, batch, step):
        n = lengths[s]
        for l in range(n):
            u[l] = g[s, l]
            if l > 0:
                edge = E[s if E.shape[0] > 1 else 0, l - 1 if E.shape[1] > 1 else 0]
                more = W[s if W.shape[0] > 1 else 0, l - 1 if W.shape[1] > 1 else 0]
                total[:] = 0.0
                q[:] = 0.0
                for i in range(tags):
                    p = a[s, l - 1, i]
                    if p != 0.0:
                        for j in range(tags):
                            total[j] += p * edge[i, j]
                            q[j] += p * edge[i, j] * (u[l - 1, i] + more[i, j])
                for j in range(tags):
                    if total[j] > 0.0:
                        u[l, j] += q[j] / total[j]
        mean = 0.0
        for j in range(tags):
            if n > 0:
                mean += a[s, n - 1, j] * b[s, n - 1, j] * u[n - 1, j]
        out_mean[s] = mean
        for l in range(n - 1, -1, -1):
            v[l] = 0.0
            if l < n - 1 and c[s, l + 1] > 0.0:
                edge = E[s if E.shape[0] > 1 else 0, l if E.shape[1] > 1 else 0]
                more = W[s if W.shape[0] > 1 else 0, l if W.shape[1] > 1 else 0]
                there = out_transitions[
                    s if out_transitions.shape[0] > 1 else 0, l if out_transitions.shape[1] > 1 else 0
                ]
                for j in range(tags):
                    q[j] = x[s, l + 1, j] * b[s, l + 1, j] / c[s, l + 1]
                for i in range(tags):
                    if b[s, l, i] > 0.0:
                        future = 0.0
                        for j in range(tags):
                            future += edge[i, j] * q[j] * (more[i, j] + g[s, l + 1, j] + v[l + 1, j])
                        v[l, i] = future / b[s, l, i]
                    p = weights[s] * a[s, l, i]
                    if p != 0.0:
                        for j in range(tags):
                            there[i, j] += (
                                p * edge[i, j] * q[j]
                                * (u[l, i] - mean + more[i, j] + g[s, l + 1, j] + v[l + 1, j])
                            )  # fmt: skip
            for j in range(tags):
                marginal = weights[s] * a[s, l, j] * b[s, l, j]
                out_emissions[s, l, j] = marginal * (u[l, j] + v[l, j] - mean)


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
def differences(
    first: int,
    step: int,
    emissions: NDArray[Any],
    start: NDArray[Any],
    end: NDArray[Any],
    other_emissions: NDArray[Any],
    other_start: NDArray[Any],
    other_end: NDArray[Any],
    lengths: Integers,
    d: NDArray[Any],
    rest: Floats,
    squares: Floats,
) -> None:
    """Fill ``d`` with the differences of two chains' emissions, start and end included, nought after the last word.

    ``rest`` ``(batch, tags)`` takes their sum over all words but the first, ``squares`` ``(2, batch)`` the sums of
    their squares over the first word and over the others.
    """
    tags = emissions.shape[2]
    for s in range(first, emissions.shape[0], step):
        n = lengths[s]
        d[s, n:] = 0.0
        for l in range(n):
            row, theirs, out = emissions[s, l], other_emissions[s, l], d[s, l]
            for j in range(tags):
                out[j] = row[j] - theirs[j]
            if l == 0:
                for j in range(tags):
                    out[j] += start[j] - other_start[j]
            if l == n - 1:
                for j in range(tags):
                    out[j] += end[j] - other_end[j]
            total = 0.0
            for j in range(tags):
                total += out[j] * out[j]
            squares[min(l, 1), s] += total
            if l > 0:
                for j in range(tags):
                    rest[s, j] += out[j]


@kernel
def distance_gradient(
    first: int, step: int, d: NDArray[Any], c: Floats, lengths: Integers, weights: Floats, out: NDArray[Any]
) -> None:
    """Fill ``out`` with ``weight (tags d + c)``, or ``weight d`` at a first word; nought after the last one."""
    tags = d.shape[2]
    for s in range(first, d.shape[0], step):
        out[s, lengths[s] :] = 0.0
        for l in range(lengths[s]):
            row, into = d[s, l], out[s, l]
            by_d = weights[s] * (1 if l == 0 else tags)
            by_c = 0.0 if l == 0 else weights[s]
            for j in range(tags):
                into[j] = by_d * row[j] + by_c * c[j]


@kernel
def sum_ends(tokens: NDArray[Any], lengths: Integers, start: Floats, end: Floats) -> None:
    """Sum over sentences the counts of first tags and of last ones, ``(tags,)`` each."""
    for s in range(tokens.shape[0]):
        if lengths[s] > 0:
            for j in range(tokens.shape[2]):
                start[j] += tokens[s, 0, j]
                end[j] += tokens[s, lengths[s] - 1, j]


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
