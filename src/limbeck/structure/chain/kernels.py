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

from limbeck.structure.chain.calling import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

LEAST = 1e-150
"""A scaled probability under this may have lost what it is made of, where transitions are forbidden."""


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
    u, v, q = np.empty((words, tags)), np.empty((words, tags)), np.empty(tags)
    for s in range(first, batch, step):
        n = lengths[s]
        mean = _means_until(s, n, E, a, b, g, W, u)
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
def _means_until(
    s: int,
    n: int,
    E: NDArray[Any],
    a: NDArray[Any],
    b: NDArray[Any],
    g: Floats,
    W: Floats,
    u: Floats,
) -> float:
    """Fill ``u`` for one sentence of ``n`` words, and give E[G]; the arrays are those of :func:`covariances`."""
    tags = g.shape[2]
    q, total = np.empty(tags), np.empty(tags)
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
    if n > 0:
        for j in range(tags):
            mean += a[s, n - 1, j] * b[s, n - 1, j] * u[n - 1, j]
    return mean
