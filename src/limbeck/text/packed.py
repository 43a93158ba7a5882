"""Packed: raw text in blocks of tokens, all of one length, on disk; :mod:`limbeck.text.packing` writes them.

``tokens.int32`` holds the tokens of all blocks, one after the other, little-endian; ``packed.json``, written last,
says that all are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json
from limbeck.core.objective import NO_GOLD
from limbeck.text.encode import Encoded

TOKENS = "tokens.int32"
FACTS = "packed.json"
TYPE = np.dtype("<i4")


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed.

    Attributes:
        length: Tokens of a block, special ones included.
        tokens: Of all blocks, special ones included.
        lines: Lines of text, without blank ones.
        files: Files that they stood in.
        pad_id: What the tokeniser pads with.
        key: Digest of what it was made from.
    """

    length: int
    tokens: int
    lines: int
    files: int
    pad_id: int
    key: str

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.tokens // self.length)


@dataclass(frozen=True)
class Numbered(Sequence[str]):
    """Ids ``PREFIX:NUMBER``, made when they are asked for: millions of them take no memory."""

    prefix: str
    numbers: range

    def __len__(self) -> int:
        """How many."""
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Numbered: ...
    def __getitem__(self, place: int | slice) -> str | Numbered:
        """The id at a place, or those of a slice."""
        found = self.numbers[place]
        return Numbered(self.prefix, found) if isinstance(found, range) else f"{self.prefix}:{found}"


def load(folder: Path) -> Encoded:
    """The blocks that were packed; their tokens stay on disk until they are read. There is no gold.

    Raises:
        LimbeckError: They are not all there.
    """
    packed = Packed(**read_json(folder / FACTS))
    path = folder / TOKENS
    if not path.is_file() or path.stat().st_size != packed.tokens * TYPE.itemsize:
        what = f"not the {packed.tokens:,} tokens that were packed"
        raise LimbeckError(what, where=path, fix="Delete its folder, and run 'limbeck pack' again")
    return Encoded(
        ids=Numbered("raw", range(packed.blocks)),
        tokens=np.memmap(path, dtype=TYPE, mode="r"),
        offsets=np.minimum(np.arange(packed.blocks + 1) * packed.length, packed.tokens),
        gold=np.full(packed.blocks, NO_GOLD, dtype=np.int64),
        pad_id=packed.pad_id,
        truncated=0,
    )
