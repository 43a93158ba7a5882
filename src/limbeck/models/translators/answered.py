"""How well a translator does on texts with translations, while it is trained: what it writes, and the loss of gold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from limbeck.core.decoding import Decoding
from limbeck.core.signals import TOKENS, Guess
from limbeck.losses.translation import summed
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
    longest = int(targets.lengths.max(initial=1)) + ROOM
    decoding = Decoding(search="greedy", max_length=longest)
    return [best.tokens for best, *_ in translate(model, encoded, decoding, device=device)]


@torch.inference_mode()
def gold_loss(model: PreTrainedModel, encoded: Encoded, device: torch.device) -> float:
    """Negative log-likelihood of all that it should have guessed, and penalties, in nats a token of gold.

    Args:
        model: A translator in evaluation mode.
        encoded: Texts with translations.
        device: Where the model is.
    """
    total, tokens = 0.0, 0
    for rows in batches(encoded.sizes, TOKENS_PER_BATCH):
        for said in guesses_of(model, collate(encoded, rows).to(device).inputs):
            total += float(summed(said))
            tokens += len(said.truth) if isinstance(said, Guess) and said.name == TOKENS else 0
    return total / max(1, tokens)
