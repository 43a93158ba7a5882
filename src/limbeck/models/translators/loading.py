"""Translators as they were saved: Limbeck's own, and any translation model of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.models.heads import load_with_head

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_translator(reference: str | Path) -> PreTrainedModel:
    """A translator with all its weights, float32, in evaluation mode.

    Args:
        reference: A folder, ``package:NAME/FOLDER``, or a name on the hub.

    Returns:
        A :class:`~limbeck.models.translators.translator.ParallelTranslator`, or an autoregressive encoder-decoder.

    Raises:
        LimbeckError: It is not there, damaged, unsafe to load, or no translator.
    """
    translator = load_with_head(reference, "translation")
    translator.eval()
    return translator
