"""What a plan says of a run of translators: who is trained on what, and how many texts are translated how."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from limbeck.evaluate.cost import tensor_bytes
from limbeck.models.translators.decode import translate
from limbeck.pipeline.distilling import stages_of
from limbeck.train.estimate import seconds_per_step
from limbeck.train.loop import total_steps
from limbeck.transfer.decoded import count_undecoded, describe

if TYPE_CHECKING:
    from limbeck.core.decoding import Decoding
    from limbeck.pipeline.translation import TranslationRun

SAMPLE = 16
"""Texts that are translated for an estimate."""


def prepared_text(run: TranslationRun) -> str:
    """What ``prepare`` comes to."""
    train, dev, test = run.prepared.train, run.prepared.dev, run.prepared.test
    pairs = len(train.labelled)
    return (
        f"{pairs:,} pairs of texts and {len(train) - pairs:,} texts without translation, "
        f"{len(dev):,} for dev, {len(test):,} for test, {run.recipe.data.vocabulary.size:,} pieces of words"
    )


def teaching(run: TranslationRun, done: bool) -> tuple[str, float, int]:
    """What ``teach`` trains, how long that takes, and the bytes of its weights."""
    choice = run.recipe.teacher
    assert choice.fine_tune is not None
    labelled = run.prepared.train.labelled.examples
    data = run.task.encode(run.teacher_tokeniser, labelled, run.labels, choice.max_length)
    assert data.targets is not None
    count, models = total_steps(data.sizes, choice.fine_tune), run.teacher.models
    targets = data.targets.lengths
    trials = (seconds_per_step(each, data.lengths, choice.fine_tune, targets=targets) for each in models)
    seconds = 0.0 if done else count * sum(trials)
    who = choice.model or f"{choice.scratch and choice.scratch.kind} from scratch"
    many = f"{len(models)} times " if len(models) > 1 else ""
    return f"{who}: {many}{count:,} steps on {len(data):,} pairs", seconds, sum(map(tensor_bytes, models))


def asking(run: TranslationRun) -> Iterator[tuple[str, float, bool]]:
    """Every way in which the teacher translates: what, how long that takes, and whether it is done."""
    ways: dict[Decoding, list[str]] = {}
    for title in run.methods:
        for stage in stages_of(run, title):
            if stage.distilled and stage.distilled.by == "teacher" and stage.distilled.decoding:
                ways.setdefault(stage.distilled.decoding, []).append(title)
    texts = run.transfer_set.examples
    for decoding, titles in ways.items():
        left = count_undecoded(run.teacher, texts, decoding, run.store)
        seconds = left * _seconds_a_text(run, decoding) if left else 0.0
        yield (
            f"{len(texts):,} texts translated by {describe(decoding)}, for {', '.join(titles)}",
            seconds,
            not left,
        )


def _seconds_a_text(run: TranslationRun, decoding: Decoding) -> float:
    """How long a translation takes on this machine, of about the length that gold's have."""
    texts = run.prepared.train.labelled.examples[:SAMPLE]
    data = run.task.encode(run.teacher_tokeniser, texts, run.labels, run.recipe.teacher.max_length)
    assert data.targets is not None
    usual = decoding.model_copy(update={"max_length": max(2, int(np.median(data.targets.lengths)))})
    first, *others = run.teacher.models
    start = time.perf_counter()
    translate(first, data, usual, others=others)
    return (time.perf_counter() - start) / len(texts)
