"""Ramp: a weight that moves from one value to another while a student is trained."""

from __future__ import annotations

import math
from typing import Literal

Shape = Literal["linear", "cosine"]


def ramp(done: float, start: float, end: float, begins: float, ends: float, shape: Shape = "linear") -> float:
    """A weight at a point of the training.

    Args:
        done: Share of the training that lies behind, from 0 to 1.
        start: The weight until ``begins``.
        end: The weight from ``ends`` on.
        begins: Share of the training at which it begins to move.
        ends: Share at which it has arrived; equal to ``begins`` it jumps there.
        shape: ``linear``, or ``cosine``: half a wave, slow at both ends.
    """
    if done >= ends:
        return end
    if done <= begins:
        return start
    way = (done - begins) / (ends - begins)
    if shape == "cosine":
        way = (1 - math.cos(math.pi * way)) / 2
    return start + (end - start) * way
