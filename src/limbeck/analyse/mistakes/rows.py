"""Rows: what slices are cut by, a row for each text, and for each span of a tagger.

A row is a mapping from the names in ``COLUMNS`` to values. Columns of which nothing is known in a run (the teacher's
confidence where it gives scores, the rare words of a run without its training text) are left out, and slices by them
with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limbeck.analyse.mistakes import confidence
from limbeck.analyse.mistakes.units import Cast, Units, marks
from limbeck.core.example import Example
from limbeck.evaluate.kept import Kept
from limbeck.text.letters import token_spans
from limbeck.text.tags import Span, mark_spans

Row = Mapping[str, Any]

COLUMNS: Mapping[str, str] = {
    "id": "the example's id",
    "origin": "where it came from, e.g. test.csv:17",
    "text": "the text as it stands; of a pair the first",
    "second": "the second text of a pair",
    "words": "its words and punctuation marks in small letters; of taggers as they are tagged, of pairs those of both",
    "length": "how many words there are",
    "gold": "gold: a label, a score, a tuple of labels or tags, the first reference",
    "teacher": "what the teacher says, likewise",
    "student": "what the student says: most of its seeds (of scores the mean, of tags and translations the first)",
    "control": "what the control says, likewise",
    "confidence": "how sure the teacher is: its largest probability; of taggers the mean over words of that of the tag "
    "that it gave, of a span the least of its words; of translators the geometric mean over tokens",
    "entropy": "entropy of the teacher's probabilities, in bits; of taggers the mean over words, of a span the largest",
    "student_confidence": "how sure the student is, likewise, the mean over seeds",
    "rare": "how many of the words are rare in the training text (analyse.rare), or not in it",
    "unknown": "how many of the words are not in the training text",
    "split": "share of the words that the student's tokeniser cuts into two pieces or more",
    "unread": "how many of the words hold a piece that the student's tokeniser does not know",
    "overlap": "of pairs: share of the second text's words that stand in the first",
    "entities": "of taggers: how many spans gold marks in the sentence",
}
"""What is known of a text, or of the text that a span is in."""

OF_SPANS: Mapping[str, str] = {
    "entity": "the span's words",
    "type": "its type; where tags are plain, the word's tag",
    "size": "how many words it has",
    "place": "where it starts, from 0 (the first word) to 1 (the last)",
    "seen": "whether the training text marks the same words: as this type, as another type, never",
}
"""What is known of a tagger's spans beside that."""

AS_THIS, AS_ANOTHER, NEVER = "as this type", "as another type", "never"


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What the training text holds.

    Attributes:
        words: How often each word stands in it, in small letters.
        spans: Of a tagger's training text with gold, the types under which each span of words (in small letters) is
            marked.
    """

    words: Mapping[str, int]
    spans: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, examples: Iterable[Example], plain: bool) -> Training:
        """Count what training examples hold.

        Args:
            examples: Them all, with gold or without.
            plain: Of tags, whether they mark single words.
        """
        words: Counter[str] = Counter()
        types: dict[str, set[str]] = {}
        for example in examples:
            words.update(words_of(example))
            for span in marks(example.tags, plain) if example.tags else ():
                types.setdefault(_surface(example.words, span), set()).add(span.type)
        return cls(words, {surface: frozenset(found) for surface, found in types.items()})


Cut = Callable[[str], Sequence[str] | None]
"""The pieces that the student's tokeniser makes of a word; None where it does not know one of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What is known of a run beside its test answers; None where it is not.

    Attributes:
        training: Its training text.
        cut: Its student's tokeniser.
        rare: A word is rare that stands in the training text at most this many times.
    """

    training: Training | None = None
    cut: Cut | None = None
    rare: int = 5


def words_of(example: Example) -> list[str]:
    """The words and punctuation marks of an example in small letters; of a pair those of both texts."""
    if example.words:
        return [word.lower() for word in example.words]
    return [word for text in example.texts for word in words_in(text)]


def words_in(text: str) -> list[str]:
    """The words and punctuation marks of a text in small letters."""
    return [word.lower() for word in _written(text)]


def rows_of(kept: Kept, units: Units, cast: Cast, background: Background) -> list[Row]:
    """A row for each unit, in order; those of spans hold their sentence's columns too."""
    texts = _text_rows(kept, cast, background)
    if not units.places:
        return [texts[text] for text in units.texts.tolist()]
    plain = not mark_spans(kept.labels)
    numbers = units.texts.tolist()
    sure = confidence.columns_of_spans(kept, cast, numbers, units.places)
    return [
        texts[text]
        | {name: values[row] for name, values in sure.items()}
        | _of_span(kept.examples[text], span, None if plain else background.training, plain)
        for row, (text, span) in enumerate(zip(numbers, units.places, strict=True))
    ]


def _text_rows(kept: Kept, cast: Cast, background: Background) -> list[dict[str, Any]]:
    columns: dict[str, Sequence[Any]] = {
        "id": [example.id for example in kept.examples],
        "origin": [example.origin for example in kept.examples],
        "text": [example.text for example in kept.examples],
        "words": [tuple(words_of(example)) for example in kept.examples],
        "gold": [example.targets[0] if example.targets else example.truth for example in kept.examples],
        **{role: _answers(kept, name) for role, name in cast.all.items()},
        **confidence.columns_of(kept, cast),
        **_pairs(kept.examples),
    }
    columns["length"] = [len(words) for words in columns["words"]]
    columns |= _against_training(columns["words"], background) | _in_pieces(kept.examples, background.cut)
    if kept.task == "tagging" and mark_spans(kept.labels):
        columns["entities"] = [len(marks(example.tags or (), plain=False)) for example in kept.examples]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _answers(kept: Kept, name: str) -> Sequence[Any]:
    """What a model says of each text, over its seeds."""
    said = kept.said[name]
    if kept.task == "regression":
        return np.array(said, dtype=np.float64).mean(axis=0).tolist()  # type: ignore[no-any-return]
    if kept.task in ("tagging", "translation"):
        return [tuple(each) if isinstance(each, list) else each for each in said[0]]
    if kept.task == "multilabel":
        votes = (np.array(said) > 0.5).mean(axis=0) > 0.5
        return [tuple(label for label, there in zip(kept.labels, row, strict=True) if there) for row in votes]
    chosen = np.array(said).argmax(axis=-1)  # (seeds, texts)
    votes = (chosen[..., None] == np.arange(len(kept.labels))).sum(axis=0)
    return [kept.labels[number] for number in votes.argmax(axis=-1)]


def _pairs(examples: Sequence[Example]) -> dict[str, Sequence[Any]]:
    if not any(example.second is not None for example in examples):
        return {}
    seconds = [example.second or "" for example in examples]
    shared = []
    for example, told in zip(examples, seconds, strict=True):
        first, second = set(words_in(example.text)), words_in(told)
        shared.append(sum(word in first for word in second) / len(second) if second else 0.0)
    return {"second": seconds, "overlap": shared}


def _against_training(texts: Sequence[Sequence[str]], background: Background) -> dict[str, Sequence[Any]]:
    """Counts of words that are rare or unknown; what has no letter is no word here."""
    if background.training is None:
        return {}
    known, most = background.training.words, background.rare
    read = [list(filter(_has_letter, words)) for words in texts]
    return {
        "rare": [sum(known.get(word, 0) <= most for word in words) for words in read],
        "unknown": [sum(word not in known for word in words) for words in read],
    }


def _in_pieces(examples: Sequence[Example], cut: Cut | None) -> dict[str, Sequence[Any]]:
    """How a tokeniser cuts the words as they are written."""
    if cut is None:
        return {}
    pieces: dict[str, Sequence[str] | None] = {}
    columns: dict[str, list[Any]] = {"unread": [], "split": []}
    for example in examples:
        written = example.words or [word for text in example.texts for word in _written(text)]
        words = [word for word in written if _has_letter(word)]
        for word in words:
            if word not in pieces:
                pieces[word] = cut(word)
        columns["unread"].append(sum(pieces[word] is None for word in words))
        columns["split"].append(sum(len(pieces[word] or ()) > 1 for word in words) / max(1, len(words)))
    return {name: tuple(values) for name, values in columns.items()}


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))


def _written(text: str) -> list[str]:
    return [text[start:end] for start, end in token_spans(text)]


def _of_span(example: Example, span: Span, training: Training | None, plain: bool) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "entity": " ".join(example.words[span.start : span.end]),
        "type": span.type,
        "size": span.end - span.start,
        "place": span.start / max(1, len(example.words) - 1),
    }
    if training is not None and training.spans:
        types = training.spans.get(_surface(example.words, span), frozenset())
        columns["seen"] = AS_THIS if span.type in types else AS_ANOTHER if types else NEVER
    return columns


def _surface(words: Sequence[str], span: Span) -> str:
    return " ".join(words[span.start : span.end]).lower()
