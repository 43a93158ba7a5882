"""Masking: tokens that a masked language model guesses, drawn anew whenever a batch is made.

Devlin et al. 2019, BERT, section 3.1: of those to guess 80 % are masked, 10 % become any other token, and 10 % stay.
What is drawn is a function of the step, as all random numbers are (:mod:`limbeck.train.settled`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHARE = 0.15
"""Of the tokens, that are guessed."""


class Masker:
    """Picks the tokens to guess, special ones never, and hides them, by transformers' own collator.

    Args:
        tokeniser: The student's.
        share: Of the tokens, that are guessed.

    Raises:
        LimbeckError: The tokeniser has no mask token.
    """

    def __init__(self, tokeniser: PreTrainedTokenizerBase, share: float = SHARE) -> None:
        from transformers import DataCollatorForLanguageModeling

        if tokeniser.mask_token_id is None:
            raise LimbeckError("the tokeniser has no mask token", fix="Choose a masked language model")
        self.collator = DataCollatorForLanguageModeling(tokeniser, mlm_probability=share)
        self.special = torch.tensor(tokeniser.all_special_ids)

    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """What the model reads, and what it shall guess (``NO_GOLD`` elsewhere), each ``(batch, tokens)``."""
        shown, truth = self.collator.torch_mask_tokens(ids.clone(), torch.isin(ids, self.special))
        return shown, truth

    def masked(self, batch: Batch) -> Batch:
        """A batch with some of its tokens masked."""
        shown, truth = self(batch.inputs["input_ids"])
        return replace(batch, inputs={**batch.inputs, "input_ids": shown}, truth=truth)
