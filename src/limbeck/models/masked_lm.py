"""Masked language models: loading them, and their scores of the vocabulary at chosen positions alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.models.heads import quiet
from limbeck.models.masked_head import asked_at, scores_there
from limbeck.text import resources

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def load_masked_lm(reference: str | Path, *, fresh_head: int | None = None) -> PreTrainedModel:
    """A masked language model, float32, in evaluation mode.

    Args:
        reference: A folder, ``package:NAME/FOLDER``, or a name on the hub.
        fresh_head: Seed of what the head lacks, for an encoder that comes without one; None refuses such an encoder.

    Raises:
        LimbeckError: It is not there, unsafe to load, of a family without masked LMs, or lacks weights.
    """
    from transformers import AutoModelForMaskedLM

    place = resources.resolve(str(reference))
    try:
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(fresh_head or 0)
            model, loaded = AutoModelForMaskedLM.from_pretrained(
                str(place), dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
        fix = "Name a model on the hub, or a folder with config.json, model.safetensors and tokenizer.json"
        raise LimbeckError(
            f"no masked language model can be loaded ({reason})", where=reference, fix=fix
        ) from None
    found: PreTrainedModel = model.eval()
    _check_weights(found, loaded["missing_keys"], reference, fresh_head is not None)
    return found


def mask_id(tokeniser: PreTrainedTokenizerFast, reference: str | Path) -> int:
    """The id of the mask token.

    Raises:
        LimbeckError: The tokeniser has none.
    """
    if tokeniser.mask_token_id is None:
        raise LimbeckError(
            "its tokeniser has no mask token", where=reference, fix="Choose a masked language model"
        )
    return int(tokeniser.mask_token_id)


def logits_at(model: PreTrainedModel, inputs: Mapping[str, Tensor], places: Tensor) -> Tensor:
    """Scores of the vocabulary at some positions, with the graph for gradients.

    Args:
        model: A masked language model of transformers whose head looks at each position by itself, as all of BERT's
            kin do.
        inputs: ``input_ids`` and ``attention_mask``, each ``(batch, tokens)``, on the model's device.
        places: True where scores are wanted, ``(batch, tokens)``.

    Returns:
        ``(wanted, vocabulary)``, row by row.

    Raises:
        LimbeckError: The model's head cannot be asked so.
    """
    with asked_at(model, places):
        logits: Tensor = model(**inputs).logits
    return scores_there(model, logits, places)


def _check_weights(
    model: PreTrainedModel, missing: set[str], reference: str | Path, head_may_lack: bool
) -> None:
    encoder = f"{model.base_model_prefix}."
    if model.base_model is model:
        raise LimbeckError(f"a {type(model).__name__} has no encoder apart from its head", where=reference)
    if inside := sorted(name for name in missing if name.startswith(encoder)):
        raise LimbeckError(f"this encoder lacks weights, {inside[0]} among them", where=reference)
    if missing and not head_may_lack:
        raise LimbeckError(
            f"this encoder comes without a masked-LM head (no weights for {min(missing)})",
            where=reference,
            fix="Train one on plain text of the kind that you have: limbeck adapt ENCODER TEXT --out FOLDER; "
            "then name that folder instead",
        )
