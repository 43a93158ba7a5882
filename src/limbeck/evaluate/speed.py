"""Speed, measured in alternation: the models take turns, a score of sentences each, until all have answered all.

A machine's speed drifts (heat, neighbours, clock). Timing one model after the other lends the drift to one of
them; taking turns spreads it over all, so that ratios hold where single times do not. All run on one thread,
because one sentence at a time gains little from more, and because that is what a busy server gives.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TypeVar

import numpy as np

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.evaluate.metrics import Ints

Contender = Callable[[Sequence[str]], object]
"""Answers sentences, from text to answer: tokenising is part of the time."""

Key = TypeVar("Key")

TURN = 20
"""Sentences that a model answers in its turn: enough for its own state to fill the caches again, which the model
before it has cleared. A server does not run the teacher between two requests to the student."""

BATCH = 32
"""Sentences in one batch where throughput is measured."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a model answers, on one thread.

    Attributes:
        p50_ms: Median time for one sentence alone, in milliseconds.
        p95_ms: 95th percentile of the same.
        per_second: Sentences a second in batches of 32.
    """

    p50_ms: float
    p95_ms: float
    per_second: float


def alternate(
    contenders: Mapping[Key, Contender],
    sentences: Sequence[str],
    warmup: int = 10,
    batch: int = BATCH,
    turn: int = TURN,
) -> dict[Key, Speed]:
    """Time models against each other.

    Torch is held to one thread meanwhile, and so are tokenisers; an onnxruntime session fixes its threads
    when it is made, so make it with one (``Bundle(folder, threads=1)``).

    Args:
        contenders: The models, by any key.
        sentences: What they answer, one at a time.
        warmup: Untimed sentences that each model answers first.
        batch: Sentences in one batch where throughput is measured.
        turn: Sentences that a model answers, one at a time, before it is the next one's turn.

    Raises:
        LimbeckError: There are no sentences.
    """
    if not sentences:
        raise LimbeckError("there are no sentences to time the models on")
    # Said, not drawn as a bar: a bar's thread would wake up inside the timings.
    progress.say(
        f"{'':<10}timing {len(contenders)} models on {len(sentences)} sentences, in turn, on one thread"
    )
    alone = [[sentence] for sentence in sentences]
    together = [list(sentences[start : start + batch]) for start in range(0, len(sentences), batch)]
    with one_thread(), undisturbed(), progress.silently():
        for contender in contenders.values():
            for texts in alone[:warmup]:
                contender(texts)
            contender(together[0])
        alone_ns = _in_turn(list(contenders.values()), alone, turn)
        together_ns = _in_turn(list(contenders.values()), together, 1)
    p50, p95 = np.percentile(alone_ns, [50, 95], axis=1) / 1e6
    per_second = len(sentences) / (together_ns.sum(axis=1) / 1e9)
    return {
        key: Speed(float(p50[row]), float(p95[row]), float(per_second[row]))
        for row, key in enumerate(contenders)
    }


def _in_turn(contenders: Sequence[Contender], calls: Sequence[Sequence[str]], turn: int) -> Ints:
    """Nanoseconds ``(contenders, calls)``; a turn is so many calls, and who begins changes with every round."""
    taken = np.zeros((len(contenders), len(calls)), dtype=np.int64)
    for number, first in enumerate(range(0, len(calls), turn)):
        for place in range(len(contenders)):
            row = (number + place) % len(contenders)
            for call in range(first, min(first + turn, len(calls))):
                start = perf_counter_ns()
                contenders[row](calls[call])
                taken[row, call] = perf_counter_ns() - start
    return taken


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch and tokenisers to one thread; what was set before comes back at the end."""
    import torch

    threads = torch.get_num_threads()
    tokenisers = os.environ.get("TOKENIZERS_PARALLELISM")
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if tokenisers is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = tokenisers


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep Python's garbage collector out of the timings."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
