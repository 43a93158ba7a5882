"""n-gram sampling: runs of words cut from each sentence (Tang et al. 2019, section 3.3).

A teacher that has been fine-tuned on a sentence knows its label by heart; of the sentence's parts it has to judge
anew, and those judgements are what the student learns from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from limbeck.core.example import Example
from limbeck.transfer.rewrites import RewriteSettings, Tune, generator_of, remade, sides


class Settings(RewriteSettings):
    """How many runs, and how long."""

    copies: int = Field(8, gt=0)
    """Draws from each sentence; a run drawn twice counts once."""
    shortest: int = Field(1, gt=0)
    """Words in the shortest run."""
    longest: int | None = Field(None, gt=0)
    """Words in the longest run; null goes up to one less than the sentence has. Tang et al. take 5."""
    seed: int = Field(0, ge=0)
    """Of the draws."""

    @model_validator(mode="after")
    def _possible(self) -> Settings:
        if self.longest is not None and self.shortest > self.longest:
            raise ValueError("'shortest' is more than 'longest'")
        return self

    def rewrite(
        self, examples: Sequence[Example], cache: Path | None = None, tune: Tune | None = None
    ) -> Iterator[Example]:
        """Length and place of each run are drawn uniformly; of a pair one text is cut at a time, by turns."""
        for example in examples:
            generator = generator_of(self.seed, example)
            turns = sides(example)
            for first, side in enumerate(turns):
                words = getattr(example, side).split()
                longest = min(self.longest or len(words), len(words) - 1)
                if longest < self.shortest:
                    continue
                numbers = range(first, self.copies, len(turns))
                lengths = generator.integers(self.shortest, longest + 1, len(numbers))
                starts = generator.integers(0, len(words) - lengths + 1)
                for number, start, length in zip(numbers, starts, lengths, strict=True):
                    text = " ".join(words[start : start + length])
                    yield remade(example, side, text, f"ngram-{number + 1}", f"ngrams of {example.id}")
