"""What a plan says of the models that are trained between teacher and student."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from limbeck.evaluate.cost import tensor_bytes
from limbeck.models.weights import learnt
from limbeck.pipeline import chain
from limbeck.train.estimate import seconds_per_step
from limbeck.train.loop import total_steps

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run


def successors(run: Run, taught: bool) -> Iterator[tuple[str, float, int, bool]]:
    """Each model: what it is, how long its training takes, the bytes of its weights, whether it is done.

    Args:
        run: The run; its teacher may be an untaught one.
        taught: Whether it is the one that teaches.
    """
    lengths = run.encoded_train.sizes
    for title, number, stage in chain.successors(run):
        model, settings = chain.untaught(run, stage, number), chain.settings_of(run, stage)
        count = total_steps(lengths, settings)
        inputs = chain.successor_inputs(run, title, number)
        done = taught and run.successor_folder(title, stage).is_done(inputs)
        kind, _ = chain.shape_of(run, stage)
        what = f"{title}, {stage.name}: a {kind} of {learnt(model):,} parameters, {count:,} steps"
        seconds = 0 if done else count * seconds_per_step(model, lengths, settings)
        yield what, seconds, tensor_bytes(model), done
