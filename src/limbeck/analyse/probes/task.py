"""Tasks: what a probe is asked to tell of a sentence, or of spans of its words, and which examples it learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from limbeck.core.schema import Settings

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = ("train", "dev", "test")
Words = tuple[str, ...]


class Sizes(Settings):
    """Most examples of a task in each part; what is longer is drawn from."""

    train: int = Field(2000, gt=0)
    """Examples that a probe learns from."""
    dev: int = Field(400, gt=0)
    """Examples by which its regularisation is chosen."""
    test: int = Field(1000, gt=0)
    """Examples that it is scored on."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.train + self.dev + self.test

    def of(self, part: Part) -> int:
        """Those of one part."""
        return int(getattr(self, part))


@dataclass(frozen=True, slots=True, eq=False)
class SentenceTask:
    """A label for each of some sentences.

    Attributes:
        name: Of the task, such as ``tense``.
        sentences: Words of each.
        labels: The class of each.
        parts: What each is for.
    """

    name: str
    sentences: Sequence[Words]
    labels: Sequence[str]
    parts: Sequence[Part]


Spans = tuple[tuple[int, int], ...]
"""One span, or the two of a pair: first word, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A span of words, or a pair of such, with its class.

    Attributes:
        sentence: Which of the task's sentences.
        spans: Where it stands.
        label: Its class.
        type: What a control task goes by: equal ones are given equal random labels.
    """

    sentence: int
    spans: Spans
    label: str
    type: str


@dataclass(frozen=True, slots=True, eq=False)
class EdgeTask:
    """A label for each of some spans (or pairs of spans) of sentences' words (Tenney et al. 2019).

    Attributes:
        name: Of the task, such as ``pos``.
        sentences: Words of each.
        edges: The examples.
        parts: What each is for.
    """

    name: str
    sentences: Sequence[Words]
    edges: Sequence[Edge]
    parts: Sequence[Part]

    @property
    def labels(self) -> Sequence[str]:
        """The class of each example."""
        return [edge.label for edge in self.edges]


Task: TypeAlias = SentenceTask | EdgeTask


def rows_of(task: Task) -> dict[Part, NDArray[np.int64]]:
    """Numbers of a task's examples, by part."""
    parts = np.array(task.parts, dtype=object)
    return {part: np.flatnonzero(parts == part) for part in PARTS}


def majority(task: Task) -> float:
    """Accuracy on test of who always says the most frequent class of train."""
    rows, labels = rows_of(task), np.array(task.labels, dtype=object)
    names, counts = np.unique(labels[rows["train"]].astype(str), return_counts=True)
    return float((labels[rows["test"]] == names[counts.argmax()]).mean())
