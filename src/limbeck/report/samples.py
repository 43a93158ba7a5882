"""Test sentences worth reading, from a translator's ``predictions.parquet``: what everybody made of them, side by side.

Sentences are compared by chrF, which says more of a single sentence than BLEU does: where the student gains or loses
most against the control and against the teacher, and some at random, so that the reader sees the usual too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from limbeck.report.predictions import columns_of, read_predictions

if TYPE_CHECKING:
    import pyarrow as pa

    from limbeck.evaluate.metrics import Floats

SHOWN = 12
"""Sentences shown of each kind."""

LONGEST = 80
"""Words shown of a text."""

Kind = Literal["same", "other", "missing"]


@dataclass(frozen=True)
class Piece:
    """Some words of a translation: the reference's (``same``), ``other`` words, or words of it that are ``missing``."""

    text: str
    kind: Kind


@dataclass(frozen=True)
class Rendering:
    """What one model made of a sentence, compared with the reference it is most like.

    Attributes:
        role: teacher, student or control.
        pieces: Its words in order.
        bleu, chrf: Its scores, of this sentence alone.
    """

    role: str
    pieces: tuple[Piece, ...]
    bleu: float
    chrf: float


@dataclass(frozen=True)
class Sample:
    """A test sentence with its references and translations."""

    id: str
    origin: str
    source: str
    references: tuple[str, ...]
    renderings: tuple[Rendering, ...]


@dataclass(frozen=True)
class SampleGroup:
    """Sentences of one kind.

    Attributes:
        over: The model that the student is compared with: control, teacher, or empty of those picked at random.
        wins: Whether the student is the better one.
        samples: The largest difference first; ``SHOWN`` at most, and none that an earlier group has.
    """

    over: str
    wins: bool
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Tally:
    """On how many sentences the student is better than another model, as good, or worse, by chrF."""

    over: str
    better: int
    alike: int
    worse: int


@dataclass(frozen=True)
class Samples:
    """Sentences to read.

    Attributes:
        student: The student, with its seed where it has one.
        tallies: How it fares sentence by sentence.
        groups: The sentences.
    """

    student: str
    tallies: tuple[Tally, ...]
    groups: tuple[SampleGroup, ...]


@dataclass(frozen=True, eq=False)
class _Texts:
    """The columns of the file that are read, and sentence scores by role."""

    ids: list[str]
    origins: list[str]
    sources: list[str]
    references: list[tuple[str, ...]]
    said: Mapping[str, list[str]]
    scores: Mapping[str, Mapping[str, Floats]]

    def sample(self, row: int) -> Sample:
        renderings = tuple(
            Rendering(
                role,
                tuple(marked(texts[row], self.references[row])),
                float(self.scores[role]["bleu"][row]),
                float(self.scores[role]["chrf"][row]),
            )
            for role, texts in self.said.items()
        )
        cut = tuple(_cut(text) for text in self.references[row])
        return Sample(self.ids[row], self.origins[row], _cut(self.sources[row]), cut, renderings)


def read_samples(
    path: Path, models: Mapping[str, tuple[str, int | None]], language: str = ""
) -> Samples | None:
    """Read the predictions and pick the sentences.

    Args:
        path: The Parquet file.
        models: Name and seed by role: of the ``student``, and of ``teacher`` and ``control`` where there are such.
        language: Code of the target language, by which BLEU cuts words.

    Returns:
        None where the file lacks the student's column.

    Raises:
        LimbeckError: The file is damaged.
    """
    table = read_predictions(path, ("id", "text", "references", "origin"))
    order, found = ("teacher", "student", "control"), columns_of(models)
    columns = {role: found[role] for role in order if found.get(role) in table.column_names}
    if "student" not in columns or not table.num_rows:
        return None
    texts = _texts(table, columns, language)
    others = [role for role in ("control", "teacher") if role in columns]
    return Samples(
        student=columns["student"].replace("@", ", seed "),
        tallies=tuple(_tally(texts, role) for role in others),
        groups=tuple(_groups(texts, others)),
    )


def _texts(table: pa.Table, columns: Mapping[str, str], language: str) -> _Texts:
    from limbeck.evaluate.bleu import SENTENCE_METRICS, Scorer

    references = [tuple(each or ("",)) for each in table.column("references").to_pylist()]
    said = {role: _strings(table, column) for role, column in columns.items()}
    scorer = Scorer(references, language=language)
    scores = {}
    for role, texts in said.items():
        counts = scorer.counts(texts).astype(np.float64)
        scores[role] = {name: metric(counts) for name, metric in SENTENCE_METRICS.items()}
    ids, origins, sources = (_strings(table, name) for name in ("id", "origin", "text"))
    return _Texts(ids, origins, sources, references, said, scores)


def _strings(table: pa.Table, column: str) -> list[str]:
    return [str(value or "") for value in table.column(column).to_pylist()]


def _gain(texts: _Texts, over: str) -> Floats:
    """The student's chrF less another's, rounded so that equal is equal, ``(sentences,)``."""
    return np.round(texts.scores["student"]["chrf"] - texts.scores[over]["chrf"], 6)


def _tally(texts: _Texts, over: str) -> Tally:
    gain = _gain(texts, over)
    return Tally(over, int((gain > 0).sum()), int((gain == 0).sum()), int((gain < 0).sum()))


def _groups(texts: _Texts, others: Sequence[str]) -> Iterator[SampleGroup]:
    seen: set[int] = set()

    def pick(rows: Sequence[int]) -> tuple[Sample, ...]:
        fresh = [row for row in rows if row not in seen][:SHOWN]
        seen.update(fresh)
        return tuple(texts.sample(row) for row in fresh)

    for over in others:
        gain = _gain(texts, over)
        for wins, sided in ((True, gain), (False, -gain)):
            order = np.argsort(-sided, kind="stable")
            yield SampleGroup(over, wins, pick([int(row) for row in order if sided[row] > 0]))
    yield SampleGroup("", False, pick(np.random.default_rng(0).permutation(len(texts.ids)).tolist()))


def marked(text: str, references: Sequence[str]) -> Iterator[Piece]:
    """A translation in pieces, compared word by word with the reference that it is most like."""
    said = text.split()
    pairs = [
        (reference.split(), SequenceMatcher(None, reference.split(), said, False)) for reference in references
    ]
    wanted, matcher = max(pairs, key=lambda pair: pair[1].ratio())
    for what, start, end, first, last in matcher.get_opcodes():
        if first >= LONGEST:
            yield Piece("…", "same")
            return
        if what == "delete":
            yield Piece(" ".join(wanted[start:end]), "missing")
        else:
            kind: Kind = "same" if what == "equal" else "other"
            yield Piece(" ".join(said[first:last]), kind)


def _cut(text: str) -> str:
    words = text.split()
    return text if len(words) <= LONGEST else " ".join([*words[:LONGEST], "…"])
