"""Calibration before and after a temperature that is fitted on dev.

Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2: one number ``T`` divides all logits of a
model, the one under which dev's gold is the likeliest. It changes no prediction, so that accuracy stays as it is; of
sets of labels, it divides each label's logit, and what is calibrated is each decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from limbeck.analyse.mistakes.sharpness import tempered
from limbeck.evaluate.calibration import ece, reliability
from limbeck.evaluate.metrics import Floats, Ints

RANGE = (0.05, 20.0)
"""Temperatures that are looked at: a model that dev shows to be right always would be sharpened without end."""


def negative_log_likelihood(probabilities: Floats, gold: Ints) -> float:
    """Mean over texts, in nats: of ``(texts, classes)`` and class numbers ``(texts,)``."""
    of_gold = np.take_along_axis(probabilities, gold[:, None], axis=1)[:, 0]
    return float(-np.log(np.maximum(of_gold, np.finfo(np.float32).tiny)).mean())


def fitted(probabilities: Floats, gold: Ints) -> float:
    """The temperature under which gold is the likeliest: of ``(texts, classes)`` and class numbers ``(texts,)``."""

    def loss(logarithm: float) -> float:
        return negative_log_likelihood(tempered(probabilities, float(np.exp(logarithm))), gold)

    found = minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def calibrated(
    dev: Mapping[str, Sequence[Floats]], dev_gold: Ints, test: Mapping[str, Sequence[Floats]], gold: Ints
) -> list[dict[str, Any]]:
    """Calibration of each model on test before and after.

    Args:
        dev: Of each model and seed its probabilities on dev, ``(texts, classes)``.
        dev_gold: Class numbers, ``(texts,)``.
        test: Likewise on test.
        gold: Of test.

    Returns:
        Rows with the model's ``name``; of each seed in a list the ``temperature``, ``ece`` and ``nll`` before and
        after; and ``bins`` of the reliability diagram before and after, of the first seed.
    """
    return [_of_model(name, dev[name], dev_gold, test[name], gold) for name in test if name in dev]


def _of_model(
    name: str, dev: Sequence[Floats], dev_gold: Ints, test: Sequence[Floats], gold: Ints
) -> dict[str, Any]:
    temperatures = [fitted(one, dev_gold) for one in dev]
    after = [tempered(one, temperature) for one, temperature in zip(test, temperatures, strict=True)]
    return {
        "name": name,
        "temperature": temperatures,
        "before": _scores(test, gold),
        "after": _scores(after, gold),
    }


def _scores(said: Sequence[Floats], gold: Ints) -> dict[str, Any]:
    diagrams = [reliability(one, gold) for one in said]
    return {
        "ece": [ece(bins) for bins in diagrams],
        "nll": [negative_log_likelihood(one, gold) for one in said],
        "bins": [asdict(one) for one in diagrams[0]],
    }


def decisions(probabilities: Floats) -> Floats:
    """Each label of each text as a choice of two: ``(texts, labels) -> (texts x labels, 2)``."""
    flat = probabilities.ravel()
    return np.stack([1 - flat, flat], axis=1)
