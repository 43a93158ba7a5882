"""The likeliest next tokens of an autoregressive translator, after each beginning of a given translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.signals import TOKENS, Guess, NextTokens
from limbeck.models.translators.ensemble import mean_log_probabilities
from limbeck.models.translators.guesses import guesses_of
from limbeck.models.translators.translator import ParallelTranslator

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def next_tokens(
    model: PreTrainedModel, inputs: Mapping[str, Tensor], k: int, others: Sequence[PreTrainedModel] = ()
) -> NextTokens:
    """What a translator, or an ensemble, expects at every place of the translations that are learnt.

    Args:
        model: An autoregressive translator.
        inputs: As of :func:`limbeck.models.translators.guesses.guesses_of`.
        k: Tokens kept at each place; no more than there are.
        others: Further ones of the same vocabulary, whose probabilities are averaged in.

    Raises:
        LimbeckError: One of them writes many tokens at once, or their vocabularies differ.
    """
    log_probabilities = mean_log_probabilities(
        [_scores(one, inputs).log_softmax(-1) for one in (model, *others)]
    )  # (items, vocabulary)
    best = log_probabilities.topk(min(k, log_probabilities.shape[-1]))
    return NextTokens(best.indices, best.values)


def _scores(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> Tensor:
    """Of all tokens at every place, ``(items, vocabulary)``, float32."""
    if isinstance(model, ParallelTranslator):
        what = f"a {type(model).__name__} writes many tokens at once: none is the next after those before it"
        raise LimbeckError(what, fix="Choose an autoregressive teacher")
    (guess,) = guesses_of(model, inputs)
    assert isinstance(guess, Guess) and guess.name == TOKENS
    return guess.scores.float()
