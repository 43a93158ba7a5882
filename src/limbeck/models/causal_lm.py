"""Causal language models: loaded, or made small and random for a text; and texts drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Vocabulary
from limbeck.models.heads import quiet
from limbeck.models.outputs import tokens_at_a_time
from limbeck.models.translators.sampling import Drawn
from limbeck.text import resources
from limbeck.text.subwords import learn_pieces
from limbeck.text.tokeniser import load_tokeniser

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def load_causal_lm(reference: str | Path) -> PreTrainedModel:
    """A causal language model, float32, in evaluation mode.

    Args:
        reference: A folder, ``package:NAME/FOLDER``, or a name on the hub.

    Raises:
        LimbeckError: It is not there, unsafe to load, or of a family without causal LMs.
    """
    from transformers import AutoModelForCausalLM

    place = resources.resolve(str(reference))
    try:
        with quiet():
            found: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
                str(place), dtype=torch.float32, use_safetensors=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
        fix = "Name a model on the hub, or a folder with config.json, model.safetensors and tokenizer.json"
        raise LimbeckError(
            f"no causal language model can be loaded ({reason})", where=reference, fix=fix
        ) from None
    found.eval()
    return found


def causal_tokeniser(reference: str | Path) -> PreTrainedTokenizerFast:
    """A causal LM's tokeniser, which puts a start token before a text and the end token after it.

    Where a model has no start token, its end token stands there, too, as in GPT-2's training.

    Raises:
        LimbeckError: There is none, or it knows no end of a text.
    """
    from tokenizers.processors import TemplateProcessing

    tokeniser = load_tokeniser(reference)
    end = tokeniser.eos_token
    if end is None:
        raise LimbeckError("its tokeniser has no token for the end of a text", where=reference)
    start = tokeniser.bos_token or end
    ids = [(token, tokeniser.convert_tokens_to_ids(token)) for token in dict.fromkeys((start, end))]
    backend: Any = tokeniser.backend_tokenizer
    backend.post_processor = TemplateProcessing(single=f"{start} $A {end}", special_tokens=ids)
    return tokeniser


def save_new_causal_lm(
    texts: Sequence[str],
    folder: Path,
    *,
    vocabulary: int,
    dimension: int,
    layers: int,
    heads: int,
    positions: int,
    seed: int,
) -> None:
    """Write a small random GPT-2 (Radford et al. 2019), with pieces of words learnt from some texts.

    Args:
        texts: What the pieces are learnt from.
        folder: Receives model and tokeniser.
        vocabulary: Pieces at most.
        dimension: Of its states.
        layers: Of the model.
        heads: Of attention; they divide the dimension.
        positions: Most tokens that it reads.
        seed: Of the weights.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    tokeniser = learn_pieces(texts, Vocabulary(size=vocabulary))
    config = GPT2Config(
        vocab_size=len(tokeniser),
        n_positions=positions,
        n_embd=dimension,
        n_layer=layers,
        n_head=heads,
        bos_token_id=tokeniser.bos_token_id,
        eos_token_id=tokeniser.eos_token_id,
        pad_token_id=tokeniser.pad_token_id,
    )
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(seed)
        GPT2LMHeadModel(config).save_pretrained(folder)
    tokeniser.save_pretrained(folder)


@torch.inference_mode()
def continued(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    openings: Sequence[Sequence[int]],
    numbers: Sequence[NDArray[np.float64]],
    *,
    max_length: int,
    temperature: float,
    top_k: int | None,
    tokens_per_batch: int | None = None,
) -> list[list[str]]:
    """Texts that begin with some tokens, drawn token by token.

    Openings of one length share a batch, so that none is padded.

    Args:
        model: A causal LM.
        tokeniser: See :func:`causal_tokeniser`.
        openings: Tokens that each begins with, the start token first; fewer than ``max_length``.
        numbers: For each opening what its texts draw by, uniform, ``(texts, steps)``, a step for each
            token up to ``max_length``.
        max_length: Tokens of a text; one that has not ended by then is cut.
        temperature: Below 1 likely tokens become likelier.
        top_k: Draw among so many likeliest tokens; None for all.
        tokens_per_batch: Tokens of a batch at its end; None is what suits the device.
    """
    rows = [(len(opening), n, m) for n, opening in enumerate(openings) for m in range(len(numbers[n]))]
    room = max(1, (tokens_per_batch or tokens_at_a_time(model.device)) // max_length)
    found: list[list[str]] = [[""] * len(one) for one in numbers]
    for some in _of_one_length(sorted(rows), room):
        given = some[0][0]
        ids = torch.tensor([list(openings[n]) for _, n, _ in some], device=model.device)
        draws = torch.from_numpy(np.stack([numbers[n][m] for _, n, m in some])).to(model.device)
        drawn = Drawn(draws, temperature, top_k, given)
        texts = tokeniser.batch_decode(_generated(model, tokeniser, ids, drawn, max_length), True)
        for (_, n, m), text in zip(some, texts, strict=True):
            found[n][m] = text.strip()
    return found


def _generated(
    model: Any, tokeniser: PreTrainedTokenizerFast, ids: torch.Tensor, drawn: Drawn, max_length: int
) -> torch.Tensor:
    """Openings and what is drawn after them, ``(rows, tokens)``."""
    from transformers import GenerationConfig, LogitsProcessorList

    end = tokeniser.eos_token_id
    own, model.generation_config = (
        model.generation_config,
        GenerationConfig(),
    )  # all that we want of it is here
    try:
        sequences: torch.Tensor = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            logits_processor=LogitsProcessorList([drawn]),
            generation_config=GenerationConfig(
                max_length=max_length,
                eos_token_id=end,
                pad_token_id=end,
                suppress_tokens=[one for one in tokeniser.all_special_ids if one != end] or None,
            ),
        )
    finally:
        model.generation_config = own
    return sequences


def _of_one_length(
    rows: Sequence[tuple[int, int, int]], room: int
) -> Iterator[Sequence[tuple[int, int, int]]]:
    """Runs of rows that are equal in their first entry, of at most ``room`` rows."""
    start = 0
    while start < len(rows):
        end = start
        while end < min(len(rows), start + room) and rows[end][0] == rows[start][0]:
            end += 1
        yield rows[start:end]
        start = end
