"""N-grams as numbers: runs of tokens, each run a number in a base larger than any token's digit.

    key(t_1 ... t_n) = sum_i d(t_i) B^(n - i),      d(t) = 1 + t  (of a pair's second text 1 + t + V),      B = 2 V + 1

for a vocabulary of V tokens. No digit of a token is nought, so that runs of any lengths have keys of their own, and a
sorted list of keys is a vocabulary of n-grams. Axes: ``batch, tokens, windows`` (places where a run may begin).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

LONGEST = 3
"""Tokens of an n-gram at most: keys of longer ones would not fit into 64 bits for large vocabularies."""


def base_of(vocabulary: int) -> int:
    """B for so many tokens."""
    return 2 * vocabulary + 1


def digits_of(ids: Tensor, real: Tensor, types: Tensor | None, vocabulary: int) -> Tensor:
    """Each token's digit, nought where no n-gram may reach, all ``(batch, tokens)`` int64.

    Args:
        ids: Token ids.
        real: True where n-grams may reach.
        types: 1 where a token is of a pair's second text; None for single texts.
        vocabulary: Tokens that there are.
    """
    digits = ids + 1 if types is None else ids + 1 + vocabulary * types
    return torch.where(real, digits, 0)


def keys_in(digits: Tensor, vocabulary: int, shortest: int, longest: int) -> Iterator[Tensor]:
    """Keys of all runs of each length, ``(batch, windows)``; -1 for one that is none, or of both texts of a pair.

    Args:
        digits: As :func:`digits_of` gives them, ``(batch, tokens)``.
        vocabulary: Tokens that there are.
        shortest: Tokens of the shortest run.
        longest: Tokens of the longest, 3 at most.
    """
    base, tokens = base_of(vocabulary), digits.shape[1]
    second = digits > vocabulary
    for length in range(shortest, min(longest, tokens) + 1):
        windows = tokens - length + 1
        keys = torch.zeros_like(digits[:, :windows])
        sound = torch.ones_like(keys, dtype=torch.bool)
        for place in range(length):
            digit = digits[:, place : place + windows]
            keys = keys * base + digit
            sound &= (digit > 0) & (second[:, place : place + windows] == second[:, :windows])
        yield torch.where(sound, keys, -1)


def tokens_of(key: int, vocabulary: int) -> list[int]:
    """The tokens of an n-gram; those of a pair's second text are raised by the vocabulary."""
    base = base_of(vocabulary)
    tokens: list[int] = []
    while key:
        key, digit = divmod(key, base)
        tokens.insert(0, digit - 1)
    return tokens
