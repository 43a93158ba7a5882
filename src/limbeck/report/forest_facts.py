"""What ``forest.json`` says of a student that is a forest, as plain frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TreeNode:
    """A node of a tree; a leaf has no ``name``, nor what follows it but ``more``, the splits left out there."""

    texts: int
    shares: list[float]
    name: str | None = None
    threshold: float | None = None
    below: int | None = None
    above: int | None = None
    more: int = 0


@dataclass(frozen=True)
class ShownTree:
    """A tree of a forest, the root first, and how often it says the class that was to be learnt."""

    tree: int
    agreement: float
    nodes: list[TreeNode]


@dataclass(frozen=True)
class UsedFeature:
    """What splits look at: its share of all importance, and how many splits there are on it."""

    name: str
    share: float
    splits: int


@dataclass(frozen=True)
class Forest:
    """``forest.json`` of a student that is a forest; see :func:`limbeck.models.forest_told.told`."""

    features: str
    values: str
    texts: int
    trees: int
    nodes: int
    leaves: int
    depth: int
    labels: list[str]
    used: list[UsedFeature]
    shown: ShownTree
