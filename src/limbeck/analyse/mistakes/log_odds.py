"""Words that go with lost texts: log-odds ratios with an informative Dirichlet prior.

Monroe, Colaresi and Quinn 2008, "Fightin' Words: Lexical Feature Selection and Evaluation for Identifying the Content
of Political Conflict", equations 15, 16, 19 and 22. Of a word ``w`` that stands ``y_w`` times among ``n`` words of
texts that were lost and ``y'_w`` among ``n'`` of texts that were kept, with prior counts ``α_w`` that add up to
``α_0``,

    δ_w = log (y_w + α_w) / (n + α_0 - y_w - α_w) - log (y'_w + α_w) / (n' + α_0 - y'_w - α_w)
    σ²_w ≈ 1 / (y_w + α_w) + 1 / (y'_w + α_w),        z_w = δ_w / σ_w

The vocabulary are the test text's n-grams. Prior counts are in proportion to a background text, so that a word which
is common there needs more evidence, and add up to the number of words of the smaller of the two. A word counts once a
text, so that one text that repeats it says no more; n-grams of each length are a vocabulary of their own. A text
counts to either side by the share of seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from limbeck.evaluate.metrics import Floats

ORDERS = (1, 2, 3)
"""Lengths of n-grams."""
FEWEST = 3
"""An n-gram that stands in fewer of the texts is not told."""
SHOWN = 20
"""N-grams of each side and length that are told."""


@dataclass(frozen=True, slots=True)
class Word:
    """An n-gram that goes with one side.

    Attributes:
        text: Its words with spaces between them.
        lost: In how many lost texts it stands, the mean over seeds.
        kept: Likewise of kept ones.
        log_odds: δ; above nought it goes with lost texts.
        z: Over its deviation.
    """

    text: str
    lost: float
    kept: float
    log_odds: float
    z: float


def log_odds(
    lost: Floats, kept: Floats, background: Floats, mass: float | None = None
) -> tuple[Floats, Floats]:
    """δ and z of each word of a vocabulary.

    Args:
        lost: Counts in the first text, ``(words,)``.
        kept: Counts in the second.
        background: Counts in the text that the prior is taken from; above nought.
        mass: What prior counts add up to; None is the number of words of the smaller text.

    Returns:
        Both ``(words,)``.
    """
    n, n_kept = lost.sum(), kept.sum()
    mass = max(1.0, float(min(n, n_kept))) if mass is None else mass
    prior = mass * background / background.sum()
    ours, theirs = lost + prior, kept + prior
    delta = np.log(ours / (n + mass - ours)) - np.log(theirs / (n_kept + mass - theirs))
    return delta, delta / np.sqrt(1 / ours + 1 / theirs)


def ngrams(words: Sequence[str], order: int) -> set[str]:
    """The different n-grams of a text; those of marks alone are left out."""
    found = zip(*(words[start:] for start in range(order)), strict=False)
    return {" ".join(each) for each in found if any(any(map(str.isalnum, word)) for word in each)}


def telling_words(
    texts: Sequence[Sequence[str]],
    lost: Floats,
    kept: Floats,
    background: Iterable[Sequence[str]] = (),
    orders: Sequence[int] = ORDERS,
) -> list[dict[str, Any]]:
    """The n-grams that go with lost and with kept texts, by their lengths.

    Args:
        texts: Words of each text.
        lost: How far each was lost, 0 to 1, ``(texts,)``.
        kept: How far each was kept.
        background: More text for the prior, which is of these texts and that.
        orders: Lengths of n-grams.

    Returns:
        Of each length ``order``; ``tried``, how many n-grams; ``beyond``, the |z| that one of as many passes by luck
        once in twenty times; ``lost`` and ``kept``, those told, the largest |z| first.
    """
    if not (lost.sum() and kept.sum()):
        return []
    more = list(background)
    return [_of_order(texts, lost, kept, more, order) for order in orders]


def _of_order(
    texts: Sequence[Sequence[str]], lost: Floats, kept: Floats, more: Sequence[Sequence[str]], order: int
) -> dict[str, Any]:
    sides: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    seen: Counter[str] = Counter()
    for words, weights in zip(texts, zip(lost.tolist(), kept.tolist(), strict=True), strict=True):
        found = ngrams(words, order)
        seen.update(found)
        for side, weight in zip(sides, weights, strict=True):
            if weight:
                for each in found:
                    side[each] += weight
    prior = Counter(seen)
    for words in more:
        prior.update(seen.keys() & ngrams(words, order))
    vocabulary = sorted(prior)
    if not vocabulary:
        return {"order": order, "tried": 0, "beyond": 0.0, "lost": [], "kept": []}
    ours, theirs, behind = (
        np.array([float(counts[each]) for each in vocabulary]) for counts in (*sides, prior)
    )
    delta, z = log_odds(ours, theirs, behind)
    rows = [n for n, each in enumerate(vocabulary) if seen[each] >= FEWEST and ours[n] + theirs[n] > 0]
    words_found = [
        Word(vocabulary[n], float(ours[n]), float(theirs[n]), float(delta[n]), float(z[n])) for n in rows
    ]
    told = sorted(words_found, key=lambda word: (-abs(word.z), word.text))
    return {
        "order": order,
        "tried": len(rows),
        "beyond": float(norm.isf(0.025 / max(1, len(rows)))),
        "lost": [asdict(word) for word in told if word.z > 0][:SHOWN],
        "kept": [asdict(word) for word in told if word.z < 0][:SHOWN],
    }
