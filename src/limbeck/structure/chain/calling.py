"""How kernels are made, given a chain's arrays, run over threads, and turned into gradients of its scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from limbeck.structure.chain.scores import Chain

SMALL = 1_000_000
"""Products under which a second thread costs more than it spares."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at first use, kept on disk, run without the interpreter's lock; sums may be reordered."""
    compiled: Callable[..., Any] = njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(function)
    return compiled


def arrays(chain: Chain) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Emissions, transitions (with four axes), start and end as contiguous arrays."""
    emissions, edges = _contiguous(chain.emissions), _contiguous(chain.transitions)
    start, end = (
        np.zeros(emissions.shape[2], emissions.dtype) if part is None else _contiguous(part)
        for part in (chain.start, chain.end)
    )
    return emissions, edges[None, None] if chain.shared else edges, start, end


def _contiguous(part: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = part.detach().numpy()
    return found if found.flags.c_contiguous else np.ascontiguousarray(found)


def checked(lengths: Tensor, emissions: NDArray[Any]) -> NDArray[np.int64]:
    """As an array that no kernel reads beyond the words with."""
    found: NDArray[np.int64] = lengths.numpy()
    if found.max(initial=0) > emissions.shape[1]:
        raise ValueError(f"a length of {found.max()} where the emissions have {emissions.shape[1]} words")
    return found


def by_scores(
    tokens: NDArray[Any], pairs: NDArray[Any], lengths: NDArray[np.int64], scores: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """Derivatives by emissions, transitions, start and end, from those by the tags of words and of pairs."""
    emissions, transitions, start, end = scores
    assert emissions is not None and transitions is not None
    tags = tokens.shape[2]
    first, last = np.zeros((2, tags), tokens.dtype)
    if start is not None or end is not None:
        _sum_ends(tokens, lengths, first, last)
    return (
        _like(tokens, emissions),
        _like(pairs[..., :tags], transitions),
        None if start is None else _like(first, start),
        None if end is None else _like(last, end),
    )


def _like(values: NDArray[Any], scores: Tensor) -> Tensor:
    """In the shape and dtype of the scores."""
    found = torch.from_numpy(values)
    if found.dtype != scores.dtype:
        found = found.to(scores.dtype)
    return found if found.shape == scores.shape else found.reshape(scores.shape)


@kernel
def _sum_ends(
    tokens: NDArray[Any], lengths: NDArray[np.int64], start: NDArray[Any], end: NDArray[Any]
) -> None:
    """Sum over sentences the counts of first tags and of last ones, ``(tags,)`` each."""
    for s in range(tokens.shape[0]):
        if lengths[s] > 0:
            for j in range(tokens.shape[2]):
                start[j] += tokens[s, 0, j]
                end[j] += tokens[s, lengths[s] - 1, j]


def summed(kernel: Callable[..., Any], *arguments: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """What a kernel adds to its last argument, an array ``like`` that; threads that share it add to their own."""
    if like.shape[:2] != (1, 1):
        total = np.zeros_like(like)
        run(kernel, *arguments, total)
        return total
    owns = [np.zeros_like(like) for _ in range(_threads(arguments[0]))]
    run(kernel, *arguments, owns=owns)
    return sum(owns[1:], owns[0])


def run(kernel: Callable[..., Any], *arguments: NDArray[Any], owns: Sequence[NDArray[Any]] = ()) -> list[Any]:
    """Run a kernel over all sentences, dealt out to as many threads as PyTorch may use.

    Args:
        kernel: Called with its first sentence, the step to its next, and the arguments.
        arguments: The first is ``(batch, words, tags)``.
        owns: A last argument for each thread.
    """
    threads = _threads(arguments[0])
    if threads == 1:
        return [kernel(0, 1, *arguments, *owns)]
    calls = [(first, threads, *arguments, *owns[first : first + 1]) for first in range(threads)]
    return list(_pool(threads).map(lambda call: kernel(*call), calls))


def _threads(scores: NDArray[Any]) -> int:
    """How many threads are worth their while; ``scores`` is ``(batch, words, tags)``."""
    batch, words, tags = scores.shape
    return 1 if batch * words * tags * tags < SMALL else max(1, min(torch.get_num_threads(), batch))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "chain")


def array(values: Tensor) -> NDArray[np.float64]:
    """In float64, contiguous, without its graph."""
    return np.ascontiguousarray(values.detach().double().numpy())
