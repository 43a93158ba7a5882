"""Causal-LM rewriting: sentences drawn from a language model of the training text (Tang and Lin 2019).

The model is fine-tuned on the text, or trained from scratch where none is named, and continues the first words of
each sentence. It sees no labels: the teacher answers on what comes out.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from pydantic import Field, model_validator
from torch.nn import functional

from limbeck.core import fingerprint, progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import StepFolder, read_json, write_json
from limbeck.core.recipe import Training
from limbeck.models.causal_lm import causal_tokeniser, continued, load_causal_lm, save_new_causal_lm
from limbeck.models.student import longest_input
from limbeck.models.translators.sampling import uniforms
from limbeck.text import resources
from limbeck.text.clean import CONTROL
from limbeck.transfer.rewrites import RewriteSettings, Tune, remade, sides

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SHARD = 256
"""Sentences whose continuations are stored at a time: what a kill loses is at most their time."""
TIMED = 32
"""Sentences that are timed for an estimate."""


class Settings(RewriteSettings):
    """Which model, how it is trained, and what is drawn from it."""

    model: str | None = None
    """Causal language model: a folder, a hub name, or ``package:NAME/FOLDER``; null makes a small GPT-2, trained from
    scratch, with pieces of words learnt from the training text."""
    samples: int = Field(20, gt=0)
    """Texts drawn from the opening of each sentence; equal ones count once."""
    opening: int = Field(1, ge=0)
    """Words of a sentence that its continuations begin with; 0 draws them from nothing."""
    shortest: int = Field(1, gt=0)
    """Words of the shortest text that is kept."""
    max_length: int = Field(64, gt=3)
    """Tokens read of a sentence in training, and drawn at most; a text that has not ended by then is cut."""
    temperature: float = Field(1.0, gt=0)
    """Below 1 likely words become likelier."""
    top_k: int | None = Field(40, gt=0)
    """Draw among this many likeliest tokens only; null draws among all."""
    epochs: float = Field(5, gt=0)
    """Passes over the training text."""
    learning_rate: float | None = Field(None, gt=0)
    """Its peak; null is 5e-5 for a model that is named, and 1e-3 from scratch."""
    train_tokens_per_batch: int = Field(2048, gt=0)
    """Tokens of a training batch, padding included."""
    tokens_per_batch: int | None = Field(None, gt=0)
    """Tokens that are drawn at a time; null is what suits the device."""
    vocabulary: int = Field(4000, gt=300)
    """From scratch: pieces of words at most, bytes and special tokens included."""
    dimension: int = Field(256, gt=0)
    """From scratch: size of the states."""
    layers: int = Field(4, gt=0)
    """From scratch: layers."""
    heads: int = Field(4, gt=0)
    """From scratch: heads of attention; they divide the dimension."""
    seed: int = Field(0, ge=0)
    """Of weights, training and draws; those of a sentence depend on it, on the sentence's id and on the model alone."""

    @model_validator(mode="after")
    def _divisible(self) -> Settings:
        if self.dimension % self.heads:
            raise ValueError("'heads' must divide 'dimension'")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The model."""
        return () if self.model is None else (self.model,)

    def rewrite(
        self, examples: Sequence[Example], cache: Path | None = None, tune: Tune | None = None
    ) -> Iterator[Example | None]:
        """Trains, unless that is done, and continues each text's opening, shard by shard."""
        if tune is None:
            fix = "Hand over limbeck.train.adapt.adapt, as a run does"
            raise LimbeckError("'rewrite.causal_lm' has nothing to train its model with", fix=fix)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) if cache is None else cache
            tuned = self._tune(examples, folder, tune)
            author = Author.load(tuned, self)
            with progress.task("rewrite   causal_lm", len(examples)) as task:
                for start in range(0, len(examples), SHARD):
                    some = examples[start : start + SHARD]
                    openings = self._openings(some)
                    drawn = dict(zip(openings, _stored(folder, tuned, author, openings), strict=True))
                    for example in some:
                        yield from self._new(example, drawn)
                    task.advance(len(some))

    def _tune(self, examples: Sequence[Example], folder: Path, tune: Tune) -> Path:
        """The folder of the trained model, whose name tells what it depends on."""
        texts = _texts_of(examples)
        said = {"settings": self.model_dump(), "texts": fingerprint.of_strings(texts)}
        key = fingerprint.of_value({**said, "model": self.model and resources.contents(self.model)})
        model = self.model
        if model is None:
            start = StepFolder(folder / f"{key}-start")
            if not start.is_done(said):
                with start.writing(said) as partial:
                    self._start(texts, partial)
            model = str(start.path)
        rate = self.learning_rate or (1e-3 if self.model is None else 5e-5)
        training = Training(
            epochs=self.epochs, learning_rate=rate, tokens_per_batch=self.train_tokens_per_batch, clip=1.0
        )
        tuned = folder / f"{key}-tuned"
        tune(model, texts, tuned, training, max_length=self.max_length, seed=self.seed, causal=True)
        return tuned

    def _start(self, texts: Sequence[str], folder: Path) -> None:
        save_new_causal_lm(
            texts,
            folder,
            vocabulary=self.vocabulary,
            dimension=self.dimension,
            layers=self.layers,
            heads=self.heads,
            positions=self.max_length,
            seed=self.seed,
        )

    def _openings(self, examples: Sequence[Example]) -> list[Opening]:
        """The texts of some examples, each with how often it is continued; those of a pair share the draws."""
        found = []
        for example in examples:
            turns = sides(example)
            for first, side in enumerate(turns):
                count = len(range(first, self.samples, len(turns)))
                name = example.id if side == "text" else f"{example.id}\x1d{side}"
                found += [Opening(name, getattr(example, side), count)] * bool(count)
        return found

    def _new(self, example: Example, drawn: Mapping[Opening, Sequence[str]]) -> Iterator[Example | None]:
        """What is long enough and undamaged, None for the rest; of a pair one text is written at a time, by turns."""
        turns = sides(example)
        texts = {side: iter(drawn[one]) for side, one in zip(turns, self._openings([example]), strict=False)}
        for number in range(self.samples if turns else 0):
            side = turns[number % len(turns)]
            text = next(texts[side])
            fit = len(text.split()) >= self.shortest and not CONTROL.search(text)
            origin = f"causal_lm of {example.id}"
            yield remade(example, side, text, f"causal-{number + 1}", origin) if fit else None

    def sketch(self, examples: Sequence[Example]) -> Iterator[Example | None]:
        """As many texts as are drawn, each of words of the examples, so that no model is asked."""
        generator = np.random.default_rng(self.seed)
        words = [word for text in _texts_of(examples) for word in text.split()]
        for example in examples:
            drawn = {}
            for one in self._openings([example]):
                length = max(len(one.text.split()), self.shortest)
                rows = generator.integers(0, max(1, len(words)), (one.wanted, length))
                drawn[one] = [" ".join(words[n] for n in row) for row in rows] if words else [""] * one.wanted
            yield from self._new(example, drawn)

    def seconds(self, examples: Sequence[Example]) -> float:
        """As long as training steps and draws take on this machine, from a sample of the sentences."""
        openings = self._openings(examples)
        sample = openings[:: max(1, len(openings) // TIMED)][:TIMED]
        if not sample:
            return 0.0
        with tempfile.TemporaryDirectory() as folder, progress.silently():
            if self.model is None:
                self._start(_texts_of(examples), Path(folder))
            author = Author.load(folder if self.model is None else self.model, self)
            author.texts_of(sample[:1])  # warms up
            started = time.perf_counter()
            author.texts_of(sample)
            drawn = time.perf_counter() - started
            author.step(sample)
            taught = time.perf_counter() - started - drawn
        return (drawn + self.epochs * taught) * len(openings) / max(1, len(sample))


class Opening(NamedTuple):
    """A text to continue.

    Attributes:
        name: Decides the draws.
        text: Its first words begin the continuations.
        wanted: How many are drawn.
    """

    name: str
    text: str
    wanted: int


class Author(NamedTuple):
    """A model that continues openings."""

    model: PreTrainedModel
    tokeniser: PreTrainedTokenizerFast
    settings: Settings

    @classmethod
    def load(cls, reference: str | Path, settings: Settings) -> Author:
        """From a folder or name."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = load_causal_lm(reference)
        torch.nn.Module.to(model, device)
        return cls(model, causal_tokeniser(reference), settings)

    def texts_of(self, openings: Sequence[Opening]) -> list[list[str]]:
        """Continuations of each text's first words."""
        mine, longest = self.settings, self.longest
        beginnings = [" ".join(one.text.split()[: mine.opening]) for one in openings]
        rows = self.tokeniser(beginnings).input_ids if beginnings else []
        return continued(
            self.model,
            self.tokeniser,
            [row[:-1][: longest - 1] for row in rows],  # without the end token
            [self._numbers(one, longest) for one in openings],
            max_length=longest,
            temperature=mine.temperature,
            top_k=mine.top_k,
            tokens_per_batch=mine.tokens_per_batch,
        )

    def _numbers(self, one: Opening, steps: int) -> NDArray[np.float64]:
        digest = np.frombuffer(hashlib.sha256(one.name.encode()).digest(), dtype="<i4")
        return uniforms(digest, self.settings.seed, one.wanted, steps)

    @property
    def longest(self) -> int:
        """Tokens of a text that it can read."""
        return min(self.settings.max_length, longest_input(self.model) or self.settings.max_length)

    def step(self, openings: Sequence[Opening]) -> None:
        """What a training step costs, without its update."""
        self.tokeniser.padding_side = "right"
        texts = [one.text for one in openings]
        inputs = self.tokeniser(
            texts, padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        ).to(self.model.device)
        logits = self.model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask).logits
        functional.cross_entropy(logits[:, :-1].flatten(0, 1), inputs.input_ids[:, 1:].flatten()).backward()
        self.model.zero_grad()


def _stored(folder: Path, tuned: Path, author: Author, openings: Sequence[Opening]) -> list[list[str]]:
    """Continuations from the folder where they are there, else drawn now and stored."""
    of = fingerprint.of_strings(str(part) for one in openings for part in one)
    path = folder / f"{tuned.name}-{of}.json"
    if not path.is_file():
        write_json(path, author.texts_of(openings))
    found: list[list[str]] = read_json(path)
    return found


def _texts_of(examples: Sequence[Example]) -> list[str]:
    """The texts of some examples, both of a pair."""
    return [getattr(example, side) for example in examples for side in sides(example)]
