"""What a plan says of inner states: asked for once or at every step, how large they are, how long the teacher works."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from limbeck.evaluate.table import size
from limbeck.models.outputs import tokens_at_a_time
from limbeck.pipeline import inner

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run

TRIALS = 3
"""Batches that the teacher is timed on, after a first one."""


def states(run: Run, left: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, float, int]]:
    """For each teacher and text what is done, how long the teacher works, and the bytes that stay on disk.

    Args:
        run: The run; its teacher may be an untaught one.
        left: Seeds of each method whose students are not trained yet.
    """
    for picked in inner.pick(run):
        wanted = picked.wanted
        share = sum(len(left[title]) for title in wanted.titles) / (
            len(wanted.titles) * len(run.recipe.seeds)
        )
        if not share:
            continue
        passes = 1 if picked.stored else wanted.passes * share
        how = "asked once, and kept on disk" if picked.stored else "asked at every step"
        kept = run.recipe.inner_states == "kept"
        until = "" if kept or not picked.stored else " until students are trained"
        what = (
            f"inner states for {', '.join(wanted.titles)}: {wanted.text}; {size(wanted.bytes)}, {how}{until}"
        )
        yield f"{what} ({picked.why})", passes * _seconds(wanted), wanted.bytes if kept else 0


def _seconds(wanted: inner.Wanted) -> float:
    """Of the teacher, for all texts once: by the least of some trials on a batch of middling ones."""
    device, length = wanted.live.model.device, max(1, int(np.median(wanted.lengths)))
    count = max(1, tokens_at_a_time(device) // length)
    ids = torch.zeros(count, length, dtype=torch.int64, device=device)
    taken = []
    for _ in range(TRIALS + 1):
        started = time.perf_counter()
        wanted.live.on({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        taken.append(time.perf_counter() - started)
    return min(taken[1:]) * int(wanted.lengths.sum()) / (count * length)
