"""Calibration before and after a temperature that is fitted on dev.

Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2: one number ``T`` divides all logits of a
model, the one under which dev's gold is the likeliest. It changes no prediction, so that accuracy stays as it is. Of
sets of labels, it divides each label's logit, and what is calibrated is each decision. Of taggers it divides all scores
of the chain, and what is calibrated are words: the marginal of the tag that each was given, which is best where the
words' gold tags, each by itself, are the likeliest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from limbeck.analyse.mistakes.tempered import UNKNOWN, Answers
from limbeck.evaluate.calibration import binned, ece
from limbeck.evaluate.metrics import Floats, Ints

RANGE = (0.05, 20.0)
"""Temperatures that are looked at: a model that dev shows to be right always would be sharpened without end."""
PRECISION = 1e-5
"""Of the logarithm of the temperature."""


def negative_log_likelihood(probabilities: Floats, gold: Ints) -> float:
    """Mean over items whose gold is known, in nats: of ``(items, classes)`` and class numbers ``(items,)``."""
    known = gold != UNKNOWN
    of_gold = np.take_along_axis(probabilities[known], gold[known][:, None], axis=1)[:, 0]
    return float(-np.log(np.maximum(of_gold, np.finfo(np.float32).tiny)).mean()) if known.any() else 0.0


def fitted(answers: Answers) -> float:
    """The temperature under which gold is the likeliest."""

    def loss(logarithm: float) -> float:
        return negative_log_likelihood(answers.at(float(np.exp(logarithm))), answers.gold)

    found = minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded", options={"xatol": PRECISION})
    return float(np.exp(found.x))


def calibrated(
    dev: Mapping[str, Sequence[Answers]], test: Mapping[str, Sequence[Answers]]
) -> list[dict[str, Any]]:
    """Calibration of each model on test before and after.

    Args:
        dev: Of each model and seed what it answers on dev.
        test: Likewise on test.

    Returns:
        Rows with the model's ``name``; of each seed in a list the ``temperature``, ``ece`` and ``nll`` before and
        after; and ``bins`` of the reliability diagram before and after, of the first seed.
    """
    return [_of_model(name, dev[name], test[name]) for name in test if name in dev]


def _of_model(name: str, dev: Sequence[Answers], test: Sequence[Answers]) -> dict[str, Any]:
    temperatures = [fitted(one) for one in dev]
    return {
        "name": name,
        "temperature": temperatures,
        "before": _scores(test, [1.0] * len(test)),
        "after": _scores(test, temperatures),
    }


def _scores(said: Sequence[Answers], temperatures: Sequence[float]) -> dict[str, Any]:
    told = [(one, one.at(temperature)) for one, temperature in zip(said, temperatures, strict=True)]
    diagrams = [binned(one.confidence(each), one.chosen == one.gold) for one, each in told]
    return {
        "ece": [ece(bins) for bins in diagrams],
        "nll": [negative_log_likelihood(each, one.gold) for one, each in told],
        "bins": [asdict(one) for one in diagrams[0]],
    }
