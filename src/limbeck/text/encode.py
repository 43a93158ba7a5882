"""Encode: sentences to token ids, once, in two flat arrays; collate: some of them to a padded batch.

Axes: ``batch`` (sentences of a batch), ``tokens`` and ``words`` (of the longest of them), ``bytes`` (of the longest
word). What is cut into words is encoded by :mod:`limbeck.text.words`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from limbeck.text.pieces import kept_of, padded_spelling
from limbeck.text.ragged import joined, padded, places

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

CHUNK = 4096
"""Sentences handed to the tokeniser at a time: enough to keep its threads busy and to show progress."""

Gold = np.ndarray[Any, np.dtype[np.int64]] | np.ndarray[Any, np.dtype[np.float32]]
"""Of sentences, as :class:`Encoded` holds it."""
GoldOf = Callable[[Sequence[Example], Sequence[str]], Gold]
"""From examples and labels to their gold."""


@dataclass(frozen=True)
class Words:
    """The words of encoded sentences, all in flat arrays, one entry a word.

    Words that the maximum length cut off, always the last of their sentence, are there too, without a position.

    Attributes:
        starts: Position of the word's first token in its sentence, or -1: int32.
        ends: Position of its last token that was kept, or -1: int32.
        gold: Tag indices, int64; ``NO_GOLD`` where the example has none, or one that is not known.
        offsets: Where each sentence's words start, and the end: ``(sentences + 1,)``, int64.
        spelling: The words' UTF-8 bytes, one word after the other, uint8.
        spelling_offsets: Where each word starts in ``spelling``, and the end: ``(words + 1,)``, int64.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    gold: NDArray[np.int64]
    offsets: NDArray[np.int64]
    spelling: NDArray[np.uint8]
    spelling_offsets: NDArray[np.int64]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Words of each sentence, those cut off included: ``(sentences,)``."""
        return np.diff(self.offsets)

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Words of each sentence that have a position: ``(sentences,)``."""
        return kept_of(self.starts, self.offsets)


@dataclass(frozen=True)
class Targets:
    """The translations of encoded sentences, the first of each, as token ids all in one array.

    Attributes:
        tokens: One after the other, each with its end token, int32.
        offsets: Where each starts, and the end: ``(sentences + 1,)``, int64; one without translation is empty.
    """

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each: ``(sentences,)``."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Encoded:
    """Sentences as token ids, all in one array.

    Attributes:
        ids: Example ids, one a sentence.
        tokens: All sentences' token ids, one after the other, int32; may be a memory map.
        offsets: Where each sentence starts in ``tokens``, and the end: ``(sentences + 1,)``, int64.
        gold: Label indices, ``(sentences,)``, int64; ``NO_GOLD`` where the example has none, as all of a tagger's.
            Scores, ``(sentences, 1)``, or ones where a sentence has a label, ``(sentences, labels)``, both float32; NaN
            where the example has none.
        pad_id: What collate pads with.
        truncated: Sentences that were cut to the maximum length.
        words: Where a tagger's words stand, and their gold; None for text that is not cut into words.
        types: Of pairs, 1 where a token is of the second text, int8, as ``tokens``; None for single texts, or where
            the tokeniser's models are not told.
        targets: Translations; None where nothing is translated.
        fertilities: Of each token, how many of the translation's stand for it, int32, as ``tokens``; None where nobody
            asked for it (:mod:`limbeck.text.fertilities`).
    """

    ids: Sequence[str]
    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]
    gold: Gold
    pad_id: int
    truncated: int
    words: Words | None = None
    types: NDArray[np.int8] | None = None
    targets: Targets | None = None
    fertilities: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.ids)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence, at least one: ``(sentences,)``."""
        return np.diff(self.offsets)

    @cached_property
    def has_gold(self) -> NDArray[np.bool_]:
        """Which sentences that are not cut into words have gold: ``(sentences,)``."""
        if self.targets is not None:
            return self.targets.lengths > 0
        return np.asarray(self.gold != NO_GOLD if self.gold.ndim == 1 else ~np.isnan(self.gold).any(axis=1))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """What each takes of a batch's room, in tokens: the longer of the sentence and its translation."""
        return self.lengths if self.targets is None else np.maximum(self.lengths, self.targets.lengths)


def encode(
    tokeniser: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    labels: Sequence[str] | None,
    max_length: int,
    gold_of: GoldOf | None = None,
) -> Encoded:
    """Tokenise examples with special tokens, cut to ``max_length``.

    A sentence of which the tokeniser leaves nothing (a lone zero-width space, say) becomes one unknown token,
    so that no model meets an empty sentence.

    Args:
        tokeniser: A fast tokeniser.
        examples: What to encode.
        labels: Label names in the order of their indices; None leaves out all gold.
        max_length: Tokens kept of a sentence, special tokens included.
        gold_of: How gold is told: as :func:`class_numbers` unless :func:`scores_of` or :func:`label_sets` is asked for.

    Raises:
        LimbeckError: A gold label is not among ``labels``, or ``max_length`` leaves no room for text.
    """
    backend = tokeniser.backend_tokenizer
    paired = any(example.second is not None for example in examples)
    check_length(max_length, backend.num_special_tokens_to_add(paired), texts=1 + paired)
    texts = [example.text if example.second is None else example.texts for example in examples]
    typed = paired and "token_type_ids" in tokeniser.model_input_names
    parts: list[NDArray[np.int32]] = []
    types: list[NDArray[np.int8]] = []
    lengths = np.zeros(len(texts) + 1, dtype=np.int64)
    truncated = 0
    nothing = [first_id(tokeniser.unk_token_id, tokeniser.pad_token_id)]
    nothing_known = np.full(len(examples), NO_GOLD, dtype=np.int64)
    with truncating(backend, max_length), progress.task("tokenise", len(texts)) as task:
        for start in range(0, len(texts), CHUNK):
            encodings = backend.encode_batch_fast(texts[start : start + CHUNK])
            rows = [encoding.ids or nothing for encoding in encodings]
            truncated += sum(bool(encoding.overflowing) for encoding in encodings)
            lengths[start + 1 : start + 1 + len(rows)] = [len(row) for row in rows]
            parts.append(np.fromiter((token for row in rows for token in row), dtype=np.int32))
            if typed:
                kinds = (encoding.type_ids if encoding.ids else [0] for encoding in encodings)
                types.append(np.fromiter((kind for row in kinds for kind in row), dtype=np.int8))
            task.advance(len(rows))
    return Encoded(
        ids=tuple(example.id for example in examples),
        tokens=np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32),
        offsets=np.cumsum(lengths),
        gold=nothing_known if labels is None else (gold_of or class_numbers)(examples, labels),
        pad_id=first_id(tokeniser.pad_token_id, tokeniser.eos_token_id),
        truncated=truncated,
        types=joined(types, np.int8) if typed else None,
    )


def collate(encoded: Encoded, rows: NDArray[np.int64]) -> Batch:
    """The batch of these rows, padded on the right to the longest of them.

    Args:
        encoded: The sentences.
        rows: Row numbers, ``(batch,)``.

    Returns:
        ``input_ids`` and ``attention_mask`` (of pairs also ``token_type_ids``), each ``(batch, tokens)`` int64, and
        gold ``(batch,)``. Of sentences with translations also ``labels``, the translations' tokens with ``NO_GOLD``
        after the last, ``(batch, target tokens)``, and ``fertilities``, where they are known, ``(batch, tokens)``. Of
        sentences of words also ``word_starts`` and ``word_ends``, each ``(batch, words)`` int64 with -1 after the last
        word that was kept, ``word_bytes`` ``(batch, words, bytes)`` uint8 with 0 after the last byte, and gold
        ``(batch, words)``.
    """
    mask, positions = places(encoded.offsets[rows], encoded.lengths[rows])  # (batch, tokens)
    inputs = {
        "input_ids": torch.from_numpy(padded(encoded.tokens, mask, positions, encoded.pad_id)),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
    }
    if encoded.types is not None:
        inputs["token_type_ids"] = torch.from_numpy(padded(encoded.types, mask, positions, 0))
    if encoded.targets is not None:
        there, at = places(encoded.targets.offsets[rows], encoded.targets.lengths[rows])
        inputs["labels"] = torch.from_numpy(padded(encoded.targets.tokens, there, at, NO_GOLD))
    if encoded.fertilities is not None:
        inputs["fertilities"] = torch.from_numpy(padded(encoded.fertilities, mask, positions, 0))
    gold = torch.from_numpy(encoded.gold[rows])
    if encoded.words is not None:
        inputs_of_words, gold = _collate_words(encoded.words, rows)
        inputs |= inputs_of_words
    return Batch(tuple(encoded.ids[row] for row in rows), inputs, gold)


def _collate_words(words: Words, rows: NDArray[np.int64]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What collate says of words, and their gold ``(batch, words)``."""
    mask, positions = places(words.offsets[rows], words.kept[rows])  # (batch, words)
    spelled = padded_spelling(words.spelling, words.spelling_offsets, mask, positions)
    inputs = {
        "word_starts": torch.from_numpy(padded(words.starts, mask, positions, -1)),
        "word_ends": torch.from_numpy(padded(words.ends, mask, positions, -1)),
        "word_bytes": torch.from_numpy(spelled).to(torch.uint8),
    }
    return inputs, torch.from_numpy(padded(words.gold, mask, positions, NO_GOLD))


@contextmanager
def truncating(backend: Any, max_length: int | None) -> Iterator[None]:
    """The Rust tokeniser, set to cut (not at all for None) and not to pad; its own setting comes back afterwards."""
    truncation, padding = backend.truncation, backend.padding
    backend.no_padding()
    if max_length is None:
        backend.no_truncation()
    else:
        backend.enable_truncation(max_length)
    try:
        yield
    finally:
        backend.no_truncation()
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)


def check_length(length: int, special: int, key: str = "max_length", texts: int = 1) -> None:
    """Refuse a length in which beside special tokens not each text has a token; a recipe calls it ``key``."""
    if length < special + texts:
        raise LimbeckError(f"{key} {length} leaves no room beside the tokeniser's {special} special tokens")


def first_id(*ids: int | None) -> int:
    """The first that is there, or nought."""
    return next((one for one in ids if one is not None), 0)


def class_numbers(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.int64]:
    """Label indices, ``(sentences,)``; ``NO_GOLD`` where an example has no label.

    Raises:
        LimbeckError: A label is not among these.
    """
    index: dict[str | None, int] = {label: number for number, label in enumerate(labels)}
    index[None] = NO_GOLD
    try:
        return np.fromiter((index[example.gold] for example in examples), dtype=np.int64, count=len(examples))
    except KeyError as error:
        stranger = next(example for example in examples if example.gold not in index)
        where = stranger.origin or stranger.id
        raise LimbeckError(f"label {error} is not among {', '.join(labels)}", where=where) from None


def scores_of(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.float32]:
    """Scores, ``(sentences, 1)``; NaN where an example has none. There is one label, whose name does not matter."""
    found = [np.nan if example.score is None else example.score for example in examples]
    return np.array(found, dtype=np.float32).reshape(-1, 1)


def label_sets(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.float32]:
    """Ones where a sentence has a label, noughts elsewhere, ``(sentences, labels)``; a row of NaN without gold.

    Raises:
        LimbeckError: A label is not among these.
    """
    index = {label: number for number, label in enumerate(labels)}
    found = np.zeros((len(examples), len(labels)), dtype=np.float32)
    for row, example in enumerate(examples):
        if example.labels is None:
            found[row] = np.nan
            continue
        for label in example.labels:
            if label not in index:
                where = example.origin or example.id
                raise LimbeckError(f"label '{label}' is not among {', '.join(labels)}", where=where)
            found[row, index[label]] = 1
    return found
