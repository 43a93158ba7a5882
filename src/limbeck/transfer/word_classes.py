"""Word classes: tags of words, from a tagger of one's own, or induced from text with nothing downloaded.

A tagger is any function from the words of a sentence to their tags. The one that is built in gives every word one
class, whatever the sentence: words are clustered by the frequent words that stand left and right of them (Schütze
1995, Distributional part-of-speech tagging) and by their endings (Clark 2003), which tell of rare words what
neighbours cannot. The classes have no names, and need no language.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from limbeck.core.errors import LimbeckError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

CLASSES, DIMENSIONS = 45, 50
"""Most clusters, about as many as the Penn treebank has tags; and the dimensions in which they are sought."""
NEIGHBOURS, ENDINGS = 250, 250
"""Frequent words, and frequent endings of one to three letters, that words are described by."""
FEWEST = 4
"""Words that there are for each class, at least."""
ROUNDS = 30
"""Of k-means."""
ENDING_WEIGHT = 1.0
"""What an ending weighs beside the neighbours of one side."""
BOUNDARY = ""
"""Stands left of the first word and right of the last."""


class Tagger(Protocol):
    """Tags words: what a recipe names by the dotted path of a function."""

    def __call__(self, words: Sequence[str], /) -> Sequence[str]:
        """A tag for each word (or mark) of a sentence."""


def load_tagger(path: str) -> Tagger:
    """The function of a dotted path, ``package.module.function``.

    Raises:
        LimbeckError: It cannot be imported, or is no function.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        fix = "Name a function that takes a list of words and returns their tags, as package.module.function"
        raise LimbeckError(f"no tagger can be imported ({error})", where=path, fix=fix) from None
    if not callable(found):
        raise LimbeckError("a tagger is a function of words", where=path)
    return cast("Tagger", found)


class InducedTagger:
    """Classes of words, learnt from sentences; their order does not matter.

    Args:
        sentences: Words of each.
        classes: Most classes; of few words there are fewer.
    """

    def __init__(self, sentences: Sequence[Sequence[str]], classes: int = CLASSES) -> None:
        lowered = [[word.lower() for word in words] for words in sentences]
        counts = Counter(word for words in lowered for word in words)
        words = sorted(counts, key=lambda word: (-counts[word], word))
        if not words:
            self.classes: dict[str, str] = {}
            return
        frequencies = np.array([counts[one] for one in words], dtype=np.int64)
        found = _clusters(_described(words, lowered), frequencies, classes)
        self.classes = {word: f"class {number}" for word, number in zip(words, found, strict=True)}

    def __call__(self, words: Sequence[str], /) -> list[str]:
        """The class of each word; one for all that were not in the sentences."""
        return [self.classes.get(word.lower(), "unknown") for word in words]


def _described(words: Sequence[str], sentences: Sequence[Sequence[str]]) -> csr_array:
    """Words by left neighbours, right neighbours and endings, each part of unit length: ``(words, features)``."""
    from scipy.sparse import csr_array, hstack

    rows = {word: number for number, word in enumerate(words)}
    columns = {word: number for number, word in enumerate((BOUNDARY, *words[:NEIGHBOURS]))}
    left: Counter[tuple[int, int]] = Counter()
    right: Counter[tuple[int, int]] = Counter()
    for sentence in sentences:
        for first, second in pairwise((BOUNDARY, *sentence, BOUNDARY)):
            if second != BOUNDARY and first in columns:
                left[rows[second], columns[first]] += 1
            if first != BOUNDARY and second in columns:
                right[rows[first], columns[second]] += 1
    endings = Counter(ending for word in words for ending in _endings(word))
    usual = sorted(endings, key=lambda one: (-endings[one], one))[:ENDINGS]
    kinds = {ending: number for number, ending in enumerate(usual)}
    suffixes = {(rows[w], kinds[ending]): 1 for w in words for ending in _endings(w) if ending in kinds}
    sides = [_unit_rows(cells, len(words), len(columns)) for cells in (left, right)]
    return csr_array(hstack([*sides, ENDING_WEIGHT * _unit_rows(suffixes, len(words), len(kinds))]))


def _unit_rows(counts: Mapping[tuple[int, int], int], rows: int, columns: int) -> csr_array:
    """Roots of counts, each row of unit length or empty: ``(rows, columns)``."""
    from scipy.sparse import csr_array

    places = np.array(sorted(counts), dtype=np.int64).reshape(-1, 2)
    values = np.sqrt([counts[row, column] for row, column in places.tolist()])
    norms = np.sqrt(np.bincount(places[:, 0], values**2, minlength=rows))
    scaled = values / norms[places[:, 0]]
    return csr_array((scaled, (places[:, 0], places[:, 1])), shape=(rows, columns))


def _endings(word: str) -> list[str]:
    """The last one to three letters of a longer word; what kind of characters a word without letters has."""
    if not any(map(str.isalpha, word)):
        return ["0" if any(map(str.isdigit, word)) else "."]
    return [f"-{word[-length:]}" for length in (1, 2, 3) if length < len(word) - 1]


def _clusters(described: csr_array, counts: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The cluster of each word, by k-means from the most frequent words on: ``(words,)``.

    Cosines in the space of the features' principal axes; frequent words weigh more in where the middles are.
    """
    _, axes = np.linalg.eigh((described.T @ described).toarray())
    points = described @ axes[:, -DIMENSIONS:]  # (words, dimensions)
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    weighted = np.sqrt(counts)[:, None] * points
    middles = points[: min(classes, max(1, len(points) // FEWEST))]
    for _ in range(ROUNDS):
        found = (points @ middles.T).argmax(1)
        sums = np.zeros_like(middles)
        np.add.at(sums, found, weighted)
        middles = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return cast("NDArray[np.int64]", (points @ middles.T).argmax(1))
