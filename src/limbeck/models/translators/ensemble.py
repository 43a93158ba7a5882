"""Ensembles of autoregressive translators: at each step, the mean of their probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import LogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from limbeck.core.errors import LimbeckError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def mean_log_probabilities(members: Sequence[Tensor]) -> Tensor:
    """``log 1/n sum_i p_i`` of log-probabilities of the same shape; of one member, its own.

    Raises:
        LimbeckError: Their vocabularies differ.
    """
    sizes = list(dict.fromkeys(member.shape[-1] for member in members))
    if len(sizes) > 1:
        told = " and ".join(f"{size:,}" for size in sizes)
        what = f"an ensemble's members must share a vocabulary, and these have {told} tokens"
        raise LimbeckError(what, fix="Train them on the same prepared text")
    if len(members) == 1:
        return members[0]
    return torch.stack(tuple(members)).logsumexp(0) - math.log(len(members))


class Encoding:
    """What an encoder made of a batch, and its decoder's scores of what comes next.

    Attributes:
        model: The translator.
        states: ``(batch, tokens, width)``.
        mask: One where a token is real, ``(batch, tokens)``.
    """

    def __init__(self, model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> None:
        self.model, self.mask = model, inputs["attention_mask"]
        encoder = model.get_encoder()
        output = encoder(input_ids=inputs["input_ids"], attention_mask=self.mask, return_dict=True)
        self.states: Tensor = output.last_hidden_state

    def repeated(self, times: int, rows: slice = slice(None)) -> dict[str, Any]:
        """For the decoder: each row of the batch so many times, then these of the repeated rows."""
        states, mask = (each.repeat_interleave(times, 0)[rows] for each in (self.states, self.mask))
        return {"encoder_outputs": BaseModelOutput(last_hidden_state=states), "attention_mask": mask}

    def scores(self, prefixes: Tensor, times: int, rows: slice = slice(None)) -> Tensor:
        """Unnormalised scores of what follows each token, ``(rows, tokens) -> (rows, tokens, vocabulary)`` float32."""
        reading = self.repeated(times, rows)
        logits: Tensor = self.model(decoder_input_ids=prefixes, use_cache=False, **reading).logits
        return logits.float()


class Averaged(LogitsProcessor):
    """Averages the probabilities of an ensemble, of which ``generate`` runs the first member.

    What may not be written next has a score of minus infinity by then, and keeps it; a token that alone may be has a
    probability of one. Where the scores are not normalised yet, that was taken from them too early, and the first
    member, too, reads each prefix anew. The others always do: a search may reorder its beams between two steps, and the
    prefixes are all that it shows.

    Args:
        members: The translators.
        normalised: Whether the first one's scores are log-probabilities already, as in beam search.
    """

    def __init__(self, members: Sequence[Encoding], normalised: bool) -> None:
        self.read = members[1:] if normalised else members
        self.normalised = normalised

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Log-probabilities of the ensemble, ``(rows, vocabulary)``, after prefixes ``(rows, tokens)``."""
        likelihoods = [scores] if self.normalised else []
        for member in self.read:
            mine = member.scores(input_ids, len(input_ids) // len(member.mask))[:, -1]
            likelihoods.append(mine.log_softmax(-1))
        barred = scores == -torch.inf
        means = mean_log_probabilities(likelihoods).masked_fill(barred, -torch.inf)
        forced = (~barred).sum(-1, keepdim=True) == 1
        return means.masked_fill(forced & ~barred, 0.0)
