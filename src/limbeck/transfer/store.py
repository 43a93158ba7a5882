"""The answer store: what teachers said, kept for good, and shared by every run that uses the folder.

There is one table a teacher and signal, under the digest of the teacher's fingerprint (weights, tokeniser,
truncation, labels) and the signal. In it an answer is found under the digest of its text, so that a text is
asked once, whichever transfer set or run it comes from. The files: :mod:`limbeck.transfer.shards`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_error
from limbeck.core.signals import SignalName
from limbeck.transfer import shards
from limbeck.transfer.shards import DIGEST, Block, Digests, Manifest, NewerFormatError

KEPT: tuple[SignalName, ...] = ("logits", "potentials")
SHARD_ROWS = 1024
GROWTH = 16
"""A shard holds ``SHARD_ROWS`` answers, or one ``GROWTH``-th of the table where that is more: a kill costs
little, and the number of shards (each an open file while it is mapped) grows with the table's logarithm."""
LEFTOVER_SECONDS = 3600
"""Age from which an unfinished shard belongs to a process that was killed: writing one takes moments."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One table, for a listing."""

    key: str
    teacher: str
    name: str
    signal: str
    labels: tuple[str, ...]
    rows: int
    bytes: int
    last_used: datetime


@dataclass(frozen=True, slots=True)
class Problem:
    """One damaged file.

    Attributes:
        key: Of the table that it belongs to.
        shard: The shard's folder; None for the manifest, without which the table is lost.
        path: The file.
        what: What is wrong.
    """

    key: str
    shard: Path | None
    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many tables and shards were forgotten, and the bytes that this freed."""

    tables: int
    shards: int
    bytes: int


class AnswerStore:
    """A folder of answers; it need not exist before the first answer.

    Args:
        folder: Where the answers are, or will be.
        shard_rows: Least number of answers that make up a full shard.
    """

    def __init__(self, folder: Path, shard_rows: int = SHARD_ROWS) -> None:
        self.folder = folder
        self.shard_rows = shard_rows

    def open(self, teacher: str, signal: SignalName, labels: Sequence[str], name: str = "") -> AnswerTable:
        """The table of a teacher's answers; nothing is written before the first answer.

        Args:
            teacher: The teacher's fingerprint.
            signal: What it is asked for: ``logits`` or ``potentials``.
            labels: Its classes, in the order of its logits.
            name: What a person calls it.

        Raises:
            LimbeckError: The table is for other labels, from a newer Limbeck, or damaged.
        """
        if signal not in KEPT:
            raise LimbeckError(
                f"the answer store keeps {' and '.join(KEPT)}, and '{signal}' was asked for",
                where=self.folder,
                fix="Take live answers for it",
            )
        ragged = signal == "potentials"
        manifest = Manifest(
            format=2 if ragged else 1,
            teacher=teacher,
            name=name or teacher,
            signal=signal,
            labels=tuple(labels),
            shape=(len(labels),),
            ragged=ragged,
        )
        return AnswerTable(self.folder / _key(teacher, signal), manifest, self.shard_rows)

    def list(self) -> tuple[Entry, ...]:
        """Every table, the one used last first.

        Raises:
            LimbeckError: There is no store here.
        """
        return tuple(sorted(map(_entry, self._tables()), key=lambda entry: entry.last_used, reverse=True))

    def verify(self) -> tuple[Problem, ...]:
        """The first damaged file of every damaged shard, found by reading all of them.

        Raises:
            LimbeckError: There is no store here.
        """
        return tuple(problem for table in self._tables() for problem in _problems(table))

    def prune(
        self, *, key: str | None = None, keep_days: float | None = None, damaged: bool = False
    ) -> Pruned:
        """Forget answers; what killed processes left half-written goes, too.

        Args:
            key: Forget this table.
            keep_days: Forget tables that were last used longer ago.
            damaged: Forget damaged shards, and tables whose manifest is damaged.

        Raises:
            LimbeckError: There is no store here, or no table of that key.
        """
        tables = self._tables()
        if key is not None and key not in {table.name for table in tables}:
            known = ", ".join(table.name for table in tables) or "none"
            raise LimbeckError(f"no table has the key '{key}'", where=self.folder, fix=f"There are: {known}")
        since = -np.inf if keep_days is None else time.time() - 86400 * keep_days
        lost = {table for table in tables if table.name == key or _last_used(table) < since}
        problems = self.verify() if damaged else ()
        lost |= {self.folder / problem.key for problem in problems if problem.shard is None}
        lost_shards = {problem.shard for problem in problems if problem.shard is not None}
        lost_shards = {shard for shard in lost_shards if shard.parent not in lost}
        freed = sum(map(_remove, lost | lost_shards))
        freed += sum(map(_clear_leftovers, (self.folder, *self._tables())))
        return Pruned(len(lost), len(lost_shards), freed)

    def _tables(self) -> tuple[Path, ...]:
        if not self.folder.is_dir():
            raise LimbeckError("there is no answer store here", where=self.folder)
        return tuple(shards.folders(self.folder))


class AnswerTable:
    """One teacher's answers for one signal, as of the last :meth:`refresh`.

    Args:
        folder: Where the shards are, or will be.
        manifest: What is in them.
        shard_rows: Least number of answers that make up a full shard.

    Raises:
        LimbeckError: What is on disk is for other labels, from a newer Limbeck, or damaged.
    """

    def __init__(self, folder: Path, manifest: Manifest, shard_rows: int = SHARD_ROWS) -> None:
        self.folder = folder
        self.manifest = manifest
        self._least_rows = shard_rows
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
        gathered = np.empty((ends[-1], *self.manifest.shape), shards.VALUE)
        for number in np.unique(numbers):
            here = numbers == number
            gathered[_spans(ends[:-1][here], lengths[here])] = self._blocks[number].rows[
                _spans(starts[here], lengths[here])
            ]
        if not self.manifest.ragged:
            return Block(gathered)
        common = self._blocks[numbers[0]].common if len(rows) else None
        return Block(gathered, ends, common)

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
        shards.write_shard(self.folder, digests, block)
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


def _key(teacher: str, signal: SignalName) -> str:
    return fingerprint.of_strings((teacher, signal))


def _entry(table: Path) -> Entry:
    try:
        manifest = shards.read_manifest(table)
    except LimbeckError as error:
        name = "(newer format)" if isinstance(error, NewerFormatError) else "(damaged)"
        manifest = Manifest(format=0, teacher="?", name=name, signal="logits", labels=(), shape=())
    rows = 0
    for shard in shards.folders(table, shards.PREFIX):
        with suppress(LimbeckError):  # 'verify' tells of damage.
            rows += shards.read_facts(shard).rows
    return Entry(
        key=table.name,
        teacher=manifest.teacher,
        name=manifest.name,
        signal=manifest.signal,
        labels=manifest.labels,
        rows=rows,
        bytes=_bytes(table),
        last_used=datetime.fromtimestamp(_last_used(table), UTC),
    )


def _problems(table: Path) -> Iterator[Problem]:
    try:
        manifest = shards.read_manifest(table)
    except NewerFormatError:
        return
    except LimbeckError as error:
        yield Problem(table.name, None, table / shards.MANIFEST, error.what)
        return
    for shard in shards.folders(table, shards.PREFIX):
        try:
            shards.verify_shard(shard, manifest)
        except LimbeckError as error:
            yield Problem(table.name, shard, Path(error.where or shard), error.what)


def _last_used(table: Path) -> float:
    """When the table was opened last (its manifest is touched then), in seconds since 1970."""
    manifest = table / shards.MANIFEST
    return (manifest if manifest.is_file() else table).stat().st_mtime


def _bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; a file that goes away meanwhile counts nothing."""
    size = 0
    for file in path.rglob("*") if path.is_dir() else (path,):
        with suppress(FileNotFoundError):
            size += file.stat().st_size if file.is_file() else 0
    return size


def _remove(folder: Path) -> int:
    """Remove a folder and tell its bytes; it is hidden first, so that half of it is not taken for damage."""
    size = _bytes(folder)
    hidden = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.removed")
    try:
        folder.replace(hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise write_error(error, folder) from error
    return size


def _clear_leftovers(parent: Path) -> int:
    """Remove what killed processes left, and tell its bytes."""
    freed = 0
    for path in (*parent.glob(".*.partial"), *parent.glob(".*.removed")):
        with suppress(OSError):  # Another process may be finishing it just now.
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                freed += _bytes(path)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return freed
