"""How long translations are, how scores change with length, and the faults that students are known for.

A parallel student that writes all words at once does not know which of several translations the others belong to, and
writes words twice in a row (Gu et al. 2018, "Non-Autoregressive Neural Machine Translation"; measured so by
 Ghazvininejad et al. 2019, "Mask-Predict"). A student that has not learned copies its source, or says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from limbeck.evaluate.bleu import Scorer, bleu
from limbeck.evaluate.metrics import Ints

BINS = 6
"""Bins of source lengths, each with about as many sentences, so that their scores are as sure."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with some translations, apart from their words.

    Attributes:
        length_ratio: Their words over those of the nearest references, as BLEU counts both.
        repeated: Share of words that are the word before once more.
        copies: Share of sentences that are their source.
        empty: Share of sentences without a word.
        passes: Mean number of the decoder's passes a sentence; None where nobody counted.
    """

    length_ratio: float
    repeated: float
    copies: float
    empty: float
    passes: float | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """Sentences whose source has ``low`` to ``high`` words."""

    low: int
    high: int
    examples: int


def faults(
    scorer: Scorer,
    sources: Sequence[str],
    translations: Sequence[str],
    counts: Ints,
    passes: Sequence[int] | None = None,
) -> Faults:
    """Count a model's faults.

    Args:
        scorer: Cuts texts into words.
        sources: What was translated.
        translations: One a source.
        counts: The scorer's, of these translations, ``(sentences, 28)``.
        passes: The decoder's passes for each.
    """
    words = [[word for word in scorer.words(text.casefold()) if _is_word(word)] for text in translations]
    twice = sum(this == before for one in words for before, this in pairwise(one))
    said, wanted = counts[:, :2].sum(axis=0).tolist()
    pairs = zip(sources, translations, strict=True)
    return Faults(
        length_ratio=said / wanted if wanted else 0.0,
        repeated=twice / max(1, sum(map(len, words))),
        copies=sum(bool(text.strip()) and _folded(source) == _folded(text) for source, text in pairs)
        / len(sources),
        empty=sum(not text.strip() for text in translations) / len(translations),
        passes=None if passes is None else float(np.mean(passes)),
    )


def _is_word(token: str) -> bool:
    """Punctuation may well stand twice."""
    return any(map(str.isalnum, token))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def length_bins(scorer: Scorer, sources: Sequence[str]) -> tuple[list[Bin], Ints]:
    """Bins by the sources' numbers of words, and the bin of each source, ``(sentences,)``.

    Args:
        scorer: Cuts texts into words.
        sources: At least one.
    """
    lengths = np.array([len(scorer.words(text)) for text in sources], dtype=np.int64)
    quantiles = np.quantile(lengths, np.arange(1, BINS) / BINS, method="inverted_cdf")
    # A bin reaches up to its quantile; the last one takes the rest.
    upper = np.unique(quantiles[quantiles < lengths.max()])
    places = np.searchsorted(upper, lengths)
    _, of = np.unique(places, return_inverse=True)
    members = [lengths[of == number] for number in range(int(of.max()) + 1)]
    return [Bin(int(each.min()), int(each.max()), len(each)) for each in members], of.astype(np.int64)


def bleu_by_bin(counts: Ints, of: Ints) -> list[float]:
    """BLEU of the sentences in each bin, in points.

    Args:
        counts: What each sentence adds, ``(sentences, 28)``.
        of: The bin of each sentence, ``(sentences,)``.
    """
    return [float(bleu(counts[of == number].sum(axis=0))) for number in range(int(of.max()) + 1)]
