"""What a run folder says, as plain frozen dataclasses. Only ``reading`` and ``disputes`` open files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.core.recipe import Task, main_metric
from limbeck.report.disputes import Disputes
from limbeck.report.forest_facts import Forest
from limbeck.report.samples import Samples
from limbeck.report.scored import ScoreDisputes
from limbeck.report.tagged import TagDisputes
from limbeck.report.transfer_text import TransferText
from limbeck.report.translation_facts import Lengths, OutputFaults, ScoreInterval
from limbeck.report.words import ENGINES

Number = float | None


@dataclass(frozen=True)
class TestSet:
    """The test set: its sentences, their words, references of each at most, and how many each model read cut short."""

    examples: int
    truncated: dict[str, int] = field(default_factory=dict)
    words: int | None = None
    references: int | None = None
    language: str = ""


@dataclass(frozen=True)
class ModelScores:
    """Scores of one trained model; ``seed`` is None for a teacher."""

    name: str
    role: str
    scores: dict[str, Number]
    seed: int | None = None


@dataclass(frozen=True)
class Summary:
    """Mean and deviation over seeds; shares of the teacher's score (``retention``), of the gap to it (``closed``)."""

    name: str
    role: str
    seeds: int
    mean: dict[str, Number]
    deviation: dict[str, Number] = field(default_factory=dict)
    retention: Number = None
    closed: Number = None


@dataclass(frozen=True)
class Gain:
    """A paired bootstrap: how much more of a metric one model has than another."""

    of: str
    over: str
    metric: str
    gain: float
    low: float
    high: float
    p: Number = None
    resamples: int | None = None


@dataclass(frozen=True)
class Cost:
    """What one model costs on one engine: milliseconds a sentence, sentences a second, bytes on disk."""

    name: str
    engine: str
    parameters: int | None = None
    bytes: int | None = None
    p50_ms: Number = None
    p95_ms: Number = None
    per_second: Number = None
    times_faster: Number = None


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence lies in one interval, their mean confidence and their accuracy."""

    low: float
    high: float
    count: int
    confidence: Number = None
    accuracy: Number = None


@dataclass(frozen=True)
class Calibration:
    """A reliability diagram."""

    ece: Number
    bins: list[Bin]


@dataclass(frozen=True)
class TypeScore:
    """A tagger's scores on one type of span (or one tag): shares of one, and spans in gold, predicted, right."""

    type: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int
    correct: int


@dataclass(frozen=True)
class Evaluation:
    """``evaluation.json``, of any task.

    Attributes:
        confusion: Of classifiers: gold by predicted, of each model's seed with the best dev score.
        types: Of taggers scores by type, of sets of labels by label, of each model's seed with the best dev score.
        metric: The score that decides, where it is not the first of the task.
        intervals, lengths, faults: Of translators: intervals of scores, BLEU by source length, what else is wrong.
    """

    test: TestSet
    models: list[ModelScores]
    summary: list[Summary]
    labels: list[str] = field(default_factory=list)
    signatures: dict[str, str] = field(default_factory=dict)
    gains: list[Gain] = field(default_factory=list)
    cost: list[Cost] = field(default_factory=list)
    calibration: dict[str, Calibration] = field(default_factory=dict)
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)
    types: dict[str, list[TypeScore]] = field(default_factory=dict)
    intervals: list[ScoreInterval] = field(default_factory=list)
    lengths: Lengths | None = None
    faults: list[OutputFaults] = field(default_factory=list)
    task: Task = "classification"
    metric: str | None = None


@dataclass(frozen=True)
class DevScore:
    """Scores on dev after a step."""

    step: int
    scores: dict[str, Number]
    best: bool


@dataclass(frozen=True)
class Journal:
    """How a training went; ``losses`` is (steps, 2): step number and loss; ``stage`` is empty for the last one."""

    name: str
    seed: int | None
    dev: tuple[DevScore, ...]
    losses: NDArray[np.float64]
    stage: str = ""

    def best(self, metric: str) -> DevScore | None:
        """The evaluation with the highest score, or None where there was none."""
        scored = [point for point in self.dev if point.scores.get(metric) is not None]
        return max(scored, key=lambda point: point.scores[metric] or 0.0, default=None)


@dataclass(frozen=True)
class Term:
    """The loss doctor on one term at the first step; ``share`` is its part of the gradient norms."""

    name: str
    value: Number
    grad_norm: Number
    share: Number


@dataclass(frozen=True)
class LayerMapping:
    """How many layers student and teacher have, and which were compared: pairs of both, from 1."""

    student: int
    teacher: int
    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Parity:
    """How far a bundle's file is from PyTorch.

    Attributes:
        engine: Which file.
        largest_difference: Of a logit (a translator's log-probability), relative to the largest.
        changed: Share of other answers; of a translator, of other tokens.
        sentences: Of a translator, share of other translations.
        bleu: Of its translations against PyTorch's, in points.
    """

    engine: str
    largest_difference: Number
    changed: Number
    sentences: Number = None
    bleu: Number = None


@dataclass(frozen=True)
class Step:
    """A finished step: its folder's name, seconds taken, and the fingerprints of what it was made from."""

    name: str
    seconds: Number
    inputs: Any


@dataclass(frozen=True)
class Forerunner:
    """A model that was trained before the student: one of several teachers, an assistant, or a generation.

    Attributes:
        name: Its place in the run's folder.
        parameters: Their number.
        steps: That it was trained for.
        dev_score: By the metric that picked its weights.
    """

    name: str
    parameters: Number
    steps: Number
    dev_score: Number


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        data: ``prepared.json``, as it is.
        earlier: Of students whose method has several stages, how those before the last went.
        teachers: How the teacher's members learned, where it is an ensemble, and the successors that methods train.
        doctors: The loss doctor's terms by method, of its first seed.
        mappings: The layers that methods compared.
        forerunners: Members of an ensemble of teachers, and models between teacher and student.
        samples: Of translators: test sentences worth reading.
        text: Where the transfer set comes from, and what the teacher says of it.
        forests: Of methods whose students are forests, that of the seed with the best dev score.
        measures: Of translators: what was measured of each distilled text, by its folder in the run's.
        modes: Of translators: what the study of modes found, and its picture (SVG); both empty where there is none.
        recipe: The resolved recipe's values.
        recipe_text: The same as it was written.
    """

    folder: Path
    name: str
    evaluation: Evaluation
    journals: tuple[Journal, ...]
    earlier: tuple[Journal, ...]
    teachers: tuple[Journal, ...]
    doctors: dict[str, tuple[Term, ...]]
    mappings: dict[str, LayerMapping]
    forerunners: tuple[Forerunner, ...]
    disputes: Disputes | TagDisputes | ScoreDisputes | None
    samples: Samples | None
    text: TransferText | None
    measures: dict[str, dict[str, Any]]
    modes: tuple[dict[str, Any], str]
    data: dict[str, Any]
    parity: tuple[Parity, ...]
    recipe: dict[str, Any]
    recipe_text: str
    versions: dict[str, Any]
    steps: tuple[Step, ...]
    forests: dict[str, Forest] = field(default_factory=dict)

    @property
    def tagging(self) -> bool:
        """Whether its models tag words."""
        return self.evaluation.task == "tagging"

    @property
    def translating(self) -> bool:
        """Whether its models translate."""
        return self.evaluation.task == "translation"

    @property
    def scoring(self) -> bool:
        """Whether its models give texts a score."""
        return self.evaluation.task == "regression"

    @property
    def of_sets(self) -> bool:
        """Whether its models give texts any number of labels."""
        return self.evaluation.task == "multilabel"

    @property
    def has_spans(self) -> bool:
        """Whether their tags mark spans."""
        return any("f1" in each.mean for each in self.evaluation.summary)

    @property
    def main(self) -> str:
        """The score that decides: what the evaluation names, or that of its task."""
        return self.evaluation.metric or main_metric(self.evaluation.task, spans=self.has_spans)

    @property
    def metric(self) -> str:
        """The metric that picked checkpoints on dev."""
        if self.main == "token_accuracy":
            return self.main
        return str((self.recipe.get("train") or {}).get("metric", self.main))

    @property
    def interval(self) -> float:
        """Coverage of the bootstrap's intervals, e.g. 0.95."""
        return float((self.recipe.get("evaluate") or {}).get("interval", 0.95))

    def of_role(self, role: str) -> list[Summary]:
        """Summaries of the teacher, the students or the control."""
        return [each for each in self.evaluation.summary if each.role == role]

    @property
    def teacher(self) -> Summary | None:
        """The teacher, if it was evaluated."""
        return next(iter(self.of_role("teacher")), None)

    @property
    def control(self) -> Summary | None:
        """The same student without a teacher, if one was trained."""
        return next(iter(self.of_role("control")), None)

    @property
    def student(self) -> Summary | None:
        """The student that the headline is about: the best on dev, so that test does not choose it."""
        return max(self.of_role("student"), key=lambda each: self.dev_score(each.name), default=None)

    def shown(self, name: str) -> str:
        """A model's name for people: the control is called that, for 'gold' means much else."""
        return "control" if self.control and name == self.control.name else name

    def dev_score(self, name: str) -> float:
        """Mean over seeds of the best dev score; minus infinity where no journal tells."""
        best = [journal.best(self.metric) for journal in self.journals if journal.name == name]
        scores = [point.scores[self.metric] or 0.0 for point in best if point]
        return float(np.mean(scores)) if scores else -np.inf

    def costs(self, name: str) -> list[Cost]:
        """What a model costs on each engine.

        Students and control of one run are built alike, so that one of them may have been measured for all.
        """
        own = [cost for cost in self.evaluation.cost if cost.name == name]
        teachers = {each.name for each in self.of_role("teacher")}
        if own or name in teachers:
            return own
        others = [cost for cost in self.evaluation.cost if cost.name not in teachers]
        return [cost for cost in others if cost.name == others[0].name]

    def cost(self, name: str, engine: str) -> Cost | None:
        """What a model costs on one engine, if it was measured."""
        return next((cost for cost in self.costs(name) if cost.engine == engine), None)

    def deployed(self, name: str) -> Cost | None:
        """The cost of the form that is meant for use: int8 where there is one, else ONNX, else PyTorch."""
        return next((c for engine in reversed(ENGINES) if (c := self.cost(name, engine))), None)

    def passes(self, name: str) -> Number:
        """How often a translator's decoder runs for a text, the mean over seeds; None where nobody counted."""
        found = [each.passes for each in self.evaluation.faults if each.name == name]
        counted = [each for each in found if each is not None]
        return float(np.mean(counted)) if counted else None

    def spread(self, name: str, seed: int | None, metric: str) -> ScoreInterval | None:
        """The interval of a model's score, of one seed or (None) of their mean; None if not computed."""
        found = self.evaluation.intervals
        return next((i for i in found if (i.name, i.seed, i.metric) == (name, seed, metric)), None)

    def gain(self, of: str, over: str, metric: str | None = None) -> Gain | None:
        """The gain of one model over another, by the score that decides if no other is named; None if not computed."""
        gains, metric = self.evaluation.gains, metric or self.main
        return next((g for g in gains if (g.of, g.over, g.metric) == (of, over, metric)), None)
