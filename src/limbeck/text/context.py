"""Context: the words around a sentence in its document, as many of them as a model has room for.

Neighbouring sentences tell what a sentence alone leaves open (Schweter and Akbik 2020, FLERT); a teacher may read
them, and its student then learns what it said from the sentence alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from limbeck.text.ragged import joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limbeck.core.example import Example
    from limbeck.text.pieces import Cutter, Pieces


def cut_in_context(cutter: Cutter, examples: Sequence[Example], max_length: int) -> Pieces:
    """The tokens of sentences with the nearest words on both sides that fit; only the sentences' words are told of.

    Args:
        cutter: Its tokeniser cuts to ``max_length``.
        examples: Their own words come first: of a sentence that leaves no room no context is read.
        max_length: Tokens of a sentence and its context, special tokens included.
    """
    alone = cutter.cut([example.words for example in examples])
    if not any(example.before or example.after for example in examples):
        return alone
    room = np.where(alone.counts > 0, max_length - alone.lengths, 0)
    # The nearest first, so that a cut takes the farthest away.
    before = _tokens_until(cutter, [example.before[::-1] for example in examples])
    after = _tokens_until(cutter, [example.after for example in examples])
    sentences, own = [], []
    for example, free, left, right in zip(examples, room.tolist(), before, after, strict=True):
        share = max(free // 2, free - int(right[-1]))
        first = int(np.searchsorted(left, share, "right")) - 1
        last = int(np.searchsorted(right, free - int(left[first]), "right")) - 1
        sentences.append(
            (*example.before[len(example.before) - first :], *example.words, *example.after[:last])
        )
        own.append(np.repeat([False, True, False], [first, len(example.words), last]))
    pieces = cutter.cut(sentences)
    kept = joined(own, np.bool_)
    return replace(pieces, starts=pieces.starts[kept], ends=pieces.ends[kept], counts=alone.counts)


def _tokens_until(cutter: Cutter, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.int64]]:
    """Tokens of the first nought, one, two... words of each, those that were not cut off: ``(words kept + 1,)``."""
    pieces = cutter.cut(sentences)
    sizes = np.where(pieces.starts < 0, 0, pieces.ends - pieces.starts + 1)
    parts = np.split(sizes, pieces.word_offsets[1:-1])
    return [
        np.concatenate(([0], np.cumsum(part[:kept])))
        for part, kept in zip(parts, pieces.kept.tolist(), strict=True)
    ]
