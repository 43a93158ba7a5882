"""All that is said about the classifiers of one run: scores, gains with intervals, calibration, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import write_json
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.bootstrap import Resampled, resampled
from limbeck.evaluate.calibration import ece, reliability, softmax
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.judged import (
    EVALUATION,
    PREDICTIONS,
    Entrant,
    Judged,
    Role,
    best_seeds,
    by_name,
    check_entrants,
    teacher_row,
    verdict,
)
from limbeck.evaluate.metrics import (
    Counts,
    Floats,
    Ints,
    Metric,
    agreement,
    confusion,
    metrics_for,
    signature,
)
from limbeck.evaluate.predictions import column_of, columns_of, write_predictions

__all__ = ["EVALUATION", "PREDICTIONS", "Model", "Role", "evaluate"]

MAIN = "accuracy"
"""The score that decides where no other is asked for, and whose share of the teacher's is the retention."""


@dataclass(frozen=True, slots=True, eq=False)
class Model(Entrant):
    """What one classifier answered on the test set.

    Attributes:
        logits: Its answers in the order of the test examples, ``(examples, classes)``.
        dev_score: Its score on dev, by which one seed is picked where only one is shown.
    """

    logits: NDArray[np.floating]
    dev_score: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Classified(Judged):
    """A classifier with all that follows from its answers: probabilities, classes ``(examples,)``, scores."""

    probabilities: Floats
    predicted: Ints


def evaluate(
    folder: Path,
    labels: Sequence[str],
    examples: Sequence[Example],
    models: Sequence[Model],
    *,
    costs: Sequence[Cost] = (),
    settings: Evaluation | None = None,
    truncated: Mapping[str, int] | None = None,
    metric: str = MAIN,
    positive: str | None = None,
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
        metric: The score that decides.
        positive: Of two classes the one whose F1 is ``binary_f1``; None is the second.

    Returns:
        The content of ``evaluation.json``.

    Raises:
        LimbeckError: An empty test set, an example without a known label, answers that do not fit it.
    """
    settings = settings or Evaluation()
    gold = gold_numbers(examples, labels)
    check_answers(models, len(examples), len(labels))
    metrics = metrics_for(labels, metric, positive)
    judged = _judge(models, gold, len(labels), metrics)
    best = best_seeds(by_name(judged))
    diagrams = {name: reliability(one.probabilities, gold) for name, one in best.items()}
    signatures = {name: signature(name, examples=len(gold), labels=len(labels)) for name in judged[0].scores}

    def resample(everyone: Sequence[Classified]) -> Resampled:
        predicted = np.stack([one.predicted for one in everyone])
        return resampled(gold, predicted, len(labels), metrics=metrics, resamples=settings.resamples)

    content: dict[str, Any] = {
        "labels": list(labels),
        "test": {"examples": len(examples), "truncated": dict(truncated or {})},
        **({} if metric == MAIN else {"metric": metric}),
        **verdict(judged, [*metrics], metric, settings, resample, costs=costs, signatures=signatures),
        "calibration": {
            name: {"ece": ece(bins), "bins": [asdict(one) for one in bins]} for name, bins in diagrams.items()
        },
        "confusion": {
            name: confusion(gold, one.predicted, len(labels)).tolist() for name, one in best.items()
        },
    }
    said = {one.model.column: column_of(one.probabilities) for one in judged}
    told = columns_of(examples, pa.array([example.gold for example in examples], pa.string()))
    write_predictions(folder / PREDICTIONS, labels, told | said)
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


def check_answers(models: Sequence[Model], examples: int, classes: int) -> None:
    """Refuse answers that cannot be those to this test set.

    Raises:
        LimbeckError: They have another shape, or some are no numbers.
    """
    check_entrants(models)
    for model in models:
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


def _judge(
    models: Sequence[Model], gold: Ints, classes: int, metrics: Mapping[str, Metric]
) -> list[Classified]:
    """Scores of each model, in the models' order; agreement only where there is a teacher."""
    probabilities = [softmax(model.logits) for model in models]
    predicted = np.stack([model.logits.argmax(axis=-1) for model in models])
    counts = Counts.of(confusion(gold, predicted, classes))
    scores = {name: metric(counts) for name, metric in metrics.items()}
    teacher = teacher_row(models)
    if teacher is not None:
        scores["agreement"] = agreement(predicted, predicted[teacher])
    scores["ece"] = np.array([ece(reliability(one, gold)) for one in probabilities])
    return [
        Classified(
            model,
            model.dev_score,
            {name: float(all_[row]) for name, all_ in scores.items()},
            probabilities[row],
            predicted[row],
        )
        for row, model in enumerate(models)
    ]
