"""Analysis: all that is told of what one student of a run lost, made of the parts beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from limbeck.analyse.mistakes import (
    agreement,
    cells,
    flows,
    log_odds,
    reading,
    sharpness,
    slice_test,
    temperature,
)
from limbeck.analyse.mistakes.expressions import features_of
from limbeck.analyse.mistakes.rows import COLUMNS, Background, Row, rows_of
from limbeck.analyse.mistakes.slices import Feature, built_in, cut
from limbeck.analyse.mistakes.tempered import Answers, of_texts
from limbeck.analyse.mistakes.units import Cast, Units, cast_of, probabilities_of, units_of
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Analysis, Evaluation
from limbeck.evaluate.kept import AGAIN, Kept
from limbeck.evaluate.predictions import CONFIDENCE, LOG_PROBABILITY

OF_CLASSES = "only classifiers and taggers tell probabilities of classes"
UNCALIBRATED = {
    "regression": "a score has no probability",
    "translation": "a sentence has many right translations and one reference or a few, so that nothing says of a "
    "translation whether it is right, and its probability cannot be held against a share of right ones",
}
"""Why models of a task are not calibrated."""
DULL = {"translation": "of a translator's next tokens only those that it wrote are kept"}
"""Why there is no telling how sharp a teacher of a task is."""
NAMES = {"tagging": "taggers", "translation": "translators"}


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """What an analysis may use beside the test answers; what is not there is left out, and said to be.

    Attributes:
        background: Training text and tokeniser.
        text: Words of training texts, for the prior of the words that go with lost texts.
        dev: What each model and seed answers on dev.
        words: Of taggers, likewise on test, where predictions hold no whole posteriors.
        temperatures: At which the student's methods hear the teacher.
        why: Why something is not there, by its name here.
    """

    background: Background = field(default_factory=Background)
    text: Sequence[Sequence[str]] = ()
    dev: Mapping[str, Sequence[Answers]] | None = None
    words: Mapping[str, Sequence[Answers]] | None = None
    temperatures: Sequence[float] = ()
    why: Mapping[str, str] = field(default_factory=dict)


def analyse(
    kept: Kept,
    settings: Analysis,
    evaluation: Evaluation,
    *,
    student: str | None = None,
    beside: Beside | None = None,
) -> dict[str, Any]:
    """What a student of a run lost.

    Args:
        kept: The run's answers on its test set.
        settings: What slices there are.
        evaluation: Resamples and interval of the bootstrap.
        student: Its name; by default the first.
        beside: What else is known of the run.

    Returns:
        The content of ``analysis.json`` but for what is told of the transfer text; ``missing`` says, by part, why a
        part is not there.

    Raises:
        LimbeckError: There is no such student, or a slice cannot be found.
    """
    beside = beside or Beside()
    cast, judged = cast_of(kept, student), units_of(kept, settings)
    rows = [rows_of(kept, units, cast, beside.background) for units in judged]
    texts, missing, test = judged[0], dict(beside.why), _tests(kept, beside)
    _sureness(kept, missing)
    return {
        "task": kept.task,
        "cast": cast.all,
        "seeds": _seeds(kept),
        "examples": len(kept.examples),
        "settings": _settings(settings, evaluation, judged),
        "overall": {units.name: slice_test.overall(units, cast, evaluation) for units in judged},
        "cells": [_cells(kept, texts, cast.student, name) for name in cast.others.values()]
        + ([_cells(kept, texts, cast.control, cast.teacher)] if cast.control and cast.teacher else []),
        "overlap": _overlap(texts, cast, evaluation),
        "slices": _slices(judged, rows, cast, settings, evaluation, kept.task, missing),
        "words": _words(texts, rows[0], cast, beside.text, missing),
        "flows": _flows(judged[-1], cast, missing),
        "agreement": agreement.agreement(kept),
        "calibration": _calibration(kept, beside, test, missing),
        "sharpness": _sharpness(kept, cast, beside, test, missing),
        "reading": reading.most_telling(kept, texts, cast, rows[0]),
        "missing": missing,
    }


def _seeds(kept: Kept) -> dict[str, list[int | None]]:
    seeds: dict[str, list[int | None]] = {}
    for one in kept.content["models"]:
        seeds.setdefault(one["name"], []).append(one["seed"])
    return seeds


def _settings(settings: Analysis, evaluation: Evaluation, judged: Sequence[Units]) -> dict[str, Any]:
    """What the numbers depend on, as a page tells it."""
    measure = judged[0].measure
    return {
        "resamples": evaluation.resamples,
        "interval": evaluation.interval,
        "smallest": settings.smallest,
        "rare": settings.rare,
        "slices": settings.slices,
        "measures": {
            units.name: {"name": units.measure.name, "scale": units.measure.scale} for units in judged
        },
        "tolerance": None if measure.level is None or measure.level > 0 else -measure.level,
        "margin": measure.margin if measure.level is None else None,
    }


def _cells(kept: Kept, units: Units, ours: str, theirs: str) -> dict[str, Any]:
    found = cells.table(units, ours, theirs, _seeds(kept)[ours])
    return {
        "of": ours,
        "over": theirs,
        "unit": units.name,
        "mean": cells.mean(found),
        "seeds": [asdict(one) for one in found],
    }


def _overlap(units: Units, cast: Cast, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Whether the student loses what the control loses, and what it loses itself under other seeds."""
    if cast.teacher is None:
        return []
    pairs = [(cast.student, cast.student)]
    if cast.control is not None:
        pairs = [(cast.student, cast.control), *pairs, (cast.control, cast.control)]
    return [
        asdict(agreement.overlap(units, cast.teacher, of, over, evaluation.resamples, evaluation.interval))
        for of, over in pairs
    ]


def _slices(
    judged: Sequence[Units],
    rows: Sequence[Sequence[Row]],
    cast: Cast,
    settings: Analysis,
    evaluation: Evaluation,
    task: str,
    missing: dict[str, str],
) -> dict[str, Any]:
    """Every slice of every kind of units, ranked."""
    own, small, parts = features_of(settings.slices), 0, []
    lacking: dict[str, Sequence[str]] = {}
    _check(own, rows, task)
    for units, of_units in zip(judged, rows, strict=True):
        spans = bool(units.places)
        mine = [one for one in own if spans or not one.of_spans]
        # A person's own first: of slices with the same members the first is kept.
        found = cut([*mine, *built_in(task, spans)], of_units, settings.smallest)
        small += found.small
        parts.append((units, found.slices))
        lacking |= {name: columns for name, columns in found.lacking.items() if _concerns(name, task)}
    if not cast.others:
        missing["slices"] = "there is neither a teacher nor a control to hold the student against"
    tested = {one.feature for _, slices in parts for one in slices}
    ranked = slice_test.ranked(parts, cast, evaluation)
    return {
        "ranked": [slice_test.as_row(one) for one in ranked],
        "tried": sum(len(slices) for _, slices in parts),
        "small": small,
        "lacking": sorted(lacking),
        "untested": [one.name for one in own if one.name not in tested],
    }


SURE = {
    "classification": ("teacher's confidence", "teacher's entropy"),
    "tagging": ("teacher's confidence", "teacher's entropy"),
    "translation": ("teacher's confidence",),
}
"""Features by how sure the teacher is, by task."""


def _concerns(feature: str, task: str) -> bool:
    """Whether a run of this task could be cut by a feature at all, were its columns known."""
    return feature in (
        "rare words",
        "unknown words",
        "share of words cut into pieces",
        "seen in training",
    ) or feature in SURE.get(task, ())


def _check(features: Sequence[Feature], rows: Sequence[Sequence[Row]], task: str) -> None:
    """Insist that columns of a person's own slices are known.

    Raises:
        LimbeckError: One is not.
    """
    known = {column for of_units in rows for row in of_units[:1] for column in row}
    for feature in features:
        if left := [column for column in feature.reads if column not in known]:
            why = "are there in this run" if left[0] in COLUMNS else f"are there in {task}"
            raise LimbeckError(
                f"'{left[0]}' is not known here",
                where=f"analyse.slices.{feature.name}",
                fix=f"Columns that {why}: {', '.join(sorted(known))}",
            )


def _words(
    units: Units, rows: Sequence[Row], cast: Cast, text: Sequence[Sequence[str]], missing: dict[str, str]
) -> list[dict[str, Any]]:
    """N-grams that go with texts that the student lost, and with those that it kept."""
    if cast.teacher is None:
        missing["words"] = "without the teacher's answers nothing can be lost"
        return []
    good, ours = units.quality[cast.teacher].mean(axis=0), units.quality[cast.student]
    lost = units.measure.beats(good, ours).mean(axis=0)
    right, rights = units.measure.right(ours), units.measure.right(good)
    kept = 1 - lost if right is None or rights is None else (right & rights).mean(axis=0)
    found = log_odds.telling_words([row["words"] for row in rows], lost, kept, text)
    if not found:
        missing["words"] = "the student lost nothing, or kept nothing"
    return found


def _flows(units: Units, cast: Cast, missing: dict[str, str]) -> list[dict[str, Any]]:
    if not units.said:
        missing["flows"] = "answers are not one label of each text"
        return []
    return [flows.flows(units, name, cast.student) | {"unit": units.name} for name in cast.others.values()]


def _tests(kept: Kept, beside: Beside) -> Mapping[str, Sequence[Answers]]:
    """What each model and seed answers on test, at any temperature, as far as it is known."""
    if kept.task == "tagging":
        return beside.words or {}
    said = {name: list(seeds) for name, seeds in probabilities_of(kept).items()}
    return of_texts(kept.task, kept.labels, said, kept.examples) if said else {}


def _calibration(
    kept: Kept, beside: Beside, test: Mapping[str, Sequence[Answers]], missing: dict[str, str]
) -> list[dict[str, Any]]:
    if kept.task in UNCALIBRATED:
        missing["calibration"] = UNCALIBRATED[kept.task]
        return []
    if beside.dev is None:
        missing.setdefault("calibration", "what the models say of dev is not known")
        return []
    return temperature.calibrated(beside.dev, test)


def _sharpness(
    kept: Kept, cast: Cast, beside: Beside, test: Mapping[str, Sequence[Answers]], missing: dict[str, str]
) -> list[dict[str, Any]]:
    if kept.task not in ("classification", "tagging"):
        missing["sharpness"] = DULL.get(kept.task, OF_CLASSES)
    elif cast.teacher is None:
        missing["sharpness"] = "the teacher's answers are not there"
    elif cast.teacher not in test:
        missing.setdefault("sharpness", "what the teacher says of words is not known")
    else:
        return sharpness.sharpness(test[cast.teacher][0], beside.temperatures)
    return []


def _sureness(kept: Kept, missing: dict[str, str]) -> None:
    """Why rows do not know how sure models are, where they could."""
    what = {"tagging": CONFIDENCE, "translation": LOG_PROBABILITY}.get(kept.task)
    if what is not None and what not in kept.sure:
        missing["confidence"] = (
            f"the run was evaluated before {NAMES[kept.task]} said how sure they are. {AGAIN}"
        )
