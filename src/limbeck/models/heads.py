"""An encoder with a classifier or tagger on top: fresh, to be fine-tuned into a teacher, or as it was saved.

Translators are loaded here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)
from transformers.utils import logging

from limbeck.core.errors import LimbeckError
from limbeck.core.tasks import Task
from limbeck.models.student import PROBLEM_TYPES
from limbeck.models.taggers.tagger import Tagger
from limbeck.models.taggers.transformer import (
    TransformerForTokenClassification,
    load_encoder,
    of_token_classifier,
    on_encoder,
)
from limbeck.text import resources
from limbeck.text.tokeniser import load_tokeniser

AUTO: dict[Task, tuple[Any, str]] = {
    "classification": (AutoModelForSequenceClassification, "classifier"),
    "regression": (AutoModelForSequenceClassification, "model of scores"),
    "multilabel": (AutoModelForSequenceClassification, "classifier"),
    "tagging": (AutoModelForTokenClassification, "tagger"),
    "translation": (AutoModelForSeq2SeqLM, "translator"),
}
"""Which class loads a model for a task, and what we call the model."""


def encoder_with_head(
    reference: Path | str, labels: Sequence[str], seed: int, task: Task = "classification"
) -> PreTrainedModel:
    """A pretrained encoder with a classifier for these labels; only the classifier starts from the seed.

    Args:
        reference: A folder, or a name on the hub.
        labels: The classes, in the order of the logits to come.
        seed: Of the classifier's random start.
        task: What the logits will mean.

    Raises:
        LimbeckError: There is no such model, or it cannot be a classifier.
    """
    try:
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(seed)
            model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
                reference,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: number for number, label in enumerate(labels)},
                problem_type=PROBLEM_TYPES[task],
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
            )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        fix = "Give a folder with config.json and weights, or a name on the hub that this machine can reach"
        raise LimbeckError(f"no encoder can be loaded ({reason})", where=reference, fix=fix) from None
    _settle_padding(model, reference)
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


def load_with_head(reference: str | Path, task: Task) -> PreTrainedModel:
    """A classifier, tagger or translator with all its weights, float32.

    Args:
        reference: A folder, ``package:NAME/FOLDER``, or a name on the hub.
        task: What it shall do.

    Raises:
        LimbeckError: It is not there, damaged, unsafe to load, or lacks its head.
    """
    auto, noun = AUTO[task]
    place = resources.resolve(str(reference))
    try:
        with quiet():
            model, loaded = auto.from_pretrained(
                str(place), dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
        raise LimbeckError(
            f"no {noun} can be loaded ({reason})",
            where=reference,
            fix="Name a model on the hub, or a folder as save_pretrained writes it: config.json, "
            "model.safetensors, tokenizer.json",
        ) from None
    if loaded["missing_keys"]:
        _refuse_incomplete(reference, task, min(loaded["missing_keys"]))
    found: PreTrainedModel = model
    if task != "translation":
        _settle_padding(found, reference)
    return found


def _settle_padding(model: PreTrainedModel, reference: Path | str) -> None:
    """Tell a model that was trained without padding which token pads, for it finds a text's end by that.

    Raises:
        LimbeckError: It reads the last position of a batch, whatever stands there.
    """
    if getattr(model.config, "summary_type", None) == "last":
        kind = type(model).__name__
        what = (
            f"a {kind} reads the last position, so that its answers would depend on the texts beside a text"
        )
        raise LimbeckError(
            what, where=reference, fix="Take one that reads the first token, or the last real one"
        )
    is_own = not type(model).__module__.startswith("transformers.")
    if not is_own and model.config.pad_token_id is None:
        model.config.pad_token_id = load_tokeniser(reference).pad_token_id


def load_tagger(reference: str | Path) -> Tagger:
    """A tagger of Limbeck's own, or a token classifier of transformers; arguments as of :func:`load_with_head`.

    Raises:
        LimbeckError: There is no such model, or it cannot score the tags of words.
    """
    model = load_with_head(reference, "tagging")
    if isinstance(model, Tagger):
        return model
    try:
        return of_token_classifier(model)
    except LimbeckError as error:
        fix = "Set teacher.fine_tune, e.g. 'fine_tune: {}', to put a head on its encoder and train it"
        raise LimbeckError(error.what, where=reference, fix=fix) from None


def _refuse_incomplete(reference: str | Path, task: Task, absent: str) -> NoReturn:
    """A model without all its weights.

    Raises:
        LimbeckError: Always.
    """
    if task == "translation":
        raise LimbeckError(f"this translator is not whole (no weights for {absent})", where=reference)
    raise LimbeckError(
        f"this model has no {AUTO[task][1]} for these labels (no weights for {absent})",
        where=reference,
        fix="Set teacher.fine_tune, e.g. 'fine_tune: {}', to train one on the labelled examples",
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Transformers without its own bars and reports; what matters in them we tell ourselves."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
