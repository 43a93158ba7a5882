"""How sharp a teacher's answers are, and what a temperature makes of them.

Divided by a temperature ``T``, logits give ``p_T = softmax(z / T)``, which is ``p^(1/T)`` over its sum (Hinton et al.
2015, "Distilling the Knowledge in a Neural Network", equation 1): what a student of soft labels hears. Probabilities
alone will do, for they tell the logits but for a constant that the softmax takes away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from limbeck.analyse.mistakes.rows import entropy
from limbeck.evaluate.calibration import softmax
from limbeck.evaluate.metrics import Floats

TEMPERATURES = (1.0, 2.0, 5.0, 10.0)
"""Those that are always told."""
BINS = 10
"""Of the histogram of confidence, from 0 to 1."""
SURE = 0.99
"""A confidence above this leaves a student next to nothing to hear beside the label."""


def logits_of(probabilities: Floats) -> Floats:
    """Logits that give these probabilities; of one that is nought, that of the least number there is in float32."""
    return np.asarray(np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)))


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """The probabilities at a temperature, ``(..., labels) -> (..., labels)``."""
    return softmax(logits_of(probabilities) / temperature)


def sharpness(probabilities: Floats, of_recipe: Iterable[float] = ()) -> list[dict[str, Any]]:
    """How sharp a model's answers are at each temperature.

    Args:
        probabilities: ``(texts, classes)``.
        of_recipe: Temperatures that the run's methods hear it at.

    Returns:
        Rows with ``temperature``; ``in_recipe``; ``confidence``, the mean; ``sure``, the share above 0.99;
        ``entropy``, the mean in bits; ``classes``, two to that power; ``bins``, texts by confidence.
    """
    named = set(of_recipe)
    return [_at(probabilities, each, each in named) for each in sorted({*TEMPERATURES, *named})]


def _at(probabilities: Floats, temperature: float, in_recipe: bool) -> dict[str, Any]:
    said = tempered(probabilities, temperature)
    surest, bits = said.max(axis=-1), entropy(said)
    return {
        "temperature": temperature,
        "in_recipe": in_recipe,
        "confidence": float(surest.mean()),
        "sure": float((surest > SURE).mean()),
        "entropy": float(bits.mean()),
        "classes": float(2 ** bits.mean()),
        "bins": np.histogram(surest, BINS, (0, 1 + 1e-6))[0].tolist(),
    }
