"""Columns: tagged text in lines. CoNLL's one word a line, ``word:TAG`` pairs, and parallel files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text import resources
from limbeck.text.delimited import lines_of
from limbeck.text.sentences import Sentence, clean_word
from limbeck.text.tables import read_text

LineFormat = Literal["conll", "word_tag", "parallel"]
DOCUMENT = "-DOCSTART-"
CONLL_U = 10
"""Columns of CoNLL-U, whose first numbers the words."""
OF_CONLL_U = {"words": 1, "tags": 3}
"""Its forms, and its universal parts of speech."""
NO_WORD = re.compile(r"\d+[-.]\d+")
"""Its numbers of lines that are no words: several words written as one (3-4), and words left out (8.1)."""
COMMENT = re.compile(r"#\s+(?:id|sent_id|newdoc|newpar|text)\b")
"""A comment that may have as many columns as a word has: ``# id 91b6 domain=en``."""
INTENT = re.compile(r"\s<=>(?:\s|$)")
"""What follows is about the whole sentence."""


def read_sentences(path: Path, form: LineFormat, source: Source) -> list[Sentence]:
    """The sentences of a file of tagged text, in its order.

    Args:
        path: The file.
        form: How it is written.
        source: Columns, encoding, and the file of tags of a parallel pair.

    Raises:
        LimbeckError: The file is missing, empty or not in its encoding, or a line is malformed.
    """
    lines = lines_of(read_text(path, source.encoding, source.undecodable))
    if form == "conll":
        found = list(_conll(lines, path, source))
    elif form == "word_tag":
        found = [_pairs(line, number, path) for number, line in enumerate(lines, 1) if line.strip()]
    else:
        found = list(_parallel(lines, path, source))
    if not found:
        raise LimbeckError("the file holds no sentences", where=path)
    return found


# CoNLL: one word a line.


def _conll(lines: Sequence[str], path: Path, source: Source) -> Iterator[Sentence]:
    """Sentences between blank lines; ``-DOCSTART-`` lines count documents and are no sentences."""
    rows = list(_rows(lines))
    # The first line that is surely a word tells how many columns there are, and what is between them.
    filled = [row for row in rows if row and not row[1].startswith(DOCUMENT)]
    first = next((row for row in filled if row[1][0] != "#"), next(iter(filled), None))
    if first is None:
        return
    tabs = "\t" in first[1]
    width = len(_cells(first[1], tabs))
    if tabs and width == CONLL_U and _cells(first[1], tabs)[0].isdecimal():
        source = source.model_copy(
            update={key: place for key, place in OF_CONLL_U.items() if getattr(source, key) == "auto"}
        )
    word, tag = _places(source, width, path)
    document, sentence = 0, list[tuple[int, list[str]]]()
    for row in [*rows, None]:
        cells = _cells(row[1], tabs) if row else []
        is_break = row is not None and row[1].startswith(DOCUMENT)
        document += is_break
        if row is None or is_break:
            if sentence:
                yield _sentence(sentence, document - is_break, word, tag)
            sentence = []
        elif row[1][0] == "#" and not sentence and (len(cells) != width or COMMENT.match(row[1])):
            continue
        elif len(cells) != width:
            raise _uneven(len(cells), width, first[0], path, row[0])
        elif not (tabs and width == CONLL_U and NO_WORD.fullmatch(cells[0])):
            sentence.append((row[0], cells))


def _rows(lines: Sequence[str]) -> Iterator[tuple[int, str] | None]:
    """Lines with their numbers; None for a blank one, be it of spaces or tabs."""
    for number, line in enumerate(lines, 1):
        yield (number, line) if line.strip() else None


def _cells(line: str, tabs: bool) -> list[str]:
    if tabs:
        return [clean_word(cell) for cell in line.rstrip("\r\n").split("\t")]
    # Other spaces, such as no-break spaces, may be part of a word.
    return [clean_word(cell) for cell in re.split("[ \t]+", line.strip(" \t\r"))]


def _places(source: Source, width: int, path: Path) -> tuple[int, int | None]:
    """Columns of word and tag, counted from the start; no tag where the file has words alone."""
    word = _place(0 if source.words == "auto" else source.words, "words", width, path)
    if source.tags is None or (source.tags == "auto" and width == 1):
        return word, None
    tag = _place(-1 if source.tags == "auto" else source.tags, "tags", width, path)
    if word == tag:
        fix = "Give 'words' and 'tags' as column numbers, or 'tags: null' for untagged text"
        raise LimbeckError(f"column {word} cannot be words and tags at once", where=path, fix=fix)
    return word, tag


def _place(key: str | int, role: str, width: int, path: Path) -> int:
    if not isinstance(key, int):
        fix = f"Give '{role}' as a column number, from 0, or from -1 at the end"
        raise LimbeckError(f"'{role}' names a column '{key}', and conll has no names", where=path, fix=fix)
    if not -width <= key < width:
        what = f"there is no column number {key} ('{role}'): the columns are 0 to {width - 1}"
        raise LimbeckError(what, where=path)
    return key % width


def _sentence(rows: Sequence[tuple[int, list[str]]], document: int, word: int, tag: int | None) -> Sentence:
    numbers = tuple(number for number, _ in rows)
    words = tuple(cells[word] for _, cells in rows)
    tags = None if tag is None else tuple(cells[tag] for _, cells in rows)
    return Sentence(numbers[0], words, tags, numbers, document)


def _uneven(cells: int, width: int, first: int, path: Path, line: int) -> LimbeckError:
    what = f"{cells} column{'' if cells == 1 else 's'} where line {first} has {width}"
    fix = "Every line holds one word and its columns; a blank line ends a sentence"
    return LimbeckError(what, where=path, line=line, fix=fix)


# One sentence a line.


def _pairs(line: str, number: int, path: Path) -> Sentence:
    """``word:TAG word:TAG``, and ``<=> intent`` at the end, which is passed over."""
    pairs = [pair.rpartition(":") for pair in INTENT.split(line, maxsplit=1)[0].split()]
    bad = next(("".join(pair) for pair in pairs if not all(pair)), None)
    if bad is not None:
        fix = "Write word:TAG, with spaces between the words"
        raise LimbeckError(f"'{bad}' is no word with its tag", where=path, line=number, fix=fix)
    return Sentence(number, tuple(clean_word(pair[0]) for pair in pairs), tuple(pair[2] for pair in pairs))


def _parallel(lines: Sequence[str], path: Path, source: Source) -> Iterator[Sentence]:
    """A file of sentences, and one with their tags, line by line."""
    if source.tags is None:
        tag_lines: list[str] | None = None
    else:
        tags_path = _tags_path(path, source)
        tag_lines = _ended(lines_of(read_text(tags_path, source.encoding, source.undecodable)))
        if len(tag_lines) != len(_ended(lines)):
            what = f"{len(_ended(lines))} lines of words, and {len(tag_lines)} of tags in {tags_path}"
            raise LimbeckError(what, where=path, fix="Both files need the same sentences, one a line")
    for number, line in enumerate(_ended(lines), 1):
        words = tuple(map(clean_word, line.split()))
        tags = None if tag_lines is None else tuple(tag_lines[number - 1].split())
        if tags is not None and len(tags) != len(words):
            what = f"{len(words)} words here, and {len(tags)} tags on the same line of {tags_path}"
            raise LimbeckError(what, where=path, line=number)
        if words:
            yield Sentence(number, words, tags)


def _ended(lines: Sequence[str]) -> list[str]:
    """The lines but for empty ones at the end of the file."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return list(lines[:end])


def files_of(source: Source) -> tuple[str, ...]:
    """The files that a source is read from, as the recipe would name them."""
    if source.format != "parallel" or source.tags is None:
        return (source.path,)
    path = resources.resolve(source.path)
    return (source.path, str(_tags_path(Path(path), source)))


def _tags_path(path: Path, source: Source) -> Path:
    if source.tags_file is not None:
        return Path(resources.resolve(source.tags_file))
    if path.name != "seq.in":
        raise LimbeckError(
            "no file of tags is given for these words", where=path, fix="Name it in 'tags_file'"
        )
    return path.with_name("seq.out")
