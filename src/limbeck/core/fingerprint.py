"""Fingerprints: short digests that say whether two things are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

LENGTH = 16
"""Hexadecimal digits kept: 64 bits, plenty for telling folders apart."""


def of_value(value: Any) -> str:
    """Digest of a JSON-like value; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_plain).encode()).hexdigest()[:LENGTH]


def of_strings(strings: Iterable[str]) -> str:
    """Digest of a sequence of strings, told apart from any other cutting of the same text."""
    digest = hashlib.sha256()
    for string in strings:
        data = string.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:LENGTH]


def of_files(paths: Iterable[Path]) -> str:
    """Digest of files' names and contents."""
    return of_strings(part for path in sorted(paths) for part in (path.name, sha256(path)))


def sha256(path: Path) -> str:
    """Full SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)
