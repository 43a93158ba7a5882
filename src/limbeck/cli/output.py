"""Standard output, for tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

ANY_WIDTH = 10_000


def standard_output() -> Console:
    """A console as wide as the terminal; in a file or a pipe lines are as long as they are, but for COLUMNS."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = ANY_WIDTH
    return console
