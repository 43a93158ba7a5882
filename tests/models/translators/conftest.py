"""Tiny translators: a random one of six tokens, whose translations can all be listed, and one that learnt to reverse."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models as pieces
from transformers import MarianMTModel, PreTrainedTokenizerFast

from limbeck import models
from limbeck.models.translators import autoregressive
from limbeck.models.translators.guesses import guesses_of
from limbeck.text.encode import Encoded, Targets, collate

PAD, START, END, UNKNOWN, MASK = range(5)
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")


def tokeniser_of(size: int) -> PreTrainedTokenizerFast:
    """One of whole words that knows so many tokens."""
    words = {word: number for number, word in enumerate((*SPECIAL, *(f"w{n}" for n in range(size - 5))))}
    backend = Tokenizer(pieces.WordLevel(words, unk_token="<unk>"))
    names = {"pad": "<pad>", "bos": "<s>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **{f"{k}_token": v for k, v in names.items()})


def subwords_of(source: int, target: int | None = None) -> SimpleNamespace:
    """What a translator's builder asks of pieces of words; joint without a size of its own for the target."""
    mine = tokeniser_of(source)
    return SimpleNamespace(
        source=mine, target=mine if target is None else tokeniser_of(target), joint=target is None
    )


def built(source: int, target: int | None = None, seed: int = 0, **settings) -> MarianMTModel:
    """An untrained translator of these settings, or tiny ones."""
    chosen = autoregressive.Settings(**settings) if settings else autoregressive.tiny()
    return models.build(
        "autoregressive",
        chosen,
        labels=(),
        tokeniser=subwords_of(source, target),
        teacher=None,
        seed=seed,
        task="translation",
    )


def encoded_of(sources, targets=None, end: int = END, pad: int = PAD) -> Encoded:
    """Lists of token ids, each with an end token after it, as the readers of text would encode them."""

    def flat(rows):
        ended = [[*row, end] for row in rows]
        offsets = np.cumsum([0, *map(len, ended)]).astype(np.int64)
        return np.array([token for row in ended for token in row], dtype=np.int32), offsets

    tokens, offsets = flat(sources)
    return Encoded(
        ids=tuple(str(number) for number in range(len(sources))),
        tokens=tokens,
        offsets=offsets,
        gold=np.full(len(sources), -100, dtype=np.int64),
        pad_id=pad,
        truncated=0,
        targets=None if targets is None else Targets(*flat(targets)),
    )


def sentences(count: int, size: int, longest: int = 9, seed: int = 0) -> list[list[int]]:
    """Random ones of words, also empty ones."""
    random = np.random.default_rng(seed)
    return [random.integers(5, size, random.integers(0, longest + 1)).tolist() for _ in range(count)]


@pytest.fixture
def six() -> MarianMTModel:
    """Six tokens, random, and none that may not be written: 781 translations of up to four."""
    model = built(6, seed=3)
    model.generation_config.suppress_tokens = None
    return model.eval()


@pytest.fixture(scope="session")
def reverser() -> MarianMTModel:
    """Trained for some steps to say a sentence backwards: unsure enough to say it in many ways."""
    size = 20
    model = built(size, seed=1, layers=1, width=32, heads=2, feed_forward=64, dropout=0.0)
    sources = sentences(64, size)
    encoded = encoded_of(sources, [source[::-1] for source in sources])
    inputs = collate(encoded, np.arange(64)).inputs
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        (guess,) = guesses_of(model, inputs)
        loss = torch.nn.functional.cross_entropy(guess.scores, guess.truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()
