"""``limbeck predict``: text in, JSON Lines or CSV out. Imports no PyTorch."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from limbeck.core.errors import LimbeckError

if TYPE_CHECKING:
    from limbeck.serve.bundle import Bundle


def sentences(arguments: Sequence[str], file: Path | None) -> Iterator[str]:
    """The texts to label: arguments, else the lines of a file, else those of standard input.

    Raises:
        LimbeckError: Both are given, there is no such file, or a line is not UTF-8.
    """
    if arguments and file is not None:
        raise LimbeckError("give sentences or --file, not both")
    if arguments:
        return iter(arguments)
    if file is None or str(file) == "-":
        return _lines(sys.stdin.buffer, "standard input")
    if not file.is_file():
        raise LimbeckError("no such file", where=file)
    return _lines(file.open("rb"), file)


def write(model: Bundle, texts: Iterable[str], form: str, batch_size: int, out: TextIO) -> None:
    """Label texts in batches as they come, and write one line each."""
    rows = csv.writer(out)
    if form == "csv":
        rows.writerow(["text", "label", "score", *model.labels])
    for batch in _batched(texts, batch_size):
        for text, told in zip(batch, model.predict(batch, batch_size=batch_size), strict=True):
            scores = {label: round(score, 6) for label, score in told.scores.items()}
            if form == "csv":
                rows.writerow([text, told.label, round(told.score, 6), *scores.values()])
            else:
                line = {"text": text, "label": told.label, "score": round(told.score, 6), "scores": scores}
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
        out.flush()


def _lines(file: Iterable[bytes], name: str | Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise LimbeckError(
                "not UTF-8", where=name, line=number, fix="Convert it, e.g. with iconv"
            ) from None


def _batched(texts: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """``itertools.batched``, which Python 3.11 lacks."""
    iterator = iter(texts)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch
