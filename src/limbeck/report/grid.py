"""Grids of numbers as heat maps: a square a number, shaded by how large it is, and the number itself within it.

Numbers above nought have one colour, those below another; what is not known is left empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from limbeck.report.svg import drawing, tag

CELL = (29.0, 22.0)
"""Width and height of a square, in pixels: eight of them and a name stand side by side on a phone."""
DEEPEST = 0.5
"""Opacity of the deepest shade, on which the number can still be read."""
LETTER = 6.1
LONGEST = 22


@dataclass(frozen=True, slots=True)
class Cell:
    """A number in a grid.

    Attributes:
        text: As it stands in its square.
        title: What it says in full.
        shade: From -1 to 1.
        strong: Whether it is set off, with a frame.
    """

    text: str
    title: str
    shade: float
    strong: bool = False


Cells = Sequence[Sequence[Cell | None]]


def grid(what: str, across: str, down: Sequence[str], columns: Sequence[str], cells: Cells) -> Markup:
    """A grid.

    Args:
        what: What is read out in its place.
        across: What the columns are.
        down: Names of the rows.
        columns: Names of the columns, short.
        cells: Of each row, one a column.
    """
    margin = 10 + LETTER * min(LONGEST, max(map(len, (across, *down)), default=0))
    width, height = CELL
    size = (margin + width * len(columns) + 3, height * (len(down) + 1) + 3)
    return drawing(*size, what, list(_parts(across, down, columns, cells, margin)), "natural heat grid")


def _parts(
    across: str, down: Sequence[str], columns: Sequence[str], cells: Cells, margin: float
) -> Iterator[Markup]:
    width, height = CELL
    yield tag("text", across, x=margin - 6, y=height - 7, text_anchor="end", class_="tick")
    for number, name in enumerate(columns):
        yield tag(
            "text", name, x=margin + width * (number + 0.5), y=height - 7, text_anchor="middle", class_="tick"
        )
    for line, (name, row) in enumerate(zip(down, cells, strict=True), 1):
        shown = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        yield tag("text", tag("title", name), shown, x=margin - 6, y=height * line + 15, text_anchor="end")
        for number, cell in enumerate(row):
            yield _square(cell, margin + width * number, height * line)


def _square(cell: Cell | None, x: float, y: float) -> Markup:
    width, height = CELL
    place = {"x": x + 0.5, "y": y + 0.5, "width": width - 1, "height": height - 1, "rx": 1.5}
    if cell is None:
        return tag("rect", **place, class_="ground")
    shade = max(-1.0, min(1.0, cell.shade))
    return tag(
        "g",
        tag("title", cell.title),
        tag("rect", **place, class_="ground"),
        tag(
            "rect", **place, class_="hit" if shade >= 0 else "miss", fill_opacity=float(DEEPEST * abs(shade))
        ),
        tag("text", cell.text, x=x + width / 2, y=y + 15, text_anchor="middle"),
        class_="strong" if cell.strong else None,
    )
