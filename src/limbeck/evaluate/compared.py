"""Classifiers of one run or of several over the same test set, each compared with one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.bootstrap import Resampled
from limbeck.evaluate.judged import PREDICTIONS, Entrant, Judged, by_name, gains, summary
from limbeck.evaluate.yardstick import Array, Yardstick

Predicted = Mapping[int, Array]
"""What was predicted by seed, as a yardstick compares it, each ``(examples, ...)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered(Judged):
    """A model with what it predicted, ``(examples, ...)``."""

    predicted: Array


def read_predicted(
    folder: Path, examples: Sequence[Example], name: str, seeds: Sequence[int], by: Yardstick
) -> Predicted:
    """What a student of a run predicted, from the run's evaluation folder.

    Args:
        folder: The evaluation folder.
        examples: The test set.
        name: The student's.
        seeds: Its seeds.
        by: How answers are read.

    Raises:
        LimbeckError: The predictions are about another test set.
    """
    path = folder / PREDICTIONS
    columns = {seed: Entrant(name, "student", seed).column for seed in seeds}
    table = pq.read_table(path, columns=["id", *columns.values()])
    if table.column("id").to_pylist() != [example.id for example in examples]:
        raise LimbeckError("the predictions are about another test set", where=path, fix="Run it all again")
    return {seed: by.read(np.array(table.column(column).to_pylist())) for seed, column in columns.items()}


def compare(
    by: Yardstick,
    examples: Sequence[Example],
    models: Mapping[str, Predicted],
    over: str,
    metric: str,
    settings: Evaluation,
) -> list[dict[str, Any]]:
    """Each model's score, and how it differs from that of one of them.

    Args:
        by: How answers are scored.
        examples: The test set.
        models: What each model predicted.
        over: The model that the others are compared with.
        metric: One of the yardstick's.
        settings: Resamples and interval of the paired bootstrap.

    Returns:
        Rows with ``name``; ``mean`` and ``deviation`` over ``seeds`` (a number; None of one seed); ``difference``,
        ``low`` and ``high`` (None of the model that the others are compared with).
    """
    gold = by.gold(examples)

    def judged(name: str, seed: int, predicted: Array) -> Answered:
        score = by.scores(gold, predicted)[metric]
        return Answered(Entrant(name, "student", seed), None, {metric: score}, predicted)

    def resample(everyone: Sequence[Answered]) -> Resampled:
        return by.resampled(gold, np.stack([one.predicted for one in everyone]), settings.resamples)

    groups = by_name([judged(name, *one) for name, seeds in models.items() for one in seeds.items()])
    wanted = [(name, over, metric) for name in groups if name != over]
    found = {gain["of"]: gain for gain in gains(groups, wanted, settings, resample)}
    return [
        {
            "name": one["name"],
            "mean": one["mean"][metric],
            "deviation": one["deviation"][metric] if one["seeds"] > 1 else None,
            "difference": found.get(one["name"], {}).get("gain"),
            "low": found.get(one["name"], {}).get("low"),
            "high": found.get(one["name"], {}).get("high"),
            "seeds": one["seeds"],
        }
        for one in summary(groups, metric)
    ]
