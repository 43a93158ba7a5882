"""What models say: signals for objectives, and plain logits for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch
from limbeck.core.signals import OF_ATTENTION, OF_DERIVATIVES, OF_TOKENS, SignalName, Signals
from limbeck.losses.link import LINKS
from limbeck.models.attention import Attended, attended
from limbeck.models.first_token import first_token_only
from limbeck.models.masked_head import asked_at, scores_there
from limbeck.models.sensitivity import derivatives, embeddings_kept
from limbeck.models.student import classes, readable, task_of
from limbeck.models.translators.guesses import guesses_of
from limbeck.structure.chain import negative_log_likelihood, viterbi
from limbeck.text.batching import batches
from limbeck.text.encode import Encoded, Words, collate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from limbeck.structure.chain import Chain

LOGITS: frozenset[SignalName] = frozenset({"logits"})

TOKENS_PER_BATCH = {"cpu": 1024}
"""What a model is asked at a time, padding included, by type of device. On a CPU larger batches are slower: what a
layer hands to the next one no longer fits into the cache, and there is more padding."""
ELSEWHERE = 2048
"""The same on all other devices."""


def say(
    model: PreTrainedModel,
    inputs: Mapping[str, Tensor],
    reads: frozenset[SignalName] = LOGITS,
    *,
    through: nn.Module | None = None,
    places: Tensor | None = None,
    directions: Tensor | None = None,
    over: Callable[[Tensor], Tensor] | None = None,
) -> Signals:
    """What a model says about a batch, with the graph for gradients.

    Args:
        model: Any transformers model for sequence classification, a tagger, or a translator.
        inputs: What collate gives, e.g. ``input_ids`` and ``attention_mask``, on the model's device.
        reads: Which signals; ``hidden`` is without the embeddings' output, which is ``embeddings``. A tagger's
            ``logits`` are its emissions, ``(batch, words, tags)``. A translator's ``guesses`` come alone.
        through: What is called in the model's place: the model as it is wrapped for several devices.
        places: True where a masked LM's scores of the ``vocabulary`` are wanted, ``(batch, tokens)``.
        directions: On what logits are projected whose derivatives are wanted, ``(batch, directions, classes)``.
        over: Makes logits, and all derivatives of them, be over other labels than the model's, differentiably:
            ``(..., classes) -> (..., others)``.

    Raises:
        LimbeckError: Potentials of a model that is no tagger, attention of one that has none to listen to, the
            vocabulary of one that is no masked LM, or derivatives in no direction.
    """
    if reads & OF_DERIVATIVES:
        return _derived(model, inputs, reads, through, directions, over)
    if "guesses" in reads:
        return Signals(guesses=guesses_of(model, inputs, through=through))
    wanted = {}
    if reads & {"hidden", "embeddings"}:
        wanted["output_hidden_states"] = True
    nothing: AbstractContextManager[list[Attended]] = nullcontext([])
    listening = attended(model) if reads & OF_ATTENTION else nothing
    asking = asked_at(model, places) if "vocabulary" in reads and places is not None else nullcontext()
    with first_token_only(model) if reads <= LOGITS else nullcontext(), asking, listening as heard:
        output = (through or model)(**readable(model, inputs), **wanted)
    states = output.hidden_states if wanted.get("output_hidden_states") else None
    logits = output.logits if "logits" in reads else None
    return Signals(
        logits=logits if logits is None or over is None else over(logits),
        hidden=tuple(states[1:]) if states is not None and "hidden" in reads else None,
        attention=tuple(layer.scores for layer in heard) if "attention" in reads else None,
        queries=tuple(layer.query for layer in heard) if "queries" in reads else None,
        keys=tuple(layer.key for layer in heard) if "keys" in reads else None,
        values=tuple(layer.value for layer in heard) if "values" in reads else None,
        embeddings=states[0] if states is not None and "embeddings" in reads else None,
        vocabulary=scores_there(model, output.logits, places) if "vocabulary" in reads else None,
        potentials=potentials_of(model, output.logits, inputs) if "potentials" in reads else None,
        mask=inputs.get("attention_mask") if reads & OF_TOKENS else None,
    )


def _derived(
    model: PreTrainedModel,
    inputs: Mapping[str, Tensor],
    reads: frozenset[SignalName],
    through: nn.Module | None,
    directions: Tensor | None,
    over: Callable[[Tensor], Tensor] | None,
) -> Signals:
    """What a model says, and derivatives of its logits; without gradients where none are made."""
    with embeddings_kept(model) as embedded:
        said = say(model, inputs, reads - OF_DERIVATIVES | LOGITS, through=through, over=over)
    assert said.logits is not None
    found = derivatives(said.logits, embedded, directions)
    said = replace(
        said,
        logits=said.logits if "logits" in reads else None,
        mask=inputs.get("attention_mask"),
        sensitivity=found if "sensitivity" in reads else None,
        saliency=(found * embedded[0].unsqueeze(1)).sum(-1) if "saliency" in reads else None,
    )
    return said if torch.is_grad_enabled() else said.mapped(Tensor.detach, lambda chain: chain.detach())


def potentials_of(
    model: PreTrainedModel, emissions: Tensor, inputs: Mapping[str, Tensor], decoding: bool = False
) -> Chain:
    """The chain of a tagger's emissions and transitions over the words of a batch.

    Args:
        model: A tagger.
        emissions: What it said, ``(batch, words, tags)``.
        inputs: What it was given.
        decoding: Whether what the model must not decode is forbidden.

    Raises:
        LimbeckError: The model is no tagger.
    """
    from limbeck.models.taggers.tagger import Tagger

    if not isinstance(model, Tagger):
        raise LimbeckError(f"a {type(model).__name__} scores no tags of words: it has no potentials to give")
    return model.potentials(emissions, inputs, decoding)


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
            output = model(**readable(model, collate(encoded, rows).to(place).inputs))
            logits[rows] = output.logits.float().cpu().numpy()
    return logits


def predict_tags(
    model: PreTrainedModel,
    encoded: Encoded,
    tokens_per_batch: int | None = None,
    device: torch.device | None = None,
) -> list[NDArray[np.int64]]:
    """The best tags of every sentence (Viterbi), in their order: indices, one a word.

    Words that the maximum length cut off are given the tag ``O``, or the first where there is no such tag.

    Args:
        model: A tagger; its mode is as before afterwards.
        encoded: The sentences, as :func:`limbeck.text.words.encode_words` gives them.
        tokens_per_batch: Tokens of a batch, padding included; None is what suits the device.
        device: Where the model is; by default, asked of it.

    Raises:
        LimbeckError: The model is no tagger, or the sentences are not cut into words.
    """
    words = _words_of(encoded)
    tags = _outside(model, words)
    for rows, batch, emissions in _tagged(model, encoded, tokens_per_batch, device):
        _store_best(model, words, tags, rows, batch.inputs, emissions)
    return np.split(tags, words.offsets[1:-1]) if len(encoded) else []


def answered(
    model: PreTrainedModel, encoded: Encoded, device: torch.device | None = None
) -> tuple[NDArray[Any], Any, float]:
    """Gold, what the model predicts, and the mean loss of gold (nats; of scores squared errors).

    Args:
        model: Its mode is as before afterwards.
        encoded: Examples with gold; tagger's sentences as :func:`limbeck.text.words.encode_words` gives them.
        device: Where the model is; by default, asked of it.

    Returns:
        Label indices of gold and of predictions, ``(sentences,)`` or ``(words,)``, sentence after sentence; of a model
        of scores or of sets of labels gold as it is encoded, and logits, each ``(sentences, labels)``; of a translator
        ``NO_GOLD`` and a list of its greedy translations, tuples of token ids. The loss of gold a sentence, where a
        tagger's sentences with tags that it does not know are left out; of a translator, a token.
    """
    if encoded.targets is not None:
        return encoded.gold, *_translated(model, encoded, device)
    if encoded.words is None:
        logits = predict(model, encoded, device=device)
        if (task := task_of(model.config)) != "classification":
            of_gold = LINKS[task].gold(torch.from_numpy(logits), torch.from_numpy(encoded.gold))
            return encoded.gold, logits, float(of_gold.double().mean())
        loss = functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(encoded.gold))
        return encoded.gold, logits.argmax(-1), float(loss)
    words = encoded.words
    tags, losses = _outside(model, words), []
    for rows, batch, emissions in _tagged(model, encoded, None, device):
        _store_best(model, words, tags, rows, batch.inputs, emissions)
        chain = potentials_of(model, emissions, batch.inputs)
        known = ((batch.gold != NO_GOLD) | ~chain.mask).all(1)
        gold = batch.gold.masked_fill(~known[:, None], 0)
        losses.append(negative_log_likelihood(chain, gold)[known].double().cpu())
    mean = float(torch.cat(losses).mean()) if losses else 0.0
    return words.gold, tags, mean


def _translated(
    model: PreTrainedModel, encoded: Encoded, device: torch.device | None
) -> tuple[list[tuple[int, ...]], float]:
    """Greedy translations, and the loss of gold a token."""
    from limbeck.models.translators.answered import gold_loss, greedily  # which needs this module

    assert encoded.targets is not None
    place = device or next(model.parameters()).device
    with evaluating(model):
        return greedily(model, encoded, encoded.targets, place), gold_loss(model, encoded, place)


def predict_emissions(
    model: PreTrainedModel,
    encoded: Encoded,
    tokens_per_batch: int | None = None,
    device: torch.device | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Emissions of all words that were not cut off, sentence after sentence; arguments as :func:`predict_tags`.

    Returns:
        Emissions ``(words, tags)``, and where each sentence's start, and the end: ``(sentences + 1,)``.

    Raises:
        LimbeckError: The model is no tagger, or the sentences are not cut into words.
    """
    kept = _words_of(encoded).kept
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(kept)))
    found = np.zeros((offsets[-1], classes(model.config)), dtype=np.float32)
    for rows, _, emissions in _tagged(model, encoded, tokens_per_batch, device):
        real, places = _flat_places(kept[rows], offsets[rows])
        found[places] = emissions.float().cpu().numpy()[real]
    return found, offsets


def _tagged(
    model: PreTrainedModel, encoded: Encoded, tokens_per_batch: int | None, device: torch.device | None
) -> Iterator[tuple[NDArray[np.int64], Batch, Tensor]]:
    """Rows, inputs and gold, and emissions ``(batch, words, tags)`` of each batch."""
    place = device or next(model.parameters()).device
    with torch.inference_mode(), evaluating(model):
        for rows in batches(encoded.lengths, tokens_per_batch or tokens_at_a_time(place)):
            batch = collate(encoded, rows).to(place)
            yield rows, batch, model(**batch.inputs).logits


def _outside(model: PreTrainedModel, words: Words) -> NDArray[np.int64]:
    """The tag ``O`` (or the first, where there is none) for every word."""
    return np.full(len(words.starts), (model.config.label2id or {}).get("O", 0), dtype=np.int64)


def _store_best(
    model: PreTrainedModel,
    words: Words,
    tags: NDArray[np.int64],
    rows: NDArray[np.int64],
    inputs: Mapping[str, Tensor],
    emissions: Tensor,
) -> None:
    """Put the best tags of a batch into their places among all words' ``tags``."""
    _, paths = viterbi(potentials_of(model, emissions, inputs, decoding=True))
    real, places = _flat_places(words.kept[rows], words.offsets[rows])
    tags[places] = paths.cpu().numpy()[real]


def _flat_places(
    counts: NDArray[np.int64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which of ``(batch, words)`` are real, and where these stand in a flat array."""
    columns = np.arange(counts.max(initial=1))
    real = columns < counts[:, None]
    return real, (starts[:, None] + columns)[real]


def _words_of(encoded: Encoded) -> Words:
    if encoded.words is None:
        raise LimbeckError(
            "a tagger needs sentences that are cut into words", fix="Encode them with encode_words"
        )
    return encoded.words


def tokens_at_a_time(device: torch.device) -> int:
    """What a model there is asked at a time, in tokens, padding included."""
    return TOKENS_PER_BATCH.get(device.type, ELSEWHERE)


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Without dropout; each part's mode comes back afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
