"""Sides: where each text of a pair stands in the row of tokens that both were joined to.

A side is the run of tokens from its first to its last that the tokeniser did not add. Which tokens are of which side
token types tell (BERT and its kin), or, where models are not told of types (RoBERTa and its kin), the separator.

Axes: ``batch``, ``2`` (first and second text), ``tokens``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.models.recurrent import taken

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class Marks:
    """How a tokeniser marks the texts of a pair.

    Attributes:
        reads_types: Whether token types tell them apart.
        separator_id: The first token between them; None where there is none.
        special_ids: All tokens that are added to them.
    """

    reads_types: bool
    separator_id: int | None
    special_ids: tuple[int, ...]

    @classmethod
    def of(cls, tokeniser: PreTrainedTokenizerFast) -> Marks:
        """Those of a tokeniser, as a pair shows them.

        Raises:
            LimbeckError: It puts two texts together so that nobody can tell where the second begins.
        """
        pair = tokeniser.backend_tokenizer.encode("a", "b")
        sides = pair.sequence_ids
        first, second = sides.index(0), sides.index(1)
        added = [number for number, side in zip(pair.ids, sides, strict=True) if side is None]
        between = [pair.ids[place] for place in range(first, second) if sides[place] is None]
        separator = between[0] if between and between[0] not in pair.ids[:first] else None
        typed = "token_type_ids" in tokeniser.model_input_names
        typed = typed and {pair.type_ids[first], pair.type_ids[second]} == {0, 1}
        if not typed and separator is None:
            what = "of a pair, this tokeniser does not say where the second text begins"
            raise LimbeckError(what, where="student.tokeniser", fix="Set student.tokeniser to 'words'")
        return cls(typed, separator, tuple(dict.fromkeys(added)))

    def keys(self) -> dict[str, Any]:
        """What a configuration says of them."""
        return asdict(self) | {"special_ids": list(self.special_ids)}


def places_of_sides(
    input_ids: Tensor,
    mask: Tensor,
    types: Tensor | None,
    separator_id: int | None,
    special_ids: list[int],
) -> tuple[Tensor, Tensor]:
    """Where each side begins, and how many tokens it has.

    Args:
        input_ids: ``(batch, tokens)``, at least one token wide.
        mask: One where a token is real, likewise.
        types: 0 or 1, the side of each token, likewise; None leaves it to the separator.
        separator_id: Without one and without types, all tokens are of the first side.
        special_ids: Tokens that are of no side, unless they stand within it.

    Returns:
        Each ``(batch, 2)``.
    """
    side = types if types is not None else torch.zeros_like(input_ids)
    if types is None and separator_id is not None:
        side = (input_ids == separator_id).cumsum(1).clamp(max=1)
    special = torch.tensor(special_ids, dtype=input_ids.dtype, device=input_ids.device)
    texts = mask.bool() & ~torch.isin(input_ids, special)
    of_side = torch.stack((side == 0, side == 1), 1) & texts.unsqueeze(1)  # (batch, 2, tokens)
    tokens = input_ids.shape[1]
    place = torch.arange(tokens, device=input_ids.device)
    first = torch.where(of_side, place, tokens).amin(2)
    last = torch.where(of_side, place, -1).amax(2)
    return first, (last + 1 - first).clamp(min=0)


def apart(states: Tensor, starts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Each side as a text of its own, the sides of a pair one after the other, padded on the right.

    Args:
        states: ``(batch, tokens, width)``.
        starts: As :func:`places_of_sides` gives them.
        lengths: Likewise.

    Returns:
        ``(batch * 2, tokens of the longest side, width)``, and the mask, ``(batch * 2, tokens)``.
    """
    batch, tokens, width = states.shape
    longest = max(1, int(lengths.max())) if batch else 1
    place = torch.arange(longest, device=states.device)
    places = (starts.unsqueeze(2) + place).clamp(max=tokens - 1)  # (batch, 2, longest)
    sides = taken(states, places.flatten(1)).reshape(2 * batch, longest, width)
    return sides, (place < lengths.reshape(-1, 1)).long()
