"""What tests of many rooms share: a tiny encoder with its tokeniser, a made-up set of reviews, a recipe over both."""

import csv
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from limbeck.core import progress
from tiny_bert import bert_config, word_pieces

# As the Makefile says it: this process and those that tests start add up in the same order. PyTorch is not loaded yet.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GOOD = ["lovely", "bright", "warm", "clever", "funny", "moving", "rich", "splendid", "tender", "gripping"]
BAD = ["dull", "grey", "cold", "stupid", "tedious", "hollow", "poor", "awful", "clumsy", "limp"]
PLAIN = [
    "the",
    "a",
    "this",
    "film",
    "plot",
    "scene",
    "actor",
    "music",
    "story",
    "end",
    "was",
    "is",
    "felt",
    "seemed",
    "and",
    "with",
    "of",
    "in",
    "it",
]


def review(generator: random.Random) -> tuple[str, str]:
    """A made-up review whose label follows from most of its opinionated words."""
    label = generator.choice(("bad", "good"))
    mine, other = (GOOD, BAD) if label == "good" else (BAD, GOOD)
    words = generator.choices(PLAIN, k=generator.randint(3, 9)) + generator.choices(mine, k=2)
    if generator.random() < 0.3:
        words.append(generator.choice(other))
    generator.shuffle(words)
    return " ".join(words), label


class Listener(progress.Reporter):
    """Hears what is said to the person at the terminal.

    Attributes:
        said: What is done.
        warnings: What is doubtful.
        told: Both in their order, warnings after an exclamation mark.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warnings: list[str] = []
        self.told: list[str] = []

    def say(self, text: str, **facts: Any) -> None:
        json.dumps(facts, default=str)
        self.said.append(text)
        self.told.append(text)

    def warn(self, text: str, **facts: Any) -> None:
        self.warnings.append(text)
        self.told.append(f"! {text}")


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    heard = Listener()
    monkeypatch.setattr(progress, "_reporter", heard)
    return heard


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of shared data sets."""
    folder = os.environ.get("LIMBECK_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("LIMBECK_DATA names no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a BERT of 2 layers by 16, random, with a tokeniser of whole words."""
    import torch
    from transformers import BertModel

    folder = tmp_path_factory.mktemp("encoder")
    tokeniser = word_pieces([*GOOD, *BAD, *PLAIN])
    tokeniser.save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(bert_config(len(tokeniser))).save_pretrained(folder)
    return folder


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A CSV of 240 made-up reviews, two labels."""
    generator = random.Random(0)
    rows = {review(generator) for _ in range(400)}
    path = tmp_path / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(sorted(rows)[:240])
    return path


@pytest.fixture
def recipe_file(tmp_path: Path, reviews: Path, encoder: Path) -> Callable[..., Path]:
    """Writes a recipe for a run of seconds, with changes by key."""

    def write(**changes: Any) -> Path:
        values: dict[str, Any] = {
            "name": "tiny",
            "data": {"train": str(reviews), "dev": 40, "test": 60, "labelled": 80},
            "teacher": {
                "model": str(encoder),
                "fine_tune": {"epochs": 3, "learning_rate": 0.003, "evaluate": 2},
                "max_length": 32,
            },
            "student": {"kind": "static", "embeddings": "random", "dimension": 8, "max_length": 32},
            "method": "logit_regression",
            "seeds": 2,
            "train": {"epochs": 2, "learning_rate": 0.01, "evaluate": 2, "tokens_per_batch": 256},
            "evaluate": {"resamples": 500, "latency_sentences": 5},
            "export": {"changed": 0.2},
            "out": str(tmp_path / "runs"),
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values | changes), encoding="utf-8")
        return path

    return write
