"""All that is said about the taggers of one run: scores, per type too, gains with intervals, cost.

The sibling of :mod:`limbeck.evaluate.evaluate`. Where tags mark spans, entity F1 decides, precision and recall stand
beside it, and so does token accuracy; parts of speech and other plain tags have token accuracy only. Agreement is the
share of words to which a model gives the teacher's tag. A gold tag that the models do not know is an error of all of
them; a word that a model did not read (past its length) counts as whatever tag the model gives for it, which is O.
"""

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
from limbeck.core.recipe import Evaluation, main_metric
from limbeck.evaluate.bootstrap import Resampled
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.entities import Tagged, by_type, metrics_of, resampled_tags, tag_counts
from limbeck.evaluate.judged import (
    EVALUATION,
    PREDICTIONS,
    Entrant,
    Judged,
    best_seeds,
    by_name,
    check_entrants,
    teacher_row,
    verdict,
)
from limbeck.evaluate.metrics import Ints, signature
from limbeck.evaluate.predictions import CONFIDENCE, ENTROPY, beside, ragged, write_predictions
from limbeck.text.tags import mark_spans


@dataclass(frozen=True, slots=True, eq=False)
class TagModel(Entrant):
    """What one tagger answered on the test set.

    Attributes:
        tags: Of each test sentence, in order, the numbers of its words' tags, ``(words,)`` each.
        dev_score: Its score on dev, by which one seed is picked where only one is shown.
        confidence: The posterior marginals of these tags, likewise; NaN of words that it did not read; None where it
            tells none.
        entropy: Of each word's posterior over all tags, in bits, likewise.
    """

    tags: Sequence[NDArray[np.integer]]
    dev_score: float | None = None
    confidence: Sequence[NDArray[np.floating]] | None = None
    entropy: Sequence[NDArray[np.floating]] | None = None

    @property
    def sureness(self) -> dict[str, Sequence[NDArray[np.floating]]]:
        """What it tells of how sure it is, by the names of columns."""
        told = {CONFIDENCE: self.confidence, ENTROPY: self.entropy}
        return {what: rows for what, rows in told.items() if rows is not None}


@dataclass(frozen=True, slots=True, eq=False)
class TaggerJudged(Judged):
    """A tagger with its tags' numbers in one row ``(all words,)``, their names, and its counts ``(sentences, 5)``."""

    model: TagModel
    numbers: Ints
    tags: Tagged
    counts: Ints


def evaluate_tagging(
    folder: Path,
    labels: Sequence[str],
    examples: Sequence[Example],
    models: Sequence[TagModel],
    *,
    costs: Sequence[Cost] = (),
    settings: Evaluation | None = None,
    truncated: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Judge the taggers of a run; write ``evaluation.json`` and ``predictions.parquet``.

    Args:
        folder: Where the two files go.
        labels: Names of the tags, in the order of the models' numbers.
        examples: The test set; every example has words and their gold tags.
        models: What each model answered, seed by seed; at most one of them is the teacher.
        costs: What the models cost, in the order in which they are to be shown.
        settings: Resamples and interval of the bootstrap.
        truncated: How many test sentences were cut, e.g. ``{"teacher": 0, "student": 3}``.

    Returns:
        The content of ``evaluation.json``.

    Raises:
        LimbeckError: An empty test set, an example without gold tags, answers that do not fit it.
    """
    settings = settings or Evaluation()
    gold = gold_tags(examples)
    check_entrants(models)
    for model in models:
        _check(model, gold, len(labels))
    has_spans = mark_spans(labels)
    main, metrics = main_metric("tagging", spans=has_spans), metrics_of(labels)
    judged = _judge(models, gold, labels)
    signatures = {name: _signature(name, len(examples), len(labels)) for name in judged[0].scores}

    def resample(everyone: Sequence[TaggerJudged]) -> Resampled:
        counts = np.stack([one.counts for one in everyone])
        return resampled_tags(counts, metrics=metrics, resamples=settings.resamples)

    content: dict[str, Any] = {
        "task": "tagging",
        "labels": list(labels),
        "test": {"examples": len(examples), "words": sum(map(len, gold)), "truncated": dict(truncated or {})},
        **verdict(judged, [*metrics], main, settings, resample, costs=costs, signatures=signatures),
        "types": {
            name: [asdict(one) for one in by_type(gold, best.tags, plain=not has_spans)]
            for name, best in best_seeds(by_name(judged)).items()
        },
    }
    write_predictions(folder / PREDICTIONS, labels, _columns(labels, examples, judged))
    write_json(folder / EVALUATION, content)
    return content


def _signature(name: str, examples: int, labels: int) -> str:
    """A score's; agreement is counted by word."""
    return signature(name, examples=examples, labels=labels, unit="word" if name == "agreement" else "")


def gold_tags(examples: Sequence[Example]) -> list[tuple[str, ...]]:
    """Gold tags of the examples, one a word.

    Raises:
        LimbeckError: There are no examples, or one has no gold tags, or not one a word.
    """
    if not examples:
        raise LimbeckError("the test set is empty")
    tags = []
    for example in examples:
        if example.tags is None:
            raise LimbeckError(
                f"test example '{example.id}' has no gold tags",
                where=example.origin or None,
                fix="Every test example needs one a word",
            )
        if len(example.tags) != len(example.words):
            raise LimbeckError(
                f"test example '{example.id}' has {len(example.words)} words and {len(example.tags)} gold tags",
                where=example.origin or None,
            )
        tags.append(example.tags)
    return tags


def _check(model: TagModel, gold: Tagged, labels: int) -> None:
    """Refuse answers that cannot be those to this test set."""
    if len(model.tags) != len(gold):
        raise LimbeckError(
            f"'{model.column}' tagged {len(model.tags)} sentences, but the test set has {len(gold)}"
        )
    for row, (said, true) in enumerate(zip(model.tags, gold, strict=True)):
        if said.shape != (len(true),):
            raise LimbeckError(
                f"'{model.column}' gave tags of the shape {said.shape} to test sentence {row + 1}, "
                f"which has {len(true)} words",
                fix="Tag every word, those past the model's length as O",
            )
        if said.size and not 0 <= said.min() <= said.max() < labels:
            raise LimbeckError(
                f"'{model.column}' gave test sentence {row + 1} a tag that is not among the {labels} labels"
            )
    for what, rows in model.sureness.items():
        if [len(each) for each in rows] != [len(true) for true in gold]:
            raise LimbeckError(f"'{model.column}' tells not one {what} a word of the test set")


def _judge(models: Sequence[TagModel], gold: Tagged, labels: Sequence[str]) -> list[TaggerJudged]:
    """Scores of each model, in the models' order; agreement only where there is a teacher."""
    metrics, found = metrics_of(labels), []
    teacher = teacher_row(models)
    numbers = [np.concatenate(model.tags).astype(np.int64) for model in models]
    for model, said in zip(models, numbers, strict=True):
        tags = [[labels[tag] for tag in sentence] for sentence in model.tags]
        counts = tag_counts(gold, tags)
        scores = {name: float(metric(counts.sum(axis=0))) for name, metric in metrics.items()}
        if teacher is not None:
            scores["agreement"] = float((said == numbers[teacher]).mean()) if said.size else 0.0
        found.append(TaggerJudged(model, model.dev_score, scores, said, tags, counts))
    return found


def _columns(
    labels: Sequence[str], examples: Sequence[Example], judged: Sequence[TaggerJudged]
) -> dict[str, pa.Array]:
    """The examples' words and gold tags, and each model's tags in a column of its own, with how sure it is."""
    lists = pa.list_(pa.string())
    columns: dict[str, pa.Array] = {
        "id": pa.array([example.id for example in examples], pa.string()),
        "words": pa.array([list(example.words) for example in examples], lists),
        "gold": pa.array([list(example.tags or ()) for example in examples], lists),
        "origin": pa.array([example.origin for example in examples], pa.string()),
    }
    ends = np.cumsum([0, *(len(example.words) for example in examples)], dtype=np.int32)
    names = pa.array(list(labels), pa.string())
    for one in judged:
        columns[one.model.column] = pa.ListArray.from_arrays(
            pa.array(ends), names.take(pa.array(one.numbers))
        )
        for what, rows in one.model.sureness.items():
            columns[beside(one.model.column, what)] = ragged(rows)
    return columns
