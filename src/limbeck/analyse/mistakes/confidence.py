"""How sure models are of what they say of a text, and of a tagger's span.

============== =================================================== ============================================
task           confidence                                          entropy, in bits
============== =================================================== ============================================
classification the largest probability                             of the probabilities
tagging        of a sentence, the mean over its words of the       of a sentence, the mean over its words of the
               posterior marginal of the tag that the model gave;  entropy of the word's posterior; of a span, the
               of a span, the least of its words                   largest of its words
translation    ``exp`` of the mean log-probability of a token:     none
               the geometric mean of the tokens' probabilities
============== =================================================== ============================================

A gold span is found only where all of its words are tagged as gold has them, so that it hangs on the word that a model
is least sure of. What a model read no word of has no confidence, but NaN. Sets of labels and scores have none here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limbeck.analyse.mistakes.units import Cast, probabilities_of
from limbeck.evaluate.kept import Kept, Said
from limbeck.evaluate.metrics import Floats
from limbeck.evaluate.predictions import CONFIDENCE, ENTROPY, LOG_PROBABILITY
from limbeck.text.tags import Span

Pooled = Callable[[Sequence[float]], Any]
"""From numbers of words to one."""


def confidence_of(kept: Kept, name: str) -> Floats | None:
    """How sure a model is of each text, ``(seeds, texts)``; None where it does not tell."""
    if kept.task == "classification":
        return np.asarray(probabilities_of(kept)[name].max(axis=-1))
    if kept.task == "tagging":
        return _over_words(kept, CONFIDENCE, name)
    told = kept.sure.get(LOG_PROBABILITY, {}).get(name)
    return None if told is None else np.exp(np.array(told, dtype=np.float64))


def entropy_of(kept: Kept, name: str) -> Floats | None:
    """Entropy of what a model says of each text, in bits, ``(seeds, texts)``; None where it does not tell."""
    if kept.task == "classification":
        return entropy(probabilities_of(kept)[name])
    return _over_words(kept, ENTROPY, name)


def columns_of(kept: Kept, cast: Cast) -> dict[str, Sequence[float]]:
    """Of each text: how sure the teacher and the student are, as far as they tell."""
    ours = confidence_of(kept, cast.student)
    theirs, bits = (
        (None, None)
        if cast.teacher is None
        else (confidence_of(kept, cast.teacher), entropy_of(kept, cast.teacher))
    )
    return _named(*(None if each is None else each.mean(axis=0) for each in (theirs, bits, ours)))


def columns_of_spans(
    kept: Kept, cast: Cast, texts: Sequence[int], places: Sequence[Span]
) -> dict[str, Sequence[float]]:
    """Of each span of a tagger: the same of its own words.

    Args:
        kept: The run's answers.
        cast: Who is looked at.
        texts: Number of the sentence that each span is in.
        places: Where in it.
    """

    def of(what: str, name: str | None, pooled: Pooled) -> Floats | None:
        told = kept.sure.get(what, {}).get(name or "")
        if told is None:
            return None
        where = list(zip(texts, places, strict=True))
        seeds = [[_pooled(one[n][span.start : span.end], pooled) for n, span in where] for one in told]
        return np.asarray(np.array(seeds, dtype=np.float64).mean(axis=0))

    return _named(
        of(CONFIDENCE, cast.teacher, np.min),
        of(ENTROPY, cast.teacher, np.max),
        of(CONFIDENCE, cast.student, np.min),
    )


def entropy(probabilities: Floats) -> Floats:
    """Entropy in bits, ``(..., labels) -> (...)``."""
    logs = np.log2(np.where(probabilities > 0, probabilities, 1.0))
    return np.asarray(-(probabilities * logs).sum(axis=-1)) + 0.0


def _named(theirs: Floats | None, bits: Floats | None, ours: Floats | None) -> dict[str, Sequence[float]]:
    told = {"confidence": theirs, "entropy": bits, "student_confidence": ours}
    return {name: values.tolist() for name, values in told.items() if values is not None}


def _over_words(kept: Kept, what: str, name: str) -> Floats | None:
    """The mean over the words of each sentence, ``(seeds, texts)``."""
    told: Sequence[Said] | None = kept.sure.get(what, {}).get(name)
    if told is None:
        return None
    return np.array([[_pooled(words, np.mean) for words in one] for one in told], dtype=np.float64)


def _pooled(words: Sequence[float | None], pooled: Pooled) -> float:
    read = [value for value in words if value is not None]
    return float(pooled(read)) if read else np.nan
