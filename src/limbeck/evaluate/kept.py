"""What an evaluation has kept of a run, read back: its scores, the test set, and what every model and seed said of it.

With this, models of different runs are scored on the same resamples long after the runs are over, whatever they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import read_json
from limbeck.core.tasks import Task
from limbeck.evaluate.bleu import TRANSLATION_METRICS, Scorer
from limbeck.evaluate.bootstrap import Resampled, resampled_sums
from limbeck.evaluate.entities import metrics_of, resampled_tags, tag_counts
from limbeck.evaluate.judged import EVALUATION, PREDICTIONS, Entrant
from limbeck.evaluate.predictions import CONFIDENCE, ENTROPY, LOG_PROBABILITY, beside
from limbeck.evaluate.tagging import gold_tags
from limbeck.evaluate.translation import references_of
from limbeck.evaluate.yardstick import yardstick

AGAIN = "Delete the run's folder 'evaluation', and run 'limbeck evaluate' on it again"

Said = Sequence[Any]
"""What one model said of each test example, as the predictions file holds it."""
Resample = Callable[[Sequence[Said], int], Resampled]
"""From what each model said, and a number of resamples, to their scores."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is in a run's evaluation folder.

    Attributes:
        folder: The folder.
        content: Of ``evaluation.json``.
        examples: The test set, with gold.
        said: What each model said, by its name, of each of its seeds.
        sure: How sure of it, by what is told (:mod:`limbeck.evaluate.predictions`) and by its name, of each of its
            seeds; without a model that tells nothing, or was evaluated before it was asked to.
    """

    folder: Path
    content: Mapping[str, Any]
    examples: Sequence[Example]
    said: Mapping[str, Sequence[Said]]
    sure: Mapping[str, Mapping[str, Sequence[Said]]] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """What the models do."""
        task: Task = self.content.get("task", "classification")
        return task

    @property
    def language(self) -> str:
        """Code of the language that is translated into; empty where nobody said."""
        return str(self.content["test"].get("language", ""))

    @property
    def labels(self) -> list[str]:
        """In the order of what models say; of translators none."""
        return list(self.content.get("labels", ()))

    def resampling(self, metric: str | None = None, positive: str | None = None) -> Resample:
        """How models that answered this test set are scored.

        Args:
            metric: The score that is wanted.
            positive: Of two classes the one whose F1 is meant.
        """
        if self.task == "translation":
            scorer = Scorer(references_of(self.examples), language=self.language)
            return lambda said, resamples: resampled_sums(
                np.stack([scorer.counts(one) for one in said]), TRANSLATION_METRICS, resamples=resamples
            )
        if self.task == "tagging":
            tags, metrics = gold_tags(self.examples), metrics_of(self.labels)
            return lambda said, resamples: resampled_tags(
                np.stack([tag_counts(tags, one) for one in said]), metrics=metrics, resamples=resamples
            )
        by = yardstick(self.task, self.labels, metric, positive)
        gold = by.gold(self.examples)
        return lambda said, resamples: by.resampled(
            gold, np.stack([by.read(np.array(one)) for one in said]), resamples
        )


def read_kept(folder: Path) -> Kept:
    """Read an evaluation folder.

    Raises:
        LimbeckError: It lacks predictions, or those of a model that was scored.
    """
    content, path = read_json(folder / EVALUATION), folder / PREDICTIONS
    if not path.is_file():
        raise LimbeckError("the run's predictions are not there", where=path, fix=AGAIN)
    table = pq.read_table(path)
    columns: dict[str, list[str]] = {}
    for one in content["models"]:
        column = Entrant(one["name"], one["role"], one["seed"]).column
        if column not in table.column_names:
            raise LimbeckError(f"the predictions of '{column}' are not there", where=path, fix=AGAIN)
        columns.setdefault(one["name"], []).append(column)
    said = _read(table, columns)
    sure = {
        what: _read(
            table, {name: [beside(column, what) for column in seeds] for name, seeds in columns.items()}
        )
        for what in (CONFIDENCE, ENTROPY, LOG_PROBABILITY)
    }
    told = {what: by_name for what, by_name in sure.items() if by_name}
    return Kept(folder, content, _examples(table, content.get("task", "classification")), said, told)


def _read(table: pa.Table, columns: Mapping[str, Sequence[str]]) -> dict[str, list[Said]]:
    """The columns of each model, seed by seed; without a model that lacks one."""
    return {
        name: [table.column(column).to_pylist() for column in seeds]
        for name, seeds in columns.items()
        if set(seeds) <= set(table.column_names)
    }


def _examples(table: pa.Table, task: Task) -> list[Example]:
    """The test set as the predictions file tells it."""
    told = [name for name in ("gold", "references", "origin") if name in table.column_names]
    rows = table.select(["id", "words" if task == "tagging" else "text", *told]).to_pylist()
    examples = _with_gold(rows, task)
    return [replace(one, origin=row.get("origin") or "") for one, row in zip(examples, rows, strict=True)]


def _with_gold(rows: Sequence[Mapping[str, Any]], task: Task) -> list[Example]:
    if task == "translation":
        return [Example(row["id"], row["text"], targets=tuple(row["references"])) for row in rows]
    if task == "tagging":
        return [
            Example(row["id"], " ".join(row["words"]), words=tuple(row["words"]), tags=tuple(row["gold"]))
            for row in rows
        ]
    if task == "regression":
        return [Example(row["id"], row["text"], score=row["gold"]) for row in rows]
    if task == "multilabel":
        return [Example(row["id"], row["text"], labels=tuple(row["gold"])) for row in rows]
    return [Example(row["id"], row["text"], gold=row["gold"]) for row in rows]
