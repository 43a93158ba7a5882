"""What translators are scored on: of autoregressive ones, each token of the translation after those before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from limbeck.core.objective import NO_GOLD
from limbeck.core.signals import TOKENS, Guess
from limbeck.models.translators.translator import ParallelTranslator

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def guesses_of(
    model: PreTrainedModel, inputs: Mapping[str, Tensor], *, through: nn.Module | None = None
) -> tuple[Guess, ...]:
    """What a translator is scored on for a batch, with the graph for gradients.

    Args:
        model: One of Limbeck's, or any encoder-decoder of transformers with a language model's head.
        inputs: ``input_ids`` and ``attention_mask``, ``(batch, tokens)``, and ``labels``: the translations' tokens,
            each with its end token and ``NO_GOLD`` after it, ``(batch, target tokens)``; perhaps ``fertilities``,
            as ``input_ids``.
        through: What is called in the model's place: the model as it is wrapped for several devices.

    Returns:
        Of an autoregressive one the guess ``tokens``: its items are the labels' tokens, row by row.
    """
    if isinstance(model, ParallelTranslator):
        guesses: tuple[Guess, ...] = (through or model)(
            **_given(inputs), labels=inputs["labels"], fertilities=inputs.get("fertilities")
        )
        return guesses
    real = inputs["labels"] != NO_GOLD
    read = {**_given(inputs), "decoder_input_ids": decoder_inputs(model, inputs["labels"])}
    with scored_at(model, real):
        scores = (through or model)(**read, use_cache=False).logits
    if scores.ndim == 3:  # what scores is none of transformers' own, and scored everything
        scores = scores[real]
    return (Guess(TOKENS, scores, inputs["labels"][real]),)


@contextmanager
def scored_at(model: PreTrainedModel, places: Tensor) -> Iterator[None]:
    """Inside, the output layer scores the states at some places only, ``(places, vocabulary)``, row by row.

    Scoring padding, too, and picking what is real out of all scores takes a fifth of a small model's step on a CPU.

    Args:
        model: Any encoder-decoder of transformers.
        places: True where scores are wanted, ``(batch, target tokens)``.
    """
    layer = model.get_output_embeddings()
    if layer is None:
        yield
        return
    handle = layer.register_forward_pre_hook(lambda module, given: (given[0][places],))
    try:
        yield
    finally:
        handle.remove()


def decoder_inputs(model: PreTrainedModel, labels: Tensor) -> Tensor:
    """What an autoregressive decoder reads to guess these labels: its start token, then all labels but the last.

    Args:
        model: Any encoder-decoder of transformers.
        labels: ``(batch, target tokens)``, ``NO_GOLD`` after the last of a row.

    Returns:
        ``(batch, target tokens)``; padding where there is no gold.
    """
    shift = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if shift is not None:  # as mBART, which starts with the row's last token
        shifted: Tensor = shift(labels)
        return shifted
    start = labels.new_full((len(labels), 1), model.config.decoder_start_token_id)
    before = labels[:, :-1].masked_fill(labels[:, :-1] == NO_GOLD, model.config.pad_token_id)
    return torch.cat((start, before), 1)


def _given(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}
