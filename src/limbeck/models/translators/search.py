"""Search: translations of a batch by an autoregressive model, with transformers' ``generate``.

A translation's score is ``log p(y | x) / T^a``: its log-probability in nats over its length, the end token counted, to
the power of the length penalty. Beam search ranks by it, and keeps as many finished translations as there are beams. A
text's search ends where it has that many, and the likeliest unfinished one, at the length that it has by then, scores
no better than the worst of them; so each text ends by itself, whatever the others of its batch do. What reaches the
greatest length is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from limbeck.models.student import longest_input
from limbeck.models.translators.ensemble import Averaged, Encoding, mean_log_probabilities
from limbeck.models.translators.sampling import Drawn
from limbeck.models.translators.translator import Hypothesis

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding

TOKEN_SETTINGS = (
    "forced_bos_token_id",
    "suppress_tokens",
    "bad_words_ids",
    "eos_token_id",
    "decoder_start_token_id",
)
"""What of a model's own settings for generation its translations depend on: those of tokens that must, or must not, be
written. All else that it says (beams, penalties, lengths, forbidden repetitions) is not looked at."""

SCORES_AT_A_TIME = 2**25
"""So many scores of tokens are computed at a time where finished translations are scored: 128 MiB."""


def search(
    model: PreTrainedModel,
    inputs: Mapping[str, Tensor],
    decoding: Decoding,
    *,
    others: Sequence[PreTrainedModel] = (),
    numbers: Tensor | None = None,
) -> list[tuple[Hypothesis, ...]]:
    """Translations of each row of a batch, best first.

    Args:
        model: Any encoder-decoder of transformers, in evaluation mode.
        inputs: ``input_ids`` and ``attention_mask``, ``(batch, tokens)``.
        decoding: How to search.
        others: Further ones of the same vocabulary, whose probabilities are averaged in.
        numbers: What sampling draws by, ``(batch times draws, steps)``.
    """
    members = [Encoding(one, inputs) for one in (model, *others)]
    sequences = _generate(members, decoding, numbers)  # (batch times keep, start and tokens)
    tokens, ends = sequences[:, 1:], _ends(model, sequences)
    real = (ends.cumsum(1) - ends.long()) == 0  # up to the first end, with it
    likelihoods = _log_likelihoods(members, sequences, real, decoding.keep)
    lengths = real.sum(1)
    scores = likelihoods / lengths**decoding.length_power
    forced = _forced_start(model)
    written = real & ~ends
    written[:, : len(forced)] = False
    rows = zip(tokens, written, scores.tolist(), lengths.tolist(), strict=True)
    found = [Hypothesis(tuple(row[mask].tolist()), score, passes) for row, mask, score, passes in rows]
    kept = (found[start : start + decoding.keep] for start in range(0, len(found), decoding.keep))
    return [tuple(sorted(some, key=lambda one: -one.score)) for some in kept]


def longest_translation(model: PreTrainedModel, decoding: Decoding) -> int:
    """Most tokens of a translation: what is asked for, as far as the model's positions go."""
    positions = longest_input(model)
    asked = decoding.max_length + len(_forced_start(model))
    return asked if positions is None else min(asked, positions - 1)


def _generate(members: Sequence[Encoding], decoding: Decoding, numbers: Tensor | None) -> Tensor:
    """Translations of each row, those of a row side by side, each after its start: ``(batch times keep, tokens)``."""
    model: Any = members[0].model
    beams = decoding.beams if decoding.search == "beam" else 1
    processors: list[LogitsProcessor] = [Averaged(members, normalised=beams > 1)] if len(members) > 1 else []
    if numbers is not None:
        processors.append(Drawn(numbers, decoding.temperature, decoding.top_k))
    asked: dict[str, Any] = {}
    if beams > 1:
        asked = {
            "num_return_sequences": decoding.keep,
            "length_penalty": decoding.length_penalty,
            "early_stopping": False,
        }
    longest = 1 + longest_translation(model, decoding)
    with _token_settings_alone(model):
        sequences: Tensor = model.generate(
            **members[0].repeated(1 if beams > 1 else decoding.keep),
            logits_processor=LogitsProcessorList(processors),
            generation_config=GenerationConfig(**asked, num_beams=beams, max_length=longest),
        )
    return sequences


@contextmanager
def _token_settings_alone(model: PreTrainedModel) -> Iterator[None]:
    """Inside, a model's own settings are those of tokens: ``generate`` takes from it whatever it is not told."""
    own = model.generation_config
    kept = (*TOKEN_SETTINGS, "pad_token_id", "bos_token_id")
    model.generation_config = GenerationConfig(**{key: getattr(own, key, None) for key in kept})
    try:
        yield
    finally:
        model.generation_config = own


def _log_likelihoods(members: Sequence[Encoding], sequences: Tensor, real: Tensor, keep: int) -> Tensor:
    """``log p(y | x)`` of finished translations, ``(batch times keep,)``; a forced start has a probability of one."""
    counted = real.clone()
    counted[:, : len(_forced_start(members[0].model))] = False
    vocabulary = members[0].model.get_output_embeddings().weight.shape[0]
    step = max(1, SCORES_AT_A_TIME // (vocabulary * real.shape[1]))
    sums = []
    for start in range(0, len(sequences), step):
        rows = slice(start, start + step)
        prefixes, following = sequences[rows, :-1], sequences[rows, 1:, None]
        likelihoods = mean_log_probabilities(
            [one.scores(prefixes, keep, rows).log_softmax(-1).gather(-1, following) for one in members]
        )
        sums.append(likelihoods.squeeze(-1).masked_fill(~counted[rows], 0).sum(1))
    return torch.cat(sums)


def _ends(model: PreTrainedModel, sequences: Tensor) -> Tensor:
    """Where a translation has an end token, ``(rows, start and tokens) -> (rows, tokens)``."""
    config = model.generation_config
    assert config is not None
    return torch.isin(sequences[:, 1:], torch.as_tensor(config.eos_token_id, device=sequences.device))


def _forced_start(model: PreTrainedModel) -> tuple[int, ...]:
    """What every translation begins with after the start token: of some families the language, else nothing."""
    config = model.generation_config
    assert config is not None
    return () if config.forced_bos_token_id is None else (config.forced_bos_token_id,)
