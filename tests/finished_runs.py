"""Folders of finished runs of every task, judged by the house's own evaluations, for what reads such folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from limbeck.core.example import Example
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.evaluate import Model, Role, evaluate
from limbeck.evaluate.outcomes import evaluate_outcomes
from limbeck.evaluate.speed import Speed
from limbeck.evaluate.tagging import TagModel, evaluate_tagging
from limbeck.evaluate.translation import TranslationModel, evaluate_translations

LABELS = ("bad", "fine", "good")
TAGS = ("O", "B-LOC", "I-LOC", "B-PER")
WORDS = ("ba", "be", "bi", "bo", "da", "de", "di", "do")
RESAMPLES, INTERVAL = 300, 0.9
SETTINGS = Evaluation(resamples=RESAMPLES, interval=INTERVAL)
TEACHER_COST = Cost("teacher", "pytorch", 1_000_000, 4_000_000, Speed(20.0, 30.0, 60.0))
Errors = dict[str, float]
"""How often each model errs: ``teacher``, ``gold`` (the control), and students."""


def entrants(errors: Errors, seeds: Sequence[int]) -> list[tuple[str, Role, int | None, float, int]]:
    """Name, role, seed, how often it errs, and the seed of its luck; a teacher errs alike in every run."""
    found: list[tuple[str, Role, int | None, float, int]] = []
    for number, (name, rate) in enumerate(errors.items()):
        role: Role = "teacher" if name == "teacher" else "control" if name == "gold" else "student"
        for seed in (None,) if role == "teacher" else seeds:
            found.append(
                (name, role, seed, rate, 0 if seed is None else 100 * len(errors) + 10 * number + seed)
            )
    return found


def write(
    folder: Path,
    task: str,
    errors: Errors,
    seeds: Sequence[int] = (1, 2),
    examples: int = 60,
    p50: float | None = 0.5,
    **recipe: Any,
) -> Path:
    """Write a run's recipe and its evaluation."""
    student = next(name for name in [*errors][::-1] if name != "teacher")
    speed = None if p50 is None else Speed(p50, 2 * p50, 1000 / p50)
    costs = [
        *([TEACHER_COST] if "teacher" in errors else []),
        Cost(student, "onnx-int8", 10_000, 11_000, speed),
    ]
    WRITERS[task](folder / "evaluation", entrants(errors, seeds), examples, costs)
    values = {"name": folder.name, "task": task, "evaluate": {"resamples": RESAMPLES, "interval": INTERVAL}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values | recipe))
    return folder


def origin_of(number: int) -> str:
    """Every third text is from the web."""
    return f"{'news' if number % 3 else 'web'}.txt:{number + 1}"


def _classifiers(folder: Path, who: Any, count: int, costs: list[Cost]) -> None:
    gold = np.random.default_rng(7).integers(0, 3, count)
    tests = [
        Example(f"{folder}:{n}", f"text {n}", LABELS[label], origin_of(n)) for n, label in enumerate(gold)
    ]
    models = []
    for name, role, seed, rate, luck in who:
        random = np.random.default_rng(luck)
        said = np.where(random.random(count) < rate, (gold + 1) % 3, gold)
        models.append(Model(name, role, seed, 2.0 * np.eye(3)[said] + random.normal(0, 0.2, (count, 3))))
    evaluate(folder, LABELS, tests, models, costs=costs, settings=SETTINGS)


def _scores(folder: Path, who: Any, count: int, costs: list[Cost]) -> None:
    gold = np.random.default_rng(7).random(count) * 5
    tests = [
        Example(f"{folder}:{n}", f"text {n}", score=float(score), origin=origin_of(n))
        for n, score in enumerate(gold)
    ]
    models = [
        Model(name, role, seed, (gold + 5 * rate * np.random.default_rng(luck).normal(size=count))[:, None])
        for name, role, seed, rate, luck in who
    ]
    evaluate_outcomes("regression", folder, ("score",), tests, models, costs=costs, settings=SETTINGS)


def _sets(folder: Path, who: Any, count: int, costs: list[Cost]) -> None:
    gold = np.random.default_rng(7).random((count, 3)) < 0.4
    named = [tuple(label for label, there in zip(LABELS, row, strict=True) if there) for row in gold]
    tests = [
        Example(f"{folder}:{n}", f"text {n}", labels=labels, origin=origin_of(n))
        for n, labels in enumerate(named)
    ]
    models = []
    for name, role, seed, rate, luck in who:
        wrong = np.random.default_rng(luck).random((count, 3)) < rate
        models.append(Model(name, role, seed, np.where(gold ^ wrong, 2.0, -2.0)))
    evaluate_outcomes("multilabel", folder, LABELS, tests, models, costs=costs, settings=SETTINGS)


def _taggers(folder: Path, who: Any, count: int, costs: list[Cost]) -> None:
    random = np.random.default_rng(7)
    gold = [random.choice(len(TAGS), size, p=(0.6, 0.2, 0.1, 0.1)) for size in random.integers(1, 7, count)]
    tests = [
        Example(
            f"{folder}:{n}",
            "",
            words=tuple(f"w{n}" for n in range(len(tags))),
            tags=tuple(TAGS[t] for t in tags),
            origin=origin_of(n),
        )
        for n, tags in enumerate(gold)
    ]
    models = []
    for name, role, seed, rate, luck in who:
        random = np.random.default_rng(luck)
        said = [np.where(random.random(len(tags)) < rate, (tags + 1) % len(TAGS), tags) for tags in gold]
        sure = [0.3 + 0.7 * random.random(len(tags)) for tags in gold]
        bits = [2 * random.random(len(tags)) for tags in gold]
        models.append(TagModel(name, role, seed, said, confidence=sure, entropy=bits))
    evaluate_tagging(folder, TAGS, tests, models, costs=costs, settings=SETTINGS)


def _translators(folder: Path, who: Any, count: int, costs: list[Cost]) -> None:
    random = np.random.default_rng(7)
    gold = [random.choice(WORDS, size).tolist() for size in random.integers(4, 9, count)]
    tests = [
        Example(f"{folder}:{n}", f"text {n}", targets=(" ".join(said),), origin=origin_of(n))
        for n, said in enumerate(gold)
    ]
    models = []
    for name, role, seed, rate, luck in who:
        random = np.random.default_rng(luck)
        said = [" ".join("uh" if random.random() < rate else word for word in text) for text in gold]
        passes = None if role == "teacher" else [seed + n % 2 for n in range(count)]
        sure = (-2 * random.random(count)).tolist()
        models.append(TranslationModel(name, role, seed, said, passes=passes, log_probabilities=sure))
    evaluate_translations(folder, tests, models, costs=costs, settings=SETTINGS, language="de")


def without_sureness(folder: Path) -> Path:
    """The run as an evaluation left it that did not ask models how sure they are."""
    path = folder / "evaluation" / "predictions.parquet"
    table = pq.read_table(path)
    pq.write_table(table.select([name for name in table.column_names if ":" not in name]), path)
    return folder


WRITERS = {
    "classification": _classifiers,
    "regression": _scores,
    "multilabel": _sets,
    "tagging": _taggers,
    "translation": _translators,
}
