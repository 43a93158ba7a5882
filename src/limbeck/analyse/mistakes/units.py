"""Units: what is judged of a run's models, and how good each model and seed is at each unit.

A unit is a test text; of a tagger also each gold span (a word, where tags are plain), within its sentence. What counts
as right depends on the task:

=============== ======================================= ===================================================
task            quality of a unit                       right where
=============== ======================================= ===================================================
classification  1 where the class is gold's, else 0     it is 1
multilabel      1 where the set of labels is gold's     it is 1
tagging         1 where all spans of the sentence are   it is 1
                gold's; of a gold span, where it is
                found with its words and its type
regression      minus the distance from gold            the distance is within a tolerance
translation     chrF of the sentence, in points         nowhere: of two translations one is better by a
                                                        margin, or they are alike
=============== ======================================= ===================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Analysis
from limbeck.evaluate.bleu import Scorer, chrf
from limbeck.evaluate.entities import span_counts
from limbeck.evaluate.evaluate import gold_numbers
from limbeck.evaluate.kept import Kept, Said
from limbeck.evaluate.metrics import Floats, Ints
from limbeck.evaluate.tagging import gold_tags
from limbeck.evaluate.translation import references_of
from limbeck.evaluate.yardstick import yardstick
from limbeck.text.tags import Span, mark_spans, spans

Bools = NDArray[np.bool_]
Labels = NDArray[np.str_]

MISSED, OTHERWISE = "missed", "other words"
"""What a tagger says of a gold span that it does not find: nothing, or a span of other words that touches it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What quality is, and when it is enough.

    Attributes:
        name: As tables call its mean.
        scale: What it is multiplied by to be shown: 100 of shares, -1 of distances.
        level: A unit is right from this quality on; None where only two models can be compared. Of qualities that are
            nought or one it is just above one half, so that a mean over seeds is right where most of them are.
        margin: Where ``level`` is None, one is better than the other from this difference on.
    """

    name: str
    scale: float = 100.0
    level: float | None = 0.501
    margin: float = 0.0

    def right(self, quality: Floats) -> Bools | None:
        """Where a model is right, ``(...)``; None where that means nothing."""
        return None if self.level is None else quality >= self.level

    def beats(self, ours: Floats, theirs: Floats) -> Bools:
        """Where ours is right and theirs is wrong, or better by the margin, ``(...)``."""
        if self.level is None:
            return ours - theirs >= self.margin
        return (ours >= self.level) & (theirs < self.level)


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is judged.

    Attributes:
        name: One of them: ``text``, ``sentence``, ``entity``, ``word``.
        measure: What quality is.
        texts: Number of the test example that each belongs to, ``(units,)``, rising.
        quality: Of each model, the higher the better, ``(seeds, units)``.
        gold: Gold label of each, ``(units,)``; None where gold is no one label.
        said: What each model says as such a label, ``(seeds, units)``; empty where gold is no one label.
        places: Of spans, where in its sentence each is.
    """

    name: str
    measure: Measure
    texts: Ints
    quality: Mapping[str, Floats]
    gold: Labels | None = None
    said: Mapping[str, Labels] = field(default_factory=dict)
    places: Sequence[Span] = ()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is looked at: the student, and those that it is held against where they are there."""

    student: str
    teacher: str | None
    control: str | None

    @property
    def others(self) -> dict[str, str]:
        """Teacher and control, by role."""
        return {role: name for role, name in self.all.items() if role != "student"}

    @property
    def all(self) -> dict[str, str]:
        """Teacher, student and control, by role."""
        named = {"teacher": self.teacher, "student": self.student, "control": self.control}
        return {role: name for role, name in named.items() if name is not None}


def cast_of(kept: Kept, student: str | None = None) -> Cast:
    """Who is looked at: a student by its method's name, by default the first; a lone control is one too.

    Raises:
        LimbeckError: There is no such student, or no student at all.
    """
    roles: dict[str, str] = {one["name"]: one["role"] for one in kept.content["models"]}
    by_role = {
        role: [name for name in roles if roles[name] == role] for role in ("teacher", "student", "control")
    }
    students = by_role["student"] or by_role["control"]
    if not students:
        raise LimbeckError("the run has no student to analyse", where=kept.folder.parent)
    if student is not None and student not in students:
        raise LimbeckError(
            f"no student is called '{student}'",
            where=kept.folder.parent,
            fix=f"Choose from {', '.join(students)}",
        )
    chosen = student or students[0]
    control = next((name for name in by_role["control"] if name != chosen), None)
    return Cast(chosen, next((name for name in by_role["teacher"] if name != chosen), None), control)


def units_of(kept: Kept, settings: Analysis) -> list[Units]:
    """The units of a run's test set: texts first, then the spans of taggers."""
    match kept.task:
        case "classification":
            return [_of_classes(kept)]
        case "multilabel":
            return [_of_sets(kept)]
        case "regression":
            return [_of_scores(kept, settings.tolerance)]
        case "tagging":
            return [_of_sentences(kept), _of_spans(kept)]
        case _:
            return [_of_translations(kept, settings.margin)]


def seed_pairs(ours: NDArray[Any], theirs: NDArray[Any]) -> list[tuple[int, int]]:
    """Which seeds of two models are held against each other: those at the same place, or every pair."""
    if len(ours) == len(theirs):
        return [(seed, seed) for seed in range(len(ours))]
    return [(one, other) for one in range(len(ours)) for other in range(len(theirs))]


def _of_classes(kept: Kept) -> Units:
    names = np.array(kept.labels)
    gold = gold_numbers(kept.examples, kept.labels)
    chosen = {
        name: np.stack([np.array(one).argmax(axis=-1) for one in seeds]) for name, seeds in kept.said.items()
    }
    return Units(
        "text",
        Measure("right"),
        np.arange(len(gold)),
        {name: (numbers == gold).astype(np.float64) for name, numbers in chosen.items()},
        names[gold],
        {name: names[numbers] for name, numbers in chosen.items()},
    )


def _of_sets(kept: Kept) -> Units:
    by = yardstick("multilabel", kept.labels)
    gold = by.gold(kept.examples)
    return Units(
        "text",
        Measure("the very labels"),
        np.arange(len(gold)),
        {
            name: np.stack([(by.read(np.array(one)) == gold).all(axis=1) for one in seeds]).astype(np.float64)
            for name, seeds in kept.said.items()
        },
    )


def _of_scores(kept: Kept, tolerance: float | None) -> Units:
    gold = np.array([example.score for example in kept.examples], dtype=np.float64)
    within = tolerance or float(np.ptp(gold)) / 10 or 1.0
    return Units(
        "text",
        Measure("distance from gold", scale=-1.0, level=-within * (1 + 1e-9)),
        np.arange(len(gold)),
        {name: -np.abs(np.array(seeds, dtype=np.float64) - gold) for name, seeds in kept.said.items()},
    )


def _of_translations(kept: Kept, margin: float) -> Units:
    scorer = Scorer(references_of(kept.examples), language=kept.language)
    return Units(
        "sentence",
        Measure("chrF", scale=1.0, level=None, margin=margin),
        np.arange(len(kept.examples)),
        {name: np.stack([chrf(scorer.counts(one)) for one in seeds]) for name, seeds in kept.said.items()},
    )


def _of_sentences(kept: Kept) -> Units:
    gold, plain = gold_tags(kept.examples), not mark_spans(kept.labels)

    def quality(said: Said) -> Floats:
        if plain:
            return np.array(
                [tuple(one) == true for one, true in zip(said, gold, strict=True)], dtype=np.float64
            )
        correct, found, wanted = span_counts(gold, said).T
        return np.asarray((correct == found) & (correct == wanted), dtype=np.float64)

    return Units(
        "sentence",
        Measure("all right"),
        np.arange(len(gold)),
        {name: np.stack([quality(one) for one in seeds]) for name, seeds in kept.said.items()},
    )


def _of_spans(kept: Kept) -> Units:
    gold, plain = gold_tags(kept.examples), not mark_spans(kept.labels)
    marked = [marks(tags, plain) for tags in gold]
    said = {
        name: np.array([list(_found(marked, one, plain)) for one in seeds], dtype=np.str_).reshape(
            len(seeds), -1
        )
        for name, seeds in kept.said.items()
    }
    types = np.array([span.type for row in marked for span in row], dtype=np.str_)
    return Units(
        "word" if plain else "entity",
        Measure("right" if plain else "found"),
        np.repeat(np.arange(len(gold)), [len(row) for row in marked]),
        {name: (labels == types).astype(np.float64) for name, labels in said.items()},
        types,
        said,
        [span for row in marked for span in row],
    )


def marks(tags: Sequence[str], plain: bool) -> list[Span]:
    """What tags mark: spans, or, where they are plain, every word."""
    return [Span(tag, place, place + 1) for place, tag in enumerate(tags)] if plain else spans(tags)


def _found(marked: Sequence[Sequence[Span]], said: Said, plain: bool) -> Iterator[str]:
    """What a model says of each gold span: a type, ``MISSED`` or ``OTHERWISE``."""
    for gold, tags in zip(marked, said, strict=True):
        found = marks(tags, plain)
        types = {(span.start, span.end): span.type for span in found}
        for span in gold:
            touched = any(one.start < span.end and span.start < one.end for one in found)
            yield types.get((span.start, span.end), OTHERWISE if touched else MISSED)


def probabilities_of(kept: Kept) -> dict[str, Floats]:
    """Of each model its probabilities, ``(seeds, texts, labels)``; empty where the task's models say none."""
    if kept.task not in ("classification", "multilabel"):
        return {}
    return {name: np.array(seeds, dtype=np.float64) for name, seeds in kept.said.items()}
