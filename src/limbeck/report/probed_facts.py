"""What probes found: ``probes.json`` as a page asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json

Row = Mapping[str, Any]


class Model(BaseModel):
    """A model that was probed; fields as of ``limbeck.pipeline.probed_models``."""

    name: str
    role: str
    seeds: int
    widths: list[int]
    folder: str

    @property
    def layers(self) -> int:
        """How many, the embeddings among them."""
        return len(self.widths)


class Task(BaseModel):
    """A task that models were asked."""

    name: str
    of: str
    # As JSON has it: 'from' is a word of Python's.
    classes: int
    train: int
    dev: int
    test: int
    majority: float
    source: str = ""

    @property
    def shown(self) -> str:
        """Its name as a person reads it."""
        return self.name.replace("_", " ") if self.name != "pos" else "part of speech"


class Content(BaseModel):
    """The file."""

    models: list[Model]
    tasks: list[Task]
    lacking: dict[str, str]
    rows: list[dict[str, Any]]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        models: As they were named, then baselines.
        tasks: Of sentences, then of spans.
        lacking: Why other tasks are not there.
        rows: All scores.
        settings: What was asked.
    """

    models: Sequence[Model]
    tasks: Sequence[Task]
    lacking: Mapping[str, str]
    rows: Sequence[Row]
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Findings:
        """Read the file.

        Raises:
            LimbeckError: It is missing, or is something else.
        """
        values = read_json(path)
        try:
            for task in values["tasks"]:
                task["source"] = task.pop("from")
            found = Content.model_validate(values)
        except (KeyError, TypeError, AttributeError, ValidationError):
            raise LimbeckError("these are no results of 'limbeck probe'", where=path) from None
        return cls(found.models, found.tasks, found.lacking, found.rows, found.settings)

    @property
    def classifier(self) -> str:
        """The one that pictures show."""
        return str(self.settings["classifiers"][0])

    def pooling(self, model: Model, task: Task) -> str:
        """The one that pictures show of a model."""
        if task.of == "spans":
            return "words"
        known = {row["pooling"] for row in self.rows if row["model"] == model.name and row["kind"] == "probe"}
        return next((how for how in self.settings["poolings"] if how in known), "mean")

    @cached_property
    def _index(self) -> Mapping[tuple[Any, ...], Row]:
        keys = ("model", "task", "layer", "pooling", "classifier")
        return {tuple(row[key] for key in keys): row for row in self.rows if row["kind"] == "probe"}

    def at(self, model: Model, task: Task, layer: int) -> Row | None:
        """The score that pictures show of a layer."""
        return self._index.get((model.name, task.name, layer, self.pooling(model, task), self.classifier))

    def best(self, model: Model, task: Task) -> Row | None:
        """Of all layers (in the pooling that pictures show) the one that dev thinks best; of equals the lowest."""
        rows = [row for layer in range(model.layers) if (row := self.at(model, task, layer)) is not None]
        return max(rows, key=lambda row: row["dev"], default=None)

    def mixed(self, model: Model, task: Task) -> Row | None:
        """Which layers the mixing probe listens to."""
        return next(
            (
                r
                for r in self.rows
                if r["kind"] == "mix" and (r["model"], r["task"]) == (model.name, task.name)
            ),
            None,
        )

    def mean_best(self, model: Model, of: str = "sentences") -> float | None:
        """The mean, over tasks, of a model's best layers."""
        found = [row["accuracy"] for task in self.tasks if task.of == of and (row := self.best(model, task))]
        return sum(found) / len(found) if found else None

    @cached_property
    def pairs(self) -> list[tuple[Model, Model]]:
        """Who is held against whom: each student against its teacher and its control; else all against the first."""
        students = [model for model in self.models if model.role == "student"]
        found = [
            (student, other)
            for student in students
            for role in ("teacher", "control")
            for other in self.models
            if other.role == role and other.folder == student.folder
        ]
        others = [model for model in self.models[1:] if model.role == "model"]
        return found or [(other, self.models[0]) for other in others]

    @staticmethod
    def opposite(layer: int, model: Model, other: Model) -> int:
        """The other model's layer at the same share of the way up; embeddings stand against embeddings."""
        top, theirs = model.layers - 1, other.layers - 1
        return theirs if not top else round(layer * theirs / top)
