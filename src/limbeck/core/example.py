"""Example: one text that models are asked about, with its gold label where there is one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One text.

    Attributes:
        id: Unique within its transfer set; teacher answers are kept under it.
        text: The sentence.
        gold: The label's name, or None for unlabelled text.
        origin: Where it came from, e.g. ``train.csv:17``.
    """

    id: str
    text: str
    gold: str | None = None
    origin: str = ""
