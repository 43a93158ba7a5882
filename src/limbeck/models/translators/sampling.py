"""Sampling: each text draws by numbers of its own, so that no draw depends on the batch or its order.

A draw of words has one number, uniform between 0 and 1, for each step; the token is the one at which the cumulated
probabilities exceed it. The numbers are made from the seed, the text's tokens and the number of the draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

if TYPE_CHECKING:
    from numpy.typing import NDArray


def uniforms(tokens: NDArray[np.int32], seed: int, draws: int, steps: int) -> NDArray[np.float64]:
    """The numbers that a text draws by, the first ones the same however many are asked for.

    Args:
        tokens: Of the text, ``(tokens,)``.
        seed: Other seeds give other draws.
        draws: How often the text is translated.
        steps: Most tokens of a translation.

    Returns:
        ``(draws, steps)``, from 0 to below 1.
    """
    return np.stack([stream.random(steps) for stream in _streams(tokens, seed, draws)])


def normals(tokens: NDArray[np.int32], seed: int, draws: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal numbers that a text draws by, the first ones the same however many are asked for.

    Args:
        tokens: Of the text, ``(tokens,)``.
        seed: Other seeds give other draws.
        draws: How often there is one of each.
        shape: Of a draw; what is drawn at the start of its first axis does not depend on that axis' size.

    Returns:
        ``(draws, *shape)``.
    """
    found = np.zeros((draws, *shape), dtype=np.float32)
    for draw, stream in zip(found, _streams(tokens, seed, draws), strict=True):
        draw[:] = stream.standard_normal(shape)
    return found


def _streams(tokens: NDArray[np.int32], seed: int, draws: int) -> Iterator[np.random.Generator]:
    """A generator of random numbers for each draw of a text."""
    digest = hashlib.sha256(np.ascontiguousarray(tokens, dtype="<i4").tobytes()).digest()
    key = np.frombuffer(digest, dtype="<u4").tolist()
    return (np.random.default_rng([seed & 0xFFFFFFFF, draw, *key]) for draw in range(draws))


class Drawn(LogitsProcessor):
    """Leaves of all next tokens the one that is drawn.

    Args:
        numbers: Uniform ones, a row for each row that is decoded, a column for each step: ``(rows, steps)``.
        temperature: Scores are divided by it.
        top_k: Draw among so many likeliest tokens; None for all.
        given: Tokens of each row that are not drawn, and stand before those that are.
    """

    def __init__(
        self, numbers: Tensor, temperature: float = 1.0, top_k: int | None = None, given: int = 1
    ) -> None:
        self.numbers, self.temperature, self.top_k, self.given = numbers, temperature, top_k, given

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Zero for the token that is drawn, minus infinity for all others: ``(rows, vocabulary)``."""
        vocabulary = scores.shape[-1]
        among = scores.topk(self.top_k).indices if self.top_k and self.top_k < vocabulary else None
        values = scores if among is None else scores.gather(1, among)
        cumulated = (values.double() / self.temperature).softmax(-1).cumsum(-1)  # (rows, choices)
        number = self.numbers[:, input_ids.shape[1] - self.given, None] * cumulated[:, -1:]
        place = torch.searchsorted(cumulated, number, right=True).clamp(max=values.shape[-1] - 1)
        drawn = place if among is None else among.gather(1, place)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)
