"""Rules: masked words, words of the same part of speech, n-grams (Tang et al. 2019, section 3.3).

A pass over a sentence draws one number for each word: below ``p_mask`` the word is masked; in the next ``p_pos``
another word of its tag comes in its place, drawn by how frequent it is in the training text. With ``p_ng`` a run of
words of the outcome stands for all of it. A sentence is passed over ``n_iter`` times, each time from the start. What
is between words (spaces, marks) stays, but for a run's, whose words are what stands between spaces.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field, model_validator

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.text import resources
from limbeck.text.letters import token_spans
from limbeck.transfer.rewrites import RewriteSettings, Tune, generator_of, remade, sides
from limbeck.transfer.word_classes import InducedTagger, load_tagger

SAMPLE = 64
"""Examples that are timed for an estimate."""


class Settings(RewriteSettings):
    """How often each rule is applied."""

    p_mask: float = Field(0.1, ge=0, le=1)
    """That a word is masked."""
    p_pos: float = Field(0.1, ge=0, le=1)
    """That another word of the same tag stands in its place."""
    p_ng: float = Field(0.25, ge=0, le=1)
    """That only a run of words is kept of what came out."""
    n_iter: int = Field(20, gt=0)
    """Passes over each sentence; equal outcomes count once."""
    shortest: int = Field(1, gt=0)
    """Words in the shortest run."""
    longest: int = Field(5, gt=0)
    """Words in the longest run."""
    mask: str = Field("[MASK]", min_length=1)
    """What stands for a masked word: the teacher's mask token, e.g. ``<mask>`` for RoBERTa's kin. A student with words
    of its own has one token for it, too."""
    tagger: str | None = None
    """Dotted path of a function from a sentence's words to their tags; null induces classes of words from the text."""
    seed: int = Field(0, ge=0)
    """Of the draws; those of a sentence depend on it and on the sentence's id alone."""

    @model_validator(mode="after")
    def _possible(self) -> Settings:
        if self.p_mask + self.p_pos > 1:
            raise ValueError("'p_mask' and 'p_pos' are more than 1 together")
        if not self.p_mask + self.p_pos + self.p_ng:
            raise ValueError("'p_mask', 'p_pos' and 'p_ng' are all 0: nothing would change")
        if self.shortest > self.longest:
            raise ValueError("'shortest' is more than 'longest'")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The file of a tagger of one's own."""
        file = None if self.tagger is None else resources.file_of_module(self.tagger.rpartition(".")[0])
        return () if file is None else (file,)

    @property
    def marks(self) -> tuple[str, ...]:
        """What stands for a masked word."""
        return (self.mask,)

    def rewrite(
        self, examples: Sequence[Example], cache: Path | None = None, tune: Tune | None = None
    ) -> Iterator[Example]:
        """What the passes over each example make; of a pair they change one side by turns."""
        sentences = self._tagged(_texts_of(examples))
        lexicon = Lexicon(sentences.values())
        with progress.task("rewrite   rules", len(examples)) as task:
            for example in examples:
                yield from self.passes_over(example, sentences, lexicon)
                task.advance(1)

    def passes_over(
        self, example: Example, sentences: Mapping[str, Sentence], lexicon: Lexicon
    ) -> Iterator[Example]:
        """An example for each pass."""
        generator = generator_of(self.seed, example)
        turns = sides(example)
        passes = {side: self._passes(sentences[getattr(example, side)], lexicon, generator) for side in turns}
        for number in range(self.n_iter if turns else 0):
            side = turns[number % len(turns)]
            text, done = next(passes[side])
            yield remade(example, side, text, f"rules-{number + 1}", f"rules of {example.id}: {done}")

    def _passes(
        self, sentence: Sentence, lexicon: Lexicon, generator: np.random.Generator
    ) -> Iterator[tuple[str, str]]:
        """A text for each pass, and what was done to it."""
        kinds, which = generator.random((2, self.n_iter, len(sentence.places)))
        runs = generator.random((self.n_iter, 3)).tolist()
        touched = kinds < self.p_mask + self.p_pos
        drawn: list[list[tuple[int, float, float]]] = [[] for _ in runs]
        for number, *one in zip(*np.nonzero(touched), kinds[touched], which[touched], strict=True):
            drawn[number].append((int(one[0]), float(one[1]), float(one[2])))
        for words, (run, length, place) in zip(drawn, runs, strict=True):
            text, done = self._changed(sentence, lexicon, words)
            if run < self.p_ng:
                text, done = self._run(text, length, place), f"{done}, a run of it"
            yield text, done

    def _changed(
        self, sentence: Sentence, lexicon: Lexicon, drawn: Sequence[tuple[int, float, float]]
    ) -> tuple[str, str]:
        """The text with words changed; for each of these its number, what decides the rule, and the other word."""
        parts, masked, replaced = list(sentence.parts), 0, 0
        for word, kind, which in drawn:
            place = sentence.places[word]
            if kind < self.p_mask:
                parts[place], masked = self.mask, masked + 1
            elif other := lexicon.other(sentence.tags[word], parts[place], which):
                parts[place], replaced = other, replaced + 1
        return "".join(parts), f"{masked} masked, {replaced} replaced"

    def _run(self, text: str, length: float, place: float) -> str:
        """A run of words; its length and place by two uniform numbers."""
        words = text.split()
        wanted = self.shortest + int(length * (self.longest - self.shortest + 1))
        start = int(place * (max(0, len(words) - wanted) + 1))
        return " ".join(words[start : start + wanted])

    def sketch(self, examples: Sequence[Example]) -> Iterator[Example]:
        """The same passes, with all words of one tag, so that no tagger is asked."""
        sentences = {text: _untagged(text, token_spans(text)) for text in _texts_of(examples)}
        lexicon = Lexicon(sentences.values())
        for example in examples:
            yield from self.passes_over(example, sentences, lexicon)

    def seconds(self, examples: Sequence[Example]) -> float:
        """As long as tagging takes on this machine, and the passes by a sample of the examples."""
        started = time.perf_counter()
        sentences = self._tagged(_texts_of(examples))
        lexicon = Lexicon(sentences.values())
        tagged = time.perf_counter()
        sample = examples[:: max(1, len(examples) // SAMPLE)][:SAMPLE]
        for example in sample:
            list(self.passes_over(example, sentences, lexicon))
        passed = time.perf_counter() - tagged
        return tagged - started + passed * len(examples) / max(1, len(sample))

    def _tagged(self, texts: Iterable[str]) -> dict[str, Sentence]:
        """The texts, cut into words and marks, with their tags."""
        spans = {text: token_spans(text) for text in texts}
        if not self.p_pos:
            return {text: _untagged(text, row) for text, row in spans.items()}
        words = {text: [text[start:end] for start, end in row] for text, row in spans.items()}
        tagger = InducedTagger(list(words.values())) if self.tagger is None else load_tagger(self.tagger)
        found = {}
        for text, row in spans.items():
            tags = tagger(words[text])
            if len(tags) != len(row):
                what = f"this tagger gave {len(tags)} tags to {len(row)} words"
                raise LimbeckError(what, where=self.tagger)
            found[text] = Sentence.of(text, row, tags)
        return found


def _untagged(text: str, spans: Sequence[tuple[int, int]]) -> Sentence:
    return Sentence.of(text, spans, [""] * len(spans))


def _texts_of(examples: Sequence[Example]) -> list[str]:
    """The distinct texts of some examples, both of a pair, in an order that is not that of the examples."""
    return sorted({text for example in examples for text in example.texts if text})


class Sentence(NamedTuple):
    """A text in parts.

    Attributes:
        parts: Words, marks, and what is between them; joined, they are the text.
        places: Which parts are words.
        tags: The words' tags.
    """

    parts: tuple[str, ...]
    places: tuple[int, ...]
    tags: tuple[str, ...]

    @classmethod
    def of(cls, text: str, spans: Sequence[tuple[int, int]], tags: Sequence[str]) -> Sentence:
        """A text with the tags of its words and marks, which stand at ``spans``."""
        edges = [0, *(edge for span in spans for edge in span), len(text)]
        parts = tuple(text[start:end] for start, end in pairwise(edges))
        words = [number for number in range(len(spans)) if any(map(str.isalnum, parts[2 * number + 1]))]
        return cls(parts, tuple(2 * n + 1 for n in words), tuple(tags[n] for n in words))


class Lexicon:
    """The words of each tag, as frequent as they are in some sentences."""

    def __init__(self, sentences: Iterable[Sentence]) -> None:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            for place, tag in zip(sentence.places, sentence.tags, strict=True):
                counts[tag][sentence.parts[place]] += 1
        self.words = {tag: sorted(found) for tag, found in counts.items()}
        self.index = {tag: {word: n for n, word in enumerate(words)} for tag, words in self.words.items()}
        self.ends = {
            tag: list(accumulate(counts[tag][word] for word in words)) for tag, words in self.words.items()
        }

    def other(self, tag: str, word: str, number: float) -> str | None:
        """Another word of the tag, by its frequency; None where there is no other.

        Args:
            tag: The word's tag.
            word: One of the sentences' words.
            number: Uniform, from 0 to below 1; draws the word.
        """
        words, ends = self.words[tag], self.ends[tag]
        own = self.index[tag][word]
        start = ends[own - 1] if own else 0
        count = ends[own] - start
        drawn = int(number * (ends[-1] - count))  # among the occurrences of all others
        if ends[-1] == count:
            return None
        return words[bisect_right(ends, drawn if drawn < start else drawn + count)]
