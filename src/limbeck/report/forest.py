"""Forests to be read: the tree that is nearest to what was learnt, drawn and as text, and the words it turns on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from limbeck.report import words
from limbeck.report.forest_facts import Forest, TreeNode
from limbeck.report.svg import drawing, path, tag

COLOURED = 6
"""Classes at most that have colours of their own; of more, a bar shows the likeliest one's share alone."""
WIDTH, ROW, STEP = 960.0, 23.0, 26.0
"""Of a picture, of a node's row, and of a split's indent at most, in pixels."""
INDENTED = 320.0
"""Of the deepest node at most."""
BAR = (640.0, 200.0)
"""Where bars of shares begin, and how wide they are."""
LONGEST = 40
"""Characters of a split's question; longer n-grams are cut short."""


@dataclass(frozen=True)
class ForestView:
    """One model's forest, arranged for the page.

    Attributes:
        title: The model.
        style: Its class in the style sheet.
        forest: What is told of it.
        picture: Its most faithful tree.
        key: Classes with the colours that their bars have.
    """

    title: str
    style: str
    forest: Forest
    picture: Markup
    key: tuple[tuple[str, str], ...]

    @property
    def size(self) -> str:
        """How large it is, and what the tree below is, in a sentence or two."""
        forest = self.forest
        nodes = f"{words.plural(forest.nodes, 'node')}, {words.plural(forest.leaves, 'leaf', 'leaves')}"
        grown = f"grown on {words.plural(forest.texts, 'text')}"
        share = words.percent(forest.shown.agreement)
        if forest.trees == 1:
            return f"One tree of {nodes}, {grown}; it says the class to be learnt in {share} of them."
        tree = f"Shown is number {forest.shown.tree + 1}, which is nearest to what was to be learnt"
        trees = f"{words.count(forest.trees)} trees of {nodes} in all, {grown}"
        return f"{trees}. {tree}: it says that class in {share} of them."


def view(forest: Forest, title: str, style: str) -> ForestView:
    """Arrange a forest for the page."""
    few = len(forest.labels) <= COLOURED
    key = tuple((label, f"s{number + 1}") for number, label in enumerate(forest.labels)) if few else ()
    return ForestView(title, style, forest, picture(forest, title), key)


def question(node: TreeNode, forest: Forest) -> str:
    """What a split asks of a text; yes leads above its threshold."""
    assert node.name is not None and node.threshold is not None
    if forest.features != "ngrams":
        return f"{node.name} above {words.significant(node.threshold)}?"
    name = node.name if len(node.name) <= LONGEST else node.name[: LONGEST - 1] + "…"
    if forest.values == "tfidf":
        return f"“{name}” weighs more than {words.significant(node.threshold)}?"
    least = math.floor(node.threshold) + 1
    return f"has “{name}”?" if least == 1 else f"has “{name}” {least} times?"


def answer(node: TreeNode, forest: Forest) -> str:
    """What a leaf says: the likeliest class and its share, and whether splits were left out there."""
    best = max(range(len(node.shares)), key=node.shares.__getitem__)
    more = f" · {words.plural(node.more, 'more split')}" if node.more else ""
    return f"{forest.labels[best]} {words.percent(node.shares[best], 0)}{more}"


@dataclass(frozen=True)
class _Line:
    """A node in its row: how it is reached (yes or no), how deep it is, and the row of the split above it."""

    node: TreeNode
    way: str
    depth: int
    above: int


def _lines(forest: Forest) -> list[_Line]:
    """Nodes from top to bottom, yes before no."""
    nodes, found = forest.shown.nodes, list[_Line]()
    waiting = [_Line(nodes[0], "", 0, 0)]
    while waiting:
        line = waiting.pop()
        node, row = line.node, len(found)
        found.append(line)
        if node.above is not None and node.below is not None:
            waiting.append(_Line(nodes[node.below], "no", line.depth + 1, row))
            waiting.append(_Line(nodes[node.above], "yes", line.depth + 1, row))
    return found


def as_text(forest: Forest) -> str:
    """The tree, one line a node, as scikit-learn's ``export_text`` does."""
    return "\n".join(
        f"{'|   ' * max(line.depth - 1, 0)}{'|-- ' * (line.depth > 0)}{line.way}{': ' if line.way else ''}"
        f"{_said(line.node, forest)} ({words.count(line.node.texts)})"
        for line in _lines(forest)
    )


def _said(node: TreeNode, forest: Forest) -> str:
    return answer(node, forest) if node.name is None else question(node, forest)


def picture(forest: Forest, title: str) -> Markup:
    """The tree drawn: a row a node, each split with its two ways below it, shares of classes on the right."""
    lines = _lines(forest)
    height = ROW * (len(lines) + 1) + 8
    what = f"Decision tree of {title}: {words.plural(len(lines), 'node')}"
    return drawing(WIDTH, height, what, [*_heads(), *_rows(lines, forest)], "natural tree")


def _heads() -> Iterator[Markup]:
    yield tag("text", "shares of classes", x=BAR[0], y=14.0, class_="tick")
    yield tag("text", "texts", x=WIDTH - 8, y=14.0, text_anchor="end", class_="tick")


def _rows(lines: Sequence[_Line], forest: Forest) -> Iterator[Markup]:
    step = min(STEP, INDENTED / max(1, *(line.depth for line in lines)))
    for row, line in enumerate(lines):
        y, x = _middle(row), 8 + step * line.depth
        if line.way:
            trunk = x - step + 4
            yield path([(trunk, _middle(line.above) + 9), (trunk, y), (x - 4, y)], class_="branch")
        is_leaf = line.node.name is None
        way = tag("tspan", f"{line.way} ", class_="way")
        said = tag("tspan", _said(line.node, forest), class_="leaf" if is_leaf else "split")
        yield tag("text", *([way] if line.way else []), said, x=x, y=y + 4)
        yield tag(
            "g",
            tag("title", _told(line.node, forest)),
            *_bar(line.node, y),
            class_="shares" if is_leaf else "shares faint",
        )
        yield tag("text", words.count(line.node.texts), x=WIDTH - 8, y=y + 4, text_anchor="end")


def _bar(node: TreeNode, y: float) -> Iterator[Markup]:
    """The classes' shares beside each other; of many classes the largest one's."""
    few = len(node.shares) <= COLOURED
    shares = node.shares if few else [max(node.shares)]
    start, wide = BAR
    yield tag("rect", x=start, y=y - 6, width=wide, height=12.0, class_="ground")
    for number, share in enumerate(shares):
        style = f"s{number + 1}" if few else "plain"
        yield tag("rect", x=start, y=y - 6, width=wide * share, height=12.0, class_=style)
        start += wide * share


def _told(node: TreeNode, forest: Forest) -> str:
    order = sorted(range(len(node.shares)), key=lambda number: -node.shares[number])[:COLOURED]
    shares = ", ".join(f"{forest.labels[n]} {words.percent(node.shares[n])}" for n in order)
    return f"{words.plural(node.texts, 'text')}: {shares}"


def _middle(row: int) -> float:
    return 8 + ROW * (row + 1)
