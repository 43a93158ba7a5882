"""The chains that a tagger makes of all sentences of a set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from limbeck.core.errors import LimbeckError
from limbeck.models.outputs import predict_emissions
from limbeck.models.taggers.tagger import Tagger

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.structure.chain import Chain
    from limbeck.text.encode import Encoded


def predict_chain(
    model: PreTrainedModel, encoded: Encoded, device: torch.device | None = None, *, decoding: bool = False
) -> Chain:
    """The chain of all sentences, in their order, on the CPU; words that the maximum length cut off are not in it.

    Args:
        model: A tagger; its mode is as before afterwards.
        encoded: The sentences, as :func:`limbeck.text.words.encode_words` gives them.
        device: Where the model is; by default, asked of it.
        decoding: Whether what the model must not decode is forbidden.

    Raises:
        LimbeckError: The model is no tagger, or the sentences are not cut into words.
    """
    if not isinstance(model, Tagger):
        raise LimbeckError(f"a {type(model).__name__} scores no tags of words: it has no chain to give")
    flat, offsets = predict_emissions(model, encoded, device=device)
    lengths = torch.from_numpy(offsets).diff()
    longest = int(lengths.max()) if len(lengths) else 0
    emissions = torch.zeros(len(lengths), longest, flat.shape[1])
    emissions[torch.arange(longest) < lengths[:, None]] = torch.from_numpy(flat)
    with torch.inference_mode():
        place = next(model.parameters()).device
        chain = model.head.potentials(emissions.to(place), lengths.to(place), decoding)
        return chain.detach().to(torch.device("cpu"))
