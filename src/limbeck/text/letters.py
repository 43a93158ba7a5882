"""Words as runs of letters, found in running text without changing it: what a rewriter may replace.

A word that touches a digit or an apostrophe is none here (``3d``, ``isn't``, ``'s``): half of it means nothing.
Languages without spaces between words are not cut: a run of their letters is one word.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import Split

RUNS = r"[\p{L}\p{M}\p{N}_'’]+"
PARTS = rf"{RUNS}|\s+"


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where words start and end in a text, in characters."""
    return [span for run, span in _splitter(RUNS).pre_tokenize_str(text) if is_word(run)]


def token_spans(text: str) -> list[tuple[int, int]]:
    """Where words (here with digits and apostrophes) and the marks between them start and end, in characters."""
    return [span for part, span in _splitter(PARTS).pre_tokenize_str(text) if not part.isspace()]


def is_word(text: str) -> bool:
    """Whether a text is letters, and marks on them, and nothing else."""
    return bool(text) and (text.isalpha() or all(unicodedata.category(one)[0] in "LM" for one in text))


@cache
def _splitter(pattern: str) -> Split:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    return Split(Regex(pattern), "isolated")
