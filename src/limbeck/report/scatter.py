"""Scatter: what a model says against gold, a dot a text."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from limbeck.report import words
from limbeck.report.svg import Scale, around, drawing, frame, gutter, path, tag

SIZE = (300.0, 268.0)
"""Width and height, in pixels of a phone."""
MOST = 600
"""Dots that are drawn; of more, so many at even distances."""


def against_gold(
    gold: NDArray[np.float64],
    said: NDArray[np.float64],
    ends: tuple[float, float],
    name: str,
    style: str,
) -> Markup:
    """Predicted scores, upwards, against gold, across.

    Args:
        gold: ``(texts,)``.
        said: ``(texts,)``.
        ends: The least and the largest score that any picture beside this one shows: all have the same scale.
        name: The model, for those who listen.
        style: Its class in the style sheet.
    """
    low, high = around(ends)
    y = Scale(low, high, SIZE[1] - 42, 12)
    x = Scale(low, high, gutter(y, words.axis), SIZE[0] - 14)
    kept = np.unique(np.linspace(0, len(gold) - 1, min(MOST, len(gold))).astype(int))
    dots = [
        tag("circle", cx=x(float(gold[row])), cy=y(float(said[row])), r=2.4, class_="area") for row in kept
    ]
    diagonal = path([(x(low), y(low)), (x(high), y(high))], class_="diagonal")
    ground = frame(x, y, "gold", words.axis, words.axis)
    what = f"Scores of {name} against gold"
    return drawing(*SIZE, what, [*ground, diagonal, tag("g", *dots, class_=f"curve place {style}")])
