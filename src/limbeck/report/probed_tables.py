"""Tables of what probes found: every number of the page, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limbeck.report import markdown_parts, words
from limbeck.report.probed_facts import Findings, Model, Row, Task


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table.

    Attributes:
        title: Above it.
        heads: Of its columns.
        rows: Their cells.
        words_in: Columns, from the left, that hold words.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words_in: int = 1


def apart(found: Findings, model: Model, other: Model, task: Task, layer: int) -> tuple[Row, Row] | None:
    """What a model tells at a layer, and another one as far up; None where one of them was not asked."""
    ours, theirs = found.at(model, task, layer), found.at(other, task, found.opposite(layer, model, other))
    return None if ours is None or theirs is None else (ours, theirs)


def spread(row: Row) -> str:
    """A score with its interval."""
    low, high = (words.fixed(100 * row[end], 1) for end in ("low", "high"))
    return f"{words.percent(row['accuracy'])} ({low} to {high})"


def best_table(found: Findings) -> Numbers:
    """Of every task, each model's best layer."""
    heads = ["Task", "Most frequent class", *(model.name for model in found.models)]
    rows = []
    for task in found.tasks:
        best = [found.best(model, task) for model in found.models]
        told = [words.MISSING if row is None else f"{spread(row)}, layer {row['layer']}" for row in best]
        rows.append([task.shown, words.percent(task.majority), *told])
    return Numbers("Best layers", heads, rows)


def spans_table(found: Findings) -> Numbers | None:
    """Of tasks of spans: what the best layer tells, of random labels, and where the mixing probe listens."""
    rows = []
    for task in found.tasks:
        for model in found.models:
            best, mixed = found.best(model, task), found.mixed(model, task)
            if task.of != "spans" or best is None:
                continue
            selective = "selectivity" in best
            rows.append(
                [
                    f"{task.shown}: {model.name}",
                    spread(best),
                    str(best["layer"]),
                    words.percent(best["control"]) if selective else words.MISSING,
                    words.fixed(100 * best["selectivity"], 1, plus=True) if selective else words.MISSING,
                    spread(mixed) if mixed else words.MISSING,
                    words.fixed(mixed["gravity"], 2) if mixed else words.MISSING,
                ]
            )
    heads = [
        "Task",
        "Accuracy",
        "Layer",
        "Random labels",
        "Selectivity",
        "All layers mixed",
        "Centre of gravity",
    ]
    return Numbers("Spans of words", heads, rows) if rows else None


def all_table(found: Findings, model: Model) -> Numbers:
    """All scores of a model."""
    names = {task.name: task.shown for task in found.tasks}
    rows = [
        [
            names[row["task"]],
            str(row["pooling"]),
            str(row["classifier"]),
            str(row["layer"]),
            spread(row),
            words.MISSING if row["deviation"] is None else words.fixed(100 * row["deviation"], 1),
            words.percent(row["control"]) if "control" in row else words.MISSING,
            words.significant(row["penalty"]),
        ]
        for row in found.rows
        if row["kind"] == "probe" and row["model"] == model.name
    ]
    heads = ["Task", "States", "Classifier", "Layer", "Accuracy", "Deviation", "Random labels", "Penalty"]
    return Numbers(model.name, heads, rows, 3)


def differences_table(found: Findings, model: Model, other: Model) -> Numbers:
    """What a picture of differences shows."""
    rows = [
        [
            task.shown,
            str(layer),
            words.percent(pair[0]["accuracy"]),
            str(pair[1]["layer"]),
            words.percent(pair[1]["accuracy"]),
            words.fixed(100 * (pair[0]["accuracy"] - pair[1]["accuracy"]), 1, plus=True),
        ]
        for task in found.tasks
        for layer in range(model.layers)
        if (pair := apart(found, model, other, task, layer)) is not None
    ]
    heads = ["Task", "Layer", model.name, "Its layer", other.name, "Difference, points"]
    return Numbers(f"{model.name} − {other.name}", heads, rows)


def mix_table(found: Findings) -> Numbers | None:
    """What pictures of mixing probes show."""
    rows = [
        [f"{task.shown}: {model.name}", str(layer), words.percent(share)]
        for model in found.models
        for task in found.tasks
        if (row := found.mixed(model, task)) is not None
        for layer, share in zip(row["layers"], row["weights"], strict=True)
    ]
    return Numbers("Weights of the mixing probe", ["Task", "Layer", "Weight"], rows) if rows else None


def tasks_table(found: Findings) -> Numbers:
    """What was asked."""
    rows = [
        [
            task.shown,
            f"{task.of}, {task.source}",
            str(task.classes),
            *(words.count(each) for each in (task.train, task.dev, task.test)),
            words.percent(task.majority),
        ]
        for task in found.tasks
    ]
    return Numbers("Tasks", ["Task", "Of", "Classes", "Train", "Dev", "Test", "Most frequent class"], rows, 2)


def table_of(each: Numbers) -> str:
    """A table in Markdown."""
    lines = [
        [markdown_parts.text(cell) if n < each.words_in else cell for n, cell in enumerate(row)]
        for row in each.rows
    ]
    return markdown_parts.table([markdown_parts.text(head) for head in each.heads], lines, each.words_in)
