"""Modes: what is left of several languages that nothing marks (the slides' case study on toy data, our size).

The slides ("Knowledge Distillation in NLP"; Zhou, Gu and Neubig 2020) have English sentences with translations into
German, French and Spanish, and nothing that says which is wanted. C(d) of this mixture is 3.67 there, of one
translation of each sentence, drawn at random, 3.30, and of the teacher's 2.64; and a parallel student that learned
distilled text writes one language at a time. Here: tatoeba, 12,000 English sentences of six words with all three
translations (34,200 pairs to learn from, 500 sentences to test on); an autoregressive teacher and vanilla students with
3 + 3 layers of 128 (``tiny``, half as wide as published; 2.2 million weights, half a million of them embeddings).

    python benchmarks/modes.py          # two cores: about 50 minutes (teacher 12, students 35)
    python benchmarks/modes.py --full   # all 22,350 sentences, twice the epochs, three seeds

A row a panel of the slides (``panel`` a to d), as ``limbeck study modes`` has it: C(d) of what was learned, averaged
over words and over links; the share of outputs that are in one language (``decided``), and in each; BLEU against each.
The picture is ``results/modes.svg``. LIMBECK_DATA names the folder that holds ``tatoeba_multi_en_de_fr_es``. Run again,
it goes on where it stopped.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import command
import translators
from limbeck.core.files import atomic_write
from limbeck.core.recipe import Recipe
from limbeck.pipeline import Run
from limbeck.pipeline.study import study
from results_file import Aim, ResultsFile, Row

RUNS = Path("runs/modes")
DATA = ("tatoeba_multi_en_de_fr_es", "multi.tsv")
LANGUAGES = ("de", "fr", "es")
SENTENCES = 12_000
SIZE = {"size": "tiny", "scale": 0.5}
EPOCHS = {"teacher": 12, "student": 10}
RATES = {"teacher": 1e-3, "student": 2e-3}
TRAINING = {**translators.TRAINING, "tokens_per_batch": 500}
"""Small batches: a parallel student needs many steps to get off the ground."""
GREEDY = {"search": "greedy", "max_length": translators.MAX_LENGTH}
PANELS = {
    "teacher": "a",
    "mixture": "b",
    "random reduction": "c",
    "distilled text": "d",
}
"""The slides' panels: the teacher, and what a student learned."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "all sentences, twice the epochs, three seeds")
    results = command.opened("modes", full)
    if not all(results.has(panel=panel) for panel in PANELS.values()):
        fill(recipe(full), results)
    command.judged(results, AIMS)


def fill(made: Recipe, results: ResultsFile) -> None:
    """The rows that are not there, and the picture."""
    found = study(Run.of(made))
    for row in found.rows:
        if not results.has(panel=row["panel"]):
            results.append(**flat(row))
    assert found.picture is not None
    with atomic_write(results.path.with_suffix(".svg")) as file:
        file.write(found.picture.read_text(encoding="utf-8"))


def flat(row: Mapping[str, Any]) -> Row:
    """A panel's row, with a field a language in place of an object of all."""
    found: Row = {}
    for name, value in row.items():
        parts = value if isinstance(value, Mapping) else {"": value}
        found |= {f"{name}_{part}" if part else name: each for part, each in parts.items()}
    return found


def recipe(full: bool) -> Recipe:
    """The study's recipe; equal steps for all students."""
    path, times = sentences(None if full else SENTENCES), 2 if full else 1
    values: dict[str, Any] = {
        "name": "modes" + "-full" * full,
        "task": "translation",
        "data": {
            "train": [
                {"path": str(path), "text": "en", "target": each, "language": each} for each in LANGUAGES
            ],
            "dev": 300,
            "test": 1500,
            "vocabulary": {"size": 4000},
        },
        "teacher": {
            "scratch": {"kind": "autoregressive", **SIZE},
            "fine_tune": {**TRAINING, "epochs": times * EPOCHS["teacher"], "learning_rate": RATES["teacher"]},
            "max_length": translators.MAX_LENGTH,
        },
        "student": {"kind": "vanilla", **SIZE, "max_length": translators.MAX_LENGTH},
        "method": ["random_selection", {"name": "sequence_level", "decoding": GREEDY}],
        "train": {**TRAINING, "epochs": times * EPOCHS["student"], "learning_rate": RATES["student"]},
        "evaluate": {"decoding": GREEDY},
        "seeds": 3 if full else 1,
        "jobs": 2,
        "out": str(RUNS),
    }
    return Recipe.model_validate(values)


def sentences(most: int | None) -> Path:
    """The table of sentences; with ``most``, a table of so many of them, drawn once, all translations of each."""
    whole = command.shared(*DATA)
    if most is None:
        return whole
    drawn = RUNS / "data" / f"multi-{most}.tsv"
    if not drawn.is_file():
        head, *lines = whole.read_text(encoding="utf-8").splitlines()
        places = sorted(random.Random(0).sample(range(len(lines)), min(most, len(lines))))
        with atomic_write(drawn) as file:
            file.write("\n".join([head, *(lines[place] for place in places)]) + "\n")
    return drawn


def gap(field: str, larger: str, smaller: str) -> Callable[[Sequence[Row]], float | None]:
    """By how much a panel's field is above another's."""

    def measured(rows: Sequence[Row]) -> float | None:
        values = {row["panel"]: row[field] for row in rows}
        more, less = (values.get(PANELS[name]) for name in (larger, smaller))
        return None if more is None or less is None else more - less

    return measured


FALLS = (("mixture", "random reduction"), ("random reduction", "distilled text"))
AIMS = [
    *(
        Aim(f"C(d){by}: {simpler} below {other}, nats", gap(field, other, simpler), above=0)
        for field, by in (("complexity", ""), ("complexity_by_link", " by link"))
        for other, simpler in FALLS
    ),
    Aim(
        "share of outputs in one language: the student of distilled text above that of the mixture",
        gap("decided", "distilled text", "mixture"),
        above=0,
    ),
]

if __name__ == "__main__":
    command.run(main)
