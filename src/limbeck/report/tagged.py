"""Test sentences that teacher and student tag differently, from a tagger's ``predictions.parquet``.

A model is right about a sentence where it finds the gold spans and no others; plain tags (parts of speech) count as a
span a word. Of a long sentence only the words around those in dispute are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.core.errors import LimbeckError
from limbeck.report.disputes import SHOWN
from limbeck.report.predictions import columns_of, read_predictions
from limbeck.text.tags import Span, mark_spans, spans

if TYPE_CHECKING:
    import pyarrow as pa

AROUND = 10
"""Words shown on either side of what is in dispute."""

SMALL_GAP = 3
"""So many words in a row are not worth leaving out."""


@dataclass(frozen=True)
class Piece:
    """Some words of a line; ``type`` is None outside of spans. ``wrong`` marks a span that gold does not have."""

    text: str
    type: str | None = None
    wrong: bool = False


@dataclass(frozen=True)
class Line:
    """A sentence as gold, teacher or student has it.

    Attributes:
        role: gold, teacher or student.
        pieces: Its words in order, spans as pieces of their own.
        missed: Gold spans that it lacks.
        added: Spans that gold lacks.
    """

    role: str
    pieces: tuple[Piece, ...]
    missed: int
    added: int

    @property
    def right(self) -> bool:
        """Whether it is as gold."""
        return not self.missed and not self.added


@dataclass(frozen=True)
class TaggedSentence:
    """A disputed sentence: its gold, teacher's and student's line."""

    id: str
    origin: str
    lines: tuple[Line, ...]

    @property
    def right(self) -> list[Line]:
        """The models' lines that are as gold."""
        return [line for line in self.lines[1:] if line.right]

    @property
    def wrong(self) -> list[Line]:
        """The models' other lines."""
        return [line for line in self.lines[1:] if not line.right]


@dataclass(frozen=True)
class Kind:
    """Disputed sentences of one kind.

    Attributes:
        name: teacher, student or neither: who is right.
        count: How many there are.
        sentences: Those with most errors first; ``SHOWN`` at most.
    """

    name: str
    count: int
    sentences: tuple[TaggedSentence, ...]


@dataclass(frozen=True)
class TagDisputes:
    """Where teacher and student tag differently.

    Attributes:
        student: The student, with its seed where it has one.
        both: How many sentences both got right.
        agreed: How many both got wrong in the same way.
        kinds: The others: only the teacher right, only the student, neither and each in its own way.
        types: Types of the spans, the commonest in gold first.
    """

    student: str
    both: int
    agreed: int
    kinds: tuple[Kind, ...]
    types: tuple[str, ...]

    @property
    def total(self) -> int:
        """All test sentences."""
        return self.both + self.agreed + sum(kind.count for kind in self.kinds)


@dataclass(frozen=True)
class _Row:
    """One test sentence: words, and the spans of gold, teacher and student, by role."""

    id: str
    origin: str
    words: tuple[str, ...]
    spans: Mapping[str, frozenset[Span]]

    @property
    def kind(self) -> str:
        gold, teacher, student = (self.spans[role] for role in ("gold", "teacher", "student"))
        if teacher == student:
            return "both" if teacher == gold else "agreed"
        return "teacher" if teacher == gold else "student" if student == gold else "neither"

    @property
    def errors(self) -> int:
        return sum(len(self.spans["gold"] ^ self.spans[role]) for role in ("teacher", "student"))


def read_tag_disputes(
    path: Path, labels: Sequence[str], models: Mapping[str, tuple[str, int | None]]
) -> TagDisputes | None:
    """Read the predictions and pick the sentences.

    Args:
        path: The Parquet file.
        labels: The tag set.
        models: Name and seed of ``teacher`` and ``student``.

    Returns:
        None where the file lacks the teacher's or the student's column.

    Raises:
        LimbeckError: The file is damaged.
    """
    table = read_predictions(path, ("id", "words", "gold", "origin"))
    columns = {role: column for role, column in columns_of(models).items() if role in ("teacher", "student")}
    if len(columns) < 2 or not set(columns.values()) <= set(table.column_names):
        return None
    rows = _rows(table, {"gold": "gold", **columns}, mark_spans(labels), path)
    kinds: dict[str, list[_Row]] = {name: [] for name in ("both", "agreed", "teacher", "student", "neither")}
    for row in rows:
        kinds[row.kind].append(row)
    return TagDisputes(
        student=columns["student"].replace("@", ", seed "),
        both=len(kinds.pop("both")),
        agreed=len(kinds.pop("agreed")),
        kinds=tuple(_kind(name, found, mark_spans(labels)) for name, found in kinds.items()),
        types=_types(rows),
    )


def _rows(table: pa.Table, columns: Mapping[str, str], has_spans: bool, path: Path) -> list[_Row]:
    """The sentences, with the spans of each role."""
    sentences = [tuple(words or ()) for words in table.column("words").to_pylist()]
    found: dict[str, list[frozenset[Span]]] = {}
    for role, column in columns.items():
        tags = table.column(column).to_pylist()
        for words, said in zip(sentences, tags, strict=True):
            if not isinstance(said, list) or len(said) != len(words):
                raise LimbeckError(f"column '{column}' does not hold a tag for every word", where=path)
        found[role] = [frozenset(spans(said) if has_spans else _each_word(said)) for said in tags]
    ids, origins = (table.column(name).to_pylist() for name in ("id", "origin"))
    return [
        _Row(str(ids[n]), str(origins[n] or ""), words, {role: of[n] for role, of in found.items()})
        for n, words in enumerate(sentences)
    ]


def _each_word(tags: Sequence[str]) -> list[Span]:
    return [Span(tag, place, place + 1) for place, tag in enumerate(tags)]


def _types(rows: Iterable[_Row]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        for role, found in row.spans.items():
            for span in found:
                counts[span.type] = counts.get(span.type, 0) + (role == "gold")
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def _kind(name: str, rows: Sequence[_Row], has_spans: bool) -> Kind:
    worst = sorted(rows, key=lambda row: (-row.errors, len(row.words)))[:SHOWN]
    return Kind(name, len(rows), tuple(_sentence(row, has_spans) for row in worst))


def _sentence(row: _Row, has_spans: bool) -> TaggedSentence:
    """The lines of a sentence; of plain tags only those of words in dispute are marked."""
    shared = frozenset.intersection(*row.spans.values())
    disputed = frozenset.union(*row.spans.values()) - shared
    seen = _seen(row, disputed)
    gold = row.spans["gold"]
    lines = []
    for role, found in row.spans.items():
        shown = found if has_spans else found - shared
        pieces = _pieces(row.words, shown, gold, seen)
        lines.append(Line(role, tuple(pieces), len(gold - found), len(found - gold)))
    return TaggedSentence(row.id, row.origin, tuple(lines))


def _seen(row: _Row, disputed: frozenset[Span]) -> list[bool]:
    """Which words to show: some around those in dispute, and of no span a part."""
    seen = [False] * len(row.words)
    for span in disputed:
        start, end = max(0, span.start - AROUND), min(len(seen), span.end + AROUND)
        seen[start:end] = [True] * (end - start)
    every = frozenset.union(*row.spans.values())
    while cut := [span for span in every if len(set(seen[span.start : span.end])) > 1]:
        for span in cut:
            seen[span.start : span.end] = [True] * (span.end - span.start)
    return _without_small_gaps(seen)


def _without_small_gaps(seen: Sequence[bool]) -> list[bool]:
    """Dots in place of a word or two would hide without making anything shorter."""
    return [
        shown or length <= SMALL_GAP
        for shown, run in groupby(seen)
        for length in [len(list(run))]
        for _ in range(length)
    ]


def _pieces(
    words: Sequence[str], shown: Iterable[Span], gold: frozenset[Span], seen: Sequence[bool]
) -> Iterable[Piece]:
    """The words that are seen, in pieces, with dots where some are left out."""
    place = 0
    for span in sorted(shown, key=lambda span: span.start):
        if not seen[span.start]:
            continue
        if between := _between(words, place, span.start, seen):
            yield Piece(between)
        yield Piece(" ".join(words[span.start : span.end]), span.type or "span", span not in gold)
        place = span.end
    if between := _between(words, place, len(words), seen):
        yield Piece(between)


def _between(words: Sequence[str], start: int, end: int, seen: Sequence[bool]) -> str:
    """Words ``start`` to ``end``, dots for any number of those that are not seen."""
    parts: list[str] = []
    for word, is_seen in zip(words[start:end], seen[start:end], strict=True):
        if is_seen:
            parts.append(word)
        elif parts[-1:] != ["…"]:
            parts.append("…")
    return " ".join(parts)
