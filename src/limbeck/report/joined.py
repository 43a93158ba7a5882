"""Joined pages: what other commands wrote into a run's folder, for its report to link to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

PAGES: Mapping[str, str] = MappingProxyType(
    {"probes/probes.html": "Probes", "similarity/similarity.html": "Similarity of layers"}
)
"""Where they lie in the folder, and what they are called."""


def joined(folder: Path, page: Path) -> list[tuple[str, str]]:
    """Titles and addresses of those that are there.

    Args:
        folder: The run's.
        page: The report, from which addresses lead.
    """
    there = ((title, folder / place) for place, title in PAGES.items())
    return [(title, address(path, page)) for title, path in there if path.is_file()]


def address(target: Path, page: Path) -> str:
    """Where a page leads that links to a file."""
    return quote(Path(os.path.relpath(target.resolve(), page.resolve().parent)).as_posix())
