"""Encoding of sentences that are cut into words: which tokens are whose, and the words' gold tags.

How words are cut into tokens is told in :mod:`limbeck.text.pieces`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.text.context import cut_in_context
from limbeck.text.encode import CHUNK, Encoded, Words, check_length, first_id, truncating
from limbeck.text.pieces import Cutter, Pieces, spelling_of
from limbeck.text.ragged import joined, offsets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast


def encode_words(
    tokeniser: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    tags: Sequence[str] | None,
    max_length: int,
) -> Encoded:
    """Tokenise examples' words with special tokens, cut to ``max_length``, and say where each word stands.

    Where examples have words before and after them, those that fit are read, too; they are no words of the sentence.

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
    nothing = first_id(tokeniser.unk_token_id, tokeniser.pad_token_id)
    cutter = Cutter(backend, tokeniser.unk_token or tokeniser.pad_token or "", nothing)
    parts: list[Pieces] = []
    with truncating(backend, max_length), progress.task("tokenise", len(examples)) as task:
        for start in range(0, len(examples), CHUNK):
            chunk = examples[start : start + CHUNK]
            parts.append(cut_in_context(cutter, chunk, max_length))
            task.advance(len(chunk))
    return Encoded(
        ids=tuple(example.id for example in examples),
        tokens=joined([part.tokens for part in parts], np.int32),
        offsets=offsets_of(joined([part.lengths for part in parts], np.int64)),
        gold=np.full(len(examples), NO_GOLD, dtype=np.int64),
        pad_id=first_id(tokeniser.pad_token_id, tokeniser.eos_token_id),
        truncated=sum(part.truncated for part in parts),
        words=_words(parts, examples, tags),
    )


def _words(parts: Sequence[Pieces], examples: Sequence[Example], tags: Sequence[str] | None) -> Words:
    spelling, spelling_offsets = spelling_of([word for example in examples for word in example.words])
    return Words(
        starts=joined([part.starts for part in parts], np.int32),
        ends=joined([part.ends for part in parts], np.int32),
        gold=_gold(examples, tags),
        offsets=offsets_of([len(example.words) for example in examples]),
        spelling=spelling,
        spelling_offsets=spelling_offsets,
    )


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
