"""The answer store: what teachers said, kept for good, and shared by every run that uses the folder.

There is one table a teacher and signal, under the digest of the teacher's fingerprint (weights, tokeniser,
truncation, labels), the signal, and what else the answers depend on. In it an answer is found under the digest of its
text, so that a text is asked once, whichever transfer set or run it comes from. The files:
:mod:`limbeck.transfer.shards`; what is in them: :mod:`limbeck.transfer.tables`.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_error
from limbeck.transfer import shards
from limbeck.transfer.shards import LAYOUTS, Kept, Manifest, NewerFormatError
from limbeck.transfer.tables import AnswerTable

NOTHING_ELSE: Mapping[str, Any] = MappingProxyType({})
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
    settings: Mapping[str, Any]
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
        shard_rows: Least number of answers that make up a full shard; None is what suits each kind of answers.
    """

    def __init__(self, folder: Path, shard_rows: int | None = None) -> None:
        self.folder = folder
        self.shard_rows = shard_rows

    def open(
        self,
        teacher: str,
        signal: Kept,
        labels: Sequence[str],
        name: str = "",
        *,
        settings: Mapping[str, Any] = NOTHING_ELSE,
    ) -> AnswerTable:
        """The table of a teacher's answers; nothing is written before the first answer.

        Args:
            teacher: The teacher's fingerprint.
            signal: What it is asked for, e.g. ``logits``.
            labels: Its classes, in the order of its logits.
            name: What a person calls it.
            settings: What else the answers depend on; of next tokens, ``top_k``: how many are kept; of states,
                ``width``: values of a row.

        Raises:
            LimbeckError: The table is for other labels, from a newer Limbeck, or damaged.
        """
        if signal not in LAYOUTS:
            raise LimbeckError(
                f"the answer store keeps {', '.join(LAYOUTS)}, and '{signal}' was asked for",
                where=self.folder,
                fix="Take live answers for it",
            )
        layout = LAYOUTS[signal]
        width = (settings.get("width", 1),)
        shapes = {
            "next_tokens": (settings.get("top_k", 1),),
            "translations": (),
            "pooled": width,
            "words": width,
        }
        manifest = Manifest(
            format=layout.format,
            teacher=teacher,
            name=name or teacher,
            signal=signal,
            labels=tuple(labels),
            shape=shapes.get(signal, (len(labels),)),
            ragged=layout.ragged,
            settings=dict(settings),
        )
        return AnswerTable(self.folder / _key(teacher, signal, settings), manifest, self.shard_rows)

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


def _key(teacher: str, signal: str, settings: Mapping[str, Any]) -> str:
    others = (fingerprint.of_value(dict(settings)),) if settings else ()
    return fingerprint.of_strings((teacher, signal, *others))


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
        settings=manifest.settings,
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
