"""``limbeck store``: what the answer store holds, whether it is whole, and forgetting."""

from __future__ import annotations

from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.evaluate.table import markdown_table, size
from limbeck.transfer.store import AnswerStore


def listing(folder: Path) -> str:
    """One line a table of answers, the one used last first."""
    lines = [
        (
            entry.key,
            entry.name,
            ", ".join((entry.signal, *(f"{key} {value}" for key, value in entry.settings.items()))),
            f"{len(entry.labels)}",
            f"{entry.rows:,}",
            size(entry.bytes),
            f"{entry.last_used:%Y-%m-%d %H:%M}",
        )
        for entry in AnswerStore(folder).list()
    ]
    headings = ("key", "teacher", "signal", "labels", "answers", "bytes", "last used")
    return markdown_table(headings, lines, frozenset({"key", "teacher", "signal", "last used"}))


def problems(folder: Path) -> list[str]:
    """One sentence for each damaged shard."""
    return [str(problem) for problem in AnswerStore(folder).verify()]


def prune(folder: Path, key: str | None, days: int | None, damaged: bool) -> str:
    """Forget answers; says how much went.

    Raises:
        LimbeckError: Nothing was named to forget.
    """
    if key is None and days is None and not damaged:
        raise LimbeckError("nothing named to forget", fix="Give --key, --days or --damaged")
    gone = AnswerStore(folder).prune(key=key, keep_days=days, damaged=damaged)
    return f"forgot {gone.tables} tables and {gone.shards} damaged shards, {size(gone.bytes)}"


def shard_of(given: str) -> tuple[int, int]:
    """A part of the texts as people write it, ``1/4``.

    Raises:
        LimbeckError: It is no such part.
    """
    number, _, count = given.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise LimbeckError(
            f"there is no shard '{given}'", fix="Write which part and of how many: 1/4 is the first of four"
        )
    return int(number), int(count)
