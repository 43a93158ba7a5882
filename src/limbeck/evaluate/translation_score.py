"""Scores of translations while a translator is trained: what picks its best weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from limbeck.core.example import Example
from limbeck.evaluate.bleu import TRANSLATION_METRICS, Scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limbeck.text.subwords import Subwords
    from limbeck.train.run import Score


def scorer(subwords: Subwords, examples: Sequence[Example], language: str = "") -> Score:
    """A function from what a translator wrote, one tuple of token ids an example, to BLEU and chrF in points.

    Args:
        subwords: Turns token ids into text.
        examples: What it translates, in this order; their ``targets`` are the references.
        language: Code of the target language.

    Raises:
        LimbeckError: There are no examples, or one has no reference.
    """
    counted = Scorer([example.targets for example in examples], language=language)

    def score(gold: NDArray[np.int64], translations: Sequence[Sequence[int]]) -> dict[str, float]:
        sums = counted.counts([subwords.decode(tokens) for tokens in translations]).sum(axis=0)
        return {name: float(metric(sums)) for name, metric in TRANSLATION_METRICS.items()}

    return score
