"""Decode: translations of all of a set's texts, by any translator, in the set's order.

A text gets the same translations alone and in any batch, up to the rounding of floating-point numbers, which matters
only where two choices are equally good to six or seven digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.models.heads import quiet
from limbeck.models.outputs import evaluating
from limbeck.models.translators.sampling import uniforms
from limbeck.models.translators.search import longest_translation, search
from limbeck.models.translators.translator import Hypothesis, ParallelTranslator
from limbeck.text.batching import batches
from limbeck.text.encode import Encoded, collate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding

TOKENS_PER_BATCH = {"cpu": 2048}
"""Tokens of the sources that are translated at a time, padding included, by type of device."""
ELSEWHERE = 8192
"""The same on all other devices."""
AUTOREGRESSIVE_SEARCHES = frozenset({"beam", "greedy", "sampling"})
SCORES_A_TOKEN = 2**15
"""Scores that a token of a source may cost, 128 KiB. A parallel translator scores all tokens there are at every place
of all candidates; where that is more, fewer are translated at a time."""


def translate(
    model: PreTrainedModel,
    encoded: Encoded,
    decoding: Decoding,
    *,
    others: Sequence[PreTrainedModel] = (),
    tokens_per_batch: int | None = None,
    device: torch.device | None = None,
) -> list[tuple[Hypothesis, ...]]:
    """Translations of all texts, in their order, those of each best first.

    Args:
        model: One of Limbeck's, or any encoder-decoder of transformers; its mode is as before afterwards.
        encoded: The texts; translations that come with them are not looked at.
        decoding: How to search.
        others: Further autoregressive models of the same vocabulary; at each step probabilities are averaged.
        tokens_per_batch: Tokens of the sources of a batch, padding included; None is what suits the device.
        device: Where the models are; by default, asked of ``model``.

    Raises:
        LimbeckError: The model does not know a token; an ensemble whose vocabularies differ; or an ensemble, or several
            translations of a text, of models that write many tokens at once.
    """
    _check(model, decoding, others)
    _check_known(model, encoded)
    place = device or next(model.parameters()).device
    budget = tokens_per_batch or _tokens_per_batch(model, decoding, place)
    found: list[tuple[Hypothesis, ...]] = [()] * len(encoded)
    with ExitStack() as during, progress.task("translate", len(encoded)) as task:
        during.enter_context(torch.inference_mode())
        for one in (model, *others):
            during.enter_context(evaluating(one))
        for rows in batches(encoded.lengths, budget):
            best = _translations(model, encoded, rows, decoding, others, place)
            for row, some in zip(rows, best, strict=True):
                found[row] = some
            task.advance(len(rows))
    return found


def log_probability(model: PreTrainedModel, found: Hypothesis, decoding: Decoding) -> float | None:
    """Mean log-probability of a translation's tokens, its end counted (nats), with no length penalty.

    Of a parallel translator it is the score, which is such a mean as its decoder gave the tokens (of a ``flowseq`` with
    its length's added); None of an empty translation, of which no token was scored.

    Args:
        model: Which found it.
        found: The translation.
        decoding: How it was searched for.
    """
    if isinstance(model, ParallelTranslator):
        return found.score if found.tokens else None
    return unpenalised(found.score, found.passes, decoding)  # a pass a token


def unpenalised(score: float, tokens: int, decoding: Decoding) -> float:
    """Log-probability over the length, where it was divided by the length to the penalty's power.

    Args:
        score: As a search ranks by it.
        tokens: Of the translation, its end counted, and a start that was forced.
        decoding: How it was searched for.
    """
    return float(score * tokens ** (decoding.length_power - 1))


def _tokens_per_batch(model: PreTrainedModel, decoding: Decoding, device: torch.device) -> int:
    """What suits the device, and of a parallel translator its memory."""
    usual: int = TOKENS_PER_BATCH.get(device.type, ELSEWHERE)
    output = model.get_output_embeddings()
    if not isinstance(model, ParallelTranslator) or output is None:
        return usual
    scores: int = output.weight.shape[0] * decoding.candidates
    return min(usual, max(1, usual * SCORES_A_TOKEN // scores))


def _translations(
    model: PreTrainedModel,
    encoded: Encoded,
    rows: NDArray[np.int64],
    decoding: Decoding,
    others: Sequence[PreTrainedModel],
    device: torch.device,
) -> list[tuple[Hypothesis, ...]]:
    """Of a batch."""
    inputs = collate(encoded, rows).to(device).inputs
    if isinstance(model, ParallelTranslator):
        return [(best,) for best in model.decode(inputs, decoding)]
    numbers = _numbers(model, encoded, rows, decoding, device)
    with quiet():
        return search(model, inputs, decoding, others=others, numbers=numbers)


def _numbers(
    model: PreTrainedModel,
    encoded: Encoded,
    rows: NDArray[np.int64],
    decoding: Decoding,
    device: torch.device,
) -> Tensor | None:
    """What sampling draws by, ``(rows times draws, steps)``; None for other searches."""
    if decoding.search != "sampling":
        return None
    steps = longest_translation(model, decoding)
    texts = (encoded.tokens[encoded.offsets[row] : encoded.offsets[row + 1]] for row in rows)
    drawn = [uniforms(text, decoding.seed, decoding.keep, steps) for text in texts]
    return torch.from_numpy(np.concatenate(drawn)).to(device)


def _check_known(model: PreTrainedModel, encoded: Encoded) -> None:
    """Refuse tokens that the model has no embedding for."""
    embeddings: Any = model.get_input_embeddings()
    known, largest = embeddings.weight.shape[0], int(encoded.tokens.max(initial=0))
    if largest >= known:
        what = (
            f"the tokeniser says token {largest:,}, and the model {type(model).__name__} knows {known:,} only"
        )
        raise LimbeckError(what, fix="Give the tokeniser that it was trained with")


def _check(model: PreTrainedModel, decoding: Decoding, others: Sequence[PreTrainedModel]) -> None:
    parallel = next((one for one in (model, *others) if isinstance(one, ParallelTranslator)), None)
    if decoding.search not in (AUTOREGRESSIVE_SEARCHES if parallel is None else parallel.searches):
        what = f"a {type(parallel or model).__name__} cannot search by '{decoding.search}'"
        raise LimbeckError(what, where="decoding.search", fix="Choose beam or greedy")
    if parallel is None:
        return
    name = type(parallel).__name__
    if others:
        what = f"a {name} writes many tokens at once, and members of an ensemble one after the other"
        raise LimbeckError(what, fix="Choose autoregressive members")
    if decoding.keep > 1:
        raise LimbeckError(f"a {name} finds one translation of a text, and 'keep' is {decoding.keep}")
