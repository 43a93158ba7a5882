"""All that is said about the translators of one run: BLEU and chrF, gains with intervals, lengths, faults, cost.

The sibling of :mod:`limbeck.evaluate.evaluate`. BLEU decides, chrF stands beside it; both are in points, 0 to 100, and
have sacrebleu's signatures. Agreement is the share of sentences that a model translates exactly as the teacher does;
``teacher_bleu`` is its BLEU with the teacher's translations as references, which tells how well it has learned to say
what it was told, right or wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import atomic_write, write_json
from limbeck.core.recipe import Evaluation, main_metric
from limbeck.evaluate.bleu import TRANSLATION_METRICS, Scorer, bleu, composed
from limbeck.evaluate.bootstrap import Resampled, resampled_sums
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.faults import bleu_by_bin, faults, length_bins
from limbeck.evaluate.judged import (
    EVALUATION,
    PREDICTIONS,
    Entrant,
    Judged,
    by_name,
    check_entrants,
    teacher_row,
    verdict,
)
from limbeck.evaluate.metrics import Ints, signature
from limbeck.evaluate.predictions import LOG_PROBABILITY, beside

MAIN = main_metric("translation")
"""The score that decides."""


@dataclass(frozen=True, slots=True, eq=False)
class TranslationModel(Entrant):
    """What one translator answered on the test set.

    Attributes:
        translations: Its translations in the order of the test examples.
        dev_score: Its score on dev, by which one seed is picked where only one is shown.
        passes: How often its decoder ran for each; None where nobody counted.
        log_probabilities: The mean log-probability of each one's tokens (nats), with no length penalty; None of one
            that has none, or of them all where the model tells none.
    """

    translations: Sequence[str]
    dev_score: float | None = None
    passes: Sequence[int] | None = None
    log_probabilities: Sequence[float | None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Translated(Judged):
    """A translator with its translations, and what each adds to its scores, ``(sentences, 28)``."""

    model: TranslationModel
    translations: Sequence[str]
    passes: Sequence[int] | None
    counts: Ints


def evaluate_translations(
    folder: Path,
    examples: Sequence[Example],
    models: Sequence[TranslationModel],
    *,
    costs: Sequence[Cost] = (),
    settings: Evaluation | None = None,
    truncated: Mapping[str, int] | None = None,
    language: str = "",
) -> dict[str, Any]:
    """Judge the translators of a run; write ``evaluation.json`` and ``predictions.parquet``.

    Args:
        folder: Where the two files go.
        examples: The test set; every example has one reference or more.
        models: What each model answered, seed by seed; at most one of them is the teacher.
        costs: What the models cost, in the order in which they are to be shown.
        settings: Resamples and interval of the bootstrap.
        truncated: How many test sentences were cut, e.g. ``{"teacher": 0, "student": 3}``.
        language: Code of the target language, e.g. ``de``, by which BLEU cuts words.

    Returns:
        The content of ``evaluation.json``.

    Raises:
        LimbeckError: An empty test set, an example without a reference, answers that do not fit it.
    """
    settings = settings or Evaluation()
    scorer = Scorer(references_of(examples), language=language)
    check_entrants(models)
    for model in models:
        _check(model, len(examples))
    as_teacher = _as_teacher(models, language)
    judged = _judge(models, scorer, as_teacher)
    everyone = [one for seeds in by_name(judged).values() for one in seeds]
    scores = resampled_sums(
        np.stack([one.counts for one in everyone]), TRANSLATION_METRICS, resamples=settings.resamples
    )
    content: dict[str, Any] = {
        "task": "translation",
        "test": _test(scorer, examples) | {"language": language, "truncated": dict(truncated or {})},
        **verdict(
            judged,
            [*TRANSLATION_METRICS],
            MAIN,
            settings,
            lambda _: scores,
            costs=costs,
            signatures=_signatures(scorer, as_teacher),
        ),
        "intervals": _intervals(everyone, scores, settings.interval),
        "lengths": _lengths(scorer, examples, everyone),
        "faults": _faults(scorer, examples, everyone),
    }
    content["summary"] = _with_share_of_the_gap(content["summary"])
    write_predictions(folder / PREDICTIONS, examples, judged)
    write_json(folder / EVALUATION, content)
    return content


def references_of(examples: Sequence[Example]) -> list[tuple[str, ...]]:
    """References of the examples.

    Raises:
        LimbeckError: There are no examples, or one has no reference.
    """
    if not examples:
        raise LimbeckError("the test set is empty")
    for example in examples:
        if not example.targets:
            raise LimbeckError(
                f"test example '{example.id}' has no reference translation",
                where=example.origin or None,
                fix="Every test example needs one",
            )
    return [example.targets for example in examples]


def _test(scorer: Scorer, examples: Sequence[Example]) -> dict[str, int]:
    """How large the test set is; words are its sources'."""
    return {
        "examples": len(examples),
        "words": sum(len(scorer.words(example.text)) for example in examples),
        "references": max(map(len, scorer.references)),
    }


def _check(model: TranslationModel, sentences: int) -> None:
    """Refuse answers that cannot be those to this test set."""
    told = {
        "translations": model.translations,
        "numbers of passes": model.passes,
        "log-probabilities": model.log_probabilities,
    }
    for what, answers in told.items():
        if answers is not None and len(answers) != sentences:
            raise LimbeckError(
                f"'{model.column}' has {len(answers)} {what}, but the test set has {sentences} sentences"
            )


def _as_teacher(models: Sequence[TranslationModel], language: str) -> Scorer | None:
    """Scores with the teacher's translations as references, where there is a teacher."""
    row = teacher_row(models)
    return None if row is None else Scorer([(text,) for text in models[row].translations], language=language)


def _judge(models: Sequence[TranslationModel], scorer: Scorer, as_teacher: Scorer | None) -> list[Translated]:
    """Scores of each model, in the models' order; those against the teacher only where there is one."""
    found = []
    for model in models:
        counts = scorer.counts(model.translations)
        sums = counts.sum(axis=0)
        scores = {name: float(metric(sums)) for name, metric in TRANSLATION_METRICS.items()}
        if as_teacher is not None:
            told = [said for (said,) in as_teacher.references]
            same = [composed(ours) == theirs for ours, theirs in zip(model.translations, told, strict=True)]
            scores["agreement"] = float(np.mean(same))
            scores["teacher_bleu"] = float(bleu(as_teacher.counts(model.translations).sum(axis=0)))
        found.append(Translated(model, model.dev_score, scores, model.translations, model.passes, counts))
    return found


def _signatures(scorer: Scorer, as_teacher: Scorer | None) -> dict[str, str]:
    """How each score was counted; those of sacrebleu as it tells it."""
    found = scorer.signatures
    if as_teacher is not None:
        found["agreement"] = signature("agreement", examples=scorer.sentences, unit="sentence")
        found["teacher_bleu"] = f"{as_teacher.signatures['bleu']}|with:teacher"
    return found


def _intervals(everyone: Sequence[Translated], scores: Resampled, interval: float) -> list[dict[str, Any]]:
    """Of every model and seed, and of the mean over a model's seeds (``seed`` None), each score's interval."""
    rows: dict[tuple[str, int | None], list[int]] = {}
    for row, one in enumerate(everyone):
        rows.setdefault((one.model.name, None), []).append(row)
        if one.model.seed is not None:
            rows.setdefault((one.model.name, one.model.seed), []).append(row)
    return [
        {"name": name, "seed": seed, "metric": metric}
        | dict(zip(("low", "high"), scores.spread(metric, of, interval), strict=True))
        for (name, seed), of in rows.items()
        for metric in scores.observed
    ]


def _lengths(scorer: Scorer, examples: Sequence[Example], everyone: Sequence[Translated]) -> dict[str, Any]:
    """BLEU by source length: the bins, and of each model the mean over its seeds in every bin."""
    bins, of = length_bins(scorer, [example.text for example in examples])
    return {
        "bins": [asdict(each) for each in bins],
        "bleu": {
            name: np.mean([bleu_by_bin(one.counts, of) for one in seeds], axis=0).tolist()
            for name, seeds in by_name(everyone).items()
        },
    }


def _faults(
    scorer: Scorer,
    examples: Sequence[Example],
    everyone: Sequence[Translated],
) -> list[dict[str, Any]]:
    """Of the first references, by which models are to be measured, and of every model and seed."""
    sources, first = zip(*((example.text, example.targets[0]) for example in examples), strict=True)
    rows: list[dict[str, Any]] = [
        {"name": "reference", "role": "reference", "seed": None}
        | asdict(faults(scorer, sources, first, scorer.counts(first)))
    ]
    rows += [
        {"name": one.model.name, "role": one.model.role, "seed": one.model.seed}
        | asdict(faults(scorer, sources, one.translations, one.counts, one.passes))
        for one in everyone
    ]
    return rows


def _with_share_of_the_gap(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The summary, with ``closed``: the share of the gap between control and teacher that a student closes.

    It is None where there is no such gap.
    """
    teacher, control = (
        next((row["mean"][MAIN] for row in rows if row["role"] == role), None)
        for role in ("teacher", "control")
    )
    gap = 0.0 if teacher is None or control is None else teacher - control
    return [
        dict(row)
        | {"closed": (row["mean"][MAIN] - control) / gap if gap > 0 and row["role"] == "student" else None}
        for row in rows
    ]


def write_predictions(path: Path, examples: Sequence[Example], judged: Sequence[Translated]) -> None:
    """Write texts, references, and each model's translations in a column of its own with how sure it is, as Parquet."""
    columns: dict[str, pa.Array] = {
        "id": pa.array([example.id for example in examples], pa.string()),
        "text": pa.array([example.text for example in examples], pa.string()),
        "references": pa.array([list(example.targets) for example in examples], pa.list_(pa.string())),
        "origin": pa.array([example.origin for example in examples], pa.string()),
    }
    for one in judged:
        columns[one.model.column] = pa.array(list(one.translations), pa.string())
        if (told := one.model.log_probabilities) is not None:
            columns[beside(one.model.column, LOG_PROBABILITY)] = pa.array(list(told), pa.float32())
    with atomic_write(path, "wb") as file:
        pq.write_table(pa.table(columns), file)
