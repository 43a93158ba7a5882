"""Text and tables as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence


def text(value: object) -> str:
    """Any text as Markdown that says just that, on one line, also in a cell of a table."""
    line = " ".join(str(value).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", line)
    # What would begin a list inside a list.
    return re.sub(r"^(\d*)([-+.)])", r"\1\\\2", line)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], words_in: int = 1) -> str:
    """A table: the first ``words_in`` columns hold words, the others numbers; cells are Markdown already."""
    rule = ["---"] * words_in + ["---:"] * (len(heads) - words_in)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))
