"""journal.jsonl: one JSON object a line, written as the run goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.core.files import write_error


class Journal:
    """A file that grows by whole lines and can be cut back to where a checkpoint left it.

    Args:
        path: The file.
        length: Bytes to keep of it: the journal's length when the checkpoint was written.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self.path = path
        with path.open("ab") as file:
            file.truncate(length)

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size

    def write(self, facts: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            LimbeckError: The disk is full, or the file cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(facts, ensure_ascii=False) + "\n")
        except OSError as error:
            raise write_error(error, self.path) from error
