"""Translations: texts and their translations as ids of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from limbeck.core import progress
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.text.encode import CHUNK, Encoded, Targets, check_length, first_id
from limbeck.text.ragged import offsets_of
from limbeck.text.subwords import Subwords

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

Ids = list[list[int]]


def encode_translations(
    subwords: Subwords, examples: Sequence[Example], labels: Sequence[str] | None, max_length: int
) -> Encoded:
    """Cut texts and their first translations into pieces, each with its end token, cut to ``max_length``.

    A side of which nothing is left becomes one unknown token and the end.

    Args:
        subwords: The pieces.
        examples: What to encode; one without translation gets an empty target.
        labels: None leaves out all translations; what is in it does not matter, for they are no classes.
        max_length: Tokens kept of each side, special tokens included.

    Returns:
        The texts; ``targets`` their translations. ``truncated`` counts examples of which either side was cut.

    Raises:
        LimbeckError: ``max_length`` leaves no room for text.
    """
    cut: set[int] = set()
    sides = 1 + (labels is not None)
    with progress.task("tokenise", sides * len(examples)) as task:
        texts = dict(enumerate(example.text for example in examples))
        sources = _encoded(subwords.source, texts, max_length, cut, task, is_target=False)
        targets = None
        if labels is not None:
            there = {row: example.targets[0] for row, example in enumerate(examples) if example.targets}
            found = _encoded(subwords.target, there, max_length, cut, task, is_target=True)
            targets = Targets(*_flat([found.get(row, []) for row in range(len(examples))]))
    tokens, offsets = _flat(list(sources.values()))
    return Encoded(
        ids=tuple(example.id for example in examples),
        tokens=tokens,
        offsets=offsets,
        gold=np.full(len(examples), NO_GOLD, dtype=np.int64),
        pad_id=first_id(subwords.source.pad_token_id, subwords.source.eos_token_id),
        truncated=len(cut),
        targets=targets,
    )


def _encoded(
    tokeniser: PreTrainedTokenizerBase,
    texts: dict[int, str],
    max_length: int,
    cut: set[int],
    task: progress.Task,
    *,
    is_target: bool,
) -> dict[int, list[int]]:
    """Ids of texts by row; rows that were too long are added to ``cut``."""
    special = tokeniser.num_special_tokens_to_add()
    check_length(max_length, special)
    nothing = first_id(tokeniser.unk_token_id, tokeniser.pad_token_id)
    found: dict[int, list[int]] = {}
    rows = list(texts)
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        found |= zip(chunk, _ids(tokeniser, [texts[row] for row in chunk], is_target), strict=True)
        if long := [row for row in chunk if len(found[row]) > max_length]:
            cut.update(long)
            found |= zip(
                long, _ids(tokeniser, [texts[row] for row in long], is_target, max_length), strict=True
            )
        task.advance(len(chunk))
    return {row: ids if len(ids) > special else [nothing, *ids] for row, ids in found.items()}


def _ids(
    tokeniser: PreTrainedTokenizerBase, texts: list[str], is_target: bool, most: int | None = None
) -> Ids:
    """Ids with special tokens, as a source or as a target, which some tokenisers mark with the language."""
    given = {"text_target": texts} if is_target else {"text": texts}
    cutting = {} if most is None else {"truncation": True, "max_length": most}
    found: Ids = tokeniser(**given, **cutting, return_attention_mask=False, verbose=False)["input_ids"]
    return found


def _flat(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Rows one after the other, and where each starts."""
    offsets = offsets_of([len(row) for row in rows])
    return np.fromiter((token for row in rows for token in row), np.int32, count=int(offsets[-1])), offsets
