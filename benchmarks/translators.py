"""What the translation benchmarks share: data, sizes, training, and the measures of a run's texts and students."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.analyse.measures import measure
from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json
from limbeck.core.recipe import Recipe
from limbeck.pipeline import Run, distill, steps
from limbeck.pipeline.distilling import stages_of
from results_file import Row

DATA = "tatoeba_multi_en_de_fr_es/multi.tsv"
RUNS = Path("runs/translators")
SCALE = 0.5
"""Width of models here, as a share of the published."""
MAX_LENGTH = 64
TRAINING: dict[str, Any] = {
    "learning_rate": 1e-3,
    "schedule": "inverse_sqrt",
    "warmup": 0.1,
    "clip": 1.0,
    "weight_decay": 1e-4,
    "tokens_per_batch": 1500,
    "evaluate": 6,
    "average": 2,
}


def data_file() -> Path:
    """The short sentences in four languages."""
    folder = os.environ.get("LIMBECK_DATA")
    if not folder or not (Path(folder) / DATA).is_file():
        raise LimbeckError(
            f"LIMBECK_DATA names no folder that holds {DATA}", fix="export LIMBECK_DATA=FOLDER"
        )
    return Path(folder) / DATA


def source(*languages: str) -> list[Row]:
    """English, and the translations into these languages."""
    return [
        {"path": str(data_file()), "text": "en", "target": language, "language": language}
        for language in languages
    ]


def recipe(name: str, *, epochs: int, teacher: Mapping[str, Any], **keys: Any) -> Recipe:
    """A recipe of translators from English to German; ``keys`` are further ones of the recipe."""
    values: dict[str, Any] = {
        "task": "translation",
        "name": name,
        "data": {"train": source("de"), "dev": 500, "test": 1000, "vocabulary": {"size": 4000}},
        "teacher": {"max_length": MAX_LENGTH, **teacher},
        "train": {"epochs": epochs, **TRAINING},
        "evaluate": {"latency_sentences": 0, "resamples": 2000},
        "seeds": 1,
        "jobs": 2,
        "out": str(RUNS),
    }
    return Recipe.model_validate({**values, **keys})


def taught(size: str, epochs: int) -> dict[str, Any]:
    """A teacher of this size, trained here; one that a benchmark has trained before is taken as it is."""
    return {
        "scratch": {"kind": "autoregressive", "size": size, "scale": SCALE},
        "fine_tune": {"epochs": epochs, **TRAINING, "learning_rate": 1e-3},
    }


def finished(made: Recipe) -> Run:
    """The run of a recipe, all its steps done."""
    run = Run.of(made)
    distill(run)
    return run


def taught_once(made: Recipe) -> str:
    """Folder of the teacher that a recipe trains: trained now, where it is not there."""
    run = Run.of(made)
    steps.prepare(run)
    steps.teach(run)
    return str(run.teacher_folder.path)


def text_row(run: Run, title: str) -> Row:
    """Measures of the text that a method's student trained on, against the real translations."""
    (stage,) = [each for each in stages_of(run, title) if each.trains == "student"]  # type: ignore[arg-type]
    found = measure(run.text_of(title, stage), run.transfer_set)
    return {
        "complexity": found.complexity,
        "faithfulness": found.faithfulness,
        "reordering": found.reordering,
        "text_bleu": found.bleu,
        "length_ratio": found.length_ratio,
    }


def student_rows(run: Run, title: str) -> Row:
    """BLEU of a method's students on test: the mean over seeds, with the interval that the evaluation gives it."""
    content = read_json(run.evaluation_folder.path / "evaluation.json")
    (row,) = [each for each in content["methods"] if each["name"] == title]
    return row
