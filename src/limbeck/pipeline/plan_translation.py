"""What a plan says of a run of translators: who is trained on what, and how many texts are translated how."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from limbeck.evaluate.cost import tensor_bytes
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.pipeline.distilling import (
    TEXT,
    decodings,
    successor_inputs,
    text_folder,
    text_inputs,
    text_to_decode,
)
from limbeck.pipeline.measuring import MEASURES, is_installed
from limbeck.train.estimate import seconds_per_step
from limbeck.train.loop import total_steps
from limbeck.transfer.ask import choose, count_missing
from limbeck.transfer.decoded import count_undecoded, describe
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding
    from limbeck.core.method import Stage
    from limbeck.core.recipe import Training
    from limbeck.pipeline.translation import TranslationRun
    from limbeck.text.encode import Encoded
    from limbeck.transfer.translation_teacher import TranslationTeacher

SAMPLE = 16
"""Texts that are translated for an estimate."""
SECONDS_A_LOOK = 2.5e-7
"""Of aligning both ways: in each round of sampling each source word is held against each target word of its pair. Seen
on one core: 2.9e-7 of Tatoeba's English-German (2.3 seconds for 1,500 pairs, 4.5 for 6,000), 1.8e-7 of the longer
sentences of Multi30k (5.3 seconds for 1,500)."""


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
    choice, models = run.recipe.teacher, run.teacher.models
    assert choice.fine_tune is not None
    data = run.encoded_for_teacher
    count, seconds = total_steps(data.sizes, choice.fine_tune), 0.0
    if not done:
        seconds = count * sum(_seconds_a_step(each, data, choice.fine_tune) for each in models)
    many = f"{len(models)} times " if len(models) > 1 else ""
    what = f"{run.teacher_name}: {many}{count:,} steps on {len(data):,} pairs"
    return what, seconds, sum(map(tensor_bytes, models))


def asking(run: TranslationRun, taught: bool) -> Iterator[tuple[str, float, bool]]:
    """All that the teacher is asked, and the successors that it trains: what, how long that takes, whether it is done.

    Args:
        run: The run; its teacher may be an untaught one.
        taught: Whether it is the one that teaches.
    """
    timed = _Timed(run)
    for decoding, stages in decodings(run).items():
        texts = text_to_decode(run, stages).examples
        left = count_undecoded(run.teacher, texts, decoding, run.store)
        titles = ", ".join(dict.fromkeys(title for title, _ in stages))
        what = f"{len(texts):,} texts translated by {describe(decoding)}, for {titles}"
        yield what, timed.translating(left, decoding), not left
    for title in run.methods:
        for number, stage in enumerate(run.stages_of(title)):
            if stage.trains == "successor":
                yield _succession(run, title, number, timed, taught)
            elif stage.objective.needs:
                yield _next_tokens(run, title, number, timed, taught)
    test, decoding = run.prepared.test.examples, run.teachers_search
    left = count_undecoded(run.teacher, test, decoding, run.store)
    what = f"{len(test):,} test sentences translated by {describe(decoding)}"
    yield what, timed.translating(left, decoding), not left


def measuring(run: TranslationRun, trained: bool) -> Iterator[tuple[str, float, bool]]:
    """The distilled texts that are measured, how long that takes, and whether it is done.

    Args:
        run: The run.
        trained: Whether its students are, on the texts that lie in its folder.
    """
    stages = [(title, stage) for title in run.methods for stage in run.stages_of(title) if stage.distilled]
    if run.recipe.evaluate.measures and stages and is_installed():
        real = run.transfer_set.labelled
        what = f"words of {len(real):,} pairs aligned, of gold and of {len(stages)} distilled texts"
        done = trained and all((text_folder(run, *each).path / MEASURES).is_file() for each in stages)
        yield what, (1 + len(stages)) * seconds_to_align(real), done


def seconds_to_align(text: TransferSet) -> float:
    """Seconds for the words of a text's first translations; eflomal makes ``5000 / sqrt(pairs)`` rounds."""
    looks = sum(len(example.text.split()) * len(example.targets[0].split()) for example in text)
    return looks * 5000 / math.sqrt(max(1, len(text))) * SECONDS_A_LOOK


def _succession(
    run: TranslationRun, title: str, number: int, timed: _Timed, taught: bool
) -> tuple[str, float, bool]:
    """A successor: its training, and the translations of the text that the stage after it asks for."""
    stage, *after = run.stages_of(title)[number : number + 2]
    heirs = [each for each in after if each.distilled and each.distilled.by == "previous"]
    choice, text = run.recipe.teacher.fine_tune, run.part_for(stage)
    assert choice is not None
    settings = choice if stage.epochs is None else choice.model_copy(update={"epochs": stage.epochs})
    steps = total_steps(timed.data.sizes, settings) * len(text) / max(1, len(timed.data))
    what = f"{title}, {stage.name}: a successor of {steps:,.0f} steps"
    what += f", which translates {len(text):,} texts" if heirs else ""
    if taught and run.successor_folder(title, stage).is_done(successor_inputs(run, title, number)):
        if all(text_folder(run, title, each).is_done(text_inputs(run, title, number + 1)) for each in heirs):
            return what, 0.0, True
        steps = 0
    decodings = [each.distilled.decoding for each in heirs if each.distilled]
    seconds = sum(timed.translating(len(text), decoding) for decoding in decodings if decoding)
    if steps:
        seconds += steps * _seconds_a_step(run.teacher.models[0], timed.data, settings)
    return what, seconds, False


def _next_tokens(
    run: TranslationRun, title: str, number: int, timed: _Timed, taught: bool
) -> tuple[str, float, bool]:
    """What the teacher expects at every place of a stage's text; of text that is yet to be translated, as of gold."""
    stage = run.stages_of(title)[number]
    texts, known = run.part_for(stage).examples, taught
    if stage.distilled is not None:
        folder = text_folder(run, title, stage)
        known = taught and folder.is_done(text_inputs(run, title, number))
        texts = TransferSet.load(folder.path, TEXT).examples if known else texts
    left = count_missing(timed.giving(stage), texts, run.store, "next_tokens") if known else len(texts)
    top_k = timed.giving(stage).top_k
    told = choose(stage.objective.needs, texts, top_k)
    what = f"{title}: the {top_k} likeliest next tokens in {len(texts):,} texts; {told.why}"
    return what, timed.answering(left, stage), told.stored and not left


class _Timed:
    """How long a teacher takes, tried on a few texts."""

    def __init__(self, run: TranslationRun) -> None:
        self.run = run
        self.texts = run.prepared.train.labelled.examples[:SAMPLE]
        self.data = run.encoded_for_teacher

    def translating(self, texts: int, decoding: Decoding) -> float:
        """Seconds for so many translations, of about the length that gold's have."""
        assert self.data.targets is not None
        if not texts:
            return 0.0
        usual = decoding.model_copy(update={"max_length": max(2, int(np.median(self.data.targets.lengths)))})
        return texts / len(self.texts) * _seconds(lambda: self.run.teacher.decode(self.texts, usual))

    def answering(self, texts: int, stage: Stage) -> float:
        """Seconds for the next tokens of so many texts."""
        if not texts:
            return 0.0
        needs = stage.objective.needs
        return texts / len(self.texts) * _seconds(lambda: self.giving(stage).answer(self.texts, needs))

    def giving(self, stage: Stage) -> TranslationTeacher:
        """The teacher that a stage asks."""
        assert isinstance(stage.objective, TranslationObjective)
        teacher: TranslationTeacher = self.run.teacher.giving(stage.objective.top_k)
        return teacher


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def _seconds_a_step(model: PreTrainedModel, data: Encoded, settings: Training) -> float:
    assert data.targets is not None
    return seconds_per_step(model, data.lengths, settings, targets=data.targets.lengths)
