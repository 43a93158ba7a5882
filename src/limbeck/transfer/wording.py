"""Wording: how prepare says how many."""

from __future__ import annotations

from collections.abc import Mapping


def told(counts: Mapping[str, int]) -> str:
    """Counts by reason: ``2 empty, 1 damaged``."""
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items())


def count(number: int, noun: str) -> str:
    """A number of things: ``1 row``, ``1,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
