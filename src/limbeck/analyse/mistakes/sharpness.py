"""How sharp a teacher's answers are, and what a temperature makes of them: what a student of soft labels hears."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from limbeck.analyse.mistakes.confidence import entropy
from limbeck.analyse.mistakes.tempered import Answers

TEMPERATURES = (1.0, 2.0, 5.0, 10.0)
"""Those that are always told."""
BINS = 10
"""Of the histogram of confidence, from 0 to 1."""
SURE = 0.99
"""A confidence above this leaves a student next to nothing to hear beside the label."""


def sharpness(answers: Answers, of_recipe: Iterable[float] = ()) -> list[dict[str, Any]]:
    """How sharp a model's answers are at each temperature.

    Args:
        answers: On texts, or on words.
        of_recipe: Temperatures that the run's methods hear it at.

    Returns:
        Rows with ``temperature``; ``in_recipe``; ``confidence``, the mean; ``sure``, the share above 0.99;
        ``entropy``, the mean in bits; ``classes``, two to that power; ``bins``, texts or words by confidence.
    """
    named = set(of_recipe)
    return [_at(answers, each, each in named) for each in sorted({*TEMPERATURES, *named})]


def _at(answers: Answers, temperature: float, in_recipe: bool) -> dict[str, Any]:
    said = answers.at(temperature)
    surest, bits = answers.confidence(said), entropy(said)
    return {
        "temperature": temperature,
        "in_recipe": in_recipe,
        "confidence": float(surest.mean()),
        "sure": float((surest > SURE).mean()),
        "entropy": float(bits.mean()),
        "classes": float(2 ** bits.mean()),
        "bins": np.histogram(surest, BINS, (0, 1 + 1e-6))[0].tolist(),
    }
