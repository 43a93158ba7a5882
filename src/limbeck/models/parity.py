"""Parity: how far a bundle's answers are from PyTorch's, each reading text by its own tokeniser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.tasks import Task
from limbeck.models.outputs import predict, predict_emissions, predict_tags
from limbeck.models.student import task_of
from limbeck.models.taggers.tagger import Tagger
from limbeck.serve.bundle import TextLabeller
from limbeck.serve.exported import Precision
from limbeck.serve.opening import open_bundle
from limbeck.serve.tagger import TaggerBundle
from limbeck.text.encode import encode
from limbeck.text.words import encode_words

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from limbeck.core.recipe import Export

FAR = 0.05
"""A score that is off by more than this share of the largest one counts as another."""


def _other_scores(found: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(found - expected)[:, 0] > FAR * np.abs(expected).max(initial=0))


CHANGED: Mapping[Task, Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.bool_]]] = {
    "classification": lambda found, expected: found.argmax(1) != expected.argmax(1),
    "multilabel": lambda found, expected: ((found > 0) != (expected > 0)).any(1),
    "regression": _other_scores,
}
"""Which predictions of whole texts are others, by task: ``(texts,)`` of logits ``(texts, labels)``."""

Text = str | Sequence[str]
"""What a classifier reads, or the words that a tagger reads."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far one model of a bundle is from PyTorch.

    Attributes:
        largest_difference: Of a logit (of a tagger, an emission), relative to the largest of them.
        changed: Share of predictions (of a tagger, of words' tags) that are others.
        predictions: How many were compared.
    """

    largest_difference: float
    changed: float
    predictions: int

    def facts(self) -> dict[str, float]:
        """What ``bundle.json`` says of it."""
        return {"largest_difference": self.largest_difference, "changed": self.changed}


def require(
    found: Mapping[Precision, Parity], settings: Export, folder: Path, scores: str, told: str
) -> dict[str, dict[str, float]]:
    """Insist on parity.

    Args:
        found: How far each of the bundle's models is from PyTorch.
        settings: How far it may be.
        folder: The bundle.
        scores: What was compared, e.g. ``logit``.
        told: What may have changed, e.g. ``predictions``.

    Returns:
        What ``bundle.json`` says of it.

    Raises:
        LimbeckError: A score is too far off, or too much changes.
    """
    difference = found["fp32"].largest_difference
    plural = f"{scores[:-1]}ies" if scores.endswith("y") else f"{scores}s"
    if not difference <= settings.tolerance:
        off = f"{difference:.2g} of the largest {scores}, and export.tolerance is {settings.tolerance:g}"
        raise LimbeckError(
            f"the ONNX model is not the PyTorch model: {plural} differ by up to {off}",
            where="export.tolerance",
        )
    for precision, each in found.items():
        # Of a few texts, one that hangs in the balance may tip whatever the share.
        allowed = max(settings.changed * each.predictions, 1 if settings.changed else 0)
        if each.changed * each.predictions > allowed + 1e-9:
            off = f"{100 * each.changed:.1f}% of {told}, and export.changed is {settings.changed:g}"
            fix = "Raise it, or set export.int8=false; what is trained is kept"
            raise LimbeckError(f"{precision} changes {off}", where="export.changed", fix=fix)
    return {precision: each.facts() for precision, each in found.items()}


def parity(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    texts: Sequence[Text],
    max_length: int,
    precisions: Sequence[Precision],
) -> dict[Precision, Parity]:
    """Compare a bundle with the model that it was made from.

    Args:
        model: A classifier or a tagger.
        tokeniser: Its tokeniser.
        folder: The bundle.
        texts: What both are asked; for a tagger sentences of words.
        max_length: Tokens kept of a text.
        precisions: Which of the bundle's models are compared.

    Raises:
        LimbeckError: A tagger is given text that is not cut into words, or no word at all.
    """
    compare = _of_tagger if isinstance(model, Tagger) else _of_classifier
    return compare(model, tokeniser, folder, texts, max_length, precisions)


def _of_classifier(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    texts: Sequence[Text],
    max_length: int,
    precisions: Sequence[Precision],
) -> dict[Precision, Parity]:
    asked = [text if isinstance(text, str) else (str(text[0]), str(text[1])) for text in texts]
    examples = [
        Example(str(number), one) if isinstance(one, str) else Example(str(number), one[0], second=one[1])
        for number, one in enumerate(asked)
    ]
    expected = predict(model, encode(tokeniser, examples, None, max_length))
    found = {}
    for precision in precisions:
        bundle = open_bundle(folder, precision)
        assert isinstance(bundle, TextLabeller)
        logits = bundle.logits(asked)
        changed = CHANGED[task_of(model.config)](logits, expected)
        found[precision] = Parity(difference_of(logits, expected), float(changed.mean()), len(changed))
    return found


def _of_tagger(
    model: PreTrainedModel,
    tokeniser: PreTrainedTokenizerFast,
    folder: Path,
    texts: Sequence[Text],
    max_length: int,
    precisions: Sequence[Precision],
) -> dict[Precision, Parity]:
    sentences = [_words(text) for text in texts]
    if not any(sentences):
        raise LimbeckError("no word was given to compare the bundle with PyTorch on")
    examples = [Example(str(number), " ".join(words), words=words) for number, words in enumerate(sentences)]
    encoded = encode_words(tokeniser, examples, None, max_length)
    expected, _ = predict_emissions(model, encoded)
    assert encoded.words is not None
    kept = encoded.words.kept
    tags = _of_kept(predict_tags(model, encoded), kept)
    found = {}
    for precision in precisions:
        bundle = TaggerBundle(folder, precision)
        emissions = np.concatenate(bundle.emissions(sentences))
        changed = _of_kept(bundle.tags(sentences), kept) != tags
        found[precision] = Parity(difference_of(emissions, expected), float(changed.mean()), len(changed))
    return found


def _words(text: Text) -> tuple[str, ...]:
    if isinstance(text, str):
        raise LimbeckError(
            f"a tagger is compared on sentences of words, and this is one string: {text!r}",
            fix="Give each sentence as a list of words",
        )
    return tuple(text)


def _of_kept(tags: Sequence[NDArray[np.int64]], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tags of all words but those that the maximum length cut off, which no model tags."""
    return np.concatenate([row[:count] for row, count in zip(tags, kept, strict=True)])


def difference_of(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Between scores of one shape, the largest, relative to the largest score."""
    largest = float(np.abs(expected).max(initial=0)) or 1.0
    return float(np.abs(found - expected).max(initial=0)) / largest
