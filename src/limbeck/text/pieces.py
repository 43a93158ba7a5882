"""Pieces: the tokens of words, with the tokenisers library alone, so that serving cuts words as training does.

Each word is tokenised by itself, as if a space stood before it. So the tokens of a word do not depend on its
neighbours, and teachers and students of different tokenisers meet at the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.text.ragged import offsets_of, padded, places, taken

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARKS = ("▁", "Ġ")
"""What tokenisers write before a piece that begins a word."""

SPELLED = 32
"""Bytes kept of a word's spelling: of a longer one the first half of them and the last half."""


class Cutter:
    """Cuts sentences of words into tokens, as long as its tokeniser is set to.

    A word of which the tokeniser leaves nothing (a zero-width space, say) becomes the unknown token, so that
    every word that is not cut off has a position. Byte-level tokenisers, which write a space into the piece that
    follows it, are given one before every word, whatever their ``add_prefix_space`` says.

    Args:
        backend: A tokeniser of the tokenisers library.
        unknown: Its unknown token, or what stands for it; may be empty.
        nothing: The id that stands for a sentence without tokens.
    """

    def __init__(self, backend: Any, unknown: str, nothing: int) -> None:
        self.backend, self.unknown, self.nothing = backend, unknown, nothing
        self.space = " " if _writes_spaces(backend) else ""

    def cut(self, sentences: Sequence[Sequence[str]]) -> Pieces:
        """The tokens of sentences of words.

        Raises:
            LimbeckError: The tokeniser makes nothing of a word, and has no unknown token.
        """
        encodings = self._encodings(sentences)
        rows = [encoding.ids or [self.nothing] for encoding in encodings]
        owners = (encoding.word_ids or [None] for encoding in encodings)
        return Pieces.of(
            rows,
            # The word of each token, NaN for special tokens: (tokens,)
            np.array([owner for row in owners for owner in row], dtype=float),
            [len(words) for words in sentences],
            sum(bool(encoding.overflowing) for encoding in encodings),
        )

    def _encodings(self, sentences: Sequence[Sequence[str]]) -> list[Any]:
        """The tokeniser's answer for each sentence, in which no word before the cut is without a token."""
        spelled = [[self.space + word if word else word for word in words] for words in sentences]
        # Not encode_batch_fast(), which does not say whose the tokens are.
        found: list[Any] = self.backend.encode_batch(spelled, is_pretokenized=True)
        holes = {row: _holes(one, len(spelled[row])) for row, one in enumerate(found)}
        again = [row for row, empty in holes.items() if empty]
        if not again:
            return found
        for row in again:
            for word in holes[row]:
                spelled[row][word] = self.unknown
        filled = self.backend.encode_batch([spelled[row] for row in again], is_pretokenized=True)
        for row, one in zip(again, filled, strict=True):
            found[row] = one
            if still := _holes(one, len(spelled[row])):
                lost = sentences[row][still[0]]
                raise LimbeckError(
                    f"the tokeniser makes nothing of the word {lost!r}, and has no unknown token"
                )
        return found


@dataclass(frozen=True)
class Pieces:
    """Sentences of words in tokens, in flat arrays.

    Attributes:
        tokens: All ids, int32.
        lengths: Tokens of each sentence, at least one: ``(sentences,)``.
        starts: Position of each word's first token in its sentence, or -1 where it was cut off: int32.
        ends: Position of its last token that was kept, or -1.
        counts: Words of each sentence, those cut off included: ``(sentences,)``.
        truncated: Sentences that were cut.
    """

    tokens: NDArray[np.int32]
    lengths: NDArray[np.int64]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    counts: NDArray[np.int64]
    truncated: int

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[int]],
        owners: NDArray[np.float64],
        words: Sequence[int],
        truncated: int,
    ) -> Pieces:
        """Find where each word stands.

        Args:
            rows: Token ids of each sentence.
            owners: The word of each token in its sentence, NaN for special tokens: ``(tokens,)``.
            words: How many each sentence has.
            truncated: Sentences that were cut.
        """
        tokens = np.fromiter((token for row in rows for token in row), dtype=np.int32)
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        counts = np.array(words, dtype=np.int64)
        first_word = np.repeat(np.cumsum(counts) - counts, lengths)
        position = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        real = ~np.isnan(owners)
        word = (first_word[real] + owners[real]).astype(np.int64)
        starts = np.full(counts.sum(), np.iinfo(np.int32).max, dtype=np.int32)
        ends = np.full(counts.sum(), -1, dtype=np.int32)
        np.minimum.at(starts, word, position[real].astype(np.int32))
        np.maximum.at(ends, word, position[real].astype(np.int32))
        starts[ends < 0] = -1
        return cls(tokens, lengths, starts, ends, counts, truncated)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each sentence starts in ``tokens``, and the end: ``(sentences + 1,)``."""
        return offsets_of(self.lengths)

    @cached_property
    def word_offsets(self) -> NDArray[np.int64]:
        """Where each sentence starts in ``starts``, and the end: ``(sentences + 1,)``."""
        return offsets_of(self.counts)

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Words of each sentence that have a position: ``(sentences,)``."""
        return kept_of(self.starts, self.word_offsets)


def kept_of(starts: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Words of each sentence that have a position, ``(sentences,)``."""
    before = np.concatenate(([0], np.cumsum(starts >= 0)))
    return np.asarray(np.diff(before[offsets]), dtype=np.int64)


def spelling_of(words: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The words' UTF-8 bytes one after the other, and where each word starts, and the end."""
    spelling = [_spelling(word) for word in words]
    return np.frombuffer(b"".join(spelling), dtype=np.uint8), offsets_of([len(word) for word in spelling])


def padded_spelling(
    spelling: NDArray[np.uint8],
    spelling_offsets: NDArray[np.int64],
    mask: NDArray[np.bool_],
    positions: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The bytes of words at these positions, ``(batch, words, bytes)``, 0 after the last byte and the last word."""
    numbers = np.where(mask, positions, 0)
    begin = taken(spelling_offsets, numbers)
    sizes = np.where(mask, taken(spelling_offsets, numbers + 1) - begin, 0)
    in_word, bytes_at = places(begin, sizes)  # (batch, words, bytes)
    return padded(spelling, in_word, bytes_at, 0)


def _spelling(word: str) -> bytes:
    spelled = word.encode("utf-8", errors="replace")
    half = SPELLED // 2
    return spelled if len(spelled) <= SPELLED else spelled[:half] + spelled[-half:]


def _holes(encoding: Any, count: int) -> list[int]:
    """Words without a token, of those that were not cut off."""
    seen = {word for word in encoding.word_ids if word is not None}
    reach = max(seen, default=0) if encoding.overflowing else count
    return [] if len(seen) >= count else [word for word in range(reach) if word not in seen]


def _writes_spaces(backend: Any) -> bool:
    """Whether a word's pieces are others after a space, as in a text, than they are without one."""
    splitter, normaliser = backend.pre_tokenizer, backend.normalizer
    if splitter is None:
        return False

    def pieces(text: str) -> list[str]:
        normal = text if normaliser is None else normaliser.normalize_str(text)
        return [piece for piece, _ in splitter.pre_tokenize_str(normal)]

    return pieces("a") == ["a"] and pieces(" a") in ([mark + "a"] for mark in MARKS)
