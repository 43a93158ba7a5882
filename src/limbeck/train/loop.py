"""The one training loop: :func:`train` teaches any Hugging Face model what an objective says.

The gradient of a step is that of the mean loss over all items of the step's batches, on all processes:
objectives give sums and counts, and the loop divides once (:mod:`limbeck.train.optimiser`). Everything else
that a step does is a function of the seed and the step's number (:mod:`limbeck.train.schedule`,
:mod:`limbeck.train.settled`), so that a run taken up from its checkpoint equals one never interrupted.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from limbeck.core import fingerprint, progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json, write_error, write_json
from limbeck.core.objective import Objective
from limbeck.core.recipe import Training
from limbeck.models.translators.translator import ParallelTranslator
from limbeck.models.weights import learnt
from limbeck.text.encode import Encoded
from limbeck.text.subwords import Subwords
from limbeck.train.checkpoint import put_back, system_error, tensors_of
from limbeck.train.lesson import Heard, Lesson
from limbeck.train.masking import Masker
from limbeck.train.run import Run, Score
from limbeck.train.schedule import groups, total_steps
from limbeck.train.settled import deterministic

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

OBJECTIVE = "objective.safetensors"
"""What an objective learnt along, such as projections: the next stage goes on with it."""

__all__ = ["Score", "Trained", "total_steps", "train"]


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training went; ``trained.json`` holds the same.

    Attributes:
        dev_score: The recipe's metric on dev, of the weights that were kept.
        best_step: Optimiser step after which they were best.
        steps: Optimiser steps taken.
        epochs: Passes over the data.
        seconds: Wall clock, over all sittings.
        examples_per_second: While training; evaluations and checkpoints not counted.
        threads: CPU threads of PyTorch; other numbers of threads add up in another order.
        device: E.g. ``cpu`` or ``cuda:0``.
        precision: ``fp32`` or ``bf16``.
        parameters: Of the model, frozen ones included.
        key: Digest of what the training depended on.
    """

    dev_score: float
    best_step: int
    steps: int
    epochs: float
    seconds: float
    examples_per_second: float
    threads: int
    device: str
    precision: str
    parameters: int
    key: str


def train(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerBase | Subwords,
    objective: Objective,
    data: Encoded,
    answers: Heard | None,
    dev: Encoded,
    settings: Training,
    folder: Path,
    seed: int,
    *,
    score: Score,
    steps: int | None = None,
    stage: str = "train",
    keeps: Literal["best", "last"] = "best",
    masked: float = 0.0,
    what: str = "training",
) -> Trained:
    """Train a model, and leave its best (or last) weights in it and, as a Hugging Face folder, in ``folder``.

    Called again on the same folder after an interruption, it goes on from the last checkpoint, to the same
    weights.

    Args:
        model: The student, or the teacher to be fine-tuned.
        tokeniser: Saved beside the weights.
        objective: What the model is taught; its own parameters are trained along.
        data: Examples to train on.
        answers: The teacher's; None where the objective needs none.
        dev: Examples with gold that pick the best weights.
        settings: As in the recipe.
        folder: Receives weights, tokeniser, journal.jsonl, doctor.json and trained.json.
        seed: Of batch order and dropout.
        score: Scores dev from gold and what is predicted; must name ``settings.metric``.
        steps: Optimiser steps; by default as many as ``settings.epochs`` take.
        stage: Named in the journal.
        keeps: Which weights: the best on dev, or the last; then patience stops nothing.
        masked: Share of the tokens that student and teacher do not see, drawn anew at every step.
        what: Named in the progress bar.

    Raises:
        LimbeckError: Bad input, no token to mask with, a loss that is not finite, or a full disk.
    """
    _check(data, dev)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = _accelerator(settings, folder)
    processes = accelerator.num_processes
    steps = steps or total_steps(data.sizes, settings, processes=processes)
    masker = _masker(tokeniser, masked)
    named = [stage, keeps, *([f"masked {masked}"] if masked else [])]
    key = _key(model, objective, data, dev, settings, seed, steps, named, processes)
    if (finished := _finished(model, objective, folder, key)) is not None:
        return finished
    if isinstance(model, ParallelTranslator):
        data, dev = model.prepared(data, dev)
    model.to(accelerator.device).train()
    objective.to(accelerator.device).train()
    lesson = Lesson(model, objective, data, answers, accelerator.device, settings.precision, masker)
    with deterministic(), _tracking(accelerator, settings, stage):
        run = Run(
            lesson,
            dev,
            settings,
            folder,
            steps=steps,
            seed=seed,
            score=score,
            stage=stage,
            keeps=keeps,
            accelerator=accelerator,
            key=key,
        )
        _take_steps(run, what)
    run.keep_best()
    trained = _summary(run)
    if accelerator.is_main_process:
        _write(run, tokeniser, trained)
    accelerator.wait_for_everyone()
    return trained


def _masker(tokeniser: PreTrainedTokenizerBase | Subwords, masked: float) -> Masker | None:
    if not masked:
        return None
    if isinstance(tokeniser, Subwords):
        raise LimbeckError("a translator's texts are not masked", fix="Choose a method for translators")
    return Masker(tokeniser, masked)


def _check(data: Encoded, dev: Encoded) -> None:
    if not len(data):
        raise LimbeckError("there is nothing to train on", fix="Check data.train in the recipe")
    if not len(dev):
        raise LimbeckError("the dev set is empty: the best weights could not be picked", fix="Check data.dev")
    if dev.words is not None:
        return
    lacking = ~dev.has_gold
    if lacking.any():
        what = "gold label" if dev.targets is None else "translation"
        raise LimbeckError(f"the dev example '{dev.ids[int(lacking.argmax())]}' has no {what}")


def check_trackers(settings: Training) -> None:
    """Insist that the trackers asked for are installed.

    Raises:
        LimbeckError: One is not.
    """
    if not settings.trackers:
        return
    from accelerate.tracking import get_available_trackers

    there = {str(tracker) for tracker in get_available_trackers()}
    missing = [name for name in settings.trackers if name not in there]
    if missing:
        raise LimbeckError(
            f"the tracker '{missing[0]}' is not installed",
            where="train.trackers",
            fix=f"Install its package; there are: {', '.join(sorted(there)) or 'none'}",
        )


def _accelerator(settings: Training, folder: Path) -> Accelerator:
    """Devices, processes and trackers; which precision to compute in is ours to say (see ``uses_bf16``)."""
    from accelerate import Accelerator

    check_trackers(settings)
    return Accelerator(log_with=settings.trackers or None, project_dir=folder / "trackers")


@contextmanager
def _tracking(accelerator: Accelerator, settings: Training, stage: str) -> Iterator[None]:
    if settings.trackers:
        accelerator.init_trackers(stage, config=settings.model_dump(mode="json", exclude={"trackers"}))
    try:
        yield
    finally:
        if settings.trackers:
            accelerator.end_training()


def _key(
    model: PreTrainedModel,
    objective: Objective,
    data: Encoded,
    dev: Encoded,
    settings: Training,
    seed: int,
    steps: int,
    stage: list[str],
    processes: int,
) -> str:
    """Digest of what the course of a run depends on, as far as it can be told from here."""
    shapes = [(n, list(p.shape)) for module in (model, objective) for n, p in module.named_parameters()]
    sets = [
        [fingerprint.of_strings(one.ids), *(_digest(each) for each in _arrays(one))] for one in (data, dev)
    ]
    chosen = settings.model_dump(mode="json", exclude={"checkpoint_seconds", "trackers"})
    taught = type(objective).__qualname__
    return fingerprint.of_value([shapes, taught, sets, chosen, seed, steps, stage, processes])


def _arrays(data: Encoded) -> tuple[NDArray[Any], ...]:
    words = data.words
    of_words = () if words is None else (words.starts, words.gold, words.offsets, words.spelling)
    targets = () if data.targets is None else (data.targets.tokens, data.targets.offsets)
    return data.tokens, data.offsets, data.gold, *of_words, *targets


def _digest(values: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _finished(model: PreTrainedModel, objective: Objective, folder: Path, key: str) -> Trained | None:
    """What an earlier call made of the same inputs; model and objective get their weights."""
    path = folder / "trained.json"
    if not path.is_file():
        return None
    found = read_json(path)
    if found["key"] != key:
        path.unlink()
        return None
    with _without_bars():
        put_back(tensors_of(model), tensors_of(type(model).from_pretrained(folder)))
    if (folder / OBJECTIVE).is_file():
        put_back(tensors_of(objective), load_file(folder / OBJECTIVE))
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return Trained(**found)


def _take_steps(run: Run, what: str) -> None:
    """All steps from the checkpoint on."""
    settings, processes = run.settings, run.accelerator.num_processes
    size = settings.accumulate * processes
    order = groups(run.lesson.data.sizes, settings, size, run.seed, skip=run.state.step)
    quiet = contextlib.nullcontext(None)
    with progress.task(what, run.steps) if run.accelerator.is_main_process else quiet as task:
        if task is not None:
            task.advance(run.state.step)
        while not run.is_over:
            group = next(order)
            if run.state.step == 0:
                run.examine(group, what)
            run.step(group)
            if task is not None:
                task.advance(1)
                task.note(" · ".join(run.notes.values()))


def _summary(run: Run) -> Trained:
    state, lesson = run.state, run.lesson
    assert state.best is not None  # the last step is always evaluated
    return Trained(
        dev_score=state.best.score,
        best_step=state.best.step,
        steps=state.step,
        epochs=round(state.epoch, 4),
        seconds=round(run.seconds, 3),
        examples_per_second=round(state.examples / max(run.seconds - state.aside, 1e-9), 1),
        threads=torch.get_num_threads(),
        device=str(lesson.device),
        precision="bf16" if lesson.bf16 else "fp32",
        parameters=learnt(lesson.model),
        key=run.key,
    )


def _write(run: Run, tokeniser: PreTrainedTokenizerBase | Subwords, trained: Trained) -> None:
    """The Hugging Face folder; ``trained.json`` comes last and says that all else is there."""
    save_model(run.lesson.model, tokeniser, run.folder, run.lesson.objective)
    facts: dict[str, Any] = asdict(trained)
    write_json(run.folder / "trained.json", facts)
    shutil.rmtree(run.folder / "checkpoint", ignore_errors=True)


def save_model(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerBase | Subwords,
    folder: Path,
    objective: Objective | None = None,
) -> None:
    """Write model and tokeniser as transformers do, and beside them what an objective learnt along.

    Raises:
        LimbeckError: The disk is full, or the place cannot be written.
    """
    try:
        with _without_bars():
            model.save_pretrained(folder)
        tokeniser.save_pretrained(folder)
        if tensors := {} if objective is None else tensors_of(objective):
            save_file(tensors, folder / OBJECTIVE)
        # safetensors writes for the owner's eyes only; the weights are for whoever may read the rest.
        for weights in folder.glob("*.safetensors"):
            weights.chmod((folder / "config.json").stat().st_mode)
    except SafetensorError as error:
        raise write_error(system_error(error), folder) from error
    except OSError as error:
        raise write_error(error, folder) from error


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar for a file that is written in no time."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
