"""``limbeck study``: what a study found, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from limbeck.evaluate.table import NOTHING

if TYPE_CHECKING:
    from rich.table import Table

    from limbeck.pipeline.study import Study


def modes(study: Study) -> Table:
    """The study of modes, a row a panel."""
    from rich import box
    from rich.table import Table

    languages = " / ".join(study.content["languages"])
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("model", min_width=len("autoregressive"))
    for head in ("C(d)", "by link", "decided, %", "posterior", f"for {languages}, %", f"BLEU {languages}"):
        shown.add_column(head, justify="right")
    for row in study.rows:
        shown.add_row(
            f"({row['panel']}) {row['kind']} on {row['text']}",
            _number(row["complexity"], 2),
            _number(row["complexity_by_link"], 2),
            _number(100 * row["decided"], 1),
            _number(row["top_posterior"], 2),
            _all({name: 100 * share for name, share in row["decided_for"].items()}, 0),
            _all(row["bleu"], 1),
        )
    return shown


def _all(values: Mapping[str, float | None], digits: int) -> str:
    return " / ".join(_number(value, digits) for value in values.values())


def _number(value: Any, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"
