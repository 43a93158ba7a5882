"""Passes: a parallel translator that has read its sources, asked once and again what it would write.

Students that refine what they wrote are loops (:mod:`limbeck.serve.loops`, NumPy alone) around graphs: one that reads,
and one or more that each stand for a pass. Whether PyTorch or ONNX Runtime computes the graphs, the loop is the same.

Axes: ``texts`` (of the batch, those still being translated), ``tokens`` (of the longest source), ``width``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from limbeck.core.decoding import Decoding
    from limbeck.serve.search import Found

    Ints = NDArray[np.int64]
    Array = NDArray[Any]

READER = "encoder"
"""The graph that reads sources; what it says first is its states, which all others look at."""
MEMORY, SOURCE_MASK = "memory", "source_mask"
"""What every other graph reads beside its own inputs: the states, and one where a source's token is real."""


class Passes(Protocol):
    """A model that has read a batch of sources.

    Attributes:
        first: What it said on reading, beside its states, such as scores of lengths.
    """

    first: tuple[Array, ...]

    def run(self, graph: str, **inputs: Array) -> tuple[Array, ...]:
        """What one of its graphs makes of these inputs; of several rows a text, a text's stand side by side."""

    def keep(self, texts: Ints) -> None:
        """Forget all sources but these."""


class Loop(Protocol):
    """How a student translates in several passes. An implementation is a frozen dataclass of numbers, kept in cards."""

    def __call__(self, passes: Passes, sources: Ints, decoding: Decoding) -> list[Found]:
        """The best translation of each text, the same whatever other texts the batch has.

        Args:
            passes: Has read the texts.
            sources: Tokens of each, the end token not counted, ``(texts,)``.
            decoding: How to search.
        """


class OnnxPasses:
    """Graphs that ONNX Runtime computes.

    Args:
        sessions: By the graphs' names.
        input_ids: ``(texts, tokens)``.
        attention_mask: One where a token is real, ``(texts, tokens)``.
    """

    def __init__(self, sessions: Mapping[str, Any], input_ids: Ints, attention_mask: Ints) -> None:
        self.sessions, self.source_mask = sessions, attention_mask
        read = {"input_ids": input_ids, "attention_mask": attention_mask}
        self.memory, *first = sessions[READER].run(None, read)
        self.first = tuple(first)

    def run(self, graph: str, **inputs: Array) -> tuple[Array, ...]:
        """See :class:`Passes`."""
        source = {MEMORY: self.memory, SOURCE_MASK: self.source_mask}
        return tuple(self.sessions[graph].run(None, {**source, **inputs}))

    def keep(self, texts: Ints) -> None:
        """See :class:`Passes`."""
        self.memory, self.source_mask = self.memory[texts], self.source_mask[texts]


def source_lengths(attention_mask: Ints) -> Ints:
    """Tokens of each source without its end token, at least one: ``(texts, tokens) -> (texts,)``."""
    lengths: Ints = np.maximum(attention_mask.sum(1) - 1, 1)
    return lengths
