"""A word's feature from its spelling, by a convolution (Ma and Hovy 2016) or a BiLSTM (Lample et al. 2016).

Both read UTF-8 bytes: of English these are its characters, and no byte is ever unknown.

Axes: ``n`` (words), ``bytes``, ``width``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limbeck.models.recurrent import both_ways, one_way_lstms, taken, turned_places

WINDOW = 3
"""Bytes that a convolution sees at a time (Ma and Hovy 2016, table 1)."""


class Spelling(nn.Module):
    """Bytes of words to a feature each.

    Args:
        kind: ``cnn`` or ``bilstm``.
        byte_size: Width of a byte's embedding.
        size: Width of the feature; of a BiLSTM both directions together.
    """

    def __init__(self, kind: str, byte_size: int, size: int) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(256, byte_size)
        self.size = size
        self.convolution = nn.Conv1d(byte_size, size, WINDOW, padding=WINDOW // 2) if kind == "cnn" else None
        if self.convolution is None:
            self.forward_lstms, self.backward_lstms = one_way_lstms([byte_size], size // 2)

    def forward(self, spelling: Tensor) -> Tensor:
        """``(batch, words, bytes) -> (batch, words, size)``; byte 0 is padding, a word without bytes is nought."""
        batch, words, count = spelling.shape
        flat = spelling.reshape(batch * words, count).long()
        mask = (flat != 0).unsqueeze(-1)  # (n, bytes, 1)
        embedded = self.embeddings(flat) * mask
        feature = (
            self._convolved(embedded, mask) if self.convolution is not None else self._read(embedded, mask)
        )
        return feature.masked_fill(~mask[:, 0], 0.0).view(batch, words, self.size)

    def _convolved(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """The largest value of each filter, ``(n, bytes, width) -> (n, size)``."""
        assert self.convolution is not None
        seen = self.convolution(embedded.transpose(1, 2)).transpose(1, 2)
        largest: Tensor = seen.masked_fill(~mask, torch.finfo(seen.dtype).min).amax(1)
        return largest

    def _read(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """The states that have read the whole word, ``(n, bytes, width) -> (n, size)``."""
        lengths = mask.sum(1)  # (n, 1)
        turned = turned_places(lengths, embedded.shape[1])
        ahead, back = both_ways(self.forward_lstms[0], self.backward_lstms[0], embedded, turned)
        last = (lengths - 1).clamp(min=0)
        return torch.cat((taken(ahead, last), taken(back, last)), -1).squeeze(1)
