"""Names of the scores that a task has, and which of them decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Task = Literal["classification", "regression", "multilabel", "tagging", "translation"]

Metric = Literal[
    "accuracy",
    "macro_f1",
    "mcc",
    "binary_f1",
    "pearson",
    "spearman",
    "micro_f1",
    "subset_accuracy",
    "f1",
    "precision",
    "recall",
    "token_accuracy",
    "bleu",
    "chrf",
]

METRICS_OF: Mapping[Task, tuple[Metric, ...]] = {
    "classification": ("accuracy", "macro_f1", "mcc", "binary_f1"),
    "regression": ("pearson", "spearman"),
    "multilabel": ("micro_f1", "macro_f1", "subset_accuracy"),
    "tagging": ("f1", "precision", "recall", "token_accuracy"),
    "translation": ("bleu", "chrf"),
}
"""The scores against gold of each task, the one that decides first."""

OF_SENTENCES: frozenset[Task] = frozenset({"classification", "regression", "multilabel"})
"""Tasks whose models say logits of whole texts, ``(batch, labels)``; a score is the one label of its task."""

SCORE = "score"
"""Name of the one label of regression."""

IN_POINTS = frozenset({"bleu", "chrf", "teacher_bleu"})
"""Scores that are counted in points of a hundred, as people who translate do; the others are shares of one."""


def as_share(metric: str, value: float) -> float:
    """A score, or a difference of two, as a share of one."""
    return value / 100 if metric in IN_POINTS else value


def shown(metric: str, value: float) -> str:
    """A score as a step tells it: two digits after the point of points, four of shares."""
    return f"{value:.2f}" if metric in IN_POINTS else f"{value:.4f}"


def main_metric(task: Task, metric: Metric | None = None, *, spans: bool = True) -> Metric:
    """The metric that decides: that of the recipe, or else the first of the task.

    Args:
        task: What the models do.
        metric: The one that was chosen; None takes the task's first.
        spans: Of a tagger, whether its tags mark spans. Parts of speech and other plain tags do not: whatever was
            chosen, they have token accuracy only.

    Raises:
        ValueError: The task has no such metric.
    """
    if metric is not None and metric not in METRICS_OF[task]:
        raise ValueError(f"{task} is not scored by {metric}; choose from {', '.join(METRICS_OF[task])}")
    if task == "tagging" and not spans:
        return "token_accuracy"
    return metric or METRICS_OF[task][0]
