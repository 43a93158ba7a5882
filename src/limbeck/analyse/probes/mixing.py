"""Scalar mixing: one probe on all layers, and which of them it listens to (Tenney et al. 2019, "BERT rediscovers").

    h = gamma * sum_l s_l x_l,    s = softmax(a),    centre of gravity = sum_l l * s_l        (their equations 1 and 2)

with x_l the states of layer l from 0 on, standardised by train so that their sizes do not count. Weights a, gamma and a
logistic regression on h are trained together by L-BFGS. Layers of another width than the last one cannot be mixed with
it, and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from limbeck.analyse.probes.classifier import standardised
from limbeck.analyse.probes.task import Part

STEPS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """What a mixing probe found.

    Attributes:
        layers: Numbers of the layers that are mixed.
        weights: Of each, adding up to one, ``(layers,)``.
        right: Whether it told each test example's label.
    """

    layers: tuple[int, ...]
    weights: NDArray[np.float64]
    right: NDArray[np.bool_]

    @property
    def gravity(self) -> float:
        """The centre of gravity: the mean layer, by weight."""
        return float(np.dot(self.layers, self.weights))


def mix(
    layers: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    rows: Mapping[Part, NDArray[np.int64]],
    *,
    penalties: Sequence[float] = (0.01, 0.1, 1.0),
) -> Mixed | None:
    """Train a mixing probe; None where there is one layer only to listen to.

    Args:
        layers: States of all examples, of each layer ``(examples, width)``.
        labels: Their classes.
        rows: Which examples are for what.
        penalties: Strengths of the penalty that dev chooses from, as of :func:`.classifier.probe`.
    """
    kept = tuple(n for n, layer in enumerate(layers) if layer.shape[1] == layers[-1].shape[1])
    if len(kept) < 2:
        return None
    classes, numbers = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    states = torch.from_numpy(np.stack([standardised(layers[n], rows) for n in kept]))
    gold = torch.from_numpy(numbers)
    place = {part: torch.from_numpy(where) for part, where in rows.items()}
    best: tuple[float, Mixed] | None = None
    for penalty in sorted(penalties, reverse=True):
        probe = _Probe(len(kept), states.shape[-1], len(classes))
        probe.fit(states[:, place["train"]], gold[place["train"]], penalty / 100)
        score = float(probe.right(states[:, place["dev"]], gold[place["dev"]]).mean())
        if best is None or score > best[0]:
            right = probe.right(states[:, place["test"]], gold[place["test"]])
            best = score, Mixed(kept, probe.shares.double().numpy(), right)
    assert best is not None
    return best[1]


class _Probe:
    """Weights of layers, and a logistic regression on what they mix. Axes: ``layers, examples, width``."""

    def __init__(self, layers: int, width: int, classes: int) -> None:
        self.mixing = torch.zeros(layers, requires_grad=True)
        self.gamma = torch.ones((), requires_grad=True)
        self.weight = torch.zeros(width, classes, requires_grad=True)
        self.bias = torch.zeros(classes, requires_grad=True)

    @property
    def shares(self) -> Tensor:
        """Of each layer, ``(layers,)``."""
        return self.mixing.detach().softmax(0)

    def scores(self, states: Tensor) -> Tensor:
        """``(examples, classes)``."""
        mixed = self.gamma * torch.einsum("l,lnw->nw", self.mixing.softmax(0), states)
        return mixed @ self.weight + self.bias

    def fit(self, states: Tensor, gold: Tensor, penalty: float) -> None:
        """Find the weights."""
        parameters = [self.mixing, self.gamma, self.weight, self.bias]
        optimiser = torch.optim.LBFGS(
            parameters, max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            optimiser.zero_grad()
            # All are held alike: gamma would make up for what a penalty takes from the weights, and a few examples
            # would drive the shares to one layer.
            size = self.weight.square().sum() + self.gamma.square() + self.mixing.square().sum()
            value = functional.cross_entropy(self.scores(states), gold) + penalty / 2 * size
            value.backward()
            return value

        optimiser.step(loss)

    def right(self, states: Tensor, gold: Tensor) -> NDArray[np.bool_]:
        """Which examples it tells."""
        with torch.no_grad():
            found: NDArray[np.bool_] = (self.scores(states).argmax(-1) == gold).numpy()
        return found
