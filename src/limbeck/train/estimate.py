"""How long a training will take, from a trial step on a copy of the student."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.core.recipe import Training
from limbeck.models.outputs import say
from limbeck.train.optimiser import RowGradients, adamw, finish_gradient, gradients

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def seconds_per_step(
    model: PreTrainedModel, lengths: NDArray[np.int64], settings: Training, *, repeats: int = 3
) -> float:
    """Seconds that an optimiser step takes here: the least of some trials on a batch of middling sentences.

    The teacher's answers and the objective are left out: with stored answers they cost next to nothing.

    Args:
        model: The student; a copy of it does the work, on the device that it is on.
        lengths: Tokens of each example, ``(examples,)``.
        settings: Tokens per batch, accumulation.
        repeats: Trials after a first one that is not counted.
    """
    student = copy.deepcopy(model).train()
    optimiser = adamw(student, settings.learning_rate, settings.weight_decay)
    row_gradients = RowGradients(student, model.device)
    tokens = max(1, int(np.median(lengths)))
    rows = max(
        1,
        min(len(lengths), settings.tokens_per_batch // tokens, settings.sentences_per_batch or len(lengths)),
    )
    ids = torch.zeros(rows, tokens, dtype=torch.int64, device=model.device)
    taken = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        for _ in range(settings.accumulate):
            with row_gradients.collected():
                logits = say(student, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).named(
                    "logits"
                )
                assert isinstance(logits, torch.Tensor)
                logits.float().square().sum().backward()
        float(finish_gradient(gradients(student), rows, settings.clip))
        optimiser.step()
        row_gradients.clear()
        optimiser.zero_grad(set_to_none=True)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])
