"""What models say: signals for objectives, and plain logits for everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from limbeck.core.signals import SignalName, Signals
from limbeck.models.first_token import first_token_only
from limbeck.models.student import classes
from limbeck.text.batching import batches
from limbeck.text.encode import Encoded, collate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

LOGITS: frozenset[SignalName] = frozenset({"logits"})

TOKENS_PER_BATCH = {"cpu": 1024}
"""What a model is asked at a time, padding included, by type of device. On a CPU larger batches are slower: what a
layer hands to the next one no longer fits into the cache, and there is more padding."""
ELSEWHERE = 2048
"""The same on all other devices."""


def say(
    model: PreTrainedModel, inputs: Mapping[str, Tensor], reads: frozenset[SignalName] = LOGITS
) -> Signals:
    """What a model says about a batch, with the graph for gradients.

    Args:
        model: Any transformers model for sequence classification.
        inputs: ``input_ids`` and ``attention_mask``, each ``(batch, tokens)``, on the model's device.
        reads: Which signals; ``hidden`` is without the embeddings' output, which is ``embeddings``.
    """
    wanted = {}
    if reads & {"hidden", "embeddings"}:
        wanted["output_hidden_states"] = True
    if "attention" in reads:
        # Other implementations never make the maps.
        if model.config._attn_implementation != "eager":
            model.set_attn_implementation("eager")
        wanted["output_attentions"] = True
    with first_token_only(model) if reads <= LOGITS else nullcontext():
        output = model(**inputs, **wanted)
    states = output.hidden_states if wanted.get("output_hidden_states") else None
    return Signals(
        logits=output.logits if "logits" in reads else None,
        hidden=tuple(states[1:]) if states is not None and "hidden" in reads else None,
        attention=tuple(output.attentions) if "attention" in reads else None,
        embeddings=states[0] if states is not None and "embeddings" in reads else None,
        mask=inputs.get("attention_mask") if reads - LOGITS else None,
    )


def predict(
    model: PreTrainedModel,
    encoded: Encoded,
    tokens_per_batch: int | None = None,
    device: torch.device | None = None,
) -> NDArray[np.float32]:
    """Logits of all sentences, in their order, ``(sentences, classes)``.

    Args:
        model: Any transformers model for sequence classification; its mode is as before afterwards.
        encoded: The sentences.
        tokens_per_batch: Tokens of a batch, padding included; None is what suits the device.
        device: Where the model is; by default, asked of it.
    """
    place = device or next(model.parameters()).device
    logits = np.zeros((len(encoded), classes(model.config)), dtype=np.float32)
    with torch.inference_mode(), evaluating(model), first_token_only(model):
        for rows in batches(encoded.lengths, tokens_per_batch or tokens_at_a_time(place)):
            output = model(**collate(encoded, rows).to(place).inputs)
            logits[rows] = output.logits.float().cpu().numpy()
    return logits


def tokens_at_a_time(device: torch.device) -> int:
    """What a model there is asked at a time, in tokens, padding included."""
    return TOKENS_PER_BATCH.get(device.type, ELSEWHERE)


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Without dropout; the model's mode comes back afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
