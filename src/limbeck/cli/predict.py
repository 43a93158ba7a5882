"""``limbeck predict``: text in, labels or spans out, as JSON Lines or CSV. Imports no PyTorch."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from limbeck.core.errors import LimbeckError
from limbeck.text.tags import mark_spans

if TYPE_CHECKING:
    from limbeck.serve.bundle import Bundle
    from limbeck.serve.tagger import Tagged, TaggerBundle


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


def write(
    model: Bundle | TaggerBundle,
    texts: Iterable[str],
    form: str,
    batch_size: int,
    out: TextIO,
    split: bool = False,
) -> None:
    """Answer texts in batches as they come: one line each, but one a span in a tagger's CSV.

    Args:
        model: A classifier's bundle or a tagger's.
        texts: What to answer.
        form: ``csv`` or ``jsonl``.
        batch_size: Texts that go through the model at a time.
        out: Where to.
        split: Whether texts are words with spaces between them; else a tagger finds words and punctuation marks.

    Raises:
        LimbeckError: ``split`` is asked of a classifier.
    """
    from limbeck.serve.tagger import TaggerBundle

    if isinstance(model, TaggerBundle):
        writer: _Labels | _Tags = _Tags(model, split)
    elif split:
        raise LimbeckError("--words is for taggers, and this bundle is a classifier's", where=model.folder)
    else:
        writer = _Labels(model)
    rows = csv.writer(out)
    if form == "csv":
        rows.writerow(writer.header)
    for batch in _batched(texts, batch_size):
        for answer in writer.answers(batch):
            if form == "csv":
                rows.writerows(answer.rows)
            else:
                out.write(json.dumps(answer.line, ensure_ascii=False) + "\n")
        out.flush()


class _Answer(NamedTuple):
    """What is said of one text: a JSON line, and rows of CSV."""

    line: dict[str, Any]
    rows: list[list[Any]]


class _Labels:
    """A classifier's: label, score, and the scores of all labels."""

    def __init__(self, model: Bundle) -> None:
        self.model = model
        self.header = ("text", "label", "score", *model.labels)

    def answers(self, texts: Sequence[str]) -> Iterator[_Answer]:
        asked = [self._pair(text) for text in texts] if self.model.reads_pairs else texts
        for text, told in zip(texts, self.model.predict(asked, batch_size=len(texts)), strict=True):
            scores = {label: _round(score) for label, score in told.scores.items()}
            line = {"text": text, "label": told.label, "score": _round(told.score), "scores": scores}
            yield _Answer(line, [[text, told.label, _round(told.score), *scores.values()]])

    @staticmethod
    def _pair(text: str) -> tuple[str, str]:
        first, tab, second = text.partition("\t")
        if not tab:
            fix = "Put a tab between them"
            raise LimbeckError(f"this student reads pairs of texts, and this is one: '{text[:60]}'", fix=fix)
        return first, second


class _Tags:
    """A tagger's: words, tags and spans; in CSV a row a span, or a row a word where tags mark no spans."""

    header = ("text", "start", "end", "type", "span", "score")

    def __init__(self, model: TaggerBundle, split: bool) -> None:
        self.model, self.split = model, split
        self.marks_spans = mark_spans(model.labels)

    def answers(self, texts: Sequence[str]) -> Iterator[_Answer]:
        asked = [text.split() if self.split else text for text in texts]
        for told in self.model.predict(asked, batch_size=len(asked)):
            found = [
                {
                    "type": span.type,
                    "text": span.text,
                    "start": span.start_character,
                    "end": span.end_character,
                    "words": [span.start, span.end],
                    "score": _round(span.score),
                }
                for span in told.spans
            ]
            line = {"text": told.text, "words": list(told.words), "tags": list(told.tags), "spans": found}
            yield _Answer(line, [[told.text, *row] for row in self._rows(told)])

    def _rows(self, told: Tagged) -> Iterator[list[Any]]:
        if self.marks_spans:
            for span in told.spans:
                yield [span.start_character, span.end_character, span.type, span.text, _round(span.score)]
            return
        for word, (start, end), tag, score in zip(
            told.words, told.places, told.tags, told.scores, strict=True
        ):
            yield [start, end, tag, word, _round(score)]


def _round(score: float) -> float:
    return round(score, 6)


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
