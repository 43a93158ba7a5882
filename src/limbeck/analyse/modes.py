"""Which of several languages an output is in, or how it mixes them: the slides' toy study.

"Knowledge Distillation in NLP" approximates the posterior of a language l given an output y of T words by

    p(l|y) ~ 1/T sum_t p(l|y_t) = 1/T sum_t p(y_t|l) p(l) / sum_k p(y_t|k) p(k)

with the shares p(y_t|l) of words in text of each language. These are smoothed, (count + strength) / (words + strength
|V|) over the words V of all languages, so that every word has a share in each; a word that no language has tells
nothing, and has the prior.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from limbeck.analyse.bitext import Cut, Floats, cut_named
from limbeck.core.errors import LimbeckError

STRENGTH = 0.01
"""Added to every count: a word seen once in one language and never in another is then the one's by 100 to 1."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]])
"""Of the triangle with sides of one, ``(languages, 2)``: lower left, lower right, above."""


def posteriors(
    outputs: Sequence[str],
    texts_by_language: Mapping[str, Iterable[str]],
    *,
    prior: Sequence[float] | None = None,
    strength: float = STRENGTH,
    cut: Cut | None = None,
) -> Floats:
    """The posterior of each language of each output, ``(outputs, languages)``; every row sums to one.

    Args:
        outputs: What a model said; one without words has the prior.
        texts_by_language: Text to know each language by: the targets of the training text.
        prior: p(l); by default all languages alike.
        strength: What is added to every count.
        cut: How a text is cut into words; by default as BLEU cuts it.

    Raises:
        LimbeckError: There are fewer than two languages, or one has no words.
    """
    cut = cut or cut_named("13a")
    counts = {
        language: Counter(word for text in texts for word in cut(text))
        for language, texts in texts_by_language.items()
    }
    if len(counts) < 2:
        raise LimbeckError("a posterior of languages needs text in two languages or more")
    for language, count in counts.items():
        if not count:
            raise LimbeckError(f"there is no text in the language '{language}'")
    shares = np.full(len(counts), 1 / len(counts)) if prior is None else np.asarray(prior, dtype=np.float64)
    shares = shares / shares.sum()
    numbers, table = _by_word(list(counts.values()), shares, strength)
    unknown = len(numbers)
    said = [[numbers.get(word, unknown) for word in cut(output)] or [unknown] for output in outputs]
    lengths = np.array([len(row) for row in said])
    rows = np.repeat(np.arange(len(said)), lengths)
    words: Floats = table[
        np.fromiter((number for row in said for number in row), np.int64, int(lengths.sum()))
    ]
    sums = [np.bincount(rows, column, minlength=len(said)) for column in words.T]
    return np.asarray(np.stack(sums, axis=1) / lengths[:, None])


def _by_word(counts: Sequence[Counter[str]], prior: Floats, strength: float) -> tuple[dict[str, int], Floats]:
    """Numbers of all words, and the posterior given each, ``(words + 1, languages)``; at last, given an unknown one."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(w for each in counts for w in each))}
    seen = np.zeros((len(numbers), len(counts)))
    for language, words in enumerate(counts):
        seen[[numbers[word] for word in words], language] = list(words.values())
    likelihood = (seen + strength) / (seen.sum(axis=0) + strength * len(numbers))
    joint = likelihood * prior
    return numbers, np.vstack([joint / joint.sum(axis=1, keepdims=True), prior])


def in_triangle(points: Floats) -> Floats:
    """Where posteriors of three languages stand in the triangle of ``CORNERS``, ``(outputs, 3) -> (outputs, 2)``.

    Raises:
        LimbeckError: There are more languages, or fewer.
    """
    if points.ndim != 2 or points.shape[1] != len(CORNERS):
        raise LimbeckError(f"a triangle shows three languages, and there are {points.shape[-1]}")
    return np.asarray(points @ CORNERS)


def decided(points: Floats, least: float = 0.9) -> float:
    """Share of outputs that are in one language, with a posterior of at least so much."""
    return float((points.max(axis=1) >= least).mean()) if len(points) else float("nan")
