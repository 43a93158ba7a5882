"""Chain: the scores of a batch of linear chains, as emissions and transitions or as full potentials.

A path ``y`` of ``n`` tags scores (Lin et al. 2022, equation 3, with a start and an end)

    s(y) = start[y_1] + sum_{l=1..n} emissions[l, y_l] + sum_{l=2..n} transitions[y_{l-1}, y_l] + end[y_n]

and has the probability ``exp(s(y)) / Z``. Minus infinity forbids. Axes: ``batch, words, tags``; of a pair of tags the
earlier comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Chain:
    """Scores of a batch of sentences.

    Attributes:
        emissions: ``(batch, words, tags)``; what stands after a sentence's last word is not read.
        transitions: From, to: ``(tags, tags)`` for all words, or ``(batch, words - 1, tags, tags)``; or
            ``(batch, 1, tags, tags)``, a table a sentence.
        lengths: Words of each sentence, ``(batch,)``; nought is allowed.
        start: Of the first tag, ``(tags,)``; None for nought.
        end: Of the last tag, ``(tags,)``; None for nought.
    """

    emissions: Tensor
    transitions: Tensor
    lengths: Tensor
    start: Tensor | None = None
    end: Tensor | None = None

    def __post_init__(self) -> None:
        batch, words, tags = self.emissions.shape
        shared, full = (tags, tags), (batch, max(words - 1, 0), tags, tags)
        if tuple(self.transitions.shape) not in (shared, full, (batch, 1, tags, tags)):
            raise ValueError(
                f"transitions of shape {tuple(self.transitions.shape)} do not go with emissions of shape "
                f"{tuple(self.emissions.shape)}: {shared} or {full} would"
            )
        if self.lengths.is_floating_point():
            raise ValueError("lengths of a chain are whole numbers")
        if tuple(self.lengths.shape) != (batch,):
            raise ValueError(f"lengths of shape {tuple(self.lengths.shape)} for {batch} sentences")

    @classmethod
    def from_mask(
        cls,
        emissions: Tensor,
        transitions: Tensor,
        mask: Tensor,
        start: Tensor | None = None,
        end: Tensor | None = None,
    ) -> Chain:
        """The same from a mask instead of lengths.

        Args:
            emissions: ``(batch, words, tags)``.
            transitions: ``(tags, tags)`` or ``(batch, words - 1, tags, tags)``.
            mask: True where a word is real, ``(batch, words)``.
            start: ``(tags,)``.
            end: ``(tags,)``.

        Raises:
            ValueError: The mask has a hole: a word that is not real before one that is.
        """
        mask = mask.bool()
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError(
                "the mask of a chain has a hole: the words of a sentence must come first, without gaps"
            )
        return cls(emissions, transitions, mask.sum(1), start, end)

    @classmethod
    def from_potentials(cls, potentials: Tensor, lengths: Tensor) -> Chain:
        """A chain given by the scores of its pairs of adjacent tags alone.

        Args:
            potentials: Earlier tag, later tag: ``(batch, words - 1, tags, tags)``.
            lengths: Words of each sentence, ``(batch,)``.
        """
        batch, pairs, tags, _ = potentials.shape
        return cls(potentials.new_zeros(batch, pairs + 1, tags), potentials, lengths)

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Emissions, transitions, start and end."""
        return self.emissions, self.transitions, self.start, self.end

    @property
    def shared(self) -> bool:
        """Whether all words share one table of transitions."""
        return self.transitions.dim() == 2

    @property
    def mask(self) -> Tensor:
        """True where a word is real, ``(batch, words)``."""
        return torch.arange(self.emissions.shape[1], device=self.lengths.device) < self.lengths[:, None]

    def edge(self, word: int) -> Tensor:
        """Transitions into a word: ``(tags, tags)`` or ``(batch, tags, tags)``."""
        if self.shared:
            return self.transitions
        return self.transitions[:, word - 1 if self.transitions.shape[1] > 1 else 0]

    def folded(self) -> Chain:
        """The same chain with start and end added to the emissions of first and last words."""
        if self.start is None and self.end is None:
            return self
        emissions = self.emissions
        filled = self.lengths > 0
        position = torch.arange(emissions.shape[1], device=emissions.device)
        if self.start is not None:
            first = (position == 0) & filled[:, None]
            emissions = torch.where(first[..., None], emissions + self.start, emissions)
        if self.end is not None:
            last = position == self.lengths[:, None] - 1
            emissions = torch.where(last[..., None], emissions + self.end, emissions)
        return Chain(emissions, self.transitions, self.lengths)

    def potentials(self) -> Tensor:
        """Scores of all pairs of adjacent tags, ``(batch, words - 1, tags, tags)``, nought after the last word.

        The first word's emissions stand with the first pair. A sentence of one word has no pair: what its word
        scores cannot be said in this form.
        """
        chain = self.folded()
        scores = chain.transitions + chain.emissions[:, 1:, None, :]
        first = torch.nn.functional.pad(
            chain.emissions[:, :1, :, None], (0, 0, 0, 0, 0, max(scores.shape[1] - 1, 0))
        )
        scores = scores + first[:, : scores.shape[1]]
        return scores.masked_fill(~self.mask[:, 1:, None, None], 0.0)

    def to(self, device: torch.device) -> Chain:
        """The same on another device."""
        return self._mapped(lambda scores: scores.to(device), self.lengths.to(device))

    def detach(self) -> Chain:
        """The same without gradients."""
        return self._mapped(Tensor.detach, self.lengths)

    def double(self) -> Chain:
        """The same in float64."""
        return self._mapped(Tensor.double, self.lengths)

    def divided(self, by: float) -> Chain:
        """All scores over a number: the distribution at that temperature."""
        return self._mapped(lambda scores: scores / by, self.lengths)

    def wide(self) -> Chain:
        """The same in float32 at least; half precision holds neither sums of scores nor counts."""
        narrow = self.emissions.dtype in (torch.float16, torch.bfloat16)
        return self._mapped(Tensor.float, self.lengths) if narrow else self

    def _mapped(self, change: Callable[[Tensor], Tensor], lengths: Tensor) -> Chain:
        start, end = (None if part is None else change(part) for part in (self.start, self.end))
        return Chain(change(self.emissions), change(self.transitions), lengths, start, end)


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each tag and each pair of tags is expected in the sentences of a batch.

    All that a loss linear in the scores need know of a distribution over paths, such as a teacher's chain.

    Attributes:
        tokens: ``p(y_l = j)``, ``(batch, words, tags)``, float64; nought after the last word.
        pairs: ``p(y_{l-1} = i, y_l = j)`` summed over words, ``(batch, 1, tags, tags)``, or by word,
            ``(batch, words - 1, tags, tags)``; float64.
    """

    tokens: Tensor
    pairs: Tensor


@dataclass(frozen=True, slots=True)
class Paths:
    """A distribution over a few paths of each sentence: gold (one path), or the k best.

    Attributes:
        tags: ``(batch, paths, words)``; what stands after the last word is not read.
        weights: Probabilities, ``(batch, paths)``; paths of weight nought are not read. None is one for each.
    """

    tags: Tensor
    weights: Tensor | None = None
