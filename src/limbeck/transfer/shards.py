"""Shards: the files in which the answer store keeps what a teacher said, and how they are read and checked.

One *table* a teacher and signal, in *shards* that are written once and never changed::

    STORE/KEY/manifest.json          who answered: fingerprint, signal, labels, shape of one row
    STORE/KEY/shard-*/texts.npy      digests of the texts, (answers,) of 16 bytes
                      rows.npy       the answers, (rows, *shape), memory-mapped
                      offsets.npy    where each answer's rows start, and the end, (answers + 1,) int64
                      common.npy     what all answers share, float32
                      shard.json     how many, and the SHA-256 of the files

A shard takes its name only when all of it is on disk, and a name that nobody else uses: runs may write into
one table at the same time, and a kill loses the shard in progress. Nothing here is pickled.

What a row is depends on the signal (:data:`LAYOUTS`). A classifier's logits are one row an answer, and the last two
arrays are not there. A tagger's potentials have a row of emissions for each word, and transitions, start and end in
common. A translator's next tokens have a row for each token of the translation: the likeliest ones with their
log-probabilities. Translations have a row for each byte of a JSON list. States that probes read
(:mod:`limbeck.analyse.representations`) are one row a sentence where they are pooled, else one a word.
"""

from __future__ import annotations

import io
import os
import shutil
import time
import tokenize
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_error, write_json

FORMAT = 4
"""The newest layout that is read."""
MANIFEST, SHARD, TEXTS, ROWS = "manifest.json", "shard.json", "texts.npy", "rows.npy"
OFFSETS, COMMON = "offsets.npy", "common.npy"
PREFIX = "shard-"
DIGEST = np.dtype("S16")
VALUE = np.dtype("float32")
NEXT_TOKEN = np.dtype([("id", "<i4"), ("log_probability", "<f4")])
BYTE = np.dtype("uint8")
HALF = np.dtype("float16")
UNREADABLE = (OSError, EOFError, ValueError, SyntaxError, TypeError, tokenize.TokenError)
"""What NumPy raises on a damaged ``.npy`` file."""

Digests = NDArray[np.bytes_]
Values = NDArray[np.float32]
Kept = Literal["logits", "potentials", "next_tokens", "translations", "pooled", "words"]
"""What the store has a place for: signals, what a translator finds, and states that probes read."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How answers of one kind are kept.

    Attributes:
        format: The first version of the layout that has them: older Limbecks leave tables of newer ones alone.
        value: What a row is made of.
        ragged: Whether answers have any number of rows.
        common: Whether they have something in common.
        shard_rows: Least number of answers that make up a full shard: fewer of those that take long, for a kill costs
            a shard.
    """

    format: int
    value: np.dtype[Any] = VALUE
    ragged: bool = True
    common: bool = False
    shard_rows: int = 1024


LAYOUTS: Mapping[Kept, Layout] = MappingProxyType(
    {
        "logits": Layout(1, ragged=False),
        "potentials": Layout(2, common=True),
        "next_tokens": Layout(3, NEXT_TOKEN),
        "translations": Layout(3, BYTE, shard_rows=256),
        "pooled": Layout(4, HALF, ragged=False),
        "words": Layout(4, HALF, shard_rows=256),
    }
)


@dataclass(frozen=True, slots=True)
class Block:
    """Answers about some texts.

    Attributes:
        rows: ``(rows, *shape)``.
        offsets: Where each answer's rows start, and the end, ``(answers + 1,)``; None for one row an answer.
        common: What all answers share; None for nothing.
    """

    rows: NDArray[Any]
    offsets: NDArray[np.int64] | None = None
    common: Values | None = None

    def __len__(self) -> int:
        return len(self.rows if self.offsets is None else self.offsets) - (self.offsets is not None)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By the name of their file."""
        found = {ROWS: self.rows, OFFSETS: self.offsets, COMMON: self.common}
        return {name: array for name, array in found.items() if array is not None}

    def unsound(self) -> NDArray[np.int64]:
        """Numbers of the answers that hold NaN or infinity; all of them where what they have in common does."""
        values = self.rows["log_probability"] if self.rows.dtype == NEXT_TOKEN else self.rows
        if self.common is not None and not np.isfinite(self.common).all():
            return np.arange(len(self))
        rows = np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
        return rows if self.offsets is None else np.searchsorted(self.offsets, rows, side="right") - 1


class NewerFormatError(LimbeckError):
    """A table that a newer Limbeck wrote: whole, but not for us."""


class Manifest(BaseModel):
    """What a table holds.

    Attributes:
        format: Version of the layout.
        teacher: The teacher's fingerprint.
        name: What a person calls it, e.g. its folder.
        signal: What it was asked for.
        labels: Its classes, in the order of its logits.
        shape: Shape of one row of an answer, e.g. ``(classes,)``.
        ragged: Whether answers have any number of rows.
        settings: What else the answers depend on, e.g. how translations were searched for.
    """

    model_config = ConfigDict(frozen=True)
    format: int
    teacher: str
    name: str
    signal: Kept
    labels: tuple[str, ...]
    shape: tuple[int, ...]
    ragged: bool = False
    settings: dict[str, Any] = {}

    @property
    def layout(self) -> Layout:
        """How the answers are kept."""
        return LAYOUTS[self.signal]


class ShardFacts(BaseModel):
    """What a shard says of itself: how many answers, and the SHA-256 of its files by name."""

    model_config = ConfigDict(frozen=True)
    rows: int
    sha256: dict[str, str]


class _Format(BaseModel):
    """The one key of a manifest that every version of the layout has."""

    format: int


def read_manifest(table: Path) -> Manifest:
    """What a table holds.

    Raises:
        NewerFormatError: A newer Limbeck wrote it.
        LimbeckError: It is missing or damaged.
    """
    path = table / MANIFEST
    if _read(_Format, path).format > FORMAT:
        raise NewerFormatError(
            "these answers were written by a newer Limbeck",
            where=path,
            fix="Upgrade Limbeck, or name another folder as 'store'",
        )
    return _read(Manifest, path)


def write_manifest(table: Path, manifest: Manifest) -> None:
    """Write what a table holds, atomically."""
    write_json(table / MANIFEST, manifest.model_dump(mode="json", exclude_defaults=True))


def read_facts(shard: Path) -> ShardFacts:
    """What a shard says of itself.

    Raises:
        LimbeckError: The file is missing or damaged.
    """
    return _read(ShardFacts, shard / SHARD)


def write_shard(table: Path, digests: Digests, block: Block) -> None:
    """Write a shard, atomically.

    Args:
        table: The table's folder.
        digests: Digests of the texts, ``(texts,)``.
        block: Their answers.

    Raises:
        LimbeckError: The disk is full, or the place cannot be written.
    """
    name = f"{PREFIX}{time.time_ns():016x}-{uuid.uuid4().hex[:8]}"
    partial = table / f".{name}.partial"
    try:
        partial.mkdir(parents=True)
        files = {TEXTS: digests.astype(DIGEST), **block.arrays()}
        for file, array in files.items():
            _write_array(partial / file, array)
        sums = {file: fingerprint.sha256(partial / file) for file in files}
        write_json(partial / SHARD, {"rows": len(digests), "sha256": sums})
        partial.replace(table / name)
    except OSError as error:
        raise write_error(error, table) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_shard(shard: Path, manifest: Manifest) -> tuple[Digests, Block]:
    """A shard's digests ``(texts,)``, in memory, and answers, whose rows are mapped.

    Raises:
        LimbeckError: A file is missing, truncated, or holds something else.
    """
    texts, rows = _map(shard / TEXTS), _map(shard / ROWS)
    if texts.dtype != DIGEST or texts.ndim != 1:
        raise damaged(shard / TEXTS, f"{texts.dtype} of shape {texts.shape} instead of a list of digests")
    layout = manifest.layout
    offsets = np.array(_map(shard / OFFSETS)) if layout.ragged else None
    if offsets is not None and (
        offsets.shape != (len(texts) + 1,) or offsets[0] or (np.diff(offsets) < 0).any()
    ):
        raise damaged(shard / OFFSETS, f"it does not cut rows into {len(texts)} answers")
    expected = (len(texts) if offsets is None else int(offsets[-1]), *manifest.shape)
    if rows.dtype != layout.value or rows.shape != expected:
        raise damaged(
            shard / ROWS, f"{rows.dtype} of shape {rows.shape} instead of {layout.value} of {expected}"
        )
    return np.array(texts), Block(rows, offsets, np.array(_map(shard / COMMON)) if layout.common else None)


def verify_shard(shard: Path, manifest: Manifest) -> None:
    """Read all of a shard.

    Raises:
        LimbeckError: Something about it is not as it was written.
    """
    texts, block = load_shard(shard, manifest)
    facts = read_facts(shard)
    if facts.rows != len(texts):
        raise damaged(shard / SHARD, f"it tells of {facts.rows} answers, and there are {len(texts)}")
    for file in (TEXTS, *block.arrays()):
        if facts.sha256.get(file) != fingerprint.sha256(shard / file):
            raise damaged(shard / file, "it is not as it was written: another SHA-256")
    if len(block.unsound()):
        raise damaged(shard / ROWS, "an answer is NaN or infinite")


def folders(parent: Path, start: str = "") -> list[Path]:
    """Finished folders (hidden ones are being written or removed), in the order of their names."""
    if not parent.is_dir():
        return []
    inside = (path for path in parent.iterdir() if path.name.startswith(start) and path.name[0] != ".")
    return sorted(path for path in inside if path.is_dir())


def damaged(path: Path, what: str) -> LimbeckError:
    """The sentence for a damaged file of the store, ``STORE/KEY/FILE`` or ``STORE/KEY/SHARD/FILE``."""
    store = path.parents[1] if path.name == MANIFEST else path.parents[2]
    return LimbeckError(
        f"this file of the answer store is damaged ({what})",
        where=path,
        fix=f"'limbeck store verify {store}' lists all damage, and 'limbeck store prune {store} --damaged' "
        "drops it, so that only what is lost is asked again",
    )


def _write_array(path: Path, array: NDArray[Any]) -> None:
    # By way of memory: np.save straight to a full disk raises an OSError that does not say so.
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    with path.open("xb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def _map(path: Path) -> NDArray[Any]:
    """A ``.npy`` file, mapped; unlike ``np.load`` this reads no other format, and never a pickle."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise damaged(path, "it is missing") from None
    except UNREADABLE as error:
        raise damaged(path, f"truncated or overwritten: {str(error).rstrip('.')}") from None


Schema = TypeVar("Schema", bound=BaseModel)


def _read(schema: type[Schema], path: Path) -> Schema:
    try:
        return schema.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise damaged(path, "it is missing") from None
    except (OSError, ValidationError):
        raise damaged(path, "it cannot be read") from None
