"""Tasks of syntax: how deep the tree is, which phrases the sentence is made of, and whether its words are in order."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from limbeck.analyse.probes.corpus import Corpus
from limbeck.analyse.probes.drawing import Candidate, least
from limbeck.analyse.probes.surface import length_class, readable
from limbeck.analyse.probes.task import Sizes

DEPTHS = 6
"""Most classes of tree depth, one level each."""
CONSTITUENTS = 19
"""Most sequences of phrases that are classes of their own; all others are one more (as in SentEval)."""
OTHERS = "others"


def tree_depth(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Phrases on the longest way from the top down to a word's tag, of six levels next to one another.

    In each class of length all levels have as many sentences, so that length tells nothing of depth. The levels are
    those six that leave most sentences; fewer where these are too few.
    """
    by_length: dict[str, dict[int, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    sentences = readable(corpus.parsed)
    for row in random.permutation(len(sentences)):
        each = sentences[row]
        assert each.tree is not None
        depth = each.tree.depth
        by_length[length_class(len(each.words))][depth].append(Candidate(each.words, str(depth)))
    deepest = max((depth for cells in by_length.values() for depth in cells), default=0)

    def kept(first: int, count: int) -> list[Candidate]:
        levels = range(first, first + count)
        found: list[Candidate] = []
        for cells in by_length.values():
            fewest = min(len(cells[level]) for level in levels)
            found += [each for level in levels for each in cells[level][:fewest]]
        return found

    found: list[Candidate] = []
    for count in range(DEPTHS, 1, -1):
        found = max((kept(first, count) for first in range(1, max(2, deepest - count + 2))), key=len)
        if len(found) >= count * least(sizes):
            break
    return found


def top_constituents(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """The phrases and marks right below the sentence, in their order: the frequent ones, or any other."""
    sentences = [
        each for each in readable(corpus.parsed) if each.tree is not None and each.tree.category == "S"
    ]
    orders = ["_".join(child.category for child in each.tree.children) for each in sentences if each.tree]
    common = [
        order for order, count in Counter(orders).most_common(CONSTITUENTS) if count >= 1.5 * least(sizes)
    ]
    return [
        Candidate(each.words, order if order in common else OTHERS)
        for each, order in zip(sentences, orders, strict=True)
    ]


def bigram_shift(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Whether two neighbouring words were swapped, in half of the sentences, at random; marks stay where they are."""
    found = []
    for number, row in enumerate(random.permutation(len(sentences := readable(list(corpus.sentences))))):
        words = list(sentences[row].words)
        places = [
            place
            for place in range(len(words) - 1)
            if words[place].lower() != words[place + 1].lower()
            and any(map(str.isalnum, words[place]))
            and any(map(str.isalnum, words[place + 1]))
        ]
        if not places:
            continue
        if number % 2:
            place = int(random.choice(places))
            words[place : place + 2] = words[place + 1], words[place]
        found.append(Candidate(tuple(words), "shifted" if number % 2 else "original"))
    return found
