"""Writing inner states: a teacher is asked about all texts, batch after batch; each part goes to a file of its own.

The batches are those of the texts, not of a training, so that a file is the same whoever reads it, and however often
its writing was interrupted: what is in it up to the last batch that is on disk stays, and the next one follows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import torch

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json, write_json
from limbeck.core.signals import SignalName
from limbeck.text.encode import collate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from limbeck.text.encode import Encoded
    from limbeck.transfer.inner import Part
    from limbeck.transfer.tokenwise import TokenAnswers

VALUES = "values.float32"
"""All texts' values, one text after the other, little-endian."""
SIZES = "sizes.json"
"""The shape of a text's values, null for its tokens: ``[null, 384]`` for states 384 wide."""
BATCHES = "batches.json"
"""How many batches of it are on disk for sure, and their bytes."""
TYPE = np.dtype("<f4")
SETTLE_SECONDS = 30.0
"""Between two times that files are brought to disk: what a killed process has to ask anew."""
TOKENS_AT: Mapping[SignalName, tuple[int, ...]] = {
    "logits": (),
    "embeddings": (0,),
    "hidden": (0,),
    "attention": (1, 2),
    "queries": (1,),
    "keys": (1,),
    "values": (1,),
}
"""Which axes of a text's values are its tokens."""


def write(
    live: TokenAnswers,
    data: Encoded,
    batches: Sequence[NDArray[np.int64]],
    folders: Mapping[Part, Path],
    device: torch.device,
    what: str,
) -> None:
    """Ask a teacher about batches of texts, and write down each part in a folder.

    Args:
        live: The teacher.
        data: The texts.
        batches: Rows of each batch, all of one length.
        folders: Of each part; may hold what an earlier call left.
        device: Where it computes.
        what: Named in the progress bar.

    Raises:
        LimbeckError: The teacher says what is not finite.
    """
    growing = {part: Growing(folder, part.signal) for part, folder in folders.items()}
    settled = time.monotonic()
    first = min(each.batches for each in growing.values())
    with progress.task(what, len(batches)) as task:
        task.advance(first)
        for number, rows in enumerate(batches[first:], first):
            said = live.on(collate(data, rows).to(device).inputs)
            for part, file in growing.items():
                file.add(number, part.of(said))
            if time.monotonic() - settled >= SETTLE_SECONDS:
                for file in growing.values():
                    file.settle()
                settled = time.monotonic()
            task.advance(1)
    for file in growing.values():
        file.close()


class Growing:
    """A file that grows by batches.

    Args:
        folder: Where it stands; what is after its last settled batch is cut off.
        signal: What it holds.

    Attributes:
        batches: How many are in it.
    """

    def __init__(self, folder: Path, signal: SignalName) -> None:
        self.folder, self.signal, path = folder, signal, folder / VALUES
        kept = folder / BATCHES
        settled = read_json(kept) if kept.is_file() else {"batches": 0, "bytes": 0}
        self.batches: int = settled["batches"]
        self.file: IO[bytes] = path.open("ab")
        self.file.truncate(settled["bytes"])

    def add(self, number: int, values: Tensor) -> None:
        """Write a batch, ``(batch, ...)``, unless it is there; numbers come one after the other.

        Raises:
            LimbeckError: Not all values are finite.
        """
        if number < self.batches:
            return
        if not torch.isfinite(values).all():
            raise LimbeckError(f"the teacher's {self.signal} are not finite", where=self.folder)
        if not self.batches:
            at = TOKENS_AT[self.signal]
            sizes = [None if axis in at else size for axis, size in enumerate(values.shape[1:])]
            write_json(self.folder / SIZES, sizes)
        self.file.write(values.float().cpu().contiguous().numpy().astype(TYPE, copy=False).data)
        self.batches += 1

    def settle(self) -> None:
        """Bring what is there to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        write_json(
            self.folder / BATCHES, {"batches": self.batches, "bytes": os.fstat(self.file.fileno()).st_size}
        )

    def close(self) -> None:
        """Bring it to disk for good."""
        self.settle()
        self.file.close()
