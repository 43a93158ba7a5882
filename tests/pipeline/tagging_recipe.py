"""A tagging recipe of seconds, and files of tagged sentences for it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import yaml

NAMES, PLACES = ("lovely", "bright", "clever"), ("plot", "scene", "story")
OTHERS = ("the", "was", "is", "felt", "with", "of", "in")


def sentence(generator: random.Random, plain: bool) -> list[tuple[str, str]]:
    """Names follow 'the', places follow 'in'; words of the tiny encoder's vocabulary."""
    words: list[tuple[str, str]] = []
    for _ in range(generator.randint(2, 4)):
        words.append((generator.choice(OTHERS[1:6]), "O"))
        if generator.random() < 0.7:
            kind, lead, pool = generator.choice((("PER", "the", NAMES), ("LOC", "in", PLACES)))
            words += [(lead, "O"), (generator.choice(pool), f"B-{kind}")]
            if generator.random() < 0.5:
                words.append((generator.choice(pool), f"I-{kind}"))
    return [(word, {"O": "other"}.get(tag, tag[2:].lower()) if plain else tag) for word, tag in words]


def write(path: Path, count: int, seed: int, plain: bool = False) -> None:
    generator = random.Random(seed)
    sentences = (sentence(generator, plain) for _ in range(count))
    path.write_text("\n\n".join("\n".join(f"{w}\t{t}" for w, t in one) for one in sentences) + "\n")


def recipe(folder: Path, encoder: Path, **more: Any) -> Path:
    """A recipe of seconds."""
    for number, (name, count) in enumerate((("train", 120), ("dev", 30), ("test", 40))):
        if not (folder / f"{name}.conll").is_file():
            write(folder / f"{name}.conll", count, number)
    values = {
        "name": "tiny",
        "task": "tagging",
        "data": {
            **{part: str(folder / f"{part}.conll") for part in ("train", "dev", "test")},
            "clean": {"duplicates": False},
        },
        "teacher": {
            "model": str(encoder),
            "fine_tune": {"epochs": 12, "learning_rate": 0.01, "tokens_per_batch": 256, "chain_rate": 3},
            "max_length": 32,
        },
        "student": {"kind": "transformer", "from_teacher": [0], "max_length": 32},
        "method": ["chain_structural"],
        "seeds": 1,
        "train": {"epochs": 12, "learning_rate": 0.01, "tokens_per_batch": 256},
        "evaluate": {"latency_sentences": 5, "resamples": 200},
        "export": {"changed": 0.5},
        "out": str(folder / "runs"),
        **more,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
