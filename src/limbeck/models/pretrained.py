"""Pretrained encoders: what a student starts from that somebody else has trained, read from a folder or the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig
from transformers.utils import logging

from limbeck.core.errors import LimbeckError
from limbeck.models.embeddings import vocabulary_size
from limbeck.text.resources import resolve

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast


def load_pretrained(
    reference: str | Path, auto: Any, change: Callable[[PreTrainedConfig], PreTrainedConfig]
) -> PreTrainedModel:
    """A pretrained encoder under a head, float32; what the folder has no weights for starts as the family starts it.

    Args:
        reference: A folder, a name on the hub, or ``package:NAME/FOLDER``.
        auto: The Auto class of the head.
        change: What is done to the configuration first.

    Raises:
        LimbeckError: There is no such model, it is damaged, or its family has no such head.
    """
    place = resolve(str(reference))
    told = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        model, loaded = auto.from_pretrained(
            place,
            config=change(AutoConfig.from_pretrained(place)),
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # of a head with other classes, which is left behind anyway
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        fix = "Give a folder with config.json and weights, or a name on the hub that this machine can reach"
        raise LimbeckError(f"no encoder can be loaded ({reason})", where=reference, fix=fix) from None
    finally:
        logging.set_verbosity(told)
    inside = f"{model.base_model_prefix}."
    absent = {*loaded["missing_keys"], *(key for key, *_ in loaded["mismatched_keys"])}
    lacking = sorted(key for key in absent if key.startswith(inside) and ".pooler." not in key)
    if lacking:
        raise LimbeckError(f"no encoder can be loaded (no weights for {lacking[0]})", where=reference)
    found: PreTrainedModel = model
    return found


def check_vocabulary(encoder: PreTrainedModel, tokeniser: PreTrainedTokenizerFast) -> None:
    """Insist that an encoder has embeddings for all of a tokeniser's tokens.

    Raises:
        LimbeckError: It has fewer.
    """
    table, size = encoder.get_input_embeddings(), vocabulary_size(tokeniser)
    known = table.num_embeddings if isinstance(table, nn.Embedding) else size
    if size > known:
        counts = f"{size:,} tokens, and the encoder has embeddings for {known:,}"
        raise LimbeckError(f"'student.encoder': the student's tokeniser knows {counts}")
