"""What happens when: batches, learning rate and evaluations as functions of the step.

Nothing here keeps a state. The batch order is a function of (seed, epoch) and the learning rate one of the
step, so the number of the next step is all that a resumed run needs to know.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limbeck.core.recipe import Training
from limbeck.text.batching import batches

JOURNALLED = 100
"""A run's journal has at least this many steps' lines, where it has as many steps."""
SILENT = 20
"""Largest number of steps between two lines."""


@dataclass(frozen=True, slots=True)
class Group:
    """The batches of one optimiser step.

    Attributes:
        rows: Row numbers, one array a batch.
        epoch: Passes over the data once the step is taken.
    """

    rows: tuple[NDArray[np.int64], ...]
    epoch: float


def total_steps(lengths: NDArray[np.int64], settings: Training, *, processes: int = 1) -> int:
    """Optimiser steps of a run.

    Args:
        lengths: Tokens of each example, ``(examples,)``.
        settings: Epochs, tokens per batch, accumulation.
        processes: Processes that train together; each takes its own batches.
    """
    an_epoch = len(batches(lengths, settings.tokens_per_batch, settings.sentences_per_batch, seed=0, epoch=0))
    return max(1, math.ceil(settings.epochs * an_epoch / (settings.accumulate * processes)))


def groups(
    lengths: NDArray[np.int64], settings: Training, size: int, seed: int, *, skip: int = 0
) -> Iterator[Group]:
    """Endless groups of ``size`` batches, epoch after epoch; a group may straddle two epochs.

    Args:
        lengths: Tokens of each example, ``(examples,)``.
        settings: Tokens and sentences of a batch.
        size: Batches in a group.
        seed: Of the order.
        skip: Groups to leave out at the start.
    """
    stream = itertools.islice(_stream(lengths, settings, seed), skip * size, None)
    while True:
        taken = list(itertools.islice(stream, size))
        yield Group(tuple(rows for rows, _ in taken), taken[-1][1])


def _stream(
    lengths: NDArray[np.int64], settings: Training, seed: int
) -> Iterator[tuple[NDArray[np.int64], float]]:
    for epoch in itertools.count():
        order = batches(
            lengths, settings.tokens_per_batch, settings.sentences_per_batch, seed=seed, epoch=epoch
        )
        for number, rows in enumerate(order, start=1):
            yield rows, epoch + number / len(order)


def learning_rate(step: int, steps: int, settings: Training) -> float:
    """The learning rate of a step: up in a line to its peak over the warm-up, then down by the schedule.

    ``linear`` goes down in a line towards zero. No step is wasted on a rate of zero: the first one has ``peak / rise``
    and the last one ``peak / fall``, where ``rise`` and ``fall`` are the numbers of steps of the two legs.

    ``inverse_sqrt`` is ``peak sqrt(rise / n)`` at the n-th step: Vaswani et al. 2017, Attention is all you need,
    equation 3, scaled so that the warm-up ends at the peak whatever the model's width. Without a warm-up the first step
    is the peak.

    Args:
        step: Counted from 0.
        steps: Steps of the run.
        settings: The peak, the share of steps over which it rises, and the schedule.
    """
    rise, number = round(settings.warmup * steps), step + 1
    rising = number / rise if rise else 1.0
    if settings.schedule == "inverse_sqrt":
        return settings.learning_rate * min(rising, math.sqrt(max(1, rise) / number))
    return settings.learning_rate * min(rising, (steps - step) / max(1, steps - rise))


def evaluation_steps(steps: int, evaluations: int) -> frozenset[int]:
    """After which steps (counted from 1) dev is evaluated: evenly spread, the last one always among them."""
    return frozenset(max(1, round(steps * number / evaluations)) for number in range(1, evaluations + 1))


def journal_interval(steps: int) -> int:
    """Steps between two lines of the journal; the GPU is waited for only then."""
    return min(SILENT, max(1, steps // JOURNALLED))
