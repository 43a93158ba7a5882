"""What both sides of ``against_fairseq.py`` get: pairs of Multi30k of like lengths, and their token ids."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import command
import translators
from limbeck.core.example import Example
from limbeck.core.sources import Vocabulary
from limbeck.text.encode import Encoded
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations

SHORTEST, LONGEST = 12, 20
"""Pieces of either side of a pair, its end not counted: batches are alike, and need little padding."""


@dataclass(frozen=True)
class Text:
    """What both sides get.

    Attributes:
        subwords: The pieces.
        train: Pairs that steps are taken on.
        sources: What is decoded.
    """

    subwords: Subwords
    train: tuple[Example, ...]
    sources: tuple[Example, ...]


def read(vocabulary: int, pairs: int, sentences: int) -> Text:
    """Multi30k, English to German.

    Args:
        vocabulary: Pieces, learnt on all of its training part.
        pairs: To train on.
        sentences: To decode.
    """
    train, test = part_of("train"), part_of("test_2016_flickr")
    subwords = Subwords.learn(train, Vocabulary(size=vocabulary))
    return Text(subwords, of_usual_length(train, subwords, pairs), of_usual_length(test, subwords, sentences))


def part_of(part: str) -> list[Example]:
    """A part of Multi30k."""
    sides = []
    for language in ("en", "de"):
        with gzip.open(command.shared("multi30k", f"{part}.{language}.gz"), "rt", encoding="utf-8") as file:
            sides.append(file.read().splitlines())
    return [
        Example(f"{part}:{number}", source, targets=(target,))
        for number, (source, target) in enumerate(zip(*sides, strict=True), start=1)
    ]


def of_usual_length(examples: Sequence[Example], subwords: Subwords, most: int) -> tuple[Example, ...]:
    """The first so many whose sides both have ``SHORTEST`` to ``LONGEST`` pieces."""
    examples = examples[: 40 * most]
    encoded = encoded_of(subwords, examples)
    assert encoded.targets is not None
    usual = [
        example
        for example, *lengths in zip(examples, encoded.lengths, encoded.targets.lengths, strict=True)
        if all(SHORTEST <= length - 1 <= LONGEST for length in lengths)
    ]
    return tuple(usual[:most])


def encoded_of(subwords: Subwords, examples: Sequence[Example]) -> Encoded:
    """Token ids of texts and translations, each with its end."""
    return encode_translations(subwords, examples, (), translators.MAX_LENGTH)


def ids_of(encoded: Encoded) -> list[tuple[list[int], list[int]]]:
    """Token ids of both sides of each pair, without the end."""
    assert encoded.targets is not None
    both = (encoded.tokens, encoded.offsets), (encoded.targets.tokens, encoded.targets.offsets)
    sides = [
        [tokens[start : end - 1].tolist() for start, end in itertools.pairwise(offsets)]
        for tokens, offsets in both
    ]
    return list(zip(*sides, strict=True))
