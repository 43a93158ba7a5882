"""Training several students at once, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, MutableSequence, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Recipe

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run

EVERY = 0.5
"""Seconds between looks at how far the students are."""


def train(run: Run, pairs: Sequence[tuple[str, int]]) -> None:
    """Train the students of these methods and seeds, as many at once as the recipe says.

    Small students gain little from a second thread; a second student on the second core gains all of it. Each student
    comes out as it would have alone on the same number of threads.

    Raises:
        LimbeckError: A process was killed, or could not start; or training itself fails.
    """
    jobs = min(run.recipe.jobs, len(pairs))
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    shares: MutableSequence[float] = context.RawArray("d", len(pairs))  # each written by one process alone
    with (
        ProcessPoolExecutor(jobs, context, _begin, (threads, shares)) as pool,
        progress.task(f"train     {len(pairs)} students, {jobs} at a time", len(pairs)) as task,
    ):
        waiting = {pool.submit(_train, run.recipe, run.folder, *each) for each in enumerate(pairs)}
        told = 0.0
        try:
            while waiting:
                ended, _ = wait(waiting, timeout=EVERY, return_when=FIRST_COMPLETED)
                for future in ended:
                    waiting.remove(future)
                    for tell, text, facts in future.result():
                        (progress.warn if tell == "warn" else progress.say)(text, **facts)
                done = sum(shares)
                task.advance(done - told)
                told = done
        except BrokenProcessPool:
            raise LimbeckError(
                "a process that trained a student ended before its time",
                where="jobs",
                fix="Memory may have run out: set jobs=1; and a script that calls distill does so under "
                "if __name__ == '__main__':",
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


Told = tuple[Literal["say", "warn"], str, dict[str, Any]]
"""What a process would have told, and its facts."""


class _Elsewhere(progress.Reporter):
    """What a process tells the one that started it: how far its student is, and at the end all that it has to say.

    Args:
        shares: How far each student is, from 0 to 1.
    """

    def __init__(self, shares: MutableSequence[float]) -> None:
        self.shares, self.place, self.stages = shares, 0, 1
        self.told: list[Told] = []

    @contextmanager
    def student(self, place: int, stages: int) -> Iterator[list[Told]]:
        """While one of the students is trained, whose method has so many stages; what is told meanwhile."""
        self.place, self.stages, self.told = place, stages, []
        yield self.told
        self.shares[place] = 1.0

    def say(self, text: str, **facts: Any) -> None:
        """One finished thing."""
        self.told.append(("say", text, facts))

    def warn(self, text: str, **facts: Any) -> None:
        """Something that the person should look at."""
        self.told.append(("warn", text, facts))

    @contextmanager
    def task(self, what: str, total: float) -> Iterator[progress.Task]:
        """A long step of ``total`` units; the stages of a student are those that count."""
        yield _Stage(self, total) if what.startswith("train ") else progress.SilentTask()


class _Stage(progress.SilentTask):
    def __init__(self, teller: _Elsewhere, total: float) -> None:
        self.teller, self.total = teller, total

    def advance(self, amount: float = 1) -> None:
        """That much more is done."""
        self.teller.shares[self.teller.place] += amount / self.total / self.teller.stages


def _begin(threads: int, shares: MutableSequence[float]) -> None:
    import torch

    progress.use(_Elsewhere(shares))
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Do not train on for hours when whoever asked for it was killed; checkpoints hold what is done so far."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _train(recipe: Recipe, folder: Path, place: int, pair: tuple[str, int]) -> list[Told]:
    from limbeck.pipeline.run import Run
    from limbeck.pipeline.steps import train_student

    run = Run.of(recipe)
    run.folder = folder  # which may have been moved, or be named from another place
    teller = progress.used()
    assert isinstance(teller, _Elsewhere)
    with teller.student(place, len(run.students_stages(pair[0]))) as told:
        train_student(run, *pair)
    return told
