"""Entities: precision, recall and F1 of spans as conlleval counts them, and token accuracy beside them.

A predicted span is right where a gold span has the same words and the same type (Tjong Kim Sang and De Meulder
2003, "Introduction to the CoNLL-2003 Shared Task", section 2.3). The scores run over all spans of all types (micro)
and depend on a sentence only through five counts, so the bootstrap adds these up and never reads a tag again. Axes
are ``(..., sentences, counts)``; the leading ones (models) are free.

Token accuracy counts words, most of which are ``O``: it is no substitute for F1, and is never called so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.evaluate.bootstrap import Interval, Resampled, SumMetric, resampled_sums
from limbeck.evaluate.metrics import Floats, Ints, Score, signature
from limbeck.text.tags import Span, mark_spans, spans

Tagged = Sequence[Sequence[str]]
"""Tags of sentences, one a word."""

CORRECT, PREDICTED, GOLD, RIGHT, WORDS = range(5)
"""The counts: spans found rightly, spans predicted, gold spans; words tagged rightly, words. Scores of spans read
only the first three."""


@dataclass(frozen=True, slots=True)
class TypeScore:
    """Scores of the spans of one type.

    Attributes:
        type: Its name; empty where tags name none.
        precision: Share of the predicted spans that are right.
        recall: Share of the gold spans that were found.
        f1: Their harmonic mean.
        support: Gold spans.
        predicted: Predicted spans.
        correct: Spans found rightly.
    """

    type: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int
    correct: int


# Counts.


def tag_counts(gold: Tagged, predicted: Tagged) -> Ints:
    """The counts of each sentence, ``(sentences, 5)``: correct, predicted and gold spans; right words, words.

    Args:
        gold: Gold tags; also ones that no model knows.
        predicted: Tags of one model, one a word.

    Raises:
        LimbeckError: The sentences, or the words of one, differ in number.
    """
    _check_lengths(gold, predicted)
    counts = np.zeros((len(gold), 5), dtype=np.int64)
    for row, (true, said) in enumerate(zip(gold, predicted, strict=True)):
        wanted, found = spans(true), spans(said)
        correct = len(set(wanted).intersection(found)) if wanted and found else 0
        right = sum(a == b for a, b in zip(true, said, strict=True))
        counts[row] = correct, len(found), len(wanted), right, len(true)
    return counts


def span_counts(gold: Tagged, predicted: Tagged) -> Ints:
    """Of each sentence the correct, predicted and gold spans, ``(sentences, 3)``.

    Raises:
        LimbeckError: The sentences, or the words of one, differ in number.
    """
    return tag_counts(gold, predicted)[:, : GOLD + 1]


def _check_lengths(gold: Tagged, predicted: Tagged) -> None:
    if len(gold) != len(predicted):
        raise LimbeckError(f"{len(gold)} sentences have gold tags, and {len(predicted)} were tagged")
    for row, (true, said) in enumerate(zip(gold, predicted, strict=True)):
        if len(true) != len(said):
            what = f"sentence {row + 1} has {len(true)} words with gold tags, and {len(said)} were tagged"
            raise LimbeckError(what, fix="Tag every word, those past the model's length as O")


# Scores.


def precision(counts: Ints | Floats) -> Floats:
    """Share of predicted spans that are right, ``(..., counts) -> (...)``; 0 where nothing was predicted."""
    return _ratio(counts[..., CORRECT], counts[..., PREDICTED])


def recall(counts: Ints | Floats) -> Floats:
    """Share of gold spans that were found, ``(..., counts) -> (...)``; 0 where there is none."""
    return _ratio(counts[..., CORRECT], counts[..., GOLD])


def f1(counts: Ints | Floats) -> Floats:
    """Harmonic mean of precision and recall, ``(..., counts) -> (...)``; 0 where no span is right."""
    return _ratio(2 * counts[..., CORRECT], counts[..., PREDICTED] + counts[..., GOLD])


def token_accuracy(counts: Ints | Floats) -> Floats:
    """Share of words whose tag is right, ``(..., counts) -> (...)``."""
    return _ratio(counts[..., RIGHT], counts[..., WORDS])


def _ratio(above: Ints | Floats, below: Ints | Floats) -> Floats:
    exact = np.asarray(above, dtype=np.float64)
    return np.asarray(np.divide(exact, below, out=np.zeros_like(exact), where=np.asarray(below) > 0))


TAG_METRICS: Mapping[str, SumMetric] = {
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "token_accuracy": token_accuracy,
}
"""Scores of taggers, the one that decides first, by the names that recipes and results use."""


def metrics_of(labels: Sequence[str]) -> Mapping[str, SumMetric]:
    """The scores that a tag set has: parts of speech and other plain tags have no spans, and one score."""
    return TAG_METRICS if mark_spans(labels) else {"token_accuracy": token_accuracy}


def tag_score(name: str, gold: Tagged, predicted: Tagged, labels: int) -> Score:
    """The score of that name (one of ``TAG_METRICS``) over all sentences, with its signature.

    Args:
        name: Which score.
        gold: Gold tags.
        predicted: Tags of one model.
        labels: How many tags the model knows.
    """
    value = TAG_METRICS[name](tag_counts(gold, predicted).sum(axis=0))
    return Score(name, float(value), signature(name, examples=len(gold), labels=labels))


def by_type(gold: Tagged, predicted: Tagged, *, plain: bool = False) -> list[TypeScore]:
    """Scores of each type that is gold or was predicted, by name.

    Args:
        gold: Gold tags.
        predicted: Tags of one model.
        plain: Whether tags mark words, not spans: then every word counts, and its tag is its type.

    Raises:
        LimbeckError: The sentences, or the words of one, differ in number.
    """
    _check_lengths(gold, predicted)
    wanted, found, correct = Counter[str](), Counter[str](), Counter[str]()
    marked = _each_word if plain else spans
    for true, said in zip(gold, predicted, strict=True):
        of_gold, of_model = marked(true), marked(said)
        wanted += _types(of_gold)
        found += _types(of_model)
        correct += _types(set(of_gold).intersection(of_model))
    rows = []
    for name in sorted(wanted | found):
        counts = np.array([correct[name], found[name], wanted[name]])
        scores = float(precision(counts)), float(recall(counts)), float(f1(counts))
        rows.append(TypeScore(name, *scores, wanted[name], found[name], correct[name]))
    return rows


def _each_word(tags: Sequence[str]) -> list[Span]:
    return [Span(tag, place, place + 1) for place, tag in enumerate(tags)]


def _types(some: set[Span] | list[Span]) -> Counter[str]:
    return Counter(span.type for span in some)


# Paired bootstrap, by sentence.


def paired_tags(
    gold: Tagged,
    ours: Sequence[Tagged],
    theirs: Sequence[Tagged],
    *,
    metric: str = "f1",
    resamples: int = 10_000,
    interval: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Gain of one tagger over another, with its interval.

    Args:
        gold: Gold tags.
        ours: Tags of the model that is judged, of each seed.
        theirs: Those of the model that it is compared with.
        metric: One of ``TAG_METRICS``.
        resamples: How many times the test set is drawn anew.
        interval: How much of the distribution the interval holds.
        seed: Of the draws.
    """
    counts = np.stack([tag_counts(gold, one) for one in (*ours, *theirs)])
    chosen = {metric: TAG_METRICS[metric]}
    scores = resampled_tags(counts, metrics=chosen, resamples=resamples, seed=seed)
    return scores.gain(metric, range(len(ours)), range(len(ours), len(counts)), interval)


def resampled_tags(
    counts: Ints,
    *,
    metrics: Mapping[str, SumMetric] = TAG_METRICS,
    resamples: int = 10_000,
    seed: int = 0,
) -> Resampled:
    """Score all taggers on the same resamples of the test set's sentences.

    Args:
        counts: What :func:`tag_counts` gives of each model, ``(models, sentences, 5)``.
        metrics: What to score.
        resamples: How many times the test set is drawn anew.
        seed: Of the draws.
    """
    return resampled_sums(counts, metrics, resamples=resamples, seed=seed)
