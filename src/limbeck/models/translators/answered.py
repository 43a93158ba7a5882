"""How well a translator does on texts with translations, while it is trained: what it writes, and the loss of gold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from limbeck.core.decoding import Decoding
from limbeck.core.signals import TOKENS
from limbeck.models.translators.decode import translate
from limbeck.models.translators.guesses import guesses_of
from limbeck.text.batching import batches
from limbeck.text.encode import Encoded, Targets, collate

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOKENS_PER_BATCH = 1024
"""Of texts or translations whose gold is scored at a time, padding included: each costs the scores of all tokens."""
ROOM = 10
"""So many tokens more than the longest of gold may a translation have: a model that knows nothing yet never ends."""


def greedily(
    model: PreTrainedModel, encoded: Encoded, targets: Targets, device: torch.device
) -> list[tuple[int, ...]]:
    """Its greedy translations, as token ids, in the order of the texts.

    Args:
        model: A translator.
        encoded: The texts.
        targets: Their gold, which says nothing but where to stop a translation that does not end.
        device: Where the model is.
    """
    longest = int(targets.lengths.max(initial=1))
    decoding = Decoding(search="greedy", max_length=longest + ROOM)
    return [best.tokens for best, *_ in translate(model, encoded, decoding, device=device)]


@torch.inference_mode()
def gold_loss(model: PreTrainedModel, encoded: Encoded, device: torch.device) -> float:
    """Negative log-likelihood of all that it should have guessed, in nats a token of gold.

    Args:
        model: A translator in evaluation mode.
        encoded: Texts with translations.
        device: Where the model is.
    """
    total, tokens = 0.0, 0
    for rows in batches(encoded.sizes, TOKENS_PER_BATCH):
        for guess in guesses_of(model, collate(encoded, rows).to(device).inputs):
            losses = functional.cross_entropy(guess.scores.float(), guess.truth, reduction="none")
            total += float((losses if guess.weights is None else losses * guess.weights).sum())
            tokens += len(guess.truth) if guess.name == TOKENS else 0
    return total / max(1, tokens)
