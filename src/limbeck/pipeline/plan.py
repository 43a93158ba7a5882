"""Plan: what the work would be, after the checks that need none: steps, sentences, bytes, time. Writes nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from limbeck.evaluate.cost import tensor_bytes
from limbeck.evaluate.table import markdown_table, size
from limbeck.models.first_token import first_token_only
from limbeck.models.forest import ForestForSequenceClassification, Settings as ForestSettings
from limbeck.models.outputs import tokens_at_a_time
from limbeck.models.student import readable
from limbeck.pipeline import inputs, plan_chain, plan_inner, plan_translation, steps
from limbeck.pipeline.budget import steps_of
from limbeck.pipeline.checks import check, check_place, check_positions
from limbeck.pipeline.hearing import fitted
from limbeck.pipeline.run import Run
from limbeck.pipeline.translation import TranslationRun
from limbeck.text import resources
from limbeck.text.batching import batches
from limbeck.text.encode import Encoded, collate
from limbeck.text.packing import estimate
from limbeck.train.estimate import seconds_per_step
from limbeck.train.grow import seconds_to_grow
from limbeck.train.loop import check_trackers, total_steps
from limbeck.transfer.ask import choose, count_missing
from limbeck.transfer.prepare import prepare
from limbeck.transfer.teachers import FileTeacher, ModelTeacher

ROUGHLY = {"export": 5, "evaluate": 15, "report": 3}
"""Seconds of the steps that are short in any run, as seen on two cores: not worth a trial."""
GROWN_ON = 300
"""Texts on which a few trees are grown for an estimate."""
SAMPLE = 3
"""Batches that are timed for an estimate."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One step as it would be.

    Attributes:
        step: The command that does it.
        what: On what.
        seconds: Estimated time; 0 for a step that is done, or that takes no time worth telling.
        bytes: What it would leave on disk.
        done: Whether it would be skipped.
    """

    step: str
    what: str
    seconds: float = 0
    bytes: int = 0
    done: bool = False


HEADINGS = ("step", "what", "time", "bytes")
WORDS = frozenset({"step", "what"})
"""Of these, those of words and not of numbers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps of a run as they would be."""

    name: str
    steps: tuple[Planned, ...]

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """What stands under ``HEADINGS``: a row a step, and one for all."""
        lines = [
            (
                each.step,
                each.what,
                "done" if each.done else duration(each.seconds) if each.seconds else "",
                size(each.bytes) if each.bytes else "",
            )
            for each in self.steps
        ]
        left = [each for each in self.steps if not each.done]
        seconds, more = sum(each.seconds for each in left), sum(each.bytes for each in left)
        return [*lines, ("", "left to do, on this machine", duration(seconds), size(more) if more else "")]

    @property
    def told(self) -> str:
        """The sentence above the table."""
        return f"{self.name}: every check passed; nothing was written."

    def text(self) -> str:
        """The plan as a table in Markdown."""
        return f"{self.told}\n\n{markdown_table(HEADINGS, self.rows, WORDS)}"


def plan(run: Run) -> Plan:
    """What ``distill`` would do.

    Raises:
        LimbeckError: Whatever would stop it later: data that cannot be read, labels that differ, settings that
            do not fit.
    """
    check(run)
    check_trackers(run.recipe.train)
    resources.check_sums(run.recipe.checksums)
    check_place(run.folder)
    prepared = run.prepared_folder.is_done(inputs.prepare_inputs(run))
    if not prepared:
        run.use_prepared(prepare(run.recipe.data, task=run.recipe.task, learners=run.learners_from_gold))
    rewritten = prepared and bool(run.rewriters) and run.rewritten_folder.is_done(inputs.rewrite_inputs(run))
    if not rewritten:
        run.use_transfer_set(steps.rewritten(run, sketch=True).transfer_set)
    taught = all(prepared and folder.is_done(of) for folder, of in inputs.made(run, "teach"))
    if not taught:
        run.use_untaught_teacher()
    run.check_text()
    packed = tuple(_pack(run))
    trained = tuple(_train(run, taught))
    finished = all(each.done for each in trained)
    exported = finished and run.bundle_folder.is_done(inputs.export_inputs(run))
    evaluated = exported and run.evaluation_folder.is_done(inputs.evaluate_inputs(run))
    return Plan(
        run.recipe.name,
        (
            _prepare(run, prepared),
            *_rewrite(run, rewritten),
            *packed,
            *_teach(run, taught),
            *_ask(run, taught),
            *trained,
            _short("export", "the best student on dev, to ONNX", exported),
            *_measure(run, finished),
            _short("evaluate", f"{len(run.prepared.test):,} test sentences by every model", evaluated),
            _short("report", str(run.folder / "report.html"), done=False),
        ),
    )


def duration(seconds: float) -> str:
    """A time as people say it, e.g. ``2 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _prepare(run: Run, done: bool) -> Planned:
    if isinstance(run, TranslationRun):
        return Planned("prepare", plan_translation.prepared_text(run), done=done)
    train, dev, test = run.prepared.train, run.prepared.dev, run.prepared.test
    labelled = len(train.labelled.examples)
    has = "scores" if run.recipe.task == "regression" else f"{len(train.labels)} labels"
    what = (
        f"{labelled:,} labelled and {len(train.examples) - labelled:,} unlabelled sentences, "
        f"{len(dev.examples):,} for dev, {len(test.examples):,} for test, {has}"
    )
    return Planned("prepare", what, done=done)


def _rewrite(run: Run, done: bool) -> Iterator[Planned]:
    if run.rewriters:
        made = len(run.transfer_set.examples) - len(run.prepared.train.examples)
        names = ", ".join(choice.name for choice in run.recipe.rewrite)
        seconds = 0 if done else sum(one.seconds(run.prepared.train.examples) for one in run.rewriters)
        yield Planned("rewrite", f"{made:,} more texts by {names}", seconds, done=done)


def _pack(run: Run) -> Iterator[Planned]:
    """Raw text in blocks; where they are not written yet, the rest of the plan counts with about as many."""
    if not run.hears_raw:
        return
    data = run.recipe.data
    if run.packed_folder.is_done(inputs.pack_inputs(run)):
        blocks = run.encoded_raw
        what = f"{len(blocks):,} blocks of {data.raw_length} tokens"
        yield Planned("pack", what, bytes=blocks.tokens.nbytes, done=True)
        return
    about = estimate(data.raw, run.tokeniser, data.raw_length)
    run.use_raw_blocks(about.blocks)
    what = f"about {about.blocks:,} blocks of {data.raw_length} tokens"
    yield Planned("pack", what, about.seconds, about.bytes)


def _teach(run: Run, done: bool) -> Iterator[Planned]:
    choice, teacher = run.recipe.teacher, run.teacher
    if run.members:
        for member in run.members:
            folders = inputs.made(member, "teach")
            yield from _teach(member, all(folder.is_done(of) for folder, of in folders))
    elif choice.fine_tune is None or isinstance(teacher, FileTeacher):
        yield Planned("teach", f"nothing: {choice.answers or choice.model} is taken as it is", done=True)
    elif isinstance(run, TranslationRun):
        yield Planned("teach", *plan_translation.teaching(run, done), done=done)
    else:
        assert isinstance(teacher, ModelTeacher)
        data = run.encoded_for_teacher
        count = total_steps(data.lengths, choice.fine_tune)
        seconds = 0 if done else count * seconds_per_step(teacher.model, data.lengths, choice.fine_tune)
        what = f"{run.teacher_called}: {count:,} steps on {len(data):,} sentences"
        yield Planned("teach", what, seconds, tensor_bytes(teacher.model), done)


def _ask(run: Run, taught: bool) -> Iterator[Planned]:
    if isinstance(run, TranslationRun):
        for what, seconds, done in plan_translation.asking(run, taught):
            yield Planned("ask", what, seconds, done=done)
    else:
        asked: Sequence[Run] = run.members or [run]
        yield from (_answers(run, each) for each in asked)
        for what, seconds, size, done in plan_chain.successors(run, taught):
            yield Planned("ask", what, seconds, size, done)


def _answers(run: Run, asked: Run) -> Planned:
    """What a teacher, one of several maybe, is asked of the run's texts."""
    examples, teacher = (*run.transfer_set.examples, *run.prepared.test.examples), asked.teacher
    choice = choose(run.needs, examples, len(run.labels))
    what = f"{len(examples):,} sentences; {choice.why}" + f", by {asked.teacher_called}" * (asked is not run)
    if isinstance(teacher, FileTeacher):
        teacher.require(run.transfer_set.examples)
        return Planned(
            "ask", f"{len(run.transfer_set):,} sentences, all answered in {teacher.path}", done=True
        )
    assert isinstance(teacher, ModelTeacher)
    left = count_missing(teacher, examples, run.store, run.task.signal)
    data = run.task.encode(teacher.tokeniser, run.transfer_set.examples, None, teacher.max_length)
    seconds = len(batches(data.lengths, tokens_at_a_time(teacher.device))) * _seconds_per_batch(
        teacher.model, data
    )
    return Planned("ask", what, seconds * left / len(examples), choice.bytes or 0, left == 0)


def _train(run: Run, taught: bool) -> Iterator[Planned]:
    """One line a method: all its seeds."""
    student = run.new_student(run.recipe.seeds[0])
    if isinstance(student, ForestForSequenceClassification):
        yield from _grow(run, taught, student)
        return
    check_positions(run, student)
    text = run.encoded_train
    targets = None if text.targets is None else text.targets.lengths
    each = {False: seconds_per_step(student, text.lengths, run.recipe.train, targets=targets)}
    if run.hears_raw:
        each[True] = seconds_per_step(student, run.raw_lengths, run.recipe.train)
    seeds_left = {title: _left(run, title, taught) for title in run.methods}
    for what, seconds, size_kept in plan_inner.states(run, seeds_left):
        yield Planned("train", what, seconds, size_kept)
    for title, left in seeds_left.items():
        stages = run.students_stages(title)
        counts = steps_of(run, title)
        seconds = sum(count * each[stage.hears == "raw"] for count, stage in zip(counts, stages, strict=True))
        seeds = _seeds(run)
        told = [fitted(run, stage, student, 0).objective.told() for stage in stages]
        what = f"{title}: {seeds} of {sum(counts):,} steps, {run.recipe.student.kind}"
        what += "".join(f"; {each}" for each in dict.fromkeys(filter(None, told)))
        weights = len(run.recipe.seeds) * tensor_bytes(student)
        at_once = max(1, min(run.recipe.jobs, len(left)))
        yield Planned("train", what, len(left) * seconds / at_once, weights, not left)


def _grow(run: Run, taught: bool, student: ForestForSequenceClassification) -> Iterator[Planned]:
    """One line a method, of students that are grown."""
    settings, texts = run.student_settings, run.transfer_set.examples
    assert isinstance(settings, ForestSettings)
    each = seconds_to_grow(student, settings, run.encoded(texts[:GROWN_ON]), len(texts))
    at_once = max(1, min(run.recipe.jobs, len(run.recipe.seeds)))
    for title in run.methods:
        left = _left(run, title, taught)
        size = "1 tree" if settings.trees == 1 else f"{settings.trees:,} trees"
        what = f"{title}: {_seeds(run)} of {size}; epochs, rates and batches do not matter to them"
        yield Planned("train", what, len(left) * each / at_once, done=not left)


def _left(run: Run, title: str, taught: bool) -> list[int]:
    """Seeds of a method that are not trained yet."""
    folders = {seed: run.student_folder(title, seed) for seed in run.recipe.seeds}
    return [
        seed
        for seed, folder in folders.items()
        if not (taught and folder.is_done(inputs.student_inputs(run, title, seed)))
    ]


def _seeds(run: Run) -> str:
    count = len(run.recipe.seeds)
    return "1 seed" if count == 1 else f"{count} seeds"


def _measure(run: Run, trained: bool) -> Iterator[Planned]:
    if isinstance(run, TranslationRun):
        for what, seconds, done in plan_translation.measuring(run, trained):
            yield Planned("evaluate", what, seconds, done=done)


def _short(step: str, what: str, done: bool) -> Planned:
    return Planned(step, what, ROUGHLY[step], done=done)


def _seconds_per_batch(model: PreTrainedModel, data: Encoded) -> float:
    """Median time of a batch that a teacher is asked about, on this machine."""
    taken = []
    place = next(model.parameters()).device
    with torch.inference_mode(), first_token_only(model):
        for rows in batches(data.lengths, tokens_at_a_time(place), seed=0)[: SAMPLE + 1]:
            start = time.perf_counter()
            model(**readable(model, collate(data, rows).to(place).inputs))
            taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:] or taken)
