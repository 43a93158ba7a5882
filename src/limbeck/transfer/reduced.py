"""Reduced: of a text that stands in the data several times, with other translations, one at random.

The slides' reduction of modes by random selection: what distillation does better, for a teacher selects systematically.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict

from limbeck.core import progress
from limbeck.core.example import Example
from limbeck.transfer.transfer_set import TransferSet


def reduced(transfer_set: TransferSet, seed: int) -> TransferSet:
    """A transfer set in which each text has one translation, in the order of the first set.

    Args:
        transfer_set: Texts with translations; those without are left out.
        seed: Of the draw; that of a text depends on it and on the text alone.
    """
    same: dict[str, list[Example]] = defaultdict(list)
    for example in transfer_set.labelled:
        same[example.content].append(example)
    kept = {examples[_drawn(text, seed, len(examples))].id for text, examples in same.items()}
    examples = tuple(example for example in transfer_set if example.id in kept)
    progress.say(
        f"ask       {len(examples):,} of {len(transfer_set):,} pairs kept: one of each text, at random"
    )
    return TransferSet(examples, transfer_set.labels)


def _drawn(text: str, seed: int, among: int) -> int:
    digest = hashlib.blake2b(f"{seed}\x1f{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % among
