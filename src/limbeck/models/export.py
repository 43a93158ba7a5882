"""Export: a student as a bundle that answers without PyTorch, compared with PyTorch before it is kept."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from limbeck.core import fingerprint, progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import write_error, write_json
from limbeck.core.recipe import Export
from limbeck.models.card import card_page
from limbeck.models.graphs import OPSET, graph_of
from limbeck.models.outputs import evaluating, predict
from limbeck.models.quantise import quantise
from limbeck.models.student import Student
from limbeck.serve.bundle import CARD, FORMAT, MODELS, TOKENISER, Bundle, Precision
from limbeck.text.encode import encode

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

CHECKED = 500
"""Texts at most on which the bundle is compared with PyTorch, spread evenly over those given."""

LIBRARIES = ("limbeck", "torch", "transformers", "tokenizers", "onnx", "onnxruntime")


def export(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    *,
    texts: Sequence[str],
    max_length: int,
    settings: Export,
    card: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a bundle: ONNX graphs, tokeniser, labels, card. All of it appears at once, or nothing does.

    Args:
        model: The student (any transformers model for sequence classification with names for its classes).
        tokeniser: Its tokeniser.
        folder: Where to; what else is in it stays.
        texts: Sentences on which the bundle must agree with PyTorch.
        max_length: Tokens kept of a sentence, special tokens included.
        settings: Whether to make int8, and how far the bundle may be from PyTorch.
        card: Facts for the card, as pairs of name and value.

    Returns:
        What ``bundle.json`` says; ``parity`` has, by precision, ``largest_difference`` of a logit relative to
        the largest, and the share of predictions ``changed``.

    Raises:
        LimbeckError: The bundle answers differently from PyTorch, or cannot be written.
    """
    if not texts:
        raise LimbeckError("no text was given to compare the bundle with PyTorch on")
    with _appearing(folder) as partial, progress.task("export", 4) as task:
        save_onnx(model, tokeniser, partial / MODELS["fp32"])
        task.advance()
        if settings.int8:
            quantise(partial / MODELS["fp32"], partial / MODELS["int8"])
        task.advance()
        _save_tokeniser(tokeniser, partial / TOKENISER)
        report = _describe(model, tokeniser, partial, max_length, card)
        write_json(partial / CARD, report)
        report["parity"] = _check(model, tokeniser, partial, texts, max_length, settings)
        task.advance(2)
        write_json(partial / CARD, report)
        (partial / "README.md").write_text(card_page(report), encoding="utf-8")
    return report


def save_onnx(model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, path: Path) -> None:
    """Write the float32 graph of a model: by hand for our own students, by PyTorch's exporter for others.

    Raises:
        LimbeckError: The exporter cannot express the model.
    """
    with evaluating(model):
        if isinstance(model, Student):
            onnx.save(graph_of(model), str(path))
        else:
            _trace(model, tokeniser, path)


class _Logits(nn.Module):
    """A model that takes ids and mask, and returns logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``(batch, tokens) -> (batch, classes)``."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def _trace(model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, path: Path) -> None:
    """PyTorch's exporter by tracing: unlike the newer one it needs no further package."""
    example = tokeniser(["a first sentence", "two"], padding=True, return_tensors="pt")
    names = ("input_ids", "attention_mask")
    place = next(model.parameters()).device
    attention = model.config._attn_implementation
    try:
        # Written out, attention is traced the same for any length, with or without padding.
        model.set_attn_implementation("eager")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Logits(model),
                tuple(example[name].to(place) for name in names),
                str(path),
                input_names=list(names),
                output_names=["logits"],
                dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names} | {"logits": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, ValueError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise LimbeckError(f"a {type(model).__name__} cannot be expressed in ONNX ({reason})") from error
    finally:
        model.set_attn_implementation(attention)


def _save_tokeniser(tokeniser: PreTrainedTokenizerFast, path: Path) -> None:
    """The tokeniser by itself; how to cut and pad is said in bundle.json."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokeniser.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    backend.save(str(path), pretty=False)


def _describe(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    max_length: int,
    card: Mapping[str, Any],
) -> dict[str, Any]:
    """What ``bundle.json`` says, but for parity."""
    names = cast("dict[int, str]", model.config.id2label)
    pad = tokeniser.pad_token_id or 0
    unknown = tokeniser.unk_token_id
    return {
        "format": FORMAT,
        "labels": [names[number] for number in sorted(names)],
        "max_length": max_length,
        "pad_id": pad,
        "unknown_id": pad if unknown is None else unknown,
        "model": type(model).__name__,
        "parameters": model.num_parameters(),
        "files": {
            path.name: fingerprint.sha256(path) for path in sorted(folder.iterdir()) if path.suffix != ".md"
        },
        "bytes": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
        "card": dict(card),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
    }


def _check(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    texts: Sequence[str],
    max_length: int,
    settings: Export,
) -> dict[str, dict[str, float]]:
    """Compare the bundle with PyTorch, each reading text by its own tokeniser.

    Raises:
        LimbeckError: A logit is too far off, or too many predictions change.
    """
    places = np.unique(np.linspace(0, len(texts) - 1, min(CHECKED, len(texts))).round().astype(int))
    chosen = [texts[place] for place in places]
    examples = [Example(str(number), text) for number, text in enumerate(chosen)]
    expected = predict(model, encode(tokeniser, examples, None, max_length))
    precisions: list[Precision] = ["fp32", "int8"] if settings.int8 else ["fp32"]
    parity: dict[str, dict[str, float]] = {
        each: _parity(Bundle(folder, each).logits(chosen), expected) for each in precisions
    }
    difference = parity["fp32"]["largest_difference"]
    if not difference <= settings.tolerance:
        told = f"{difference:.2g} of the largest logit, and export.tolerance is {settings.tolerance:g}"
        raise LimbeckError(
            f"the ONNX model is not the PyTorch model: logits differ by up to {told}", where=folder
        )
    for precision, each in parity.items():
        # Of a few texts, one that hangs in the balance may tip whatever the share.
        allowed = max(settings.changed * len(chosen), 1 if settings.changed else 0)
        if each["changed"] * len(chosen) > allowed + 1e-9:
            told = f"{100 * each['changed']:.1f}% of predictions, and export.changed is {settings.changed:g}"
            fix = "Raise export.changed, or set export.int8=false"
            raise LimbeckError(f"{precision} changes {told}", where=folder, fix=fix)
    return parity


def _parity(found: NDArray[np.float32], expected: NDArray[np.float32]) -> dict[str, float]:
    """How far logits are from the expected ones, each ``(sentences, classes)``."""
    largest = float(np.abs(expected).max()) or 1.0
    return {
        "largest_difference": float(np.abs(found - expected).max()) / largest,
        "changed": float((found.argmax(1) != expected.argmax(1)).mean()),
    }


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder to write into, whose files move to their place when the block ends well."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.{os.getpid()}.", dir=folder.parent))
    except OSError as error:
        raise write_error(error, folder) from error
    try:
        yield partial
        folder.mkdir(exist_ok=True)
        # The card last: without it, the rest is no bundle.
        for path in sorted(partial.iterdir(), key=lambda path: path.name == CARD):
            path.replace(folder / path.name)
    except OSError as error:
        raise write_error(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
