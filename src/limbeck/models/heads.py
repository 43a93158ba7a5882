"""An encoder with a fresh classifier on top, ready to be fine-tuned into a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging

from limbeck.core.errors import LimbeckError


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
