"""How long a training will take, from a trial step on a copy of the student."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.recipe import Training
from limbeck.core.signals import Guess, Penalty
from limbeck.losses.translation import summed
from limbeck.models.outputs import say
from limbeck.models.taggers.tagger import Tagger
from limbeck.train.optimiser import RowGradients, adamw, finish_gradient, gradients

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BYTES = 5
"""Of a middling word."""


def seconds_per_step(
    model: PreTrainedModel,
    lengths: NDArray[np.int64],
    settings: Training,
    *,
    targets: NDArray[np.int64] | None = None,
    repeats: int = 3,
) -> float:
    """Seconds that an optimiser step takes here: the least of some trials on a batch of middling sentences.

    The teacher's answers and the objective are left out: with stored answers they cost next to nothing. Of translators
    the loss is taken along, for it runs over the vocabulary.

    Args:
        model: The student; a copy of it does the work, on the device that it is on.
        lengths: Tokens of each example, ``(examples,)``.
        settings: Tokens per batch, accumulation.
        targets: Of a translator, tokens of each translation, ``(examples,)``.
        repeats: Trials after a first one that is not counted.
    """
    student = copy.deepcopy(model).train()
    optimiser = adamw(student, settings.learning_rate, settings.weight_decay)
    row_gradients = RowGradients(student, model.device)
    inputs = _middling(lengths, targets, settings, model.device)
    if isinstance(model, Tagger):
        inputs |= _words(inputs["input_ids"])
    taken = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        for _ in range(settings.accumulate):
            with row_gradients.collected():
                _loss(student, inputs).backward()
        float(finish_gradient(gradients(student), len(inputs["input_ids"]), settings.clip))
        optimiser.step()
        row_gradients.clear()
        optimiser.zero_grad(set_to_none=True)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])


def _middling(
    lengths: NDArray[np.int64],
    targets: NDArray[np.int64] | None,
    settings: Training,
    device: torch.device,
) -> dict[str, Tensor]:
    """A full batch of examples of the median length."""
    tokens, translated = (
        max(1, int(np.median(each))) for each in (lengths, lengths if targets is None else targets)
    )
    budget = settings.tokens_per_batch // max(tokens, translated)
    rows = max(1, min(len(lengths), budget, settings.sentences_per_batch or len(lengths)))
    ids = torch.zeros(rows, tokens, dtype=torch.int64, device=device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return inputs if targets is None else inputs | {"labels": ids.new_ones(rows, translated)}


def _words(ids: Tensor) -> dict[str, Tensor]:
    """What taggers read beside tokens, were every token a word."""
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    spelled = torch.ones(*ids.shape, BYTES, dtype=torch.uint8, device=ids.device)
    return {"word_starts": places, "word_ends": places, "word_bytes": spelled}


def _loss(student: PreTrainedModel, inputs: Mapping[str, Tensor]) -> Tensor:
    """Something that a gradient can be taken of."""
    if "labels" not in inputs:
        logits: Tensor = say(student, inputs).named("logits")
        return logits.float().square().sum()
    guesses: tuple[Guess | Penalty, ...] = say(student, inputs, frozenset({"guesses"})).named("guesses")
    return torch.stack([summed(one, smoothing=0.1) for one in guesses]).sum()
