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
from dataclasses import dataclass
from itertools import chain

import numpy as np

from limbeck.analyse.bitext import Cut, Floats, cut_named
from limbeck.core.errors import LimbeckError

STRENGTH = 0.01
"""Added to every count: a word seen once in one language and never in another is then the one's by 100 to 1."""

LEAST = 0.6
"""A posterior from which on an output is in that language: a full stop is in every one, and a short sentence in one of
them has a posterior not far above a half."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]])
"""Of the triangle with sides of one, ``(languages, 2)``: lower left, lower right, above."""


@dataclass(frozen=True)
class Languages:
    """What is known of some languages: how often each uses a word.

    Attributes:
        names: Of the languages.
        numbers: Every word of any, with its row.
        table: The posterior of each language given each word, and at last given a word that none has,
            ``(words + 1, languages)``.
        cut: How a text is cut into words.
    """

    names: tuple[str, ...]
    numbers: Mapping[str, int]
    table: Floats
    cut: Cut

    @classmethod
    def of(
        cls,
        texts_by_language: Mapping[str, Iterable[str]],
        *,
        prior: Sequence[float] | None = None,
        strength: float = STRENGTH,
        cut: Cut | None = None,
    ) -> Languages:
        """Count words.

        Args:
            texts_by_language: Text to know each language by: the targets of the training text.
            prior: p(l); by default all languages alike.
            strength: What is added to every count.
            cut: How a text is cut into words; by default as BLEU cuts it.

        Raises:
            LimbeckError: There are fewer than two languages, or one has no words.
        """
        cut = cut or cut_named("13a")
        if len(texts_by_language) < 2:
            raise LimbeckError("a posterior of languages needs text in two languages or more")
        counts = [
            Counter(word for text in texts for word in cut(text)) for texts in texts_by_language.values()
        ]
        for language, count in zip(texts_by_language, counts, strict=True):
            if not count:
                raise LimbeckError(f"there is no text in the language '{language}'")
        shares = np.ones(len(counts)) if prior is None else np.asarray(prior, dtype=np.float64)
        numbers, table = _by_word(counts, shares / shares.sum(), strength)
        return cls(tuple(texts_by_language), numbers, table, cut)

    def posteriors(self, outputs: Sequence[str]) -> Floats:
        """The posterior of each language of each output, ``(outputs, languages)``; every row sums to one.

        Args:
            outputs: What a model said; one without words has the prior.
        """
        unknown = len(self.numbers)
        said = [[self.numbers.get(word, unknown) for word in self.cut(each)] or [unknown] for each in outputs]
        lengths = np.array([len(row) for row in said], dtype=np.int64)
        rows = np.repeat(np.arange(len(said)), lengths)
        words: Floats = self.table[np.fromiter(chain.from_iterable(said), np.int64, int(lengths.sum()))]
        sums = [np.bincount(rows, column, minlength=len(said)) for column in words.T]
        return np.asarray(np.stack(sums, axis=1) / lengths[:, None])


def posteriors(outputs: Sequence[str], texts_by_language: Mapping[str, Iterable[str]]) -> Floats:
    """:meth:`Languages.posteriors` of languages that are known by these texts, all alike beforehand."""
    return Languages.of(texts_by_language).posteriors(outputs)


def _by_word(counts: Sequence[Counter[str]], prior: Floats, strength: float) -> tuple[dict[str, int], Floats]:
    """Numbers of all words, and the posterior given each, ``(words + 1, languages)``; at last the prior."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(counts)))}
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


def decided(points: Floats, least: float = LEAST) -> float:
    """Share of outputs that are in one language, with a posterior of at least so much."""
    return float(decided_for(points, least).sum())


def decided_for(points: Floats, least: float = LEAST) -> Floats:
    """Shares of all outputs that are in each language, with a posterior of at least so much, ``(languages,)``.

    Args:
        points: Posteriors, ``(outputs, languages)``.
        least: Above a half, so that no output is in two languages.
    """
    return np.asarray((points >= least).mean(axis=0) if len(points) else np.full(points.shape[1], np.nan))
