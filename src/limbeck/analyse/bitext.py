"""Parallel text as numbers: the words of both sides, one after the other.

Words are found as BLEU finds them (sacrebleu's ``13a``, which parts punctuation marks from words), for then a measure
depends on no model's vocabulary, and texts for different models can be compared. The slides do not say which words
theirs are; their models read sub-words, and text that was cut into such is measured as it is with ``spaces``. Chinese
and Japanese, which put no spaces between words, are cut into their characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Cut = Callable[[str], Sequence[str]]

UNSPACED = re.compile(
    "([\u2e80-\u2fdf\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
"""Characters of scripts without spaces, and their punctuation: Han, kana."""


def _as_bleu_does() -> Cut:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenise = Tokenizer13a()
    return lambda text: str(tokenise(UNSPACED.sub(r" \1 ", text))).split()


CUTS: Mapping[str, Callable[[], Cut]] = {"13a": _as_bleu_does, "spaces": lambda: str.split}
"""Ways to cut a text into words, by name."""


def cut_named(name: str) -> Cut:
    """The way of that name to cut a text into words.

    Raises:
        LimbeckError: There is none.
    """
    if name not in CUTS:
        raise LimbeckError(f"no way '{name}' to cut text into words", fix=f"There are {', '.join(CUTS)}")
    return CUTS[name]()


@dataclass(frozen=True)
class Side:
    """One side of a parallel text.

    Attributes:
        types: The words that occur, each once, in order of their first occurrence.
        ids: Numbers of all words of all sentences, one sentence after the other.
        starts: Where each sentence begins among them, and at last their number, ``(sentences + 1,)``.
    """

    types: tuple[str, ...]
    ids: Ints
    starts: Ints

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> Side:
        """Number the words of sentences."""
        numbers: dict[str, int] = {}
        rows = [[numbers.setdefault(word, len(numbers)) for word in sentence] for sentence in sentences]
        starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        ids = np.fromiter((number for row in rows for number in row), np.int64, int(starts[-1]))
        return cls(tuple(numbers), ids, starts)

    @property
    def lengths(self) -> Ints:
        """Words of each sentence, ``(sentences,)``."""
        return np.diff(self.starts)

    def sentence(self, row: int) -> Ints:
        """Numbers of one sentence's words."""
        return self.ids[self.starts[row] : self.starts[row + 1]]


@dataclass(frozen=True)
class Bitext:
    """Sentences and their translations, row by row.

    Attributes:
        source: What was translated.
        target: Its translations.
    """

    source: Side
    target: Side

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], cut: Cut) -> Bitext:
        """Cut texts and their translations into words."""
        rows = [(cut(source), cut(target)) for source, target in pairs]
        return cls(Side.of(source for source, _ in rows), Side.of(target for _, target in rows))

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.source.starts) - 1
