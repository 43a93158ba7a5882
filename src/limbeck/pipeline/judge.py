"""Judging a run: what every model answers on the test set, and what each of them costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from limbeck.core import progress
from limbeck.evaluate.evaluate import Model, Role, evaluate
from limbeck.models.outputs import predict
from limbeck.pipeline.costs import costs
from limbeck.pipeline.run import CONTROL, TEACHER, Run
from limbeck.text.encode import encode


def judge(run: Run, folder: Path) -> None:
    """Score and time the models of a run; write ``evaluation.json`` and ``predictions.parquet``."""
    evaluate(
        folder,
        run.labels,
        run.prepared.test.examples,
        [*_teacher(run), *_students(run)],
        costs=costs(run),
        settings=run.recipe.evaluate,
        truncated=_truncated(run),
    )


def card(run: Run, title: str, seed: int) -> dict[str, Any]:
    """What the bundle's card says about where the student comes from."""
    return {
        "name": run.recipe.name,
        "method": title,
        "seed": seed,
        "student": run.recipe.student.kind,
        "teacher": run.recipe.teacher.answers or run.recipe.teacher.model,
        f"dev {run.recipe.train.metric}": round(run.dev_score(title, seed), 4),
        "transfer sentences": len(run.transfer_set.examples),
    }


def parity_line(report: Mapping[str, Any]) -> str:
    """How far the exported models are from PyTorch, in a line."""
    parts = [
        f"{precision} differs by at most {each['largest_difference']:.2g} and changes "
        f"{100 * each['changed']:.1f}% of predictions"
        for precision, each in report["parity"].items()
    ]
    return "; ".join(parts)


def _teacher(run: Run) -> list[Model]:
    """The teacher, where it has answers for the test set."""
    if run.test_answers is None:
        return []
    logits = run.test_answers.signals(run.prepared.test.ids, torch.device("cpu")).logits
    assert logits is not None
    return [Model(TEACHER, "teacher", None, logits.numpy())]


def _students(run: Run) -> list[Model]:
    """Every student and control, answering with the weights that were saved."""
    judged = []
    pairs = [(title, seed) for title in run.methods for seed in run.recipe.seeds]
    with progress.task("evaluate", len(pairs)) as task:
        for title, seed in pairs:
            logits = predict(run.load_student(title, seed), run.encoded_test)
            role: Role = "control" if title == CONTROL and run.recipe.control else "student"
            judged.append(Model(title, role, seed, logits, run.dev_score(title, seed)))
            task.advance()
    return judged


def _truncated(run: Run) -> dict[str, int]:
    """How many test sentences each tokeniser cut."""
    counts = {"student": run.encoded_test.truncated}
    if run.teacher_tokeniser is not None:
        examples, longest = run.prepared.test.examples, run.recipe.teacher.max_length
        counts[TEACHER] = encode(run.teacher_tokeniser, examples, None, longest).truncated
    return counts
