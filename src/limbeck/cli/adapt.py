"""``limbeck adapt``: which text is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Training
from limbeck.core.schema import validate
from limbeck.core.sources import Source
from limbeck.text import resources
from limbeck.text.readers import read


def training(epochs: float, learning_rate: float | None, tokens_per_batch: int, whole: bool) -> Training:
    """The settings that the flags mean; a fresh head alone takes a higher learning rate than an encoder does.

    Raises:
        LimbeckError: A number that is none, or nought.
    """
    rate = (3e-4 if whole else 1e-3) if learning_rate is None else learning_rate
    given = {"epochs": epochs, "learning_rate": rate, "tokens_per_batch": tokens_per_batch}
    return validate(Training, {**given, "clip": 1.0})


def texts_of(references: Sequence[str], column: str) -> list[str]:
    """The sentences of some files, and of the text files in some folders.

    Args:
        references: Paths, or ``package:NAME/FILE``: text with one sentence a line, or tables.
        column: Of a table, that of the text.

    Raises:
        LimbeckError: One is missing, cannot be read, or is a folder without text files.
    """
    return [
        example.text
        for reference in references
        for path in _files(reference)
        for example in read(Source(path=path, text=column, label=None))
    ]


def _files(reference: str) -> list[str]:
    place = resources.resolve(reference)
    if not isinstance(place, Path):
        raise LimbeckError("no such file or folder", where=reference)
    if place.is_file():
        return [reference]
    found = [str(path) for path in sorted(place.rglob("*.txt")) if path.is_file()]
    if not found:
        raise LimbeckError("no text files (*.txt) in this folder", where=reference)
    return found
