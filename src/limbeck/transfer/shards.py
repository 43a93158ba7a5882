"""Shards: the files in which the answer store keeps what a teacher said, and how they are read and checked.

One *table* a teacher and signal, in *shards* that are written once and never changed::

    STORE/KEY/manifest.json          who answered: fingerprint, signal, labels, shape of one answer
    STORE/KEY/shard-*/texts.npy      digests of the texts, (answers,) of 16 bytes
                      rows.npy       the answers, (answers, *shape) float32, memory-mapped
                      shard.json     how many, and the SHA-256 of both files

A shard takes its name only when all of it is on disk, and a name that nobody else uses: runs may write into
one table at the same time, and a kill loses the shard in progress. Nothing here is pickled.

Answers of unequal shape (a sentence's hidden states, say) have no place yet: they would be the rows of all
sentences on end in ``rows.npy``, cut by an ``offsets.npy`` beside it, under a manifest of higher ``format``.
"""

from __future__ import annotations

import io
import os
import shutil
import time
import tokenize
import uuid
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_error, write_json
from limbeck.core.signals import SignalName

FORMAT = 1
MANIFEST, SHARD, TEXTS, ROWS = "manifest.json", "shard.json", "texts.npy", "rows.npy"
PREFIX = "shard-"
DIGEST = np.dtype("S16")
VALUE = np.dtype("float32")
UNREADABLE = (OSError, EOFError, ValueError, SyntaxError, TypeError, tokenize.TokenError)
"""What NumPy raises on a damaged ``.npy`` file."""

Digests = NDArray[np.bytes_]
Values = NDArray[np.float32]


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
        shape: Shape of one answer, e.g. ``(classes,)``.
    """

    model_config = ConfigDict(frozen=True)
    format: int
    teacher: str
    name: str
    signal: SignalName
    labels: tuple[str, ...]
    shape: tuple[int, ...]


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
    write_json(table / MANIFEST, manifest.model_dump(mode="json"))


def read_facts(shard: Path) -> ShardFacts:
    """What a shard says of itself.

    Raises:
        LimbeckError: The file is missing or damaged.
    """
    return _read(ShardFacts, shard / SHARD)


def write_shard(table: Path, digests: Digests, values: Values) -> None:
    """Write a shard, atomically.

    Args:
        table: The table's folder.
        digests: Digests of the texts, ``(texts,)``.
        values: Their answers, ``(texts, *shape)``.

    Raises:
        LimbeckError: The disk is full, or the place cannot be written.
    """
    name = f"{PREFIX}{time.time_ns():016x}-{uuid.uuid4().hex[:8]}"
    partial = table / f".{name}.partial"
    try:
        partial.mkdir(parents=True)
        _write_array(partial / TEXTS, digests.astype(DIGEST))
        _write_array(partial / ROWS, values.astype(VALUE))
        sums = {file: fingerprint.sha256(partial / file) for file in (TEXTS, ROWS)}
        write_json(partial / SHARD, {"rows": len(digests), "sha256": sums})
        partial.replace(table / name)
    except OSError as error:
        raise write_error(error, table) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_shard(shard: Path, shape: tuple[int, ...]) -> tuple[Digests, Values]:
    """A shard's digests ``(texts,)``, in memory, and answers ``(texts, *shape)``, mapped.

    Raises:
        LimbeckError: A file is missing, truncated, or holds something else.
    """
    texts, rows = _map(shard / TEXTS), _map(shard / ROWS)
    if texts.dtype != DIGEST or texts.ndim != 1:
        raise damaged(shard / TEXTS, f"{texts.dtype} of shape {texts.shape} instead of a list of digests")
    if rows.dtype != VALUE or rows.shape != (len(texts), *shape):
        expected = (len(texts), *shape)
        raise damaged(shard / ROWS, f"{rows.dtype} of shape {rows.shape} instead of {VALUE} of {expected}")
    return np.array(texts), rows


def verify_shard(shard: Path, shape: tuple[int, ...]) -> None:
    """Read all of a shard.

    Raises:
        LimbeckError: Something about it is not as it was written.
    """
    texts, rows = load_shard(shard, shape)
    facts = read_facts(shard)
    if facts.rows != len(texts):
        raise damaged(shard / SHARD, f"it tells of {facts.rows} answers, and there are {len(texts)}")
    for file in (TEXTS, ROWS):
        if facts.sha256.get(file) != fingerprint.sha256(shard / file):
            raise damaged(shard / file, "it is not as it was written: another SHA-256")
    if not np.isfinite(rows).all():
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
