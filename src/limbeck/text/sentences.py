"""Sentences: what readers of tagged text hand over, and what becomes of it: checked, in IOB2, as examples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.text import tags as schemes

SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which JSON can spell and UTF-8 cannot."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it stands in a file.

    Attributes:
        line: Where it starts, counted from one; of a data set its row.
        words: Its words.
        tags: Their tags in any scheme, one a word; None where it has none.
        lines: The line of each word, where they stand on lines of their own.
        document: Number of its document, from one; 0 where the file marks none.
        id: Its id, where the file gives one.
    """

    line: int
    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    lines: tuple[int, ...] = ()
    document: int = 0
    id: str | None = None

    def line_of(self, word: int) -> int:
        """The line on which a word stands."""
        return self.lines[word] if self.lines else self.line


def examples_of(sentences: Sequence[Sentence], source: Source, name: str) -> list[Example]:
    """Examples with tags in IOB2, or plain as they were; types renamed as the source asks.

    Ids default to ``NAME:LINE``, in a file that marks documents to ``NAME/DOCUMENT:LINE``.

    Args:
        sentences: All sentences of the source: one alone does not tell its scheme.
        source: For errors, and for new names of tags or types.
        name: Stands for the source in ids.

    Raises:
        LimbeckError: A word or tag is empty, a tag lacks its prefix, or an id comes twice.
    """
    for sentence in sentences:
        _check_filled(sentence, source)
    new = _in_iob2(_understood(sentences, source.labels), source, name)
    if source.labels:
        _warn_of_idle_names([*(sentence.tags for sentence in sentences), *new], source.labels, name)
        new = [tags and _renamed(tags, source.labels) for tags in new]
    found = []
    for sentence, tags in zip(sentences, new, strict=True):
        origin = f"{name}:{sentence.line}"
        default = f"{name}/{sentence.document}:{sentence.line}" if sentence.document else origin
        words = sentence.words
        text = " ".join(words)
        found.append(Example(sentence.id or default, text, None, origin, words, tags))
    return found


def in_documents(examples: Sequence[Example], sentences: Sequence[Sentence], context: int) -> list[Example]:
    """Examples with the words of their document around them, at most ``context`` on each side."""
    found = []
    for _, pairs in groupby(zip(examples, sentences, strict=True), lambda pair: pair[1].document):
        document = [example for example, _ in pairs]
        words = [word for example in document for word in example.words]
        end = 0
        for example in document:
            start, end = end, end + len(example.words)
            before, after = words[max(start - context, 0) : start], words[end : end + context]
            found.append(replace(example, before=tuple(before), after=tuple(after)))
    return found


def clean_word(word: str) -> str:
    """The word without space around it; half characters are replaced."""
    return (word if word.isascii() else SURROGATES.sub("\ufffd", word)).strip()


def _check_filled(sentence: Sentence, source: Source) -> None:
    for what, values in (("word", sentence.words), ("tag", sentence.tags or ())):
        if not all(values):
            place = values.index("")
            raise LimbeckError(
                f"the {what} number {place + 1} of the sentence is empty",
                where=source.path,
                line=sentence.line_of(place),
            )


def _in_iob2(sentences: Sequence[Sentence], source: Source, name: str) -> list[tuple[str, ...] | None]:
    """Tags of all sentences in IOB2, so that every span opens with ``B`` whatever the file does."""
    given = [sentence.tags for sentence in sentences]
    seen = {tag for tags in given if tags is not None for tag in tags}
    if not schemes.mark_spans(seen):
        return given
    if strange := schemes.odd(seen):
        raise _odd_tag(sentences, strange, source)
    scheme = schemes.detect(tags for tags in given if tags is not None)
    new = [None if tags is None else schemes.to_iob2(tags) for tags in given]
    if scheme != "IOB2":
        progress.say(f"prepare   {name}: tags turned from {scheme} into IOB2", scheme=scheme, source=name)
        return new
    changed = sum(
        a != b for old, now in zip(given, new, strict=True) for a, b in zip(old or (), now or (), strict=True)
    )
    if changed:
        progress.warn(
            f"{name}: {changed:,} I- tags open a span, which IOB2 does with B-; they count as B-, as in conlleval"
        )
    return new


def _odd_tag(sentences: Sequence[Sentence], strange: set[str], source: Source) -> LimbeckError:
    sentence, place, tag = next(
        (sentence, place, tag)
        for sentence in sentences
        for place, tag in enumerate(sentence.tags or ())
        if tag in strange
    )
    return LimbeckError(
        f"the tag '{tag}' of '{sentence.words[place]}' is neither O nor a prefix and a type, as other tags here are",
        where=source.path,
        line=sentence.line_of(place),
        fix="Write tags like B-PER, I-PER and O; is 'tags' the right column?",
    )


# New names.


def _understood(sentences: Sequence[Sentence], names: Mapping[str, str]) -> Sequence[Sentence]:
    """With the new names of tags that fit no scheme, such as ``O`` for ``NoLabel``: under the old ones none is seen."""
    seen = {tag for sentence in sentences for tag in sentence.tags or ()}
    strange = schemes.odd(seen) & names.keys() if schemes.mark_spans(seen) else None
    if not strange:
        return sentences
    return [
        replace(one, tags=one.tags and tuple(names[tag] if tag in strange else tag for tag in one.tags))
        for one in sentences
    ]


def _renamed(tags: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    """Tags under new names: of a whole tag, or else of its type."""
    return tuple(_new_name(tag, names) for tag in tags)


def _new_name(tag: str, names: Mapping[str, str]) -> str:
    if tag in names:
        return names[tag]
    prefix, kind = schemes.parse(tag) or ("", "")
    if not kind or kind not in names:
        return tag
    return schemes.OUTSIDE if names[kind] == schemes.OUTSIDE else f"{prefix}-{names[kind]}"


def _warn_of_idle_names(given: Sequence[tuple[str, ...] | None], names: Mapping[str, str], name: str) -> None:
    seen = {tag for tags in given for tag in tags or ()}
    kinds = {parts[1] for tag in seen if (parts := schemes.parse(tag))}
    if idle := [one for one in names if one not in seen | kinds]:
        progress.warn(f"{name}: 'labels' renames {', '.join(idle)}, and no word is tagged so")
