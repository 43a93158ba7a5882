"""Beside the test answers: what an analysis reads in a run's other folders, and what its models are asked for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.analyse.mistakes.analysis import Beside
from limbeck.analyse.mistakes.rows import Background, Cut, Training, words_of
from limbeck.analyse.mistakes.tempered import Answers, of_texts
from limbeck.core.errors import LimbeckError
from limbeck.evaluate.kept import Kept
from limbeck.pipeline.asking import Asked, evenly, what_models_say
from limbeck.pipeline.asking_taggers import what_taggers_say
from limbeck.text.tags import mark_spans
from limbeck.transfer.transfer_set import TransferSet

PRIOR_TEXTS = 50_000
"""Training texts, at most, that the prior of words is taken from; evenly spaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """All that is known beside the test answers.

    Attributes:
        beside: For the analysis.
        asked: What models said; None where they were not, or could not be asked.
    """

    beside: Beside
    asked: Asked | None


def gather(folder: Path, kept: Kept, student: str, rare: int, *, ask_models: bool = True) -> Gathered:
    """What there is beside a run's test answers; whatever is missing is told of, and left out.

    Args:
        folder: The run's.
        kept: Its test answers.
        student: The student that is looked at.
        rare: A word is rare that stands in the training text at most this many times.
        ask_models: Ask the run's models about dev and the transfer text, where that was not done before.
    """
    why: dict[str, str] = {}
    trained_on = _training_text(folder, why)
    plain = kept.task != "tagging" or not mark_spans(kept.labels)
    training = None if trained_on is None else Training.of(trained_on.examples, plain)
    background = Background(training, _cut(folder, student, why), rare)
    asked = what_models_say(folder, kept, why, ask_models)
    tagged = what_taggers_say(folder, kept, why, ask_models)
    known_text = (
        () if trained_on is None else [words_of(one) for one in evenly(trained_on.examples, PRIOR_TEXTS)]
    )
    temperatures = _temperatures(folder)
    dev, words = (_dev_of(kept, asked), None) if tagged is None else (tagged["dev"], tagged["test"])
    beside = Beside(background, known_text, dev, words, temperatures, why)
    return Gathered(beside, asked)


# Training text and tokeniser.


def _training_text(folder: Path, why: dict[str, str]) -> TransferSet | None:
    """The text that students were trained on."""
    places = (("rewritten", "transfer"), ("prepared", "train"))
    found = next((place for place in places if (folder / place[0] / f"{place[1]}.arrow").is_file()), None)
    if found is None:
        why["training"] = "the run's folder holds no training text any more"
        return None
    return TransferSet.load(folder / found[0], found[1])


def _cut(folder: Path, student: str, why: dict[str, str]) -> Cut | None:
    """How the student's tokeniser cuts a word."""
    from tokenizers import Tokenizer

    places = [*sorted((folder / "students" / student).glob("seed-*")), folder / "bundle"]
    path = next((each / "tokenizer.json" for each in places if (each / "tokenizer.json").is_file()), None)
    if path is None:
        why["tokeniser"] = "the run's folder holds no tokeniser of its student any more"
        return None
    tokeniser = Tokenizer.from_file(str(path))
    tokeniser.no_padding()
    tokeniser.no_truncation()
    unknown = _unknown(json.loads(path.read_text(encoding="utf-8"))["model"])

    def cut(word: str) -> Sequence[str] | None:
        pieces: list[str] = tokeniser.encode(word, add_special_tokens=False).tokens
        return None if unknown in pieces else pieces

    return cut


def _unknown(model: Mapping[str, Any]) -> str | None:
    """The token that stands for what a tokeniser does not know."""
    if model.get("unk_id") is not None:
        return str(model["vocab"][model["unk_id"]][0])
    found = model.get("unk_token")
    return None if found is None else str(found)


def _dev_of(kept: Kept, asked: Asked | None) -> Mapping[str, Sequence[Answers]] | None:
    if asked is None or kept.task == "regression":
        return None
    return of_texts(kept.task, kept.labels, asked.dev, asked.dev_examples)


def _temperatures(folder: Path) -> list[float]:
    """Those at which the run's methods hear the teacher, as far as its recipe can be read."""
    from limbeck.pipeline.run import Run

    try:
        run = Run.open(folder)
        settings = [method.settings(values).model_dump() for method, values in run.methods.values()]
    except LimbeckError:
        return []
    return sorted({float(each) for one in settings for each in _named("temperature", one)})


def _named(key: str, values: Any) -> Iterator[Any]:
    """Everything that stands under a key, however deep."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            if name == key and isinstance(value, int | float):
                yield value
            else:
                yield from _named(key, value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _named(key, value)
