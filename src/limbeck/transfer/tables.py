"""Tables: what one teacher said, of one kind, found under digests of what it was asked. Files: :mod:`.shards`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError
from limbeck.transfer import shards
from limbeck.transfer.shards import DIGEST, Block, Digests, Manifest

GROWTH = 16
"""A shard holds its layout's ``shard_rows`` answers, or one ``GROWTH``-th of the table where that is more: a kill costs
little, and the number of shards (each an open file while it is mapped) grows with the table's logarithm."""


class AnswerTable:
    """One teacher's answers for one signal, as of the last :meth:`refresh`.

    Args:
        folder: Where the shards are, or will be.
        manifest: What is in them.
        shard_rows: Least number of answers that make up a full shard; None is what suits their layout.

    Raises:
        LimbeckError: What is on disk is for other labels, from a newer Limbeck, or damaged.
    """

    def __init__(self, folder: Path, manifest: Manifest, shard_rows: int | None = None) -> None:
        self.folder = folder
        self.manifest = manifest
        self._least_rows = shard_rows or manifest.layout.shard_rows
        self._check_manifest()
        self.refresh()

    def __len__(self) -> int:
        return len(self._digests)

    @property
    def shard_rows(self) -> int:
        """How many answers to put into the next shard."""
        return max(self._least_rows, (len(self) + self._added) // GROWTH)

    def refresh(self) -> None:
        """Take in the shards that were written since, by whomever.

        Raises:
            LimbeckError: A shard is damaged.
        """
        found = shards.folders(self.folder, shards.PREFIX)
        loaded = [shards.load_shard(shard, self.manifest) for shard in found]
        digests = np.concatenate([np.empty(0, DIGEST), *(texts for texts, _ in loaded)])
        self._blocks = [block for _, block in loaded]
        self._starts = np.cumsum([0, *(len(texts) for texts, _ in loaded)])
        self._order = np.argsort(digests, kind="stable")
        self._digests = digests[self._order]
        self._added = 0

    def find(self, digests: Digests) -> NDArray[np.int64]:
        """Row of each text, or -1 where it has no answer.

        Args:
            digests: As :func:`digest_texts` makes them, ``(texts,)``.

        Returns:
            Row numbers for :meth:`gather`, ``(texts,)``.
        """
        if not len(self):
            return np.full(len(digests), -1, np.int64)
        # The leftmost of equals under a stable sort: of a text that two runs asked about, the first answer.
        place = np.minimum(np.searchsorted(self._digests, digests), len(self) - 1)
        return np.where(self._digests[place] == digests, self._order[place], -1)

    def gather(self, rows: NDArray[np.int64]) -> Block:
        """The answers with these row numbers, in their order, read from the memory maps."""
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        places = rows - self._starts[numbers]
        lengths = np.ones(len(rows), np.int64)
        starts = places.copy()
        for number in np.unique(numbers):
            if (offsets := self._blocks[number].offsets) is not None:
                here = numbers == number
                starts[here] = offsets[places[here]]
                lengths[here] = offsets[places[here] + 1] - starts[here]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        layout = self.manifest.layout
        gathered = np.empty((ends[-1], *self.manifest.shape), layout.value)
        for number in np.unique(numbers):
            here = numbers == number
            gathered[_spans(ends[:-1][here], lengths[here])] = self._blocks[number].rows[
                _spans(starts[here], lengths[here])
            ]
        common = self._blocks[numbers[0]].common if len(rows) else None
        return Block(gathered, ends if layout.ragged else None, common)

    def add(self, digests: Digests, block: Block) -> None:
        """Write one shard; :meth:`find` knows of it after the next :meth:`refresh`.

        Args:
            digests: Digests of the texts, ``(texts,)``.
            block: Their answers.

        Raises:
            LimbeckError: The disk is full, or the place cannot be written.
            ValueError: The shapes do not fit.
        """
        if len(block) != len(digests) or block.rows.shape[1:] != self.manifest.shape:
            raise ValueError(
                f"{len(block)} answers with rows of {block.rows.shape[1:]} for {len(digests)} texts"
            )
        if not len(digests):
            return
        # Looked for every time: another process may have pruned the table meanwhile.
        if not (self.folder / shards.MANIFEST).is_file():
            shards.write_manifest(self.folder, self.manifest)
        rows = block.rows.astype(self.manifest.layout.value, copy=False)
        shards.write_shard(self.folder, digests, replace(block, rows=rows))
        self._added += len(digests)

    def _check_manifest(self) -> None:
        path = self.folder / shards.MANIFEST
        if not path.is_file():
            return
        found = shards.read_manifest(self.folder)
        if (found.labels, found.shape) != (self.manifest.labels, self.manifest.shape):
            raise LimbeckError(
                f"the stored answers are for the labels {', '.join(found.labels)}, "
                f"and this teacher's are {', '.join(self.manifest.labels)}",
                where=path,
                fix=f"Forget them with 'limbeck store prune {self.folder.parent} --key {self.folder.name}'",
            )
        with suppress(OSError):  # A store on a read-only disk serves, too; it does not tell when it was used.
            os.utime(path)


def _spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers ``start, start + 1, ...`` of spans of these lengths, on end."""
    ends = np.cumsum(lengths)
    found: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(starts - (ends - lengths), lengths)
    return found


def digest_texts(texts: Iterable[str]) -> Digests:
    """What answers are found under: 128 bits of BLAKE2b of each text, ``(texts,)``."""
    encoded = (text.encode("utf-8", "surrogatepass") for text in texts)
    return np.frombuffer(b"".join(hashlib.blake2b(one, digest_size=16).digest() for one in encoded), DIGEST)
