"""Averaging: the mean of the weights at the last evaluations, which is what is evaluated and kept.

Vaswani et al. 2017, Attention is all you need, section 6.1: "a single model obtained by averaging the last 5
checkpoints". Weights that still wander around a good place are better in their middle than anywhere on their way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from limbeck.train.checkpoint import clone, put_back, tensors_of

GROUP = "earlier"
"""In a checkpoint, the weights at earlier evaluations are ``earlier0``, ``earlier1`` and so on, the oldest first."""


class LastWeights:
    """The weights at the last evaluations, as many copies as are needed for the next mean and no more.

    A sum alone would not do: what falls out of it must be known.

    Args:
        size: Evaluations that a mean is of; 1 keeps nothing.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._earlier: list[dict[str, Tensor]] = []

    @contextmanager
    def averaged(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model has the mean of its weights now and at the evaluations before; afterwards its own.

        Of what training moves: trained parameters, and buffers of floating-point numbers; counters stay what they are.
        """
        if self.size == 1:
            yield
            return
        tensors = _moving(model)
        now = clone(tensors)
        try:
            self._put_mean(tensors)
            yield
        finally:
            put_back(tensors, now)
        self._earlier = [*self._earlier, now][1 - self.size :]

    @torch.no_grad()
    def _put_mean(self, tensors: Mapping[str, Tensor]) -> None:
        """In place; always added up in the same order, so that a resumed run finds the same mean, bit for bit."""
        for name, tensor in tensors.items():
            for before in self._earlier:
                tensor.add_(before[name])
            tensor.div_(len(self._earlier) + 1)

    @property
    def kept(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint keeps, by group."""
        return {f"{GROUP}{number}": weights for number, weights in enumerate(self._earlier)}

    def take_up(self, groups: Mapping[str, Mapping[str, Tensor]], device: torch.device) -> None:
        """Go on from a checkpoint's groups, of which those that are not of here are passed over."""
        numbers = sorted(int(name.removeprefix(GROUP)) for name in groups if name.startswith(GROUP))
        self._earlier = [
            {name: tensor.to(device) for name, tensor in groups[f"{GROUP}{number}"].items()}
            for number in numbers
        ]


def _moving(model: nn.Module) -> dict[str, Tensor]:
    frozen = {name for name, one in model.named_parameters() if not one.requires_grad}
    return {
        name: tensor
        for name, tensor in tensors_of(model).items()
        if tensor.is_floating_point() and name not in frozen
    }
