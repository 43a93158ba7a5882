"""Tags: the ways in which spans of words are written as one tag a word, and which tag may follow which.

A tag is ``O``, or a prefix and a type, e.g. ``B-PER``; a source that knows one type only may leave it out
(``B``, ``I``). What a prefix says depends on the scheme:

- IOB1: ``I`` is inside a span; ``B`` opens one, but only straight after another of the same type.
- IOB2: ``B`` opens every span, ``I`` goes on with it. This is what Limbeck works with.
- BIOES, also called BILOU: as IOB2, but ``E`` (``L``) ends a span and ``S`` (``U``) is a span of one word.

Spans are those that conlleval counts (Tjong Kim Sang and Buchholz 2000, "Introduction to the CoNLL-2000 Shared
Task: Chunking"): a tag that cannot go on with the span before it opens one of its own, whatever its prefix. Read
so, all schemes give the spans they mean, and tags that no scheme allows still give some.

Tags without prefixes, such as parts of speech, are *plain*: they mark words, not spans, and pass unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Scheme = Literal["plain", "IOB1", "IOB2", "BIOES"]
OUTSIDE = "O"
FORM = re.compile(r"([BIESLU])(?:-(.+))?")
INSIDE = "IEL"
"""Prefixes that go on with a span, if they can."""
LAST = "ELSU"
"""Prefixes after which a span ends."""


class Span(NamedTuple):
    """Words ``start`` to ``end`` (not included), and what they are; the type is empty where tags name none."""

    type: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """Which tags may stand where.

    Attributes:
        start: Tags that a sentence may start with, ``(tags,)``.
        transitions: Whether a tag (row) may be followed by another (column), ``(tags, tags)``.
        end: Tags that it may end with, ``(tags,)``.
    """

    start: NDArray[np.bool_]
    transitions: NDArray[np.bool_]
    end: NDArray[np.bool_]


@lru_cache(maxsize=65_536)
def parse(tag: str) -> tuple[str, str] | None:
    """Prefix and type of a tag, ``("O", "")`` for ``O``; None for one that has no prefix."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    found = FORM.fullmatch(tag)
    return (found[1], found[2] or "") if found else None


def mark_spans(tags: Iterable[str]) -> bool:
    """Whether a source with these tags marks spans of words; else its tags are plain.

    It does where a tag starts with ``B-`` or ``I-``, or all have a prefix or are ``O``, or are bare prefixes.
    """
    seen = set(tags) - {OUTSIDE}
    if any(tag[:2] in ("B-", "I-") and tag[2:] for tag in seen):
        return True
    bare = [tag for tag in seen if FORM.fullmatch(tag) and len(tag) == 1]
    if bare:
        return len(bare) == len(seen) and bool(seen & {"B", "I"})
    return bool(seen) and all(map(FORM.fullmatch, seen))


def odd(tags: Iterable[str]) -> set[str]:
    """Tags that do not fit a source which marks spans: they lack a prefix, or the type that others have."""
    seen = set(tags) - {OUTSIDE}
    typed = any((found := parse(tag)) and found[1] for tag in seen)
    return {tag for tag in seen if not (found := parse(tag)) or bool(found[1]) != typed}


def detect(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme of a whole source; one sentence alone can often be read as two.

    A source that breaks the rules of both IOB1 and IOB2 is what it breaks more seldom.
    """
    kept = list(sentences)
    seen = {tag for tags in kept for tag in tags}
    if not mark_spans(seen):
        return "plain"
    if any(tag[0] in "ESLU" for tag in seen):
        return "BIOES"
    # What IOB1 forbids, and what IOB2 forbids.
    needless_b = opening_i = 0
    for tags in kept:
        before: tuple[str, str] = (OUTSIDE, "")
        for now in map(_parts, tags):
            opens = before[0] == OUTSIDE or before[1] != now[1]
            needless_b += opens and now[0] == "B"
            opening_i += opens and now[0] == "I"
            before = now
    return "IOB1" if opening_i > needless_b else "IOB2"


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence as conlleval counts them, in order; none where tags are plain."""
    found: list[Span] = []
    open_type, start = None, 0  # of the span that may go on
    for place, tag in enumerate(tags):
        prefix, kind = _parts(tag)
        if open_type is not None and not (prefix in INSIDE and kind == open_type):
            found.append(Span(open_type, start, place))
            open_type = None
        if prefix != OUTSIDE and open_type is None:
            open_type, start = kind, place
        if open_type is not None and prefix in LAST:
            found.append(Span(open_type, start, place + 1))
            open_type = None
    if open_type is not None:
        found.append(Span(open_type, start, len(tags)))
    return found


def tags_of(spans: Iterable[Span], length: int) -> tuple[str, ...]:
    """IOB2 tags of a sentence of so many words.

    Raises:
        ValueError: A span is empty, ends after the sentence, or overlaps another.
    """
    tags = [OUTSIDE] * length
    for kind, start, end in spans:
        if not 0 <= start < end <= length or any(tag != OUTSIDE for tag in tags[start:end]):
            raise ValueError(f"the span {kind} {start}-{end} does not fit a sentence of {length} words")
        more = f"-{kind}" if kind else ""
        tags[start:end] = ["B" + more, *["I" + more] * (end - start - 1)]
    return tuple(tags)


def to_iob2(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags of a sentence in any scheme that marks spans, as IOB2; the spans stay those that conlleval counts."""
    return tags_of(spans(tags), len(tags))


def ordered(tags: Iterable[str]) -> tuple[str, ...]:
    """Each tag once: ``O`` first, then by type, ``B`` before ``I``; plain tags by name."""
    seen = set(tags)
    if not mark_spans(seen):
        return tuple(sorted(seen, key=lambda tag: (tag != OUTSIDE, tag)))
    return tuple(sorted(seen, key=lambda tag: (tag != OUTSIDE, _parts(tag)[1], tag)))


def allowed(tags: Sequence[str]) -> Allowed:
    """What valid IOB2 allows: ``I-X`` only after ``B-X`` or ``I-X``. Plain tags may stand anywhere.

    Args:
        tags: The tag set, in the order of a model's scores.
    """
    size = len(tags)
    everywhere = Allowed(np.ones(size, bool), np.ones((size, size), bool), np.ones(size, bool))
    if not mark_spans(tags):
        return everywhere
    parts = [_parts(tag) for tag in tags]
    inside = np.array([prefix == "I" for prefix, _ in parts])
    within = np.array([prefix != OUTSIDE for prefix, _ in parts])
    kinds = np.array([kind for _, kind in parts])
    goes_on = within[:, None] & (kinds[:, None] == kinds)  # (tags before, tags after)
    return Allowed(~inside, ~inside | goes_on, everywhere.end)


def _parts(tag: str) -> tuple[str, str]:
    """Prefix and type; a tag that has no prefix is outside of all spans."""
    return parse(tag) or (OUTSIDE, "")
