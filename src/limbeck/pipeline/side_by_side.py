"""Training several students at once, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.core import progress, tasks
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Recipe

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run


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
    with (
        ProcessPoolExecutor(jobs, context, _begin, (threads,)) as pool,
        progress.task(f"train     {len(pairs)} students, {jobs} at a time", len(pairs)) as task,
    ):
        waiting = {
            pool.submit(_train, run.recipe, run.folder, title, seed): (title, seed) for title, seed in pairs
        }
        try:
            for future in as_completed(waiting):
                future.result()
                title, seed = waiting[future]
                metric = run.training.metric
                score = tasks.shown(metric, run.dev_score(title, seed))
                progress.say(f"train     {title}, seed {seed}: {metric} {score} on dev")
                task.advance()
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


def _begin(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Do not train on for hours when whoever asked for it was killed; checkpoints hold what is done so far."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _train(recipe: Recipe, folder: Path, title: str, seed: int) -> None:
    from limbeck.pipeline.run import Run
    from limbeck.pipeline.steps import train_student

    run = Run.of(recipe)
    run.folder = folder  # which may have been moved, or be named from another place
    train_student(run, title, seed)
