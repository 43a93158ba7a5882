"""Classifiers: a linear one, and a perceptron with one hidden layer, that tell a label from states and nothing else.

Features are standardised by what train holds, regularisation is chosen on dev, and test is scored once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from limbeck.analyse.probes.task import Part

Kind = Literal["logistic", "perceptron"]
KINDS: tuple[Kind, ...] = ("logistic", "perceptron")
HIDDEN = 100
"""Units of the perceptron's hidden layer."""
ITERATIONS: Mapping[Kind, int] = {"logistic": 200, "perceptron": 60}


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a probe made of test.

    Attributes:
        right: Whether it told each example's label, ``(test examples,)``.
        penalty: The regularisation that dev chose.
        dev: Accuracy on dev with it.
    """

    right: NDArray[np.bool_]
    penalty: float
    dev: float

    @property
    def accuracy(self) -> float:
        """Share of test that is right."""
        return float(self.right.mean())


def probe(
    features: NDArray[np.float32],
    labels: Sequence[str],
    rows: Mapping[Part, NDArray[np.int64]],
    *,
    kind: Kind = "logistic",
    penalties: Sequence[float] = (0.01, 0.1, 1.0, 10.0),
    seed: int = 0,
) -> Told:
    """Train a probe, and score it.

    Args:
        features: States of all examples, ``(examples, width)``.
        labels: Their classes.
        rows: Which examples are for what.
        kind: The classifier.
        penalties: Strengths of the L2 penalty that dev chooses from; of equals the strongest wins.
        seed: Of a perceptron's start.
    """
    _, numbers = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    standard = standardised(features, rows)
    train, dev, test = (standard[rows[part]] for part in ("train", "dev", "test"))
    gold = {part: numbers[rows[part]] for part in rows}
    if len(np.unique(gold["train"])) == 1:
        return Told(
            gold["test"] == gold["train"][0], max(penalties), float((gold["dev"] == gold["train"][0]).mean())
        )
    best: tuple[float, float, NDArray[np.bool_]] | None = None
    for penalty in sorted(penalties, reverse=True):
        model = _model(kind, penalty, len(train), seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged after so many steps: it is scored as it is
            model.fit(train, gold["train"])
        score = float((model.predict(dev) == gold["dev"]).mean())
        if best is None or score > best[0]:
            best = score, penalty, model.predict(test) == gold["test"]
    assert best is not None
    return Told(best[2], best[1], best[0])


def standardised(
    features: NDArray[np.float32], rows: Mapping[Part, NDArray[np.int64]]
) -> NDArray[np.float32]:
    """Features of mean nought and deviation one over train; those that are the same all over are nought."""
    train = features[rows["train"]]
    deviation = train.std(0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-7)
    found: NDArray[np.float32] = ((features - train.mean(0)) * scale).astype(np.float32)
    return found


def _model(kind: Kind, penalty: float, examples: int, seed: int) -> Any:
    """A classifier whose loss is the mean over examples plus half the penalty, over 100, times the squared weights.

    So a penalty means the same whatever the number of examples.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    strength = penalty / 100
    if kind == "logistic":
        return LogisticRegression(C=1 / (strength * examples), max_iter=ITERATIONS[kind])
    return MLPClassifier(
        (HIDDEN,), alpha=strength * min(200, examples), max_iter=ITERATIONS[kind], random_state=seed
    )
