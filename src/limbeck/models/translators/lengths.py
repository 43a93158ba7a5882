"""Length prediction: how many tokens a translation has, from its source (p_L(T|X) of Gu et al. 2018).

The classes are differences ``T - T'`` to the source's length, from ``-offset`` to ``offset``, and not lengths: what is
learnt of short sentences then holds for long ones too, as in later parallel translators (Lee et al. 2018,
Ghazvininejad et al. 2019). Neither length counts the end token. A difference out of the window counts as its edge.

Axes: ``batch``, ``tokens`` (of sources), ``classes`` (``2 offset + 1``), ``candidates``.
"""

from __future__ import annotations

from torch import Tensor, nn

from limbeck.models.translators.layout import source_lengths


class LengthHead(nn.Module):
    """A linear layer on the mean of the encoder's states."""

    def __init__(self, width: int, longest_offset: int) -> None:
        super().__init__()
        self.longest_offset = longest_offset
        self.classifier = nn.Linear(width, 2 * longest_offset + 1)

    def forward(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Scores of the differences in length.

        Args:
            states: The encoder's, ``(batch, tokens, width)``.
            attention_mask: One where a token is real, ``(batch, tokens)``.

        Returns:
            Unnormalised, ``(batch, classes)``.
        """
        real = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * real).sum(1) / real.sum(1).clamp(min=1)
        scores: Tensor = self.classifier(mean)
        return scores


def length_classes(lengths: Tensor, attention_mask: Tensor, longest_offset: int) -> Tensor:
    """The right class of each translation, at the window's edge where it is out of it: ``(batch,)``.

    Args:
        lengths: Tokens of each translation, ``(batch,)``.
        attention_mask: Of the sources, ``(batch, tokens)``.
        longest_offset: Half of the window.
    """
    difference = lengths - source_lengths(attention_mask)
    return difference.clamp(-longest_offset, longest_offset) + longest_offset


def likely_lengths(scores: Tensor, attention_mask: Tensor, candidates: int, longest: int) -> Tensor:
    """The likeliest lengths of each translation, likeliest first: ``(batch, candidates)``.

    A length below one or above ``longest`` is moved to the nearest that may be.

    Args:
        scores: Of the differences, ``(batch, classes)``.
        attention_mask: Of the sources, ``(batch, tokens)``.
        candidates: How many are wanted, at most all classes.
        longest: Most tokens of a translation.
    """
    offset = scores.shape[1] // 2
    difference = scores.topk(candidates, dim=1).indices - offset
    return (source_lengths(attention_mask)[:, None] + difference).clamp(1, longest)
