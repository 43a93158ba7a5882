"""n-gram sampling: runs of words cut from each sentence (Tang et al. 2019, section 3.3).

A teacher that has been fine-tuned on a sentence knows its label by heart; of the sentence's parts it has to judge
anew, and those judgements are what the student learns from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from limbeck.core.example import Example
from limbeck.transfer.rewrites import RewriteSettings, Tune


class Settings(RewriteSettings):
    """How many runs, and how long."""

    copies: int = Field(8, gt=0)
    """Draws from each sentence; a run drawn twice counts once."""
    shortest: int = Field(1, gt=0)
    """Words in the shortest run."""
    longest: int | None = Field(None, gt=0)
    """Words in the longest run; null goes up to one less than the sentence has. Tang et al. take 5."""
    seed: int = 0
    """Of the draws."""

    def rewrite(
        self, examples: Sequence[Example], cache: Path | None = None, tune: Tune | None = None
    ) -> Iterator[Example]:
        """Length and place of each run are drawn uniformly."""
        generator = np.random.default_rng(self.seed)
        for example in examples:
            if example.second:
                continue  # a run of words of one text says nothing of the other
            words = example.text.split()
            longest = min(self.longest or len(words), len(words) - 1)
            if longest < self.shortest:
                continue
            lengths = generator.integers(self.shortest, longest + 1, self.copies)
            starts = generator.integers(0, len(words) - lengths + 1)
            for number, (start, length) in enumerate(zip(starts, lengths, strict=True), 1):
                text = " ".join(words[start : start + length])
                yield Example(f"{example.id}/ngram-{number}", text, None, f"ngrams of {example.id}")
