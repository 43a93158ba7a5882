"""Trees: the Stanford Sentiment Treebank, a bracketed tree a line, whose every phrase has a class from 0 to 4."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.rows import Row, numbered

BEGINNING = re.compile(r"\([0-4] (\([0-4] |[^\s()]+\))")
TOKEN = re.compile(r"\(|\)|[^\s()]+")
FLAT = re.compile(r"([0-4])\s+([^\s(].*)")
"""A sentence with its class and no tree, as other people's copies have it."""
BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]"}
TWO = {"0": "0", "1": "0", "3": "1", "4": "1"}
"""The two classes of SST-2; what is neutral has none."""


def is_like(_: Path, head: str) -> bool:
    """Whether the file begins with a tree."""
    return BEGINNING.match(head) is not None


def read(path: Path, source: Source) -> Iterator[Row]:
    """The sentences of a file of trees, or all their phrases.

    Args:
        path: The file.
        source: ``classes`` is 5 or 2 (negative 0, positive 1; neutral ones are left out); ``phrases`` asks for all.

    Raises:
        LimbeckError: Another number of classes is asked for, or a line is no tree.
    """
    if source.classes not in (None, 2, 5):
        raise LimbeckError(f"trees have 5 or 2 classes, not {source.classes}", where=source.path)
    for number, line in numbered(path, source):
        for place, (label, text) in enumerate(phrases_of(line, path, number)):
            if place and not source.phrases:
                break
            if source.classes == 2 and label not in TWO:
                continue
            part = str(place) if place else ""
            yield Row(number, text, TWO[label] if source.classes == 2 else label, part=part)


def phrases_of(line: str, path: Path, number: int) -> list[tuple[str, str]]:
    """The phrases of a tree with their classes, the sentence first.

    Raises:
        LimbeckError: The line is no tree.
    """
    if flat := FLAT.fullmatch(line.strip()):
        return [(flat[1], flat[2])]
    tokens = TOKEN.findall(line)
    words: list[str] = []
    found: list[tuple[str, int, int]] = []
    is_open: list[int] = []
    for before, token in zip(["", *tokens], tokens, strict=False):
        if token == "(":
            if found and not is_open:
                raise _no_tree(path, number)
            is_open.append(len(found))
            found.append(("", len(words), 0))
        elif not is_open:
            raise _no_tree(path, number)
        elif token == ")":
            label, start, _ = found[is_open[-1]]
            found[is_open.pop()] = (label, start, len(words))
        elif before == "(":
            found[is_open[-1]] = (token, len(words), 0)
        else:
            words.append(BRACKETS.get(token, token.replace(r"\/", "/").replace(r"\*", "*")))
    if not found or is_open or any(label not in set("01234") or end <= start for label, start, end in found):
        raise _no_tree(path, number)
    return [(label, " ".join(words[start:end])) for label, start, end in found]


def _no_tree(path: Path, number: int) -> LimbeckError:
    fix = "A tree is written (3 (2 Good) (2 film)), with a class from 0 to 4 after each bracket"
    return LimbeckError("the line is no tree with classes", where=path, line=number, fix=fix)
