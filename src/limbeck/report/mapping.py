"""Mapping: which of the teacher's layers each of the student's learned from, drawn as two stacks."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from limbeck.report.facts import LayerMapping
from limbeck.report.svg import drawing, path, tag

WIDTH = 360.0
LAYER = (92.0, 17.0)
"""Width and height of a layer's box, in pixels of a phone."""
STEP = 25.0
"""From one layer up to the next."""
TOP = 26.0
"""Room for the stacks' names."""


def layers(mapping: LayerMapping, style: str) -> Markup:
    """The student's layers on the left, the teacher's on the right, the first ones at the bottom."""
    height = TOP + STEP * max(mapping.student, mapping.teacher)
    told = ", ".join(f"{own} from {theirs}" for own, theirs in mapping.pairs)
    return drawing(
        WIDTH, height, f"layers of the student and of the teacher: {told}", _parts(mapping, style, height)
    )


def _parts(mapping: LayerMapping, style: str, height: float) -> Iterator[Markup]:
    left, right = 8.0, WIDTH - 8 - LAYER[0]

    def middle(layer: int) -> float:
        return height - STEP * layer + LAYER[1] / 2

    for own, theirs in mapping.pairs:
        ends = [(left + LAYER[0], middle(own)), (right, middle(theirs))]
        yield tag("g", path(ends, class_="line"), class_=f"curve {style}")
    for name, start, count in (("student", left, mapping.student), ("teacher", right, mapping.teacher)):
        yield tag("text", name, x=start + LAYER[0] / 2, y=14.0, text_anchor="middle", class_="tick")
        for layer in range(1, count + 1):
            y = middle(layer)
            yield tag(
                "rect", x=start, y=y - LAYER[1] / 2, width=LAYER[0], height=LAYER[1], rx=3.0, class_="layer"
            )
            yield tag(
                "text", str(layer), x=start + LAYER[0] / 2, y=y + 4, text_anchor="middle", class_="tick"
            )
