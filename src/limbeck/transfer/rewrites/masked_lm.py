"""Masked-LM rewriting: words replaced by what else could stand there (Jiao et al. 2020, TinyBERT, algorithm 1).

Of each sentence some copies are made, and in each copy every word is replaced, with some probability, by one of its
candidates (:mod:`limbeck.transfer.candidates`), each as likely as the others. The label may change with the words,
so none is kept: the teacher answers on what comes out.

The model sees the sentence with one word masked, as in the paper; the authors' code shows it the unmasked sentence
beside it, too. An encoder without a masked-LM head, such as those made to embed sentences, is given one by
``limbeck adapt ENCODER TEXT --out FOLDER``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from limbeck.core import fingerprint, progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import read_json, write_json
from limbeck.models.vectors import files_of_vectors, open_vectors
from limbeck.text import resources
from limbeck.text.stop_words import ENGLISH
from limbeck.transfer.candidates import Guesses, Neighbours, Slot, find_slots, replaceable
from limbeck.transfer.rewrites import RewriteSettings, Tune, generator_of, remade, sides

SHARD = 256
"""Texts whose candidates are stored at a time: what a kill loses is at most their time."""
SAMPLE = 16
"""Texts that are timed for an estimate."""


class Settings(RewriteSettings):
    """Where candidates come from, and how often they are taken."""

    model: str | None = None
    """Masked language model, for words of a single piece: a folder, a hub name, or ``package:NAME/FOLDER``; null leaves
    all words to the vectors."""
    vectors: str | None = None
    """Word-vector file, for words of several pieces: a path, or ``package:NAME/FILE``; null leaves them as they
    are."""
    words: str | None = None
    """The word list of an npy file of word vectors; null looks beside it."""
    vocabulary: int | None = Field(None, gt=0)
    """Take this many words of the word-vector file, its first; null takes all."""
    copies: int = Field(20, gt=0)
    """Copies of each sentence; equal ones count once (N_a in the paper)."""
    probability: float = Field(0.4, gt=0, le=1)
    """That a word is replaced in a copy (p_t in the paper)."""
    candidates: int = Field(15, gt=0)
    """Words that may stand in a word's place (K in the paper)."""
    stop_words: Literal["english"] | list[str] = "english"
    """Words that are neither replaced nor put in: ``english``, or a list."""
    max_length: int = Field(128, gt=2)
    """Tokens that the model reads of a sentence; words past it stay as they are."""
    tokens_per_batch: int | None = Field(None, gt=0)
    """Tokens that the model is asked about at a time, padding included; null is what suits the device."""
    seed: int = Field(0, ge=0)
    """Of the draws; those of a sentence depend on it and on the sentence's id alone."""

    @model_validator(mode="after")
    def _one_of(self) -> Settings:
        if self.model is None and self.vectors is None:
            raise ValueError("give 'model', 'vectors' or both: candidates must come from somewhere")
        if self.vectors is None and (self.words is not None or self.vocabulary is not None):
            raise ValueError("'words' and 'vocabulary' are of a word-vector file, and 'vectors' names none")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The model and the files."""
        files = () if self.vectors is None else files_of_vectors(self.vectors, self.words)
        return files if self.model is None else (self.model, *files)

    def rewrite(
        self, examples: Sequence[Example], cache: Path | None = None, tune: Tune | None = None
    ) -> Iterator[Example]:
        """Copies of each example, in which words are replaced; candidates are sought shard by shard."""
        shards = Shards(self, cache)
        with progress.task("rewrite   masked_lm", len(examples)) as task:
            for start in range(0, len(examples), SHARD):
                some = examples[start : start + SHARD]
                texts = _texts_of(some)
                slots = dict(zip(texts, shards.slots(texts), strict=True))
                for example in some:
                    yield from self.copies_of(example, slots)
                task.advance(len(some))

    def copies_of(self, example: Example, slots: Mapping[str, Sequence[Slot]]) -> Iterator[Example]:
        """The copies of one example; of a pair the odd ones have another first text, the even ones another second."""
        generator = generator_of(self.seed, example)
        turns = sides(example)
        texts = {side: getattr(example, side) for side in turns}
        drawn = {side: self._drawn(slots[text], generator) for side, text in texts.items()}
        for number in range(self.copies if turns else 0):
            side = turns[number % len(turns)]
            text = put_in(texts[side], slots[texts[side]], drawn[side][number].tolist())
            yield remade(example, side, text, f"masked-{number + 1}", f"masked_lm of {example.id}")

    def _drawn(self, slots: Sequence[Slot], generator: np.random.Generator) -> NDArray[np.int64]:
        """For each copy and word the number of its candidate, or -1 for the word that is there."""
        shape = self.copies, len(slots)
        replaced = generator.random(shape) < self.probability
        counts = np.array([len(slot.candidates) for slot in slots], dtype=np.int64)
        return np.where(replaced, generator.integers(0, counts, shape), -1)

    def sketch(self, examples: Sequence[Example]) -> Iterator[Example]:
        """Copies with any words of the examples as candidates, so that no model is asked."""
        spans = {text: replaceable(text, self.left_out) for text in _texts_of(examples)}
        words = dict.fromkeys(text[start:end] for text, row in spans.items() for start, end in row)
        some = tuple(itertools.islice(words, self.candidates))
        slots = {text: [Slot(*span, some) for span in row] for text, row in spans.items()}
        for example in examples:
            yield from self.copies_of(example, slots)

    def seconds(self, examples: Sequence[Example]) -> float:
        """As long as candidates take on this machine, from a sample of the texts."""
        texts = _texts_of(examples)
        sample = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
        shards = Shards(self, None)
        shards.slots(sample[:1])  # loads, and warms up
        started = time.perf_counter()
        shards.slots(sample)
        return (time.perf_counter() - started) * len(texts) / max(1, len(sample))

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The stop words, in lower case."""
        return ENGLISH if self.stop_words == "english" else frozenset(map(str.casefold, self.stop_words))


def put_in(text: str, slots: Sequence[Slot], chosen: Sequence[int]) -> str:
    """A text with words replaced; all that is between them stays, and a capital at a word's start.

    Args:
        text: The text.
        slots: Its words, in order.
        chosen: The number of each one's candidate, or -1 for the word that is there.
    """
    parts, end = [], 0
    for slot, number in zip(slots, chosen, strict=True):
        if number >= 0:
            word = slot.candidates[number]
            capital = text[slot.start].isupper()
            parts += [text[end : slot.start], word[0].upper() + word[1:] if capital else word]
            end = slot.end
    return "".join([*parts, text[end:]])


class Shards:
    """Candidates of texts, from a folder where they are there, else sought now and stored.

    A shard's name is the digest of all that it depends on, so that none is ever read in another's place.

    Args:
        settings: Where candidates come from.
        folder: Where shards are kept; None keeps none.
    """

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        self.settings, self.folder = settings, folder

    def slots(self, texts: Sequence[str]) -> list[list[Slot]]:
        """The words of each text that can be replaced, with their candidates."""
        if self.folder is None:
            return self._find(texts)
        path = self.folder / f"{fingerprint.of_value([self._key, fingerprint.of_strings(texts)])}.json"
        if not path.is_file():
            write_json(path, self._find(texts))
        return [[Slot(start, end, tuple(words)) for start, end, words in row] for row in read_json(path)]

    def _find(self, texts: Sequence[str]) -> list[list[Slot]]:
        return find_slots(texts, *self._sources, self.settings.left_out, self.settings.candidates)

    @cached_property
    def _key(self) -> Mapping[str, object]:
        ours = self.settings.model_dump(exclude={"copies", "probability", "tokens_per_batch", "seed"})
        return {**ours, "contents": [resources.contents(one) for one in self.settings.reads]}

    @cached_property
    def _sources(self) -> tuple[Guesses | None, Neighbours | None]:
        """Loaded when the first shard is not there."""
        mine, stop_words = self.settings, self.settings.left_out
        guesses, neighbours = None, None
        if mine.model is not None:
            guesses = Guesses.load(mine.model, stop_words, mine.max_length, mine.tokens_per_batch)
        if mine.vectors is not None:
            words = None if mine.words is None else _file(mine.words, "words")
            vectors = open_vectors(_file(mine.vectors, "vectors"), words)
            neighbours = Neighbours(vectors, stop_words, mine.vocabulary)
        return guesses, neighbours


def _file(reference: str, key: str) -> Path:
    path = resources.resolve(reference)
    if not isinstance(path, Path) or not path.is_file():
        raise LimbeckError(f"'rewrite.masked_lm.{key}': no such file: {reference}")
    return path


def _texts_of(examples: Sequence[Example]) -> list[str]:
    """The distinct texts of some examples, both of a pair, in their order."""
    texts = (text for example in examples for text in example.texts)
    return list(dict.fromkeys(text for text in texts if text))
