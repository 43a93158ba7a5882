"""Encoding of sentences that are cut into words: which tokens are whose, and the words' gold tags.

Each word is tokenised by itself, as if a space stood before it. So the tokens of a word do not depend on its
neighbours, and teachers and students of different tokenisers meet at the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.text.encode import CHUNK, Encoded, Words, check_length, first_id, truncating
from limbeck.text.tokeniser import MARKS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

SPELLED = 32
"""Bytes kept of a word's spelling: of a longer one the first half of them and the last half."""


def encode_words(
    tokeniser: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    tags: Sequence[str] | None,
    max_length: int,
) -> Encoded:
    """Tokenise examples' words with special tokens, cut to ``max_length``, and say where each word stands.

    A word of which the tokeniser leaves nothing (a zero-width space, say) becomes the unknown token, so that
    every word that is not cut off has a position. Byte-level tokenisers, which write a space into the piece that
    follows it, are given one before every word, whatever their ``add_prefix_space`` says.

    Args:
        tokeniser: A fast tokeniser.
        examples: What to encode; one without words is an empty sentence.
        tags: Tag names in the order of their indices; None leaves out all gold.
        max_length: Tokens kept of a sentence, special tokens included.

    Raises:
        LimbeckError: An example is text that is not cut into words, or has more or fewer tags than words, or
            ``max_length`` leaves no room for words.
    """
    backend = tokeniser.backend_tokenizer
    check_length(max_length, backend.num_special_tokens_to_add(False))
    for example in examples:
        _check(example)
    unknown = tokeniser.unk_token or tokeniser.pad_token or ""
    space = " " if _writes_spaces(backend) else ""
    parts: list[_Part] = []
    with truncating(backend, max_length), progress.task("tokenise", len(examples)) as task:
        for start in range(0, len(examples), CHUNK):
            chunk = examples[start : start + CHUNK]
            encodings = _encodings(backend, [example.words for example in chunk], space, unknown)
            parts.append(_Part(encodings, chunk, first_id(tokeniser.unk_token_id, tokeniser.pad_token_id)))
            task.advance(len(chunk))
    lengths = [length for part in parts for length in part.lengths]
    return Encoded(
        ids=tuple(example.id for example in examples),
        tokens=_joined([part.tokens for part in parts], np.int32),
        offsets=_offsets(lengths),
        gold=np.full(len(examples), NO_GOLD, dtype=np.int64),
        pad_id=first_id(tokeniser.pad_token_id, tokeniser.eos_token_id),
        truncated=sum(part.truncated for part in parts),
        words=_words(parts, examples, tags),
    )


class _Part:
    """A chunk of encoded sentences in flat arrays.

    Attributes:
        tokens: All ids.
        lengths: Tokens of each sentence.
        starts: Of each word, as in :class:`Words`.
        ends: Of each word.
        truncated: Sentences that were cut.
    """

    def __init__(self, encodings: Sequence[Any], examples: Sequence[Example], nothing: int) -> None:
        rows = [encoding.ids or [nothing] for encoding in encodings]
        self.tokens = np.fromiter((token for row in rows for token in row), dtype=np.int32)
        self.lengths = [len(row) for row in rows]
        self.truncated = sum(bool(encoding.overflowing) for encoding in encodings)
        # The word of each token, NaN for special tokens: (tokens,)
        owners = (encoding.word_ids or [None] for encoding in encodings)
        within = np.array([owner for row in owners for owner in row], dtype=float)
        counts = np.array([len(example.words) for example in examples], dtype=np.int64)
        first_word = np.repeat(np.cumsum(counts) - counts, self.lengths)
        position = np.arange(len(self.tokens)) - np.repeat(_offsets(self.lengths)[:-1], self.lengths)
        real = ~np.isnan(within)
        word = (first_word[real] + within[real]).astype(np.int64)
        self.starts = np.full(counts.sum(), np.iinfo(np.int32).max, dtype=np.int32)
        self.ends = np.full(counts.sum(), -1, dtype=np.int32)
        np.minimum.at(self.starts, word, position[real].astype(np.int32))
        np.maximum.at(self.ends, word, position[real].astype(np.int32))
        self.starts[self.ends < 0] = -1


def _encodings(backend: Any, sentences: Sequence[Sequence[str]], space: str, unknown: str) -> list[Any]:
    """The tokeniser's answer for each sentence, in which no word before the cut is without a token."""
    spelled = [[space + word if word else word for word in words] for words in sentences]
    # Not encode_batch_fast(), which does not say whose the tokens are.
    found: list[Any] = backend.encode_batch(spelled, is_pretokenized=True)
    holes = {row: _holes(one, len(spelled[row])) for row, one in enumerate(found)}
    again = [row for row, empty in holes.items() if empty]
    for row in again:
        for word in holes[row]:
            spelled[row][word] = unknown
    filled = backend.encode_batch([spelled[row] for row in again], is_pretokenized=True)
    for row, one in zip(again, filled, strict=True):
        found[row] = one
        if still := _holes(one, len(spelled[row])):
            lost = sentences[row][still[0]]
            raise LimbeckError(f"the tokeniser makes nothing of the word {lost!r}, and has no unknown token")
    return found


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


def _words(parts: Sequence[_Part], examples: Sequence[Example], tags: Sequence[str] | None) -> Words:
    spelling = [_spelling(word) for example in examples for word in example.words]
    return Words(
        starts=_joined([part.starts for part in parts], np.int32),
        ends=_joined([part.ends for part in parts], np.int32),
        gold=_gold(examples, tags),
        offsets=_offsets([len(example.words) for example in examples]),
        spelling=np.frombuffer(b"".join(spelling), dtype=np.uint8),
        spelling_offsets=_offsets([len(word) for word in spelling]),
    )


def _spelling(word: str) -> bytes:
    spelled = word.encode("utf-8", errors="replace")
    half = SPELLED // 2
    return spelled if len(spelled) <= SPELLED else spelled[:half] + spelled[-half:]


def _gold(examples: Sequence[Example], tags: Sequence[str] | None) -> NDArray[np.int64]:
    """Tag indices of all words, ``(words,)``."""
    index: dict[str | None, int] = {tag: number for number, tag in enumerate(tags or ())}
    numbers = (
        index.get(tag, NO_GOLD)
        for example in examples
        for tag in (example.tags if example.tags is not None else (None,) * len(example.words))
    )
    return np.fromiter(numbers, dtype=np.int64)


def _check(example: Example) -> None:
    where = example.origin or example.id
    if not example.words and example.text.strip():
        fix = "Give its words, e.g. as a JSON list under 'tokens'"
        raise LimbeckError("a tagger reads words, and this text is not cut into words", where=where, fix=fix)
    if example.tags is not None and len(example.tags) != len(example.words):
        raise LimbeckError(f"{len(example.words)} words have {len(example.tags)} tags", where=where)


def _offsets(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Where slices of these lengths start, and the end, ``(slices + 1,)``."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(np.asarray(lengths, dtype=np.int64))))


def _joined(arrays: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=dtype)
