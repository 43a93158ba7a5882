"""BLEU and chrF as functions of counts that are added up over sentences; the counting is sacrebleu's.

Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"; Popović 2015, "chrF: character
n-gram F-score for automatic MT evaluation"; Post 2018, "A Call for Clarity in Reporting BLEU Scores", whose signatures
say how each was counted. Both depend on a corpus only through sums over its sentences, so that a corpus, a part of one,
a resample of one and a single sentence are scored alike. Scores are in points, 0 to 100.

The numbers of a sentence, in order:

* BLEU: length of the translation, of the reference nearest in length; matched n-grams of the orders 1 to 4; n-grams of
  the translation of the orders 1 to 4.
* chrF: for each order 1 to 6 the character n-grams of the translation, of the reference that it fits best, of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import zip_longest
from unicodedata import normalize

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from limbeck.core.errors import LimbeckError
from limbeck.evaluate.bootstrap import SumMetric
from limbeck.evaluate.metrics import Floats, Ints

ORDERS = 4
"""N-grams of words up to this length (Papineni et al. 2002, section 2.3)."""

CHARACTERS = 6
"""N-grams of characters up to this length (Popović 2015)."""

BETA = 2
"""So many times as much as precision does recall weigh in chrF (Popović 2016, "chrF deconstructed": chrF2)."""

OF_BLEU = slice(0, 2 + 2 * ORDERS)
OF_CHRF = slice(OF_BLEU.stop, OF_BLEU.stop + 3 * CHARACTERS)
"""Where the two scores' numbers stand among a sentence's."""


class Scorer:
    """Counts translations against the references of a test set, which are counted once for all models.

    Both are put into Unicode's composed form (NFC), as students write: an accent of its own is no other letter.

    Args:
        references: Of each sentence one or more.
        language: Code of the target language, e.g. ``de``; Chinese, Japanese and Korean are cut into words otherwise.

    Raises:
        LimbeckError: There are no sentences, one has no reference, or the language needs a library that is missing.
    """

    def __init__(self, references: Sequence[Sequence[str]], *, language: str = "") -> None:
        if not references:
            raise LimbeckError("there are no references to score translations against")
        for row, these in enumerate(references):
            if not these:
                raise LimbeckError(f"sentence {row + 1} has no reference")
        self.references = [tuple(map(composed, these)) for these in references]
        # sacrebleu takes streams: the first reference of every sentence, the second ..., None where there is none.
        streams = [list(stream) for stream in zip_longest(*self.references)]
        try:
            self._bleu = BLEU(trg_lang=language, references=streams)
        except (ImportError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise LimbeckError(f"BLEU of the language '{language}' cannot be counted ({reason})") from error
        self._chrf = CHRF(char_order=CHARACTERS, beta=BETA, references=streams)

    @property
    def sentences(self) -> int:
        """How many have references."""
        return len(self.references)

    def counts(self, translations: Sequence[str]) -> Ints:
        """What each sentence adds to the sums, ``(sentences, 28)``.

        Raises:
            LimbeckError: There are more or fewer translations than sentences.
        """
        if len(translations) != self.sentences:
            raise LimbeckError(
                f"{self.sentences} sentences have references, and {len(translations)} were translated"
            )
        said = list(map(composed, translations))
        columns = [metric._extract_corpus_statistics(said, None) for metric in (self._bleu, self._chrf)]
        return np.concatenate([np.array(column, dtype=np.int64) for column in columns], axis=1)

    def words(self, text: str) -> list[str]:
        """A text cut into words as BLEU cuts it; punctuation marks are words of their own."""
        return str(self._bleu.tokenizer(text.rstrip())).split()

    @property
    def signatures(self) -> dict[str, str]:
        """sacrebleu's, of ``bleu`` and ``chrf``."""
        return {"bleu": str(self._bleu.get_signature()), "chrf": str(self._chrf.get_signature())}


def composed(text: str) -> str:
    """In Unicode's composed form, in which texts that look alike are alike."""
    return normalize("NFC", text)


def bleu(counts: Ints | Floats, *, effective: bool = False) -> Floats:
    """BLEU in points, ``(..., numbers) -> (...)``; smoothed as sacrebleu does by default ("exp", of NIST's mteval).

    Args:
        counts: Sums of :meth:`Scorer.counts`.
        effective: Leave out orders longer than the translation, as for single sentences.
    """
    exact = np.asarray(counts, dtype=np.float64)[..., OF_BLEU]
    said, wanted = exact[..., 0], exact[..., 1]
    matched, total = exact[..., 2 : 2 + ORDERS], exact[..., 2 + ORDERS :]
    # Each order without a match counts as half the match that the one before it counted as.
    smooth = 0.5 ** np.cumsum(matched == 0, axis=-1)
    precision = _ratio(np.where(matched > 0, matched, smooth), total)
    there = total > 0
    logs = np.where(there, np.log(np.where(there, precision, 1.0)), 0.0 if effective else -np.inf)
    orders = np.maximum(there.sum(axis=-1), 1) if effective else ORDERS
    mean = np.exp(logs.sum(axis=-1) / orders)
    brevity = np.exp(np.minimum(0.0, 1 - _ratio(wanted, said)))
    return np.asarray(np.where(matched.any(axis=-1), 100 * brevity * mean, 0.0))


def chrf(counts: Ints | Floats) -> Floats:
    """Return chrF in points, ``(..., numbers) -> (...)``: F2 of the orders' mean precision and mean recall.

    Args:
        counts: Sums of :meth:`Scorer.counts`.
    """
    exact = np.asarray(counts, dtype=np.float64)[..., OF_CHRF]
    said, wanted, matched = exact[..., 0::3], exact[..., 1::3], exact[..., 2::3]
    there = (said > 0) & (wanted > 0)
    orders = there.sum(axis=-1).astype(np.float64)
    precision, recall = (
        _ratio(np.where(there, _ratio(matched, of), 0.0).sum(axis=-1), orders) for of in (said, wanted)
    )
    factor = BETA**2
    return np.asarray(100 * _ratio((1 + factor) * precision * recall, factor * precision + recall))


def _ratio(above: Floats, below: Floats) -> Floats:
    """A quotient; 0 where it would be by zero."""
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))


TRANSLATION_METRICS: Mapping[str, SumMetric] = {"bleu": bleu, "chrf": chrf}
"""Scores of translators, the one that decides first, by the names that recipes and results use."""

SENTENCE_METRICS: Mapping[str, SumMetric] = {"bleu": partial(bleu, effective=True), "chrf": chrf}
"""The same for single sentences."""


def score(
    translations: Sequence[str], references: Sequence[Sequence[str]], *, language: str = ""
) -> dict[str, float]:
    """Corpus BLEU and chrF of one model's translations, in points.

    Args:
        translations: One a sentence.
        references: Of each sentence one or more.
        language: Code of the target language.
    """
    sums = Scorer(references, language=language).counts(translations).sum(axis=0)
    return {name: float(metric(sums)) for name, metric in TRANSLATION_METRICS.items()}
