"""The study of modes, arranged for a run's page: its panels as one picture, and what was counted of each."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.report import words
from limbeck.report.measures import Table


@dataclass(frozen=True)
class ModesView:
    """What the study found.

    Attributes:
        table: A row a panel.
        picture: The panels' picture as an image's address, which holds all of it; None where there are not three
            languages.
    """

    table: Table
    picture: str | None


def modes_view(content: Mapping[str, Any], picture: str) -> ModesView | None:
    """The study of a run; None where there was none.

    Args:
        content: ``modes.json``.
        picture: ``modes.svg``, or nothing.
    """
    rows = content.get("rows") or []
    if not rows:
        return None
    languages = content["languages"]
    heads = ("C(d)", "by link", "Decided, %", "Posterior", *(f"For {one}, %" for one in languages))
    heads += tuple(f"BLEU {one}" for one in languages)
    table = Table(heads, tuple((_name(row), _numbers(row, languages)) for row in rows))
    # An image runs nothing and has no style but its own, whatever is in the file.
    address = f"data:image/svg+xml;base64,{b64encode(picture.encode()).decode()}" if picture else None
    return ModesView(table, address)


def _name(row: Mapping[str, Any]) -> str:
    return f"({row['panel']}) {row['kind']} on {row['text']}"


def _numbers(row: Mapping[str, Any], languages: list[str]) -> tuple[str, ...]:
    return (
        words.fixed(row["complexity"], 2),
        words.fixed(row["complexity_by_link"], 2),
        words.fixed(100 * row["decided"], 1),
        words.fixed(row["top_posterior"], 2),
        *(words.fixed(100 * row["decided_for"][one], 1) for one in languages),
        *(words.fixed(row["bleu"][one], 1) for one in languages),
    )
