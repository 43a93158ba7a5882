"""The head of a tagger: words' features to scores of tags, and of pairs of adjacent tags.

    emissions[l] = W h_l + b
    s(y) = start[y_1] + sum_l emissions[l, y_l] + sum_l transitions[y_{l-1}, y_l] + end[y_n]

(Lample et al. 2016, Neural Architectures for Named Entity Recognition, equation 1; see :mod:`limbeck.structure.chain`
for what is computed with it). A softmax head is the same with all transitions nought: its words are independent.

Axes: ``batch, words, tags``; of a pair of tags the earlier comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from transformers import initialization as init

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD
from limbeck.core.schema import Settings
from limbeck.text.tags import allowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limbeck.structure.chain import Chain


class HeadSettings(Settings):
    """Keys of a recipe's ``student`` that all taggers have."""

    head: Literal["chain", "softmax"] = "chain"
    """``chain``: a CRF, which scores pairs of adjacent tags, too; ``softmax``: each word by itself."""
    constrain: bool = False
    """Whether only sequences of tags that are valid IOB2 are decoded; training is the same."""


class TagHead(nn.Module):
    """Linear emissions; of a chain also transitions, start and end, which begin at nought.

    Args:
        width: Of the words' features.
        tags: Their names.
        kind: ``chain`` or ``softmax``.
        constrain: Whether decoding is held to valid IOB2.

    Raises:
        LimbeckError: ``constrain`` is asked for, and the tags are not IOB2.
    """

    def __init__(self, width: int, tags: Sequence[str], kind: str = "chain", constrain: bool = False) -> None:
        super().__init__()
        count = len(tags)
        self.emissions = nn.Linear(width, count)
        self.is_chain = kind == "chain"
        if self.is_chain:
            self.transitions = nn.Parameter(torch.zeros(count, count))
            self.start = nn.Parameter(torch.zeros(count))
            self.end = nn.Parameter(torch.zeros(count))
        self.allowed = _iob2(tags) if constrain else None

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, words, width) -> (batch, words, tags)``."""
        emissions: Tensor = self.emissions(features)
        return emissions

    def potentials(self, emissions: Tensor, lengths: Tensor, decoding: bool = False) -> Chain:
        """The chain that these emissions make with the head's transitions.

        Args:
            emissions: ``(batch, words, tags)``.
            lengths: Words of each sentence, ``(batch,)``.
            decoding: Whether the best path is to be found: then ``constrain`` forbids what is not IOB2.
        """
        from limbeck.structure.chain import Chain

        start: Tensor | None = self.start if self.is_chain else None
        end: Tensor | None = self.end if self.is_chain else None
        count = emissions.shape[-1]
        transitions = self.transitions if self.is_chain else emissions.new_zeros(count, count)
        if decoding and self.allowed is not None:
            first, pairs, last = (torch.from_numpy(part).to(emissions.device) for part in self.allowed)
            start = _forbidden(emissions.new_zeros(count) if start is None else start, first)
            transitions = _forbidden(transitions, pairs)
            end = _forbidden(emissions.new_zeros(count) if end is None else end, last)
        return Chain(emissions, transitions, lengths, start, end)

    def loss(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """Negative log-likelihood (nats) of gold, mean over the sentences that have gold; a scalar.

        Args:
            emissions: ``(batch, words, tags)``.
            lengths: Words of each sentence, ``(batch,)``.
            tags: ``(batch, words)``, ``NO_GOLD`` after the last word, or in all of a sentence without gold.

        Raises:
            LimbeckError: A word before the last has no gold.
        """
        from limbeck.structure.chain import negative_log_likelihood

        known = tags != NO_GOLD
        counted = known.sum(1)
        place = torch.arange(tags.shape[1], device=tags.device)
        if bool((known != (place < counted[:, None])).any() | (counted.ne(0) & counted.ne(lengths)).any()):
            raise LimbeckError(
                f"gold tags are there for some words of a sentence only; {NO_GOLD} may stand after its last word",
                fix="Leave out all gold of such a sentence",
            )
        each = negative_log_likelihood(self.potentials(emissions, counted), tags)
        return each.sum() / counted.ne(0).sum().clamp(min=1)

    def start_parameters(self) -> None:
        """Emissions uniform within one over the root of the width (PyTorch's own start), all else nought."""
        bound = self.emissions.in_features**-0.5
        init.uniform_(self.emissions.weight, -bound, bound)
        init.zeros_(self.emissions.bias)
        if self.is_chain:
            for scores in (self.transitions, self.start, self.end):
                init.zeros_(scores)


def _forbidden(scores: Tensor, allowed: Tensor) -> Tensor:
    return scores.masked_fill(~allowed, -torch.inf)


def _iob2(tags: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """What may begin, follow (from, to) and end a sentence: ``I-X`` stands after ``B-X`` or ``I-X`` alone.

    Raises:
        LimbeckError: These are not the tags of IOB2.
    """
    strange = [tag for tag in tags if tag != "O" and tag[:2] not in ("B-", "I-")]
    strange += [tag for tag in tags if tag.startswith("I-") and f"B-{tag[2:]}" not in tags]
    if strange:
        fix = "Leave out 'constrain', or convert the tags"
        raise LimbeckError(
            f"'student.constrain' is for IOB2, and the tag '{strange[0]}' is not of it", fix=fix
        )
    may = allowed(tags)
    return may.start, may.transitions, may.end
