"""Export: a student as a bundle that answers without PyTorch, compared with PyTorch before it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import write_json
from limbeck.core.recipe import Export
from limbeck.models.bundling import appearing, provenance, save_tokeniser, spread
from limbeck.models.card import card_page
from limbeck.models.forest import ForestForSequenceClassification
from limbeck.models.forest_graph import forest_graph
from limbeck.models.graph import AXES
from limbeck.models.graphs import OUTPUT, OUTPUT_OF_TAGGERS, graph_of, inputs_of
from limbeck.models.outputs import evaluating
from limbeck.models.parity import Text, parity, require
from limbeck.models.quantise import quantise
from limbeck.models.student import Student, readable, task_of
from limbeck.models.taggers.bilstm import BiLSTMForTokenClassification
from limbeck.models.taggers.tagger import Tagger
from limbeck.models.tracing import trace
from limbeck.serve.exported import CARD, MODELS, TOKENISER, Precision
from limbeck.serve.tagger import TaggerBundle
from limbeck.text.encode import collate
from limbeck.text.words import encode_words

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

CHECKED = 500
"""Texts at most on which the bundle is compared with PyTorch, spread evenly over those given."""


def export(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    *,
    texts: Sequence[Text],
    max_length: int,
    settings: Export,
    card: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a bundle: ONNX graphs, tokeniser, card. All of it appears at once, or nothing does.

    Args:
        model: The student: any transformers model for sequence classification with names for its classes, or a
            tagger.
        tokeniser: Its tokeniser.
        folder: Where to; what else is in it stays.
        texts: Sentences on which the bundle must agree with PyTorch: strings, pairs of strings for a student that
            reads pairs, or for a tagger sequences of words.
        max_length: Tokens kept of a sentence, special tokens included.
        settings: Whether to make int8, and how far the bundle may be from PyTorch.
        card: Facts for the card, as pairs of name and value.

    Returns:
        What ``bundle.json`` says; ``parity`` has, by precision, ``largest_difference`` of a logit (or emission)
        relative to the largest, and the share of predictions (or tags of words) ``changed``.

    Raises:
        LimbeckError: The bundle answers differently from PyTorch, or cannot be written.
    """
    if not texts:
        raise LimbeckError("no text was given to compare the bundle with PyTorch on")
    with appearing(folder) as partial, progress.task("export", 4) as task:
        pairs = not isinstance(model, Tagger) and not all(isinstance(text, str) for text in texts)
        save_onnx(model, tokeniser, partial / MODELS["fp32"], pairs)
        task.advance()
        settings = suited(model, settings)
        if settings.int8:
            quantise(partial / MODELS["fp32"], partial / MODELS["int8"])
        task.advance()
        save_tokeniser(tokeniser, partial / TOKENISER)
        report = _describe(model, tokeniser, partial, max_length, card, pairs)
        write_json(partial / CARD, report)
        report["parity"] = _check(model, tokeniser, partial, texts, max_length, settings)
        task.advance(2)
        write_json(partial / CARD, report)
        (partial / "README.md").write_text(card_page(report), encoding="utf-8")
    return report


def save_onnx(
    model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, path: Path, pairs: bool = False
) -> None:
    """Write the float32 graph of a model: by hand for our own layers and trees, by PyTorch's exporter for others.

    Args:
        model: A classifier or a tagger.
        tokeniser: Its tokeniser.
        path: The file.
        pairs: Whether a classifier reads pairs of texts, and so is told which token is of which.

    Raises:
        LimbeckError: The exporter cannot express the model.
    """
    with evaluating(model):
        if isinstance(model, Student | BiLSTMForTokenClassification):
            onnx.save(graph_of(model), str(path))
        elif isinstance(model, ForestForSequenceClassification):
            onnx.save(forest_graph(model, pairs), str(path))
        else:
            _trace(model, tokeniser, path, pairs)


def suited(model: PreTrainedModel, settings: Export) -> Export:
    """The settings without int8 for a forest: its trees compare and look up, and multiply no matrices."""
    if not isinstance(model, ForestForSequenceClassification):
        return settings
    return settings.model_copy(update={"int8": False})


class _Scores(nn.Module):
    """A model that takes its inputs in a row, and returns logits (of a tagger, emissions) alone."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: Tensor) -> Tensor:
        """``(batch, tokens) -> (batch, classes)``, or ``(batch, words, tags)``."""
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def _trace(model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, path: Path, pairs: bool) -> None:
    """The graph of any transformers model, by PyTorch's exporter."""
    inputs = _sample(model, tokeniser, pairs)
    output = OUTPUT_OF_TAGGERS if isinstance(model, Tagger) else OUTPUT
    output_axes = ("batch", "words")[: 2 if isinstance(model, Tagger) else 1]
    axes = {**{name: AXES[name] for name in inputs}, output: output_axes}
    trace(model, _Scores(model, list(inputs)), inputs, [output], axes, path)


def _sample(model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, pairs: bool) -> dict[str, Tensor]:
    """Two sentences (or pairs) of unlike length, as the model reads them."""
    if not isinstance(model, Tagger):
        texts = [("a first sentence", "one"), ("two", "one")] if pairs else ["a first sentence", "two"]
        encoded = readable(model, tokeniser(texts, padding=True, return_tensors="pt"))
        names = ["input_ids", "attention_mask", *["token_type_ids"] * pairs]
        return {name: encoded[name] for name in names if name in encoded}
    sentences = (("a", "first", "sentence"), ("two",))
    examples = [Example(" ".join(words), " ".join(words), words=words) for words in sentences]
    with progress.silently():
        cut = encode_words(tokeniser, examples, None, max_length=64)
    inputs = collate(cut, np.arange(2)).inputs
    return {name: inputs[name] for name in inputs_of(model)}


def _describe(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    max_length: int,
    card: Mapping[str, Any],
    pairs: bool,
) -> dict[str, Any]:
    """What ``bundle.json`` says, but for parity."""
    names = cast("dict[int, str]", model.config.id2label)
    pad = tokeniser.pad_token_id or 0
    unknown = tokeniser.unk_token_id
    return {
        "task": TaggerBundle.task if isinstance(model, Tagger) else task_of(model.config),
        "labels": [names[number] for number in sorted(names)],
        **({"chain": _chain(model)} if isinstance(model, Tagger) else {}),
        **({"pairs": True} if pairs else {}),
        "max_length": max_length,
        "pad_id": pad,
        "unknown_id": pad if unknown is None else unknown,
        **provenance(model, folder, card),
    }


def _chain(tagger: Tagger) -> dict[str, Any]:
    """The chain that decodes: transitions (from, to), start and end, with null where a tag must not stand."""
    head = tagger.head
    nought = torch.zeros(1, 1, head.emissions.out_features, device=head.emissions.weight.device)
    with torch.inference_mode():
        chain = head.potentials(nought, torch.ones(1, dtype=torch.long), decoding=True)
    scores = {"transitions": chain.transitions, "start": chain.start, "end": chain.end}
    listed = {name: _listed(nought[0, 0] if value is None else value) for name, value in scores.items()}
    return {**listed, "constrained": head.allowed is not None}


def _listed(scores: Tensor) -> Any:
    """Scores as JSON can say them: lists of numbers, null for minus infinity."""
    array = scores.detach().double().cpu().numpy()
    listed = array.astype(object)
    listed[np.isneginf(array)] = None
    return listed.tolist()


def _check(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    texts: Sequence[Text],
    max_length: int,
    settings: Export,
) -> dict[str, dict[str, float]]:
    """Compare the bundle with PyTorch.

    Raises:
        LimbeckError: A logit is too far off, or too many predictions change.
    """
    precisions: list[Precision] = ["fp32", "int8"] if settings.int8 else ["fp32"]
    found = parity(model, tokeniser, folder, spread(texts, CHECKED), max_length, precisions)
    scores, told = ("emission", "tags") if isinstance(model, Tagger) else ("logit", "predictions")
    return require(found, settings, folder, scores, told)
