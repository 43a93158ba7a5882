"""Summary: what a source of examples holds, in figures: labels, lengths, duplicates, what is empty or damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limbeck.core.example import Example
from limbeck.core.sources import Clean, Source
from limbeck.core.tasks import Task
from limbeck.text.clean import clean, example_key, is_damaged
from limbeck.text.readers import form_of, read

KEEP_DAMAGED = Clean(damaged=False)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Words of texts, cut at spaces; of pairs, of both texts together."""

    least: int
    median: float
    most_of_95: int
    most: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a source holds.

    Attributes:
        path: Where it is.
        format: How it is written.
        columns: What a row has: ``text``, and ``second`` and ``label`` where they are filled; taggers' ``tags``.
        examples: Number of rows.
        labels: Rows of each label, the most frequent first (of taggers, words of each tag).
        unlabelled: Rows without one.
        lengths: In words, but for empty texts; None where all are.
        duplicates: Rows that repeat an earlier one, but for case and spaces.
        contradictory: Rows that share their text with one of another label.
        empty: Rows without text.
        damaged: Rows that lost characters, or were decoded wrongly.
        overlap: Rows that stand in the first source too; None where this is the first.
        scores: The least, the mean and the largest; None where rows have none.
    """

    path: str
    format: str
    columns: tuple[str, ...]
    examples: int
    labels: dict[str, int]
    unlabelled: int
    lengths: Lengths | None
    duplicates: int
    contradictory: int
    empty: int
    damaged: int
    overlap: int | None
    scores: tuple[float, float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return asdict(self)


def summaries(sources: Sequence[Source], task: Task = "classification") -> list[Summary]:
    """What each source holds, and how much of it the first one (the training text) holds already.

    Args:
        sources: Where; the first is what others are compared with.
        task: Whether texts have labels, or their words have tags.

    Raises:
        LimbeckError: One cannot be read.
    """
    found: list[Summary] = []
    known: set[str] = set()
    for place, source in enumerate(sources):
        examples = read(source, task=task)
        keys = [example_key(example) for example in examples]
        overlap = sum(key in known for key in keys if key) if place else None
        if not place:
            known = set(keys)
        found.append(_summary(source, form_of(source, task), examples, keys, overlap))
    return found


def _summary(
    source: Source, form: str, examples: Sequence[Example], keys: Sequence[str], overlap: int | None
) -> Summary:
    golds = Counter(gold for example in examples for gold in _golds(example))
    filled = [key for key in keys if key.strip()]
    _, dropped = clean([example for example in examples if example.text], KEEP_DAMAGED)
    return Summary(
        path=source.path,
        format=form,
        columns=_columns(examples),
        examples=len(examples),
        labels=dict(sorted(golds.items(), key=lambda item: (-item[1], item[0]))),
        unlabelled=sum(not example.labelled for example in examples),
        lengths=_lengths(len(" ".join(example.texts).split()) for example in examples if example.text),
        duplicates=len(filled) - len(set(filled)),
        contradictory=dropped["contradictory"],
        empty=sum(not example.text for example in examples),
        damaged=sum(is_damaged(example.shown) for example in examples),
        overlap=overlap,
        scores=_scores([example.score for example in examples if example.score is not None]),
    )


def _scores(scores: Sequence[float]) -> tuple[float, float, float] | None:
    return (min(scores), sum(scores) / len(scores), max(scores)) if scores else None


def _golds(example: Example) -> Sequence[str]:
    if example.tags is not None:
        return example.tags
    if example.labels is not None:
        return example.labels
    return () if example.gold is None else (example.gold,)


def _columns(examples: Sequence[Example]) -> tuple[str, ...]:
    has = {
        "second": any(example.second is not None for example in examples),
        "label": any(example.gold is not None or example.labels is not None for example in examples),
        "score": any(example.score is not None for example in examples),
        "tags": any(example.tags is not None for example in examples),
    }
    return ("text", *(name for name, is_there in has.items() if is_there))


def _lengths(words: Iterable[int]) -> Lengths | None:
    counts = np.fromiter(words, dtype=np.int64)
    if not len(counts):
        return None
    high = np.quantile(counts, 0.95, method="inverted_cdf")
    return Lengths(int(counts.min()), float(np.median(counts)), int(high), int(counts.max()))
