"""An encoder with a fresh classifier or tagger on top, ready to be fine-tuned into a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging

from limbeck.core.errors import LimbeckError
from limbeck.models.taggers.transformer import TransformerForTokenClassification, load_encoder, on_encoder


def encoder_with_head(reference: Path | str, labels: Sequence[str], seed: int) -> PreTrainedModel:
    """A pretrained encoder with a classifier for these labels; only the classifier starts from the seed.

    Args:
        reference: A folder, or a name on the hub.
        labels: The classes, in the order of the logits to come.
        seed: Of the classifier's random start.

    Raises:
        LimbeckError: There is no such model, or it cannot be a classifier.
    """
    told = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
                reference,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: number for number, label in enumerate(labels)},
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
            )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        fix = "Give a folder with config.json and weights, or a name on the hub that this machine can reach"
        raise LimbeckError(f"no encoder can be loaded ({reason})", where=reference, fix=fix) from None
    finally:
        logging.set_verbosity(told)
    return model


def encoder_with_tag_head(
    reference: Path | str,
    tags: Sequence[str],
    seed: int,
    *,
    head: str = "chain",
    pooling: str = "first",
    dropout: float = 0.1,
    constrain: bool = False,
) -> TransformerForTokenClassification:
    """A pretrained encoder with a head that tags words; only the head starts from the seed.

    Args:
        reference: A folder, a name on the hub, or ``package:NAME/FOLDER``.
        tags: Names of the tags, in the order of the emissions to come.
        seed: Of the head's random start.
        head: ``chain`` (a CRF) or ``softmax``.
        pooling: A word's feature: the state of its ``first`` token, or the ``mean`` over its tokens.
        dropout: On the words' features.
        constrain: Whether only valid IOB2 is decoded.

    Raises:
        LimbeckError: There is no such model, or no model of its family tags words.
    """
    encoder = load_encoder(reference)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return on_encoder(encoder, tags, head=head, pooling=pooling, dropout=dropout, constrain=constrain)
