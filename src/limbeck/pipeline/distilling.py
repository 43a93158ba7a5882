"""Distilling text: the translations that each stage of a method trains on, and the successors that make some of them.

A chain of stages as of ``born_again`` goes: the teacher's translations train a successor, the successor's the next one,
and the last one's the student. Text and successors are made once for all seeds of the student.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from limbeck.core import progress
from limbeck.core.files import StepFolder
from limbeck.transfer.decoded import decode
from limbeck.transfer.distilled import distil
from limbeck.transfer.reduced import reduced
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from limbeck.core.decoding import Decoding
    from limbeck.core.method import Distilled, Stage
    from limbeck.pipeline.translation import TranslationRun
    from limbeck.transfer.decoded import Shard
    from limbeck.transfer.translation_teacher import TranslationTeacher

TEXT = "transfer"
"""Name of the transfer set in its folder."""


def text_folder(run: TranslationRun, title: str, stage: Stage) -> StepFolder:
    """Where the text that a stage trains on lies."""
    return StepFolder(run.folder / "distilled" / title / stage.name)


def text_inputs(run: TranslationRun, title: str, number: int) -> dict[str, Any]:
    """What the text of a stage depends on."""
    stages = run.stages_of(title)
    distilled = stages[number].distilled
    assert distilled is not None
    decoding = distilled.decoding and distilled.decoding.model_dump(mode="json")
    engine = run.recipe.teacher.engine
    return {
        "text": run.part_for(stages[number]).fingerprint,
        "distilled": {**asdict(distilled), "decoding": decoding},
        **({"engine": engine} if decoding and engine != "pytorch" else {}),
        **({"teacher": run.teacher.fingerprint} if distilled.by == "teacher" else {}),
        **({"successor": successor_inputs(run, title, number - 1)} if distilled.by == "previous" else {}),
        "seed": run.recipe.data.seed,
    }


def successor_inputs(run: TranslationRun, title: str, number: int) -> dict[str, Any]:
    """What the successor that a stage trains depends on."""
    stage = run.stages_of(title)[number]
    text = text_inputs(run, title, number) if stage.distilled else run.part_for(stage).fingerprint
    method, settings = run.methods[title]
    taught = method.settings(settings).model_dump(mode="json")
    return {"stage": stage.name, "method": taught, "text": text, **run.successor_inputs}


def distil_all(run: TranslationRun) -> None:
    """Make the text of every stage that asks for a model's translations, and the successors in between."""
    for title in run.methods:
        for number, stage in enumerate(run.stages_of(title)):
            if stage.distilled is not None:
                _distil(run, title, number)
            if stage.trains == "successor":
                run.train_successor(title, number)


def decodings(run: TranslationRun) -> dict[Decoding, list[tuple[str, Stage]]]:
    """Every way in which the teacher itself translates text to train on, and the stages that ask for it."""
    ways: dict[Decoding, list[tuple[str, Stage]]] = {}
    for title in run.methods:
        for stage in run.stages_of(title):
            if stage.distilled and stage.distilled.by == "teacher" and stage.distilled.decoding:
                ways.setdefault(stage.distilled.decoding, []).append((title, stage))
    return ways


def text_to_decode(run: TranslationRun, stages: Iterable[tuple[str, Stage]]) -> TransferSet:
    """The text that these stages have translated in one way: that of the one that hears the most."""
    return max((run.part_for(stage) for _, stage in stages), key=len)


def decode_shard(run: TranslationRun, shard: Shard) -> None:
    """Translate a part of the texts into the store, in every way that the teacher itself is asked for.

    Raises:
        LimbeckError: There is no such part.
    """
    for decoding, stages in decodings(run).items():
        decode(run.teacher, text_to_decode(run, stages).examples, decoding, run.store, shard)
    decode(run.teacher, run.prepared.test.examples, run.teachers_search, run.store, shard)


def text_of(run: TranslationRun, title: str, stage: Stage) -> TransferSet:
    """The text that a stage trains on; the teacher is asked now for what is not there."""
    if stage.distilled is None:
        return run.part_for(stage).labelled
    folder = text_folder(run, title, stage)
    number = [each.name for each in run.stages_of(title)].index(stage.name)
    if not folder.is_done(text_inputs(run, title, number)):
        _distil(run, title, number)
    return TransferSet.load(folder.path, TEXT)


def _distil(run: TranslationRun, title: str, number: int) -> None:
    stage = run.stages_of(title)[number]
    folder, inputs = text_folder(run, title, stage), text_inputs(run, title, number)
    distilled = stage.distilled
    assert distilled is not None
    if folder.is_done(inputs):
        progress.say(f"ask       {title}: distilled before, skipped", step="ask", skipped=True)
        return
    with folder.writing(inputs) as partial:
        _translated(run, title, number, distilled).save(partial, TEXT)


def _translated(run: TranslationRun, title: str, number: int, distilled: Distilled) -> TransferSet:
    """The transfer set, with the translations that a stage asks for."""
    text, seed = run.part_for(run.stages_of(title)[number]), run.recipe.data.seed
    if distilled.decoding is None:
        return reduced(text, seed)
    teacher = run.teacher if distilled.by == "teacher" else _successor(run, title, number - 1)
    decoded = decode(teacher, text.examples, distilled.decoding, run.store)
    return distil(text, decoded, distilled, seed, run.language)


def _successor(run: TranslationRun, title: str, number: int) -> TranslationTeacher:
    """The successor that a stage trains; trained now, where it is not yet."""
    folder = run.successor_folder(title, run.stages_of(title)[number])
    if not folder.is_done(successor_inputs(run, title, number)):
        run.train_successor(title, number)
    return run.as_teacher(folder)
