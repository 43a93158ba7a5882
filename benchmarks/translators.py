"""What the translation benchmarks share: data, recipes, and what their rows say of texts and of models.

``tatoeba`` is 22,350 short English sentences with German translations, ten pieces of words long; Multi30k is longer.
LIMBECK_DATA names the folder that holds both.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import command
from limbeck.analyse.aligned import AlignedText
from limbeck.analyse.measures import measure
from limbeck.core.example import Example
from limbeck.core.recipe import Recipe
from limbeck.pipeline.run import CONTROL
from limbeck.pipeline.translation import TranslationRun
from results_file import ResultsFile, Row

RUNS = Path("runs/translators")
MAX_LENGTH = 64
HELD_OUT: dict[str, Any] = {"dev": 500, "test": 1000}
VOCABULARY = 4000
ROUNDS = 2
"""How often texts are aligned: the aligner takes no seed, and means over rounds differ less."""
TRAINING: dict[str, Any] = {
    "schedule": "inverse_sqrt",
    "warmup": 0.1,
    "clip": 1.0,
    "weight_decay": 1e-4,
    "tokens_per_batch": 500,
    "evaluate": 6,
    "average": 2,
}
"""Small batches, of about 45 sentences of tatoeba: a parallel student needs many steps to get off the ground."""
JOBS = 3
"""Students at a time: three on two cores leave less idle where their number is odd."""
FULL = "more epochs, three seeds: for larger machines"
"""What ``--full`` does."""
RATES = {"teacher": 1e-3, "student": 2e-3}
MEASURES = (
    "complexity",
    "complexity_by_link",
    "faithfulness",
    "reordering",
    "text_bleu",
    "length_ratio",
)
"""Fields of a text: C(d), over words and over links; F(d), fuzzy reordering score, BLEU against the real text, words a
source word."""
Measured = Callable[[Sequence[Row]], float | None]


# Recipes.


def tatoeba(language: str = "de") -> dict[str, Any]:
    """English, and its translations into a language."""
    path = str(command.shared("tatoeba_multi_en_de_fr_es", "multi.tsv"))
    return {
        "train": {"path": path, "text": "en", "target": language, "language": language},
        **HELD_OUT,
        "vocabulary": {"size": VOCABULARY},
    }


def teacher(size: str, scale: float, epochs: float, rate: float = RATES["teacher"]) -> dict[str, Any]:
    """An autoregressive teacher of this size, trained here."""
    return {
        "scratch": {"kind": "autoregressive", "size": size, "scale": scale},
        "fine_tune": {"epochs": epochs, "learning_rate": rate, **TRAINING},
        "max_length": MAX_LENGTH,
    }


def recipe(
    name: str,
    data: Mapping[str, Any],
    teacher: Mapping[str, Any],
    student: Mapping[str, Any],
    methods: Sequence[Mapping[str, Any]],
    *,
    epochs: float,
    seeds: int = 1,
    **keys: Any,
) -> Recipe:
    """A recipe of translators; ``keys`` are further ones of the recipe."""
    values = {
        "task": "translation",
        "name": name,
        "data": data,
        "teacher": teacher,
        "student": {**student, "max_length": MAX_LENGTH},
        "method": list(methods),
        "train": {"epochs": epochs, "learning_rate": RATES["student"], **TRAINING},
        "evaluate": {"latency_sentences": 0, "resamples": 2000, "decoding": {"max_length": MAX_LENGTH}},
        "export": {"changed": 1.0},  # the bundles are by-products here
        "seeds": seeds,
        "jobs": JOBS,
        "out": str(RUNS),
        **keys,
    }
    return Recipe.model_validate(values)


# Runs.


SHARED = ("teacher", "successors", "distilled")
"""Folders of a run that do not depend on its student."""


def adopt(run: TranslationRun, earlier: TranslationRun) -> None:
    """Take over the teacher, its successors and their texts from a run with another student."""
    for part in SHARED:
        command.copied(earlier.folder / part, run.folder / part)


# Rows.


def measure_texts(
    run: TranslationRun, texts: Mapping[str, str], results: ResultsFile, place: Row | None = None
) -> None:
    """Rows of what students train on (``kind: text``), one a round, with alignments of its own.

    What is measured against the real text is so against that round's alignment of it; so is the real text, aligned
    once more, whose F(d) is what alignment alone makes of it.

    Args:
        run: What made the texts.
        texts: Their names in the rows, and of each the method whose student trains on it; the control's is real.
        results: Where rows go.
        place: Further fields of the rows.
    """
    for number in range(1, ROUNDS + 1):
        keys = {text: {"kind": "text", **(place or {}), "text": text, "round": number} for text in texts}
        left = [text for text in texts if not results.has(**keys[text])]
        if left:
            real = AlignedText.of(run.transfer_set.labelled)
            for text in left:
                results.append(**keys[text], **measured(text_of(run, texts[text]), real, run.language))


def text_of(run: TranslationRun, title: str) -> tuple[Example, ...]:
    """What a method's student trains on."""
    if title == CONTROL:
        return run.transfer_set.labelled.examples
    (stage,) = run.students_stages(title)
    return run.text_of(title, stage).examples


def measured(text: Sequence[Example], real: AlignedText, language: str) -> Row:
    """Measures of a text against the real one."""
    found = measure(text, real, language=language)
    assert found.against is not None
    return {
        "complexity": found.text.complexity,
        "complexity_by_link": found.text.complexity_by_link,
        "faithfulness": found.faithfulness,
        "reordering": found.text.reordering,
        "text_bleu": found.against.bleu,
        "length_ratio": found.text.length_ratio,
    }


def mean_measures(rows: Sequence[Row]) -> Row:
    """Means over the rounds of a text."""
    return {field: statistics.fmean(row[field] for row in rows) for field in MEASURES} | {"rounds": len(rows)}


def scores(run: TranslationRun) -> dict[str, Row]:
    """BLEU on test of the teacher and of every method's students, with the interval of the mean over seeds.

    ``dev_bleu`` is the students' on dev: what is chosen by it has no luck on test.
    """
    found = run.evaluation
    dev = {
        name: statistics.fmean(run.dev_score(name, seed) for seed in run.recipe.seeds) for name in run.methods
    }
    spans = {
        span["name"]: span for span in found["intervals"] if span["seed"] is None and span["metric"] == "bleu"
    }
    return {
        row["name"]: {
            "bleu": row["mean"]["bleu"],
            "low": spans[row["name"]]["low"],
            "high": spans[row["name"]]["high"],
            "chrf": row["mean"]["chrf"],
            "dev_bleu": dev.get(row["name"]),
            "seeds": row["seeds"],
        }
        for row in found["summary"]
    }


# Aims.


def value(rows: Sequence[Row], field: str, **key: Any) -> float | None:
    """A field of the summary row with this key."""
    wanted = {"kind": "summary", **key}
    found = [row[field] for row in rows if all(row.get(name) == each for name, each in wanted.items())]
    return found[0] if found else None


def gap(field: str, larger: Row, smaller: Row) -> Measured:
    """By how much a field of one summary row is above that of another."""

    def found(rows: Sequence[Row]) -> float | None:
        high, low = value(rows, field, **larger), value(rows, field, **smaller)
        return None if high is None or low is None else high - low

    return found
