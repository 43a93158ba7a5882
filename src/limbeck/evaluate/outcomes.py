"""All that is said about the models of one run that give texts scores, or sets of labels.

The sibling of :mod:`limbeck.evaluate.evaluate`. Of scores, Pearson's and Spearman's correlation with gold decide; the
root mean squared error stands beside them, and the correlation with the teacher. Of sets of labels, micro-F1, macro-F1
and exact match decide; agreement is the share of texts to which a model gives the teacher's very set, and calibration
is that of all decisions, one for each text and label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from scipy.special import expit

from limbeck.core.example import Example
from limbeck.core.files import write_json
from limbeck.core.recipe import Evaluation
from limbeck.core.tasks import METRICS_OF
from limbeck.evaluate.bootstrap import Resampled
from limbeck.evaluate.calibration import Bin, ece, reliability
from limbeck.evaluate.correlation import pearson, rmse
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.evaluate import Model, check_answers
from limbeck.evaluate.judged import (
    EVALUATION,
    PREDICTIONS,
    Judged,
    best_seeds,
    by_name,
    check_entrants,
    teacher_row,
    verdict,
)
from limbeck.evaluate.metrics import Floats, agreement, signature
from limbeck.evaluate.predictions import column_of, columns_of, write_predictions
from limbeck.evaluate.sets import Bits, by_label, set_counts
from limbeck.evaluate.yardstick import Array, Yardstick, yardstick

OutcomeTask = Literal["regression", "multilabel"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome(Judged):
    """A model with what it says.

    Attributes:
        said: Scores, ``(examples,)``, or probabilities of labels, ``(examples, labels)``.
        chosen: What is compared with gold: the same scores, or sets of labels.
    """

    said: Floats
    chosen: Array


def evaluate_outcomes(
    task: OutcomeTask,
    folder: Path,
    labels: Sequence[str],
    examples: Sequence[Example],
    models: Sequence[Model],
    *,
    costs: Sequence[Cost] = (),
    settings: Evaluation | None = None,
    truncated: Mapping[str, int] | None = None,
    metric: str | None = None,
) -> dict[str, Any]:
    """Judge the models of a run; write ``evaluation.json`` and ``predictions.parquet``.

    Args:
        task: What they say.
        folder: Where the two files go.
        labels: Names of the labels, in the order of the logits; of scores one name.
        examples: The test set; every example has its gold.
        models: What each model answered, seed by seed; at most one of them is the teacher.
        costs: What the models cost, in the order in which they are to be shown.
        settings: Resamples and interval of the bootstrap.
        truncated: How many test texts were cut, e.g. ``{"teacher": 0, "student": 3}``.
        metric: The score that decides; None is the task's first.

    Returns:
        The content of ``evaluation.json``.

    Raises:
        LimbeckError: An empty test set, an example without gold, answers that do not fit it.
    """
    settings, main = settings or Evaluation(), metric or METRICS_OF[task][0]
    by = yardstick(task, labels)
    gold = by.gold(examples)
    check_entrants(models)
    check_answers(models, len(examples), len(labels))
    judged = [_judged(task, by, model, models, gold) for model in models]
    unit = "label" if task == "multilabel" else ""
    signatures = {
        name: signature(name, examples=len(gold), labels=len(labels), unit=unit if name == "ece" else "")
        for name in judged[0].scores
    }

    def resample(everyone: Sequence[Outcome]) -> Resampled:
        return by.resampled(gold, np.stack([one.chosen for one in everyone]), settings.resamples)

    content: dict[str, Any] = {
        "task": task,
        "metric": main,
        "labels": list(labels),
        "test": {"examples": len(examples), "truncated": dict(truncated or {})},
        **verdict(judged, by.metrics, main, settings, resample, costs=costs, signatures=signatures),
        **(_of_sets(judged, gold, labels) if task == "multilabel" else {}),
    }
    kind = pa.float64() if task == "regression" else pa.list_(pa.string())
    told = columns_of(examples, pa.array([example.truth for example in examples], kind))
    said = {one.model.column: column_of(one.said) for one in judged}
    write_predictions(folder / PREDICTIONS, labels, told | said)
    write_json(folder / EVALUATION, content)
    return content


def _judged(task: OutcomeTask, by: Yardstick, model: Model, models: Sequence[Model], gold: Array) -> Outcome:
    """Scores of a model; those that compare it with the teacher only where there is one."""
    chosen, teacher = by.chosen(model.logits), teacher_row(models)
    theirs = None if teacher is None else by.chosen(models[teacher].logits)
    scores = by.scores(gold, chosen)
    if task == "regression":
        scores["rmse"] = rmse(gold, chosen)
        if theirs is not None:
            scores["teacher_pearson"] = float(pearson(theirs, chosen))
        return Outcome(model, model.dev_score, scores, chosen, chosen)
    said = expit(model.logits.astype(np.float64))
    if theirs is not None:
        scores["agreement"] = float(agreement((chosen == theirs).all(axis=1), np.ones(len(gold), dtype=bool)))
    scores["ece"] = ece(_diagram(said, gold))
    return Outcome(model, model.dev_score, scores, said, chosen)


def _diagram(probabilities: Floats, gold: Bits) -> list[Bin]:
    """Reliability of all decisions, one for each text and label: whether the text has the label."""
    flat = probabilities.ravel()
    return reliability(np.stack([1 - flat, flat], axis=1), gold.ravel().astype(np.int64))


def _of_sets(judged: Sequence[Outcome], gold: Bits, labels: Sequence[str]) -> dict[str, Any]:
    """What is told of sets of labels alone: calibration, and scores by label, of each model's best seed."""
    best = best_seeds(by_name(judged))
    diagrams = {name: _diagram(one.said, gold) for name, one in best.items()}
    return {
        "calibration": {
            name: {"ece": ece(bins), "bins": [asdict(one) for one in bins]} for name, bins in diagrams.items()
        },
        "types": {
            name: [asdict(row) for row in by_label(set_counts(gold, one.chosen).sum(axis=0), labels)]
            for name, one in best.items()
        },
    }
