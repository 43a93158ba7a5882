"""All that is said about the models of one run: scores, gains with intervals, calibration, cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import atomic_write, write_json
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.bootstrap import resampled
from limbeck.evaluate.calibration import ece, reliability, softmax
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.metrics import METRICS, Counts, Floats, Ints, agreement, confusion, signature

EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.parquet"

Role = Literal["teacher", "student", "control"]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What one model answered on the test set.

    Attributes:
        name: ``teacher``, or the method's name; all seeds of a method share it.
        role: What it is in this run.
        seed: The seed that it was trained under; None for a model that was not trained here.
        logits: Its answers in the order of the test examples, ``(examples, classes)``.
        dev_score: Its score on dev, by which one seed is picked where only one is shown.
    """

    name: str
    role: Role
    seed: int | None
    logits: NDArray[np.floating]
    dev_score: float | None = None

    @property
    def column(self) -> str:
        """Its column in the predictions file: NAME, or NAME@SEED."""
        return self.name if self.seed is None or self.role == "teacher" else f"{self.name}@{self.seed}"


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A model with all that follows from its answers: probabilities, classes ``(examples,)``, scores."""

    model: Model
    probabilities: Floats
    predicted: Ints
    scores: Mapping[str, float]


def evaluate(
    folder: Path,
    labels: Sequence[str],
    examples: Sequence[Example],
    models: Sequence[Model],
    *,
    costs: Sequence[Cost] = (),
    settings: Evaluation | None = None,
    truncated: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Judge the models of a run; write ``evaluation.json`` and ``predictions.parquet``.

    Args:
        folder: Where the two files go.
        labels: Names of the classes, in the order of the logits.
        examples: The test set; every example has its gold label.
        models: What each model answered, seed by seed; at most one of them is the teacher.
        costs: What the models cost, in the order in which they are to be shown.
        settings: Resamples and interval of the bootstrap.
        truncated: How many test sentences were cut, e.g. ``{"teacher": 0, "student": 3}``.

    Returns:
        The content of ``evaluation.json``.

    Raises:
        LimbeckError: An empty test set, an example without a known label, answers that do not fit it.
    """
    settings = settings or Evaluation()
    gold = gold_numbers(examples, labels)
    _check(models, len(examples), len(labels))
    judged = _judge(models, gold, len(labels))
    groups = _by_name(judged)
    best = {name: max(seeds, key=_dev_score) for name, seeds in groups.items()}
    diagrams = {name: reliability(one.probabilities, gold) for name, one in best.items()}
    metrics = judged[0].scores
    content: dict[str, Any] = {
        "labels": list(labels),
        "test": {"examples": len(examples), "truncated": dict(truncated or {})},
        "models": [_model_row(one) for one in judged],
        "summary": _summary(groups),
        "signatures": {name: signature(name, examples=len(gold), labels=len(labels)) for name in metrics},
        "gains": _gains(groups, gold, len(labels), settings),
        "cost": cost_rows(costs, teacher=_named(groups, "teacher")),
        "calibration": {
            name: {"ece": ece(bins), "bins": [asdict(one) for one in bins]} for name, bins in diagrams.items()
        },
        "confusion": {
            name: confusion(gold, one.predicted, len(labels)).tolist() for name, one in best.items()
        },
    }
    write_predictions(folder / PREDICTIONS, labels, examples, judged)
    write_json(folder / EVALUATION, content)
    return content


def gold_numbers(examples: Sequence[Example], labels: Sequence[str]) -> Ints:
    """Class numbers of the examples' gold labels, ``(examples,)``.

    Raises:
        LimbeckError: There are no examples, or one has no gold label, or one that is not known.
    """
    if not examples:
        raise LimbeckError("the test set is empty")
    number = {label: n for n, label in enumerate(labels)}
    for example in examples:
        if example.gold is None:
            raise LimbeckError(
                f"test example '{example.id}' has no gold label",
                where=example.origin or None,
                fix="Every test example needs one",
            )
        if example.gold not in number:
            raise LimbeckError(
                f"test example '{example.id}' has the label '{example.gold}', which the models do not know",
                where=example.origin or None,
                fix=f"They know: {', '.join(labels)}",
            )
    return np.array(
        [number[example.gold] for example in examples if example.gold is not None], dtype=np.int64
    )


def _check(models: Sequence[Model], examples: int, classes: int) -> None:
    """Refuse answers that cannot be those to this test set."""
    if not models:
        raise LimbeckError("there are no models to evaluate")
    seen: set[str] = set()
    for model in models:
        if model.column in seen:
            raise LimbeckError(f"'{model.column}' is there twice; each model and seed is judged once")
        seen.add(model.column)
        if model.logits.shape != (examples, classes):
            raise LimbeckError(
                f"the answers of '{model.column}' have the shape {model.logits.shape}, "
                f"but the test set has {examples} examples and {classes} labels"
            )
        # Minus infinity is the logit of a probability of zero; a row of nothing else is no answer.
        usable = (model.logits < np.inf).all(axis=1) & np.isfinite(model.logits.max(axis=1))
        if not usable.all():
            raise LimbeckError(
                f"{int((~usable).sum())} answers of '{model.column}' are not numbers (NaN or infinite)",
                fix="Train it anew with a lower learning rate, or mend the file of answers",
            )


def _judge(models: Sequence[Model], gold: Ints, classes: int) -> list[Judged]:
    """Scores of each model, in the models' order; agreement only where there is a teacher."""
    probabilities = [softmax(model.logits) for model in models]
    predicted = np.stack([model.logits.argmax(axis=-1) for model in models])
    counts = Counts.of(confusion(gold, predicted, classes))
    scores = {name: metric(counts) for name, metric in METRICS.items()}
    teacher = next((row for row, model in enumerate(models) if model.role == "teacher"), None)
    if teacher is not None:
        scores["agreement"] = agreement(predicted, predicted[teacher])
    scores["ece"] = np.array([ece(reliability(one, gold)) for one in probabilities])
    return [
        Judged(
            model,
            probabilities[row],
            predicted[row],
            {name: float(all_[row]) for name, all_ in scores.items()},
        )
        for row, model in enumerate(models)
    ]


def _by_name(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The seeds of each model: teacher first, then control, then students, each in the order given."""
    order = {"teacher": 0, "control": 1, "student": 2}
    groups: dict[str, list[Judged]] = {}
    for one in sorted(judged, key=lambda one: order[one.model.role]):
        groups.setdefault(one.model.name, []).append(one)
    return groups


def _named(groups: Mapping[str, list[Judged]], role: Role) -> str | None:
    return next((name for name, seeds in groups.items() if seeds[0].model.role == role), None)


def _dev_score(one: Judged) -> float:
    return -np.inf if one.model.dev_score is None else one.model.dev_score


def _model_row(one: Judged) -> dict[str, Any]:
    return {
        "name": one.model.name,
        "role": one.model.role,
        "seed": one.model.seed,
        "scores": dict(one.scores),
    }


def _summary(groups: Mapping[str, list[Judged]]) -> list[dict[str, Any]]:
    """Mean and deviation (of the sample; 0 where there is one seed) of each score over a model's seeds."""
    means = {
        name: {metric: float(np.mean([one.scores[metric] for one in seeds])) for metric in seeds[0].scores}
        for name, seeds in groups.items()
    }
    teacher = _named(groups, "teacher")
    reference = means[teacher]["accuracy"] if teacher else 0.0
    rows = []
    for name, seeds in groups.items():
        values = {metric: [one.scores[metric] for one in seeds] for metric in means[name]}
        rows.append(
            {
                "name": name,
                "role": seeds[0].model.role,
                "seeds": len(seeds),
                "mean": means[name],
                "deviation": {m: float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for m, v in values.items()},
                "retention": means[name]["accuracy"] / reference if reference else None,
            }
        )
    return rows


def _gains(
    groups: Mapping[str, list[Judged]], gold: Ints, classes: int, settings: Evaluation
) -> list[dict[str, Any]]:
    """Each method over the control by every metric; methods and control over the teacher by accuracy."""
    teacher, control = _named(groups, "teacher"), _named(groups, "control")
    methods = [name for name in groups if name not in (teacher, control)]
    wanted: list[tuple[str, str, str]] = []
    if control:
        wanted += [(of, control, metric) for of in methods for metric in METRICS]
    if teacher:
        others = [*methods, control] if control else methods
        wanted += [(of, teacher, "accuracy") for of in others]
    if not wanted:
        return []
    everyone = [one for seeds in groups.values() for one in seeds]
    rows: dict[str, list[int]] = {}
    for row, one in enumerate(everyone):
        rows.setdefault(one.model.name, []).append(row)
    predicted = np.stack([one.predicted for one in everyone])
    scores = resampled(gold, predicted, classes, resamples=settings.resamples)
    return [
        {"of": of, "over": over, "metric": metric}
        | asdict(scores.gain(metric, rows[of], rows[over], settings.interval))
        for of, over, metric in wanted
    ]


def cost_rows(costs: Sequence[Cost], teacher: str | None) -> list[dict[str, Any]]:
    """Costs as flat rows, each with how many times faster it is than the teacher in PyTorch.

    What was not measured is None.
    """
    reference = next((c.speed for c in costs if c.name == teacher and c.engine == "pytorch"), None)
    return [
        {
            "name": cost.name,
            "engine": cost.engine,
            "parameters": cost.parameters,
            "bytes": cost.bytes,
            "p50_ms": cost.speed and cost.speed.p50_ms,
            "p95_ms": cost.speed and cost.speed.p95_ms,
            "per_second": cost.speed and cost.speed.per_second,
            "times_faster": reference.p50_ms / cost.speed.p50_ms if reference and cost.speed else None,
        }
        for cost in costs
    ]


def write_predictions(
    path: Path, labels: Sequence[str], examples: Sequence[Example], judged: Sequence[Judged]
) -> None:
    """Write the examples, and each model's probabilities in a column of its own, as Parquet.

    The labels, in the order of the probabilities, are a JSON list under ``labels`` in the schema's metadata.
    """
    columns: dict[str, pa.Array] = {
        field: pa.array([getattr(example, field) for example in examples], pa.string())
        for field in ("id", "text", "gold", "origin")
    }
    offsets = pa.array(np.arange(len(examples) + 1, dtype=np.int32) * len(labels))
    for one in judged:
        values = pa.array(one.probabilities.astype(np.float32).ravel())
        columns[one.model.column] = pa.ListArray.from_arrays(offsets, values)
    metadata = {"labels": json.dumps(list(labels), ensure_ascii=False)}
    with atomic_write(path, "wb") as file:
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file)
