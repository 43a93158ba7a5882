"""A translation recipe of seconds, over a made-up pair of languages: each word stands for one word, in its order."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import yaml

SOURCE = ("ba", "be", "bi", "bo", "da", "de", "di", "do")
TARGET = ("ka", "ke", "ki", "ko", "ma", "me", "mi", "mo")
SIZE = {"layers": 1, "width": 32, "heads": 2, "feed_forward": 64, "dropout": 0.0}
BEAM = {"beams": 2, "max_length": 8}


def sentences(count: int, seed: int = 0) -> list[tuple[int, ...]]:
    """So many different ones of two to four words, as the words' numbers."""
    generator, found = random.Random(seed), dict[tuple[int, ...], None]()
    while len(found) < count:
        found[tuple(generator.randrange(len(SOURCE)) for _ in range(generator.randint(2, 4)))] = None
    return list(found)


def said(sentence: tuple[int, ...], words: tuple[str, ...]) -> str:
    """A sentence in one of the languages."""
    return " ".join(words[number] for number in sentence)


def translated(text: str) -> str:
    """The one right translation."""
    return " ".join(TARGET[SOURCE.index(word)] for word in text.split())


def write(folder: Path, count: int = 300) -> dict[str, Any]:
    """Two aligned files, one of them compressed; the recipe's source of them."""
    texts = [said(one, SOURCE) for one in sentences(count)]
    (folder / "train.src").write_text("".join(f"{text}\n" for text in texts))
    with gzip.open(folder / "train.trg.gz", "wt") as file:
        file.write("".join(f"{translated(text)}\n" for text in texts))
    return {"path": str(folder / "train.src"), "target_file": str(folder / "train.trg.gz")}


def values(folder: Path, **more: Any) -> dict[str, Any]:
    """The keys of a recipe of seconds."""
    fine_tune = {
        "epochs": 20,
        "tokens_per_batch": 64,
        "learning_rate": 0.005,
        "schedule": "inverse_sqrt",
        "evaluate": 2,
    }
    return {
        "name": "toy",
        "task": "translation",
        "data": {"train": write(folder), "dev": 30, "test": 40, "vocabulary": {"size": 330}},
        "teacher": {
            "scratch": {"kind": "autoregressive", **SIZE},
            "fine_tune": fine_tune,
            "max_length": 16,
        },
        "student": {"kind": "vanilla", **SIZE, "max_length": 16},
        "method": [{"name": "sequence_level", "decoding": BEAM}],
        "seeds": 1,
        "train": {"epochs": 3, "learning_rate": 0.01, "tokens_per_batch": 128, "evaluate": 1},
        "evaluate": {"latency_sentences": 2, "resamples": 100, "decoding": BEAM},
        "export": {"changed": 1.0},
        "out": str(folder / "runs"),
        **more,
    }


def recipe(folder: Path, **more: Any) -> Path:
    """Such a recipe's file."""
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values(folder, **more)))
    return path
