"""Pictures of an analysis: four cells as a bar, flows between the answers of two models, words by their z."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from limbeck.report import words
from limbeck.report.svg import drawing, path, tag

WIDTH = 420.0
"""Of pictures, in pixels: on a phone their text is still read."""
NODES = 12
"""With more labels than this flows are told in a table alone."""
SIDE = 104.0
"""Room for labels at either side of flows."""
HEIGHT, GAP = 250.0, 9.0
"""Of the flows' nodes all together, and between two of them."""
CELLS = ("both", "theirs", "ours", "neither")


def cells_bar(mean: Mapping[str, Any], told: Mapping[str, str]) -> Markup:
    """Two models' four cells (of translators three) as parts of one bar.

    Args:
        mean: Units of each cell.
        told: What each cell is called.
    """
    parts = [(name, float(mean[name])) for name in CELLS if mean[name] is not None]
    total, start = sum(size for _, size in parts) or 1.0, 0.0
    pieces: list[Markup] = []
    for name, size in parts:
        width = WIDTH * size / total
        title = f"{told[name]}: {words.fixed(size, 1)}"
        pieces.append(
            tag(
                "rect",
                tag("title", title),
                x=start,
                y=0.0,
                width=max(0.0, width - 1),
                height=26.0,
                class_=name,
            )
        )
        start += width
    return drawing(
        WIDTH,
        26.0,
        "; ".join(f"{told[name]}: {words.fixed(size, 1)}" for name, size in parts),
        pieces,
        "cells",
    )


def flow_picture(found: Mapping[str, Any], roles: tuple[str, str]) -> Markup | None:
    """Flows from the answers of one model, at the left, to those of another; None of too many labels.

    A band's height is its number of units; bands of units that were lost, won, and moved are drawn in colours, what
    both say alike is drawn faint.

    Args:
        found: The flows.
        roles: What the two models are.
    """
    labels = found["labels"]
    if len(labels) > NODES or not found["flows"]:
        return None
    bands = _bands(found)
    total = sum(size for *_, size in bands) or 1.0
    scale = HEIGHT / total
    left, right = (dict.fromkeys(labels, 0.0) for _ in range(2))
    for before, after, *_, size in bands:
        left[before] += size
        right[after] += size
    tops = [_tops(side, scale) for side in (left, right)]
    height = HEIGHT + GAP * (len(labels) + 1) + 22
    return drawing(
        WIDTH,
        height,
        f"Flows from what {found['before']} says to what {found['after']} says",
        [
            *_ribbons(bands, tops, scale),
            *_nodes(left, tops[0], scale, SIDE, "end"),
            *_nodes(right, tops[1], scale, WIDTH - SIDE, "start"),
            tag("text", roles[0], x=SIDE - 4, y=height - 4, text_anchor="end", class_="axis-title"),
            tag("text", roles[1], x=WIDTH - SIDE + 4, y=height - 4, class_="axis-title"),
        ],
        "flows",
    )


Band = tuple[str, str, str, str, float]
"""First answer, second answer, kind, gold label (empty of what both say alike), and number of units."""


def _bands(found: Mapping[str, Any]) -> list[Band]:
    """Flows, and what stayed; in the order of labels, so that bands cross least."""
    bands: list[Band] = [
        (flow["before"], flow["after"], flow["kind"], flow["gold"], flow["count"]) for flow in found["flows"]
    ]
    bands += [(label, label, "stayed", "", size) for label, size in found["stayed"].items() if size]
    place = {label: number for number, label in enumerate(found["labels"])}
    return sorted(bands, key=lambda band: (place[band[0]], place[band[1]], *band[2:4]))


def _tops(sizes: Mapping[str, float], scale: float) -> dict[str, float]:
    tops, down = {}, GAP
    for label, size in sizes.items():
        tops[label] = down
        down += size * scale + GAP
    return tops


def _ribbons(bands: Sequence[Band], tops: Sequence[Mapping[str, float]], scale: float) -> Iterator[Markup]:
    """A band each; those at the right lie in the order of where they come from."""
    right: dict[tuple[str, ...], float] = {}
    at_left, at_right = dict(tops[0]), dict(tops[1])
    for before, after, kind, gold, size in bands:
        right[before, after, kind, gold] = at_right[after]
        at_right[after] += size * scale
    for before, after, kind, gold, size in bands:
        high, thick = at_left[before], size * scale
        at_left[before] += thick
        of_gold = f"gold {gold}, " if gold else ""
        title = f"{of_gold}{before} to {after}, {kind}: {words.fixed(size, 1)}"
        yield tag(
            "path", tag("title", title), d=_curve(high, right[before, after, kind, gold], thick), class_=kind
        )


def _curve(high: float, low: float, thick: float) -> str:
    start, end, middle = SIDE + 6, WIDTH - SIDE - 6, WIDTH / 2
    return (
        f"M{start:.1f},{high:.1f}C{middle:.1f},{high:.1f} {middle:.1f},{low:.1f} {end:.1f},{low:.1f}"
        f"v{thick:.1f}C{middle:.1f},{low + thick:.1f} {middle:.1f},{high + thick:.1f} {start:.1f},{high + thick:.1f}z"
    )


def _nodes(
    sizes: Mapping[str, float], tops: Mapping[str, float], scale: float, across: float, anchor: str
) -> Iterator[Markup]:
    outwards = -5 if anchor == "end" else 5
    for label, size in sizes.items():
        if not size:
            continue
        box = {"x": across if anchor == "end" else across - 6, "width": 6.0}
        yield tag("rect", y=tops[label], height=max(1.0, size * scale), class_="node", **box)
        middle = tops[label] + size * scale / 2 + 4
        yield tag(
            "text", tag("title", label), _short(label), x=across + outwards, y=middle, text_anchor=anchor
        )


def _short(label: str, length: int = 15) -> str:
    return label if len(label) <= length else label[: length - 1] + "…"


def dot_at(value: float, reach: float, title: str) -> Markup:
    """A number as a line from nought, on a scale that it shares with others of the same sign."""
    across = 4 + 112 * min(1.0, abs(value) / (reach or 1.0))
    return drawing(
        124,
        16,
        title,
        [
            tag("title", title),
            path([(4, 8), (across, 8)], class_="line"),
            tag("circle", cx=across, cy=8.0, r=3.2, class_="mark"),
        ],
        "natural bar",
    )
