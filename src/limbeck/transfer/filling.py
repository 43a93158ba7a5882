"""Filling: what a table lacks is made shard by shard, so that an interrupted run loses one shard at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.text.ragged import offsets_of
from limbeck.transfer.shards import Block, Digests
from limbeck.transfer.tables import AnswerTable

CHUNK = 256
"""Texts that the teacher is asked about at a time: few enough for the bar to move."""


def by_id(examples: Sequence[Example]) -> dict[str, Example]:
    """The examples by their ids.

    Raises:
        LimbeckError: Two texts have one id.
    """
    found: dict[str, Example] = {}
    for example in examples:
        if found.setdefault(example.id, example).content != example.content:
            raise LimbeckError(
                f"two texts have the id '{example.id}'",
                where=example.origin or None,
                fix="Give every example its own id",
            )
    return found


def missing(table: AnswerTable, digests: Digests) -> NDArray[np.int64]:
    """Places of what has no answer, each digest once, in their order."""
    _, first = np.unique(digests, return_index=True)
    return np.sort(first[table.find(digests[first]) < 0])


def fill(
    table: AnswerTable,
    examples: Sequence[Example],
    digests: Digests,
    answer: Callable[[Sequence[Example]], Block],
    what: str,
) -> None:
    """Answer all examples, and store the answers shard by shard.

    Args:
        table: Where they go; it is refreshed afterwards.
        examples: What is answered.
        digests: What their answers are found under, ``(examples,)``.
        answer: Gives a block of one answer an example.
        what: What the bar says.
    """
    start = 0
    with progress.task(what, len(examples)) as task:
        while start < len(examples):
            shard = examples[start : start + table.shard_rows]
            # Like lengths together need little padding; inside a shard only, so that the time left is true.
            order = sorted(range(len(shard)), key=lambda row: len(shard[row].shown))
            blocks = []
            for rows in _pieces(order, CHUNK):
                blocks.append(answer([shard[row] for row in rows]))
                task.advance(len(rows))
            table.add(digests[start : start + len(shard)][order], _on_end(blocks))
            start += len(shard)
    table.refresh()


def _on_end(blocks: Sequence[Block]) -> Block:
    """Several blocks as one."""
    rows = np.concatenate([block.rows for block in blocks])
    if blocks[0].offsets is None:
        return Block(rows)
    lengths = np.concatenate([np.diff(block.offsets) for block in blocks if block.offsets is not None])
    return Block(rows, offsets_of(lengths), blocks[0].common)


Item = TypeVar("Item")


def _pieces(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
