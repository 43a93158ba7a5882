"""``limbeck compare``: the table on the terminal, as Markdown or JSON, or as a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from limbeck.cli.output import ANY_WIDTH, standard_output
from limbeck.evaluate.comparison import Comparison

Form = Literal["table", "markdown", "json"]


def show(found: Comparison, form: Form, say: Callable[[str], None]) -> None:
    """Tell a comparison on standard output."""
    if form == "json":
        say(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    elif form == "markdown":
        say(found.markdown())
    else:
        _table(found)


def _table(found: Comparison) -> None:
    from limbeck.evaluate.table import terminal

    console = standard_output()
    shown = terminal(found.rows, found.columns)
    if console.measure(shown, options=console.options.update_width(ANY_WIDTH)).maximum > console.width:
        may_break = [{**row, "name": f"{row['run']}: {row['model']}"} for row in found.rows]
        shown = terminal(may_break, {head.replace(" ", "\n"): show for head, show in found.brief.items()})
    console.print(shown)
    for note in found.notes():
        console.print(f"\n{note}", markup=False)


def write(found: Comparison, page: Path) -> str:
    """Write the page; what is said of it."""
    from limbeck.report.compared import write as write_page

    return f"page: {write_page(found, page)}"
