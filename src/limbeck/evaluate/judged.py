"""What judging classifiers, taggers and translators share: who is judged, means over seeds, gains, costs.

All come to scores by name for each model and seed, and to a :class:`Resampled` for the paired bootstrap; all that
is told of a run follows from these, whatever was scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Evaluation
from limbeck.core.tasks import as_share
from limbeck.evaluate.bootstrap import Resampled
from limbeck.evaluate.cost import Cost

LEARNT = 0.05
"""Of a teacher that scores less than this share of one, no share is told: it has learnt next to nothing."""
EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.parquet"

Role = Literal["teacher", "student", "control"]


@dataclass(frozen=True, slots=True, eq=False)
class Entrant:
    """A model that is judged.

    Attributes:
        name: ``teacher``, or the method's name; all seeds of a method share it.
        role: What it is in this run.
        seed: The seed that it was trained under; None for a model that was not trained here.
    """

    name: str
    role: Role
    seed: int | None

    @property
    def column(self) -> str:
        """Its column in the predictions file: NAME, or NAME@SEED."""
        return self.name if self.seed is None or self.role == "teacher" else f"{self.name}@{self.seed}"


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """An entrant with its scores on test by name, and its score on dev, by which one seed is picked."""

    model: Entrant
    dev_score: float | None
    scores: Mapping[str, float]


AnyJudged = TypeVar("AnyJudged", bound=Judged)


def check_entrants(models: Sequence[Entrant]) -> None:
    """Refuse to judge nobody, or somebody twice.

    Raises:
        LimbeckError: There are no models, or one of them is there twice.
    """
    if not models:
        raise LimbeckError("there are no models to evaluate")
    seen: set[str] = set()
    for model in models:
        if model.column in seen:
            raise LimbeckError(f"'{model.column}' is there twice; each model and seed is judged once")
        seen.add(model.column)


def teacher_row(models: Sequence[Entrant]) -> int | None:
    """Which of the models is the teacher."""
    return next((row for row, model in enumerate(models) if model.role == "teacher"), None)


def by_name(judged: Sequence[AnyJudged]) -> dict[str, list[AnyJudged]]:
    """The seeds of each model: teacher first, then control, then students, each in the order given."""
    order = {"teacher": 0, "control": 1, "student": 2}
    groups: dict[str, list[AnyJudged]] = {}
    for one in sorted(judged, key=lambda one: order[one.model.role]):
        groups.setdefault(one.model.name, []).append(one)
    return groups


def best_seeds(groups: Mapping[str, Sequence[AnyJudged]]) -> dict[str, AnyJudged]:
    """Of each model the seed with the best dev score, the first of equals."""
    return {name: max(seeds, key=_dev_score) for name, seeds in groups.items()}


def _dev_score(one: Judged) -> float:
    return -np.inf if one.dev_score is None else one.dev_score


def named(groups: Mapping[str, Sequence[Judged]], role: Role) -> str | None:
    """The name of the model with that role, if there is one."""
    return next((name for name, seeds in groups.items() if seeds[0].model.role == role), None)


def verdict(
    judged: Sequence[AnyJudged],
    metrics: Sequence[str],
    main: str,
    settings: Evaluation,
    resample: Callable[[Sequence[AnyJudged]], Resampled],
    *,
    costs: Sequence[Cost],
    signatures: Mapping[str, str],
) -> dict[str, Any]:
    """What ``evaluation.json`` says of every task's models, whatever was scored.

    Args:
        judged: The models with their scores.
        metrics: Scores that are resampled.
        main: The one that decides, and whose share of the teacher's is the retention.
        settings: Resamples and interval of the bootstrap.
        resample: As in :func:`gains`.
        costs: What the models cost.
        signatures: How each score was counted.
    """
    groups = by_name(judged)
    return {
        "models": [model_row(one) for one in judged],
        "summary": summary(groups, main),
        "signatures": dict(signatures),
        "gains": gain_rows(groups, metrics, main, settings, resample),
        "cost": cost_rows(costs, teacher=named(groups, "teacher")),
    }


def model_row(one: Judged) -> dict[str, Any]:
    """One entry of ``models``."""
    return {
        "name": one.model.name,
        "role": one.model.role,
        "seed": one.model.seed,
        "scores": dict(one.scores),
    }


def summary(groups: Mapping[str, Sequence[Judged]], main: str) -> list[dict[str, Any]]:
    """Mean and deviation (of the sample; 0 where there is one seed) of each score over a model's seeds.

    Args:
        groups: The seeds of each model.
        main: The score whose share of the teacher's is the retention.
    """
    means = {
        name: {metric: float(np.mean([one.scores[metric] for one in seeds])) for metric in seeds[0].scores}
        for name, seeds in groups.items()
    }
    teacher = named(groups, "teacher")
    reference = means[teacher][main] if teacher else 0.0
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
                "retention": means[name][main] / reference if as_share(main, reference) >= LEARNT else None,
            }
        )
    return rows


def gain_rows(
    groups: Mapping[str, Sequence[AnyJudged]],
    metrics: Sequence[str],
    main: str,
    settings: Evaluation,
    resample: Callable[[Sequence[AnyJudged]], Resampled],
) -> list[dict[str, Any]]:
    """Each method over the control by every metric; methods and control over the teacher by the main one.

    Args:
        groups: The seeds of each model.
        metrics: Scores that are resampled.
        main: The one that decides.
        settings: Resamples and interval of the bootstrap.
        resample: As in :func:`gains`.
    """
    teacher, control = named(groups, "teacher"), named(groups, "control")
    methods = [name for name in groups if name not in (teacher, control)]
    wanted: list[tuple[str, str, str]] = []
    if control:
        wanted += [(of, control, metric) for of in methods for metric in metrics]
    if teacher:
        others = [*methods, control] if control else methods
        wanted += [(of, teacher, main) for of in others]
    return gains(groups, wanted, settings, resample)


def gains(
    groups: Mapping[str, Sequence[AnyJudged]],
    wanted: Sequence[tuple[str, str, str]],
    settings: Evaluation,
    resample: Callable[[Sequence[AnyJudged]], Resampled],
) -> list[dict[str, Any]]:
    """Gains of one model's seeds over another's, with their intervals.

    Args:
        groups: The seeds of each model.
        wanted: For each gain the model's name, that of the one it is compared with, and the metric.
        settings: Resamples and interval of the bootstrap.
        resample: Scores all models on the same resamples, a row each; called only where there is something to compare.
    """
    if not wanted:
        return []
    everyone = [one for seeds in groups.values() for one in seeds]
    rows: dict[str, list[int]] = {}
    for row, one in enumerate(everyone):
        rows.setdefault(one.model.name, []).append(row)
    scores = resample(everyone)
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
