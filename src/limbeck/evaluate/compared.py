"""Models of one run or of several over the same test set, each compared with one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.bootstrap import Interval, Resampled
from limbeck.evaluate.judged import PREDICTIONS, Entrant
from limbeck.evaluate.metrics import Floats
from limbeck.evaluate.yardstick import Array, Yardstick

Predicted = Mapping[int, Array]
"""What was predicted by seed, as a yardstick compares it, each ``(examples, ...)``."""


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
        ``low``, ``high`` and ``p`` (None of the model that the others are compared with).
    """
    said = [(name, predicted) for name, seeds in models.items() for predicted in seeds.values()]
    rows = {name: [row for row, (of, _) in enumerate(said) if of == name] for name in models}
    answers = np.stack([predicted for _, predicted in said])
    scores = by.resampled(by.gold(examples), answers, settings.resamples)
    return differences(scores, rows, over, metric, settings.interval)


def differences(
    scores: Resampled, rows: Mapping[str, Sequence[int]], over: str, metric: str, interval: float
) -> list[dict[str, Any]]:
    """Each model's mean score over its seeds, and how it differs from that of one of them.

    Args:
        scores: Of every model and seed, on the same resamples.
        rows: Which of them are a model's seeds, by its name.
        over: The model that the others are compared with.
        metric: One of those resampled.
        interval: How much of the distribution an interval holds.

    Returns:
        As :func:`compare`.
    """
    return [
        _told(name, scores.observed[metric][list(of)])
        | _difference(None if name == over else scores.gain(metric, of, rows[over], interval))
        for name, of in rows.items()
    ]


def _told(name: str, values: Floats) -> dict[str, Any]:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"name": name, "mean": float(np.mean(values)), "deviation": deviation, "seeds": len(values)}


def _difference(gain: Interval | None) -> dict[str, float | None]:
    if gain is None:
        return dict.fromkeys(("difference", "low", "high", "p"))
    return {"difference": gain.gain, "low": gain.low, "high": gain.high, "p": gain.p}
