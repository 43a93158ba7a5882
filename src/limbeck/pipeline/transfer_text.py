"""Transfer text: where a run's comes from, and what the teacher says of each kind, for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from limbeck.core.files import read_json, write_json
from limbeck.transfer.rewrites import Made

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limbeck.core.example import Example
    from limbeck.pipeline.run import Run

MADE, TOLD = "made.json", "transfer_text.json"
"""What ``rewrite`` and ``evaluate`` write."""
GOLD, UNLABELLED = "gold", "unlabelled"
"""Names of the text that no rewriter made."""
ASKED = 10_000
"""Texts of each kind, at most, whose answers are looked at; evenly spaced."""
SAMPLES = 6
"""Texts of each kind that are shown."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
BINS = 10
"""Of the histogram of confidence, from 0 to 1."""


@dataclass(frozen=True)
class Kind:
    """Texts of one origin.

    Attributes:
        name: ``gold``, ``unlabelled``, or a rewriter's; of one that stands in the chain twice with its place there.
        examples: Those that were kept.
        dropped: How many were not, by reason.
    """

    name: str
    examples: Sequence[Example]
    dropped: Mapping[str, int] = field(default_factory=dict)


def tell_text(run: Run, folder: Path) -> None:
    """Write ``transfer_text.json``: counts, lengths, samples and the teacher's confidence of each kind of text.

    Where all of the text has gold there is nothing to tell. The confidence, the teacher's largest probability, is
    told of classifiers alone.
    """
    kinds = list(kinds_of(run))
    if [kind.name for kind in kinds] == [GOLD]:
        return
    by_id = {example.id: example for example in run.transfer_set.examples}
    write_json(folder / TOLD, {"kinds": [_told(run, kind, by_id) for kind in kinds]})


def kinds_of(run: Run) -> Iterator[Kind]:
    """The kinds of text that a run's transfer set holds, in its order."""
    train = run.prepared.train.examples
    if labelled := [example for example in train if example.labelled]:
        yield Kind(GOLD, labelled)
    if unlabelled := [example for example in train if not example.labelled]:
        yield Kind(UNLABELLED, unlabelled, run.prepared.report["dropped"].get(UNLABELLED, {}))
    path = run.rewritten_folder.path / MADE
    start = len(train)
    made = [Made(**each) for each in read_json(path)] if run.rewriters and path.is_file() else []
    names = [each.rewriter for each in made]
    for number, each in enumerate(made, 1):
        name = each.rewriter if names.count(each.rewriter) == 1 else f"{each.rewriter} ({number})"
        yield Kind(name, run.transfer_set.examples[start : start + each.kept], each.dropped)
        start += each.kept


def _told(run: Run, kind: Kind, by_id: Mapping[str, Example]) -> dict[str, Any]:
    words = [len(" ".join(example.texts).split()) for example in kind.examples]
    sources = {} if kind.name in (GOLD, UNLABELLED) else by_id
    picked = [kind.examples[row] for row in _evenly(len(kind.examples), SAMPLES)]
    return {
        "name": kind.name,
        "kept": len(kind.examples),
        "dropped": {reason: count for reason, count in kind.dropped.items() if count},
        "words": float(np.mean(words)) if words else None,
        "confidence": _confidence(run, kind.examples),
        "samples": [_sample(run, example, sources.get(example.id.rpartition("/")[0])) for example in picked],
    }


def _sample(run: Run, example: Example, source: Example | None) -> dict[str, Any]:
    """A text with the teacher's answer, and the text that it was made of with what the teacher says of that."""
    return {
        "made": _answered(run, example),
        "of": None if source is None else _answered(run, source),
        "origin": example.origin,
    }


def _answered(run: Run, example: Example) -> dict[str, Any]:
    said: dict[str, Any] = {"text": example.shown, "gold": example.gold, "label": None, "confidence": None}
    if (probabilities := _probabilities(run, [example])) is not None:
        best = int(probabilities[0].argmax())
        said |= {"label": run.labels[best], "confidence": float(probabilities[0, best])}
    return said


def _confidence(run: Run, examples: Sequence[Example]) -> dict[str, Any] | None:
    """Mean, quantiles and histogram of the teacher's largest probability; shares of the labels that it chose."""
    asked = [examples[row] for row in _evenly(len(examples), ASKED)]
    probabilities = _probabilities(run, asked) if asked else None
    if probabilities is None:
        return None
    surest = probabilities.max(axis=1)
    counts, _ = np.histogram(surest, BINS, (0, 1))
    chosen = np.bincount(probabilities.argmax(axis=1), minlength=len(run.labels)) / len(asked)
    return {
        "texts": len(asked),
        "mean": float(surest.mean()),
        "quantiles": {str(share): float(np.quantile(surest, share)) for share in QUANTILES},
        "bins": counts.tolist(),
        "labels": dict(zip(run.labels, chosen.tolist(), strict=True)),
    }


def _probabilities(run: Run, examples: Sequence[Example]) -> NDArray[np.float32] | None:
    """What a classifying teacher says, ``(examples, classes)``; None of any other."""
    if run.recipe.task != "classification":
        return None
    logits = run.answers.signals([example.id for example in examples], torch.device("cpu")).logits
    assert logits is not None
    probabilities: NDArray[np.float32] = logits.softmax(-1).numpy()
    return probabilities


def _evenly(count: int, wanted: int) -> list[int]:
    """So many numbers below ``count``, evenly spaced; all of them where there are no more."""
    return [n * count // wanted for n in range(wanted)] if count > wanted else list(range(count))
