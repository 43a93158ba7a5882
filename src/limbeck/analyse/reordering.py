"""How far translations keep to the word order of their sources: the fuzzy reordering score.

Talbot et al. 2011, "A Lightweight Evaluation Framework for Machine Translation Reordering", compare two orders of the
words of a source sentence:

    FRS = 1 - (C - 1) / (M - 1)

C is the number of chunks, that is, of longest runs of words that stand next to each other, in the same order, in both;
M is the number of words. It is 1 where the orders are the same, and 0 where no two neighbours stay neighbours.

Here, as in the slides "Knowledge Distillation in NLP", the one order is the source's own, and the other is that in
which the translation first takes its words up, as alignments tell: the larger, the more monotonic. Words without links
are in neither order; words first linked to the same target word keep their order, so that splitting one word into
several, or joining several in one, is no reordering. With fewer than two linked words there is no order, and no
score.
"""

from __future__ import annotations

import numpy as np

from limbeck.analyse.alignment import Links
from limbeck.analyse.bitext import Floats


def fuzzy_reordering(links: Links, pairs: int) -> Floats:
    """The score of each pair, ``(pairs,)``; not a number where there is none.

    Args:
        links: Of the whole text, sorted as they always are.
        pairs: How many the text has.
    """
    if not len(links):
        return np.full(pairs, np.nan)
    # Links of a source word stand together, the one to its first target word in front.
    first = np.r_[True, (np.diff(links.pair) != 0) | (np.diff(links.source) != 0)]
    pair, source, target = links.pair[first], links.source[first], links.target[first]
    words = np.bincount(pair, minlength=pairs)
    place = np.arange(
        len(pair)
    )  # of the words that have links, in the source's order; next to each other: one apart
    order = np.lexsort((source, target, pair))
    within = np.diff(pair[order]) == 0
    breaks = within & (np.diff(place[order]) != 1)
    chunks = 1 + np.bincount(pair[order][1:][breaks], minlength=pairs)
    scores = 1 - (chunks - 1) / np.maximum(words - 1, 1)
    return np.where(words > 1, scores, np.nan)
