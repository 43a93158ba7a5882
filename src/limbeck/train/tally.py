"""Tally: the parts of a loss, added up over the batches of a step and averaged over steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from limbeck.core.objective import Loss


class Tally:
    """The sums of the step under way, and the means of the steps since the last look."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sums: Tensor | None = None
        self._means: list[Tensor] = []

    def add(self, loss: Loss) -> None:
        """Count a batch in.

        Raises:
            ValueError: Its parts are not those of the batches before.
        """
        names = self._names = self._names or list(loss.parts)
        if loss.parts.keys() != set(names):
            raise ValueError(
                f"an objective must name the same terms for every batch: {names}, not {[*loss.parts]}"
            )
        parts = [loss.parts[name].detach().float() for name in names]
        sums = torch.stack([*parts, torch.full_like(parts[0], loss.count)])
        self._sums = sums if self._sums is None else self._sums + sums

    def finish(self, over_all: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """End a step: the mean of each part, ``(parts,)``, and the number of items, a scalar, over all processes."""
        assert self._sums is not None
        sums = over_all(self._sums)
        count = sums[-1].clamp(min=1)
        self._means.append(sums[:-1] / count)
        self._sums = None
        return self._means[-1], count

    def read(self) -> dict[str, float]:
        """Each part's mean over the steps since the last look."""
        if not self._means:
            return {}
        values = torch.stack(self._means).mean(0).tolist()
        self._means = []
        return dict(zip(self._names, values, strict=True))
