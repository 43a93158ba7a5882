"""Outputs as points between three languages: the panels of the slides' toy study, side by side, as one SVG.

The picture stands by itself, as a file or on a page: it brings its colours along, for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from limbeck.analyse.modes import decided, decided_for, in_triangle
from limbeck.core.errors import LimbeckError
from limbeck.core.files import atomic_write
from limbeck.report.svg import drawing, path, tag

Floats = NDArray[np.float64]

SIDE = 190.0
"""Of a triangle, in pixels."""
WIDTH, HEIGHT = SIDE + 50, 306.0
"""Of a panel."""
TOP = 72.0
"""Above a triangle: its title, what was measured, and the name of the upper corner."""
PLACES = (("start", -14, 17), ("end", 14, 17), ("middle", 0, -10))
"""Of the corners' names: which end stands at the corner, and how far to the right of it and below."""
LONGEST_TITLE = 24
"""Characters of a title that stay on one line; a font that is wide fits 28 into a panel."""
MOST = 1000
"""Points of a panel that are drawn; of more, so many at even distances."""

STYLE = Markup("""
.triangles {
  --ink: #1d1b18; --quiet: #625c53; --paper: #fcfbf8; --rule: #b9b1a3;
  --a: #c04d05; --b: #007a58; --c: #6a55a8;
}
@media (prefers-color-scheme: dark) {
  .triangles {
    --ink: #ece8e0; --quiet: #a8a196; --paper: #171613; --rule: #5a544b;
    --a: #f08a4b; --b: #3cc49b; --c: #a99be0;
  }
}
.triangles .paper { fill: var(--paper); }
.triangles text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
.triangles text.told { fill: var(--quiet); }
.triangles text.title { font-size: 13px; font-weight: 600; fill: var(--ink); }
.triangles text.corner { font-weight: 600; }
.triangles .side { fill: none; stroke: var(--rule); stroke-linejoin: round; }
.triangles .inner { fill: none; stroke: var(--rule); stroke-dasharray: 2 4; }
.triangles circle { fill-opacity: 0.4; }
.triangles .l0 { fill: var(--a); }
.triangles .l1 { fill: var(--b); }
.triangles .l2 { fill: var(--c); }
""")


@dataclass(frozen=True)
class Panel:
    """One model's outputs.

    Attributes:
        title: Which model, trained on what.
        posteriors: Of each language of each output, ``(outputs, 3)``.
        complexity: C(d) of the text that it learnt, in nats; None where it is not told.
    """

    title: str
    posteriors: Floats
    complexity: float | None = None


def figure(panels: Sequence[Panel], languages: Sequence[str]) -> Markup:
    """All panels side by side; each says which share of the outputs is in each language.

    Args:
        panels: One or more.
        languages: Names of the three, in the order of the posteriors.

    Raises:
        LimbeckError: There is no panel, or there are not three languages.
    """
    if not panels:
        raise LimbeckError("there is nothing to draw")
    if len(languages) != 3:
        raise LimbeckError(f"a triangle shows three languages, and there are {len(languages)}")
    width = WIDTH * len(panels)
    drawn = [
        tag("g", *_panel(panel, languages), transform=f"translate({WIDTH * number:.0f},0)")
        for number, panel in enumerate(panels)
    ]
    ground = tag("rect", width=width, height=HEIGHT, class_="paper")
    what = "Languages of outputs, as points between three corners"
    return drawing(width, HEIGHT, what, [tag("style", STYLE), ground, *drawn], "natural triangles")


def write(panels: Sequence[Panel], languages: Sequence[str], out: Path) -> Path:
    """Write the picture as a file of its own (``.svg``).

    Returns:
        Where it is.
    """
    shown = str(figure(panels, languages)).replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    with atomic_write(out) as file:
        file.write(shown + "\n")
    return out


def _panel(panel: Panel, languages: Sequence[str]) -> Iterator[Markup]:
    middle = WIDTH / 2
    for number, line in enumerate(_two_lines(panel.title)):
        yield tag("text", line, x=middle, y=18 + 15 * number, text_anchor="middle", class_="title")
    corners = _pixels(np.eye(3))
    centre = tuple(corners.mean(axis=0).tolist())
    yield tag("path", d=_closed(corners), class_="side")
    for first, second in ((0, 1), (1, 2), (2, 0)):
        between = tuple(((corners[first] + corners[second]) / 2).tolist())
        yield path([between, centre], class_="inner")
    yield from _points(panel.posteriors)
    yield from _corner_names(panel.posteriors, languages, corners)
    told = [f"{100 * decided(panel.posteriors):.0f}% in one language"]
    if panel.complexity is not None:
        told.insert(0, f"C(d) = {panel.complexity:.2f}")
    for number, line in enumerate(told):
        yield tag("text", line, x=middle, y=TOP + 208 + 16 * number, text_anchor="middle", class_="told")


def _points(posteriors: Floats) -> Iterator[Markup]:
    """A dot an output, in the colour of the language that is nearest."""
    kept = posteriors[np.linspace(0, len(posteriors) - 1, min(MOST, len(posteriors))).astype(int)]
    for (x, y), language in zip(_pixels(kept).tolist(), kept.argmax(axis=1).tolist(), strict=True):
        yield tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.4, class_=f"l{language}")


def _corner_names(posteriors: Floats, languages: Sequence[str], corners: Floats) -> Iterator[Markup]:
    """Each language at its corner, with the share of outputs that are in it, as the table has it."""
    shares = np.nan_to_num(decided_for(posteriors))
    for number, (name, share, (x, y)) in enumerate(zip(languages, shares, corners.tolist(), strict=True)):
        anchor, beside, down = PLACES[number]
        shown = f"{name} {100 * share:.0f}%"
        yield tag("text", shown, x=x + beside, y=y + down, text_anchor=anchor, class_=f"corner l{number}")


def _pixels(posteriors: Floats) -> Floats:
    """Where posteriors stand in a panel, ``(points, 3) -> (points, 2)``; downwards is larger."""
    across, up = in_triangle(posteriors).T
    return np.stack([(WIDTH - SIDE) / 2 + SIDE * across, TOP + SIDE * (math.sqrt(3) / 2 - up)], axis=1)


def _closed(corners: Floats) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in corners.tolist()) + "Z"


def _two_lines(title: str) -> list[str]:
    """A title on one line, or, where it is long, on two of about the same length."""
    words = title.split()
    if len(title) <= LONGEST_TITLE or len(words) < 2:
        return [title]
    cuts = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
    return list(min(cuts, key=lambda lines: max(map(len, lines))))
