"""Offsets: spans counted in characters of a text, as tags of its words."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from limbeck.text.tags import Span, tags_of

START, END, LABEL = ("start", "start_offset"), ("end", "end_offset"), ("label", "type", "tag")
"""Names that tools for annotation give the parts of a span."""


class Token(NamedTuple):
    """Characters ``start`` to ``end`` (not included) of a text."""

    start: int
    end: int


class SpanError(ValueError):
    """A span that does not fit its text; told without file and line, which only the reader knows."""


def tokens_of(text: str) -> list[Token]:
    """Where a text's words are: between spaces, every punctuation mark and symbol a word of its own.

    Combining marks and joiners stay with the character before them.
    """
    found: list[Token] = []
    start = 0
    kind = before = " "
    for place, character in enumerate(text):
        kind = _kind(character)
        if kind == "+" and before != " ":
            continue
        if before != " " and (kind != before or kind == "."):
            found.append(Token(start, place))
        if kind != before or kind == ".":
            start = place
        before = "w" if kind == "+" else kind
    if before != " ":
        found.append(Token(start, len(text)))
    return found


@lru_cache(maxsize=65_536)
def _kind(character: str) -> str:
    """What a character is: space (" "), a mark on the one before it ("+"), punctuation ("."), part of a word ("w")."""
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return " "
    if category[0] == "M" or category == "Cf":
        return "+"
    return "." if category[0] in "PS" else "w"


def words_and_tags(text: str, spans: Sequence[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a text, and their tags in IOB2.

    Space at the ends of a span is cut off.

    Args:
        text: Any text.
        spans: ``{start, end, label}`` (``start_offset`` and ``end_offset`` will do) or ``[start, end, label]``,
            the end not included.

    Raises:
        SpanError: A span is malformed, is outside the text, cuts a word, or overlaps another.
    """
    tokens = tokens_of(text)
    first = {token.start: number for number, token in enumerate(tokens)}
    last = {token.end: number for number, token in enumerate(tokens)}
    found, end_before = list[Span](), 0
    for start, end, label in sorted(_trimmed(text, *_parts(span)) for span in spans):
        shown = f"the span '{text[start:end]}' ({start} to {end}, {label})"
        if start not in first or end not in last:
            cut = next(
                token for token in tokens if token.start < start < token.end or token.start < end < token.end
            )
            raise SpanError(f"{shown} cuts the word '{text[cut.start : cut.end]}'")
        if start < end_before:
            raise SpanError(f"{shown} overlaps another; a word has one tag")
        found.append(Span(label, first[start], last[end] + 1))
        end_before = end
    return tuple(text[start:end] for start, end in tokens), tags_of(found, len(tokens))


def _parts(span: Any) -> tuple[int, int, str]:
    """Start, end and label of a span in any of its spellings."""
    if isinstance(span, Mapping):
        parts = [next((span[key] for key in keys if key in span), None) for keys in (START, END, LABEL)]
    else:
        parts = list(span) if isinstance(span, list | tuple) else []
    match parts:
        case [int(start), int(end), str(label)] if label.strip():
            return start, end, label.strip()
    raise SpanError(f"{span!r} is no span: write start, end and label")


def _trimmed(text: str, start: int, end: int, label: str) -> tuple[int, int, str]:
    if not 0 <= start < end <= len(text):
        raise SpanError(
            f"a span of {label} goes from {start} to {end}, and the text has {len(text)} characters"
        )
    filled = [place for place in range(start, end) if _kind(text[place]) != " "]
    if not filled:
        raise SpanError(f"a span of {label} goes from {start} to {end}, where there is only space")
    return filled[0], filled[-1] + 1, label
