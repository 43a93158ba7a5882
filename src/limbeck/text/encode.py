"""Encode: sentences to token ids, once, in two flat arrays; collate: some of them to a padded batch.

Axes: ``batch`` (sentences of a batch), ``tokens`` (of the longest of them).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD, Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

CHUNK = 4096
"""Sentences handed to the tokeniser at a time: enough to keep its threads busy and to show progress."""


@dataclass(frozen=True)
class Encoded:
    """Sentences as token ids, all in one array.

    Attributes:
        ids: Example ids, one a sentence.
        tokens: All sentences' token ids, one after the other, int32.
        offsets: Where each sentence starts in ``tokens``, and the end: ``(sentences + 1,)``, int64.
        gold: Label indices, ``(sentences,)``, int64; ``NO_GOLD`` where the example has none.
        pad_id: What collate pads with.
        truncated: Sentences that were cut to the maximum length.
    """

    ids: tuple[str, ...]
    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]
    gold: NDArray[np.int64]
    pad_id: int
    truncated: int

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.ids)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence, at least one: ``(sentences,)``."""
        return np.diff(self.offsets)


def encode(
    tokeniser: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    labels: Sequence[str] | None,
    max_length: int,
) -> Encoded:
    """Tokenise examples with special tokens, cut to ``max_length``.

    A sentence of which the tokeniser leaves nothing (a lone zero-width space, say) becomes one unknown token,
    so that no model meets an empty sentence.

    Args:
        tokeniser: A fast tokeniser.
        examples: What to encode.
        labels: Label names in the order of their indices; None leaves out all gold.
        max_length: Tokens kept of a sentence, special tokens included.

    Raises:
        LimbeckError: A gold label is not among ``labels``, or ``max_length`` leaves no room for text.
    """
    backend = tokeniser.backend_tokenizer
    _check_length(max_length, backend.num_special_tokens_to_add(False))
    texts = [example.text for example in examples]
    parts: list[NDArray[np.int32]] = []
    lengths = np.zeros(len(texts) + 1, dtype=np.int64)
    truncated = 0
    nothing = [_first_id(tokeniser.unk_token_id, tokeniser.pad_token_id)]
    with _truncating(backend, max_length), progress.task("tokenise", len(texts)) as task:
        for start in range(0, len(texts), CHUNK):
            encodings = backend.encode_batch_fast(texts[start : start + CHUNK])
            rows = [encoding.ids or nothing for encoding in encodings]
            truncated += sum(bool(encoding.overflowing) for encoding in encodings)
            lengths[start + 1 : start + 1 + len(rows)] = [len(row) for row in rows]
            parts.append(np.fromiter((token for row in rows for token in row), dtype=np.int32))
            task.advance(len(rows))
    return Encoded(
        ids=tuple(example.id for example in examples),
        tokens=np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32),
        offsets=np.cumsum(lengths),
        gold=_gold(examples, labels),
        pad_id=_first_id(tokeniser.pad_token_id, tokeniser.eos_token_id),
        truncated=truncated,
    )


def collate(encoded: Encoded, rows: NDArray[np.int64]) -> Batch:
    """The batch of these rows, padded on the right to the longest of them.

    Args:
        encoded: The sentences.
        rows: Row numbers, ``(batch,)``.

    Returns:
        ``input_ids`` and ``attention_mask``, each ``(batch, tokens)`` int64, and gold ``(batch,)``.
    """
    lengths = encoded.lengths[rows]
    columns = np.arange(lengths.max(initial=1))
    mask = columns < lengths[:, None]  # (batch, tokens)
    # Positions past a sentence's end may pass the end of the array; where() puts padding there anyway.
    positions = np.minimum(encoded.offsets[rows][:, None] + columns, max(len(encoded.tokens) - 1, 0))
    input_ids = np.where(mask, encoded.tokens[positions], encoded.pad_id)
    inputs = {
        "input_ids": torch.from_numpy(input_ids.astype(np.int64)),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
    }
    return Batch(tuple(encoded.ids[row] for row in rows), inputs, torch.from_numpy(encoded.gold[rows]))


@contextmanager
def _truncating(backend: Any, max_length: int) -> Iterator[None]:
    """The Rust tokeniser, set to cut and not to pad; its own setting comes back afterwards."""
    truncation, padding = backend.truncation, backend.padding
    backend.no_padding()
    backend.enable_truncation(max_length)
    try:
        yield
    finally:
        backend.no_truncation()
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)


def _check_length(max_length: int, special: int) -> None:
    if max_length <= special:
        raise LimbeckError(
            f"max_length {max_length} leaves no room beside the tokeniser's {special} special tokens"
        )


def _first_id(*ids: int | None) -> int:
    return next((one for one in ids if one is not None), 0)


def _gold(examples: Sequence[Example], labels: Sequence[str] | None) -> NDArray[np.int64]:
    """Label indices, ``(sentences,)``."""
    if labels is None:
        return np.full(len(examples), NO_GOLD, dtype=np.int64)
    index: dict[str | None, int] = {label: number for number, label in enumerate(labels)}
    index[None] = NO_GOLD
    try:
        return np.fromiter((index[example.gold] for example in examples), dtype=np.int64, count=len(examples))
    except KeyError as error:
        stranger = next(example for example in examples if example.gold not in index)
        where = stranger.origin or stranger.id
        raise LimbeckError(f"label {error} is not among {', '.join(labels)}", where=where) from None
