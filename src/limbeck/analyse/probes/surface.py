"""Tasks of the surface: how long a sentence is, and which of some words it holds."""

from __future__ import annotations

from collections import Counter

import numpy as np

from limbeck.analyse.probes.corpus import Corpus, Parsed
from limbeck.analyse.probes.drawing import Candidate, least
from limbeck.analyse.probes.task import Sizes

LENGTHS = ((5, 8), (9, 12), (13, 16), (17, 20), (21, 25), (26, 28))
"""First and last number of words of SentEval's classes of length."""
WORDS = 20
"""Classes of word content; SentEval, which has millions of sentences, has a thousand."""
OPEN = ("NN", "NNS", "VB", "VBD", "VBZ", "VBP", "VBN", "VBG", "JJ", "RB")
AUXILIARIES = frozenset(
    {"be", "is", "am", "are", "was", "were", "been", "being", "have", "has", "had", "having"}
    | {"do", "does", "did", "done", "not"}
)
"""Verbs and adverbs that are no words of content."""


def readable(corpus: list[Parsed]) -> list[Parsed]:
    """Sentences of 5 to 28 words, as SentEval has them."""
    return [each for each in corpus if LENGTHS[0][0] <= len(each.words) <= LENGTHS[-1][1]]


def length_class(words: int) -> str:
    """The class of a sentence of so many words, 5 to 28."""
    first, last = next((first, last) for first, last in LENGTHS if words <= last)
    return f"{first}-{last}"


def sentence_length(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """In which of six classes the number of words is."""
    return [Candidate(each.words, length_class(len(each.words))) for each in readable(list(corpus.sentences))]


def word_content(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Which one of some words of middling frequency the sentence holds, once, and none of the others.

    The words are those of the open classes that come in enough sentences, the rarest of them.
    """
    sentences = readable(corpus.tagged)
    lowered = [[word.lower() for word in each.words] for each in sentences]
    seen: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    for each, words in zip(sentences, lowered, strict=True):
        seen.update(words)
        opened.update(word for word, tag in zip(words, each.tags or (), strict=True) if tag in OPEN)
    counts = Counter(word for words in lowered for word in set(words))
    counts = Counter(
        {w: n for w, n in counts.items() if w.isalpha() and w not in AUXILIARIES and 2 * opened[w] > seen[w]}
    )
    ranked = sorted((count, word) for word, count in counts.items() if count >= least(sizes))
    enough = [each for each in ranked if each[0] >= 1.5 * max(least(sizes), sizes.total / WORDS)]
    chosen = {word for _, word in (enough if len(enough) >= WORDS else ranked[-WORDS:])[:WORDS]}
    found = []
    for each, words in zip(sentences, lowered, strict=True):
        there = [word for word in words if word in chosen]
        if len(there) == 1:
            found.append(Candidate(each.words, there[0]))
    alone = Counter(each.label for each in found)
    return [each for each in found if alone[each.label] >= least(sizes)]
