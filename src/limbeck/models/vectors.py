"""Word-vector files: GloVe's and word2vec's text, or an npy matrix with a list of words.

Only the rows that are asked for are read, so that a file of a million words costs little more than its word
list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json
from limbeck.text.resources import resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

LISTS = (".txt", ".parquet", ".json")
"""Endings of files that can hold the words of an npy matrix."""


class WordVectors:
    """Words and their vectors.

    Attributes:
        path: The file.
        words: In the file's order.
        dimension: Width of a vector.
    """

    path: Path
    words: Sequence[str]
    dimension: int

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each word; the first where a word comes twice."""
        return {word: len(self.words) - 1 - back for back, word in enumerate(reversed(self.words))}

    def rows(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of these rows, ``(numbers, dimension)``.

        Raises:
            LimbeckError: One of them is not finite, or cannot be read.
        """
        vectors = self._rows(numbers)
        damaged = np.flatnonzero(~np.isfinite(vectors).all(1))
        if len(damaged):
            word = self.words[numbers[int(damaged[0])]]
            raise LimbeckError(f"the vector of '{word}' is not finite", where=self.path)
        return vectors

    def _rows(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        raise NotImplementedError


def open_vectors(path: Path, words: Path | None = None) -> WordVectors:
    """Open a word-vector file.

    Args:
        path: ``.npy``, or text with a word and its numbers on each line.
        words: The word list of an npy file (text with one word a line, a Parquet column, a JSON list);
            without it, the file beside it with the same stem, or the only one that could be a word list.

    Raises:
        LimbeckError: The file cannot be read, or words and vectors do not fit each other.
    """
    if path.suffix == ".npy":
        return _Matrix(path, words or list_beside(path))
    if words is not None:
        raise LimbeckError(
            "a text file of word vectors holds its own words", where=path, fix="Leave out 'words'"
        )
    return _Text(path)


def files_of_vectors(vectors: str, words: str | None = None) -> tuple[str, ...]:
    """What word vectors are read from, as a recipe names it: the file, and that of its words.

    Raises:
        LimbeckError: It is not clear which file holds the words.
    """
    path = resolve(vectors)
    if words is None and isinstance(path, Path) and path.suffix == ".npy":
        words = str(list_beside(path))
    return (vectors,) if words is None else (vectors, words)


class _Matrix(WordVectors):
    """An npy matrix, memory-mapped, and a list of words."""

    def __init__(self, path: Path, words: Path) -> None:
        self.path = path
        try:
            self.matrix = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise LimbeckError(f"no npy matrix can be read ({error})", where=path) from None
        if self.matrix.ndim != 2 or self.matrix.dtype.kind != "f":
            found = f"{self.matrix.ndim} axes of {self.matrix.dtype}"
            raise LimbeckError(f"word vectors are a matrix of floats, and this has {found}", where=path)
        self.words = _read_words(words)
        if len(self.words) != len(self.matrix):
            counts = f"{len(self.matrix):,} vectors, and {words.name} {len(self.words):,} words"
            raise LimbeckError(f"it holds {counts}", where=path, fix="Name the right list with 'words'")
        self.dimension = self.matrix.shape[1]

    def _rows(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        order = np.asarray(numbers, dtype=np.int64)
        return np.asarray(self.matrix[order], dtype=np.float32)


class _Text(WordVectors):
    """A word and its numbers on each line, separated by spaces; word2vec's first line (counts) is skipped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        first = [line.split(b" ") for _, line in zip(range(2), self._lines(), strict=False)]
        if not first or len(first[-1]) < 2:
            raise LimbeckError("no word vectors in this file", where=path)
        self.header = len(first[0]) == 2 and len(first[-1]) > 2
        self.dimension = len(first[1 if self.header else 0]) - 1
        self.words = [self._word(line, number) for number, line in self._numbered()]

    def _rows(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        wanted = {number: place for place, number in enumerate(numbers)}
        vectors = np.zeros((len(numbers), self.dimension), dtype=np.float32)
        for row, (number, line) in enumerate(self._numbered()):
            if (place := wanted.get(row)) is not None:
                try:
                    vectors[place] = line.split(b" ")[-self.dimension :]
                except ValueError:
                    raise LimbeckError("a value is not a number", where=self.path, line=number) from None
        return vectors

    def _word(self, line: bytes, number: int) -> str:
        # A word may hold spaces (GloVe 840B has such), so fields count from the end.
        word, *values = line.rsplit(b" ", self.dimension)
        if len(values) != self.dimension or not word:
            found = f"{line.count(b' ')} values, and the lines before it {self.dimension}"
            raise LimbeckError(f"this line has {found}", where=self.path, line=number)
        try:
            return word.decode("utf-8")
        except UnicodeDecodeError:
            raise LimbeckError("not UTF-8", where=self.path, line=number) from None

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        """Lines with a vector, and their numbers in the file, from one."""
        lines = enumerate(self._lines(), 1)
        if self.header:
            next(lines)
        return lines

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                yield from (line.rstrip(b" \r\n") for line in file)
        except OSError as error:
            raise LimbeckError(f"cannot be read ({error.strerror})", where=self.path) from None


def list_beside(path: Path) -> Path:
    """The word list of an npy file of which none is named: the file with the same stem, or the only one that could be.

    Raises:
        LimbeckError: There is none, or are several.
    """
    same_stem = [path.with_suffix(ending) for ending in LISTS if path.with_suffix(ending).is_file()]
    any_list = (
        [file for file in sorted(path.parent.iterdir()) if file.suffix in LISTS] if path.is_file() else []
    )
    for found in (same_stem, any_list):
        if len(found) == 1:
            return found[0]
    raise LimbeckError("it is not clear which file holds its words", where=path, fix="Name it with 'words'")


def _read_words(path: Path) -> list[str]:
    """Words of a list file.

    Raises:
        LimbeckError: It cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".parquet":
            return _words_of_table(path)
        if path.suffix == ".json":
            content = read_json(path)
            if isinstance(content, list) and all(isinstance(word, str) for word in content):
                return content
            raise LimbeckError("a word list is a list of strings", where=path)
        # Not splitlines(): some vocabularies hold words that Unicode takes for a line's end.
        words = path.read_text(encoding="utf-8").split("\n")
        return words if words[-1] else words[:-1]
    except OSError as error:
        raise LimbeckError(f"cannot be read ({error.strerror or error})", where=path) from None
    except UnicodeDecodeError:
        raise LimbeckError("the word list is not UTF-8", where=path) from None


def _words_of_table(path: Path) -> list[str]:
    """The first column of strings of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        names = [
            field.name
            for field in schema
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        if not names:
            raise LimbeckError("no column of strings in this word list", where=path)
        words: list[str] = pq.read_table(path, columns=names[:1]).column(0).to_pylist()
    except pa.ArrowInvalid:
        raise LimbeckError("not a Parquet file", where=path) from None
    return words
