"""Budget: optimiser steps of a method's stages, and of the control, which takes as many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limbeck.train.loop import total_steps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limbeck.core.method import Stage
    from limbeck.pipeline.run import Run


def steps_of(run: Run, title: str) -> list[int]:
    """Steps of each stage that trains the student, of a method or the control."""
    stages = run.students_stages(title)
    passes = [control_epochs(run)] if title == run.control else [epochs_of(run, stage) for stage in stages]
    return [
        total_steps(_lengths(run, stage), run.recipe.train.model_copy(update={"epochs": epochs}))
        for stage, epochs in zip(stages, passes, strict=True)
    ]


def control_epochs(run: Run) -> float:
    """Passes over the transfer set, as many as the longest method makes in all stages there that train its student.

    What trains others, such as assistants, is none of the student's budget.
    """
    return max(
        sum(epochs_of(run, stage) for stage in run.students_stages(title) if stage.hears != "raw")
        for title in run.methods
    )


def epochs_of(run: Run, stage: Stage) -> float:
    """Passes that a stage makes over its text."""
    return run.recipe.train.epochs if stage.epochs is None else stage.epochs


def _lengths(run: Run, stage: Stage) -> NDArray[np.int64]:
    """Tokens of each row of a pass: of the raw text, or of the whole transfer set, whatever part of it is heard."""
    return run.raw_lengths if stage.hears == "raw" else run.encoded_train.sizes
