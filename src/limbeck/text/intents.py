"""Intents: what a sentence to an assistant asks for, in the files of slot filling and of bracketed parses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.delimited import lines_of
from limbeck.text.rows import Row, numbered
from limbeck.text.tables import ending_of, read_text

WORDS, LABELS = "seq.in", "label"
"""Files of a folder of SNIPS or ATIS (in the form of Goo et al. 2018): sentences, and their intents line by line."""
MARK = re.compile(r"\s<=>\s+(\S.*)$")
TAGGED = re.compile(r"\S+:[^\s:]+( \S+:[^\s:]+)*\s+<=>\s+\S+\s*$")
PARSE = re.compile(r"\[IN:(\w+)\s.*\]")
NODE = re.compile(r"\[(?:IN|SL):\w+|\]")
TOP_V2 = ["domain", "utterance", "semantic_parse"]
"""First line of TOPv2's files; those of TOP have none."""


# A file of sentences, and one of intents.


def is_parallel(path: Path, _: str) -> bool:
    """Whether it is a folder with sentences and their intents, or the sentences of one."""
    folder = path if path.is_dir() else path.parent
    is_words = path.is_dir() or path.name == WORDS
    return is_words and (folder / WORDS).is_file() and (folder / LABELS).is_file()


def files_of(path: Path) -> tuple[Path, Path]:
    """The file of sentences and the one of intents, of a folder or of its file of sentences."""
    words = path / WORDS if path.is_dir() else path
    return words, words.with_name(LABELS)


def read_parallel(path: Path, source: Source) -> Iterator[Row]:
    """Sentences with their intents, line by line.

    Raises:
        LimbeckError: A file is missing, or one has more lines than the other.
    """
    files = files_of(path)
    sides = [lines_of(read_text(file, source.encoding, source.undecodable).rstrip()) for file in files]
    if len(sides[0]) != len(sides[1]):
        what = f"{len(sides[0])} lines of words, and {len(sides[1])} of intents in {files[1]}"
        line = min(map(len, sides)) + 1
        fix = "Both files need the same sentences, one a line"
        raise LimbeckError(what, where=files[0], line=line, fix=fix)
    for number, (text, label) in enumerate(zip(*sides, strict=True), 1):
        if text.strip() or label.strip():
            yield Row(number, text, label)


# word:TAG word:TAG <=> intent


def is_tagged(_: Path, head: str) -> bool:
    """Whether the first line is of tagged words with an intent."""
    return TAGGED.fullmatch(head.partition("\n")[0].rstrip("\r")) is not None


def read_tagged(path: Path, source: Source) -> Iterator[Row]:
    """Sentences of tagged words (Schuster et al. 2019) without their tags, and the intent at the end.

    Raises:
        LimbeckError: A line has no intent, or a word without a tag.
    """
    for number, line in numbered(path, source):
        mark = MARK.search(line)
        if mark is None:
            fix = "Write 'word:TAG word:TAG <=> intent'; of tags alone, set 'task: tagging'"
            raise LimbeckError("the line has no intent after '<=>'", where=path, line=number, fix=fix)
        pairs = [pair.rpartition(":") for pair in line[: mark.start()].split()]
        bad = next(("".join(pair) for pair in pairs if not all(pair)), None)
        if bad is not None:
            raise LimbeckError(f"'{bad}' is no word with its tag", where=path, line=number)
        yield Row(number, " ".join(pair[0] for pair in pairs), mark[1])


# TOP: a parse in brackets.


def is_top(path: Path, head: str) -> bool:
    """Whether a TSV begins with a text and its parse, or as TOPv2 does."""
    cells = head.partition("\n")[0].rstrip("\r").split("\t")
    return ending_of(path) == ".tsv" and (cells == TOP_V2 or PARSE.fullmatch(cells[-1].strip()) is not None)


def read_top(path: Path, source: Source) -> Iterator[Row]:
    """Texts of TOP (Gupta et al. 2018: text, tokens, parse) or TOPv2, and the outermost intent of their parse.

    Raises:
        LimbeckError: A line has no parse, or its brackets do not match.
    """
    for number, line in numbered(path, source):
        cells = line.rstrip("\r").split("\t")
        if cells == TOP_V2:
            continue
        parse = cells[-1].strip()
        found = PARSE.fullmatch(parse)
        if found is None or not _matches(parse):
            fix = "A parse is written [IN:GET_EVENT Concerts [SL:DATE_TIME tonight ] ]"
            raise LimbeckError("the line ends in no whole parse", where=path, line=number, fix=fix)
        words = NODE.sub(" ", parse).split()
        same = (cell for cell in cells[:-1] if _letters(cell) == _letters("".join(words)))
        yield Row(number, next(same, " ".join(words)), found[1])


def _letters(text: str) -> str:
    """A text but for case and spaces."""
    return "".join(text.split()).casefold()


def _matches(parse: str) -> bool:
    """Whether the first bracket is closed by the last one, and no other before."""
    depth, nodes = 0, list(NODE.finditer(parse))
    for node in nodes:
        depth += 1 if node[0] != "]" else -1
        if depth <= 0 and node is not nodes[-1]:
            return False
    return depth == 0
