"""Raw text: the lines of files and folders, one after the other, never all in memory.

Text is UTF-8, plain or compressed (``.gz``). One line is one piece of text; blank lines, which part documents, are
passed over.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import accumulate, islice
from pathlib import Path
from typing import IO, cast

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.text import resources

ENDINGS = (".txt", ".gz", "")
"""Of the files in a folder that are text; a file that is named itself may have any."""
LONGEST = 2**14
"""Characters of a line that are read at once: a longer line counts as several, cut at spaces where it has some."""
CHUNK = 2**20
"""Bytes searched at a time for what is not UTF-8."""


def raw_files(refs: Sequence[str]) -> tuple[Path, ...]:
    """The files that these paths name, in their order; those of a folder, and of folders in it, sorted by path.

    Args:
        refs: Files and folders, as :func:`limbeck.text.resources.resolve` reads them.

    Raises:
        LimbeckError: A path is missing, or a folder holds no text.
    """
    return tuple(file for ref in refs for file in _files_of(ref))


def fingerprint_raw(files: Sequence[Path]) -> str:
    """Digest of the contents of files in their order; one that has not changed is read once by a process."""
    stats = [(path, path.stat()) for path in files]
    return fingerprint.of_strings(_digest(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


@cache
def _digest(path: Path, size: int, modified: int) -> str:
    return fingerprint.sha256(path)


def _files_of(ref: str) -> list[Path]:
    place = resources.resolve(ref)
    if not isinstance(place, Path):
        raise LimbeckError("no such file or folder of text", where=ref)
    if place.is_file():
        return [place]
    inside = sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())
    seen = (path for path in inside if not any(part.startswith(".") for part in path.parts))
    found = [place / path for path in seen if path.suffix.lower() in ENDINGS]
    if not found:
        what = "the folder holds no text (files that end in .txt or .gz, or have no ending)"
        raise LimbeckError(what, where=ref, fix="Name other files one by one")
    return found


class RawText:
    """The lines of files, without blank ones and without the space around them; knows how far it was read.

    Args:
        files: In their order.
        file: Number of the file to begin in; those before it are not opened.
        line: Lines of it to leave out.

    Attributes:
        file: Number of the file that is being read; the number of files at the end.
        line: Lines of it that were read, blank ones included.
        bytes: Size on disk of all files.
        bytes_read: Of these, how many were read, about: files are read ahead.
    """

    def __init__(self, files: Sequence[Path], file: int = 0, line: int = 0) -> None:
        self.files, self.file, self.line = files, file, line
        self._before = list(accumulate((path.stat().st_size for path in files), initial=0))
        self.bytes, self.bytes_read = self._before[-1], self._before[file]

    def __iter__(self) -> Iterator[str]:
        """The lines from here on.

        Raises:
            LimbeckError: A file is not UTF-8 (with the line), is damaged, or cannot be read.
        """
        while self.file < len(self.files):
            path = self.files[self.file]
            with _told(path), path.open("rb") as disk:
                for line in islice(_lines(_decoded(path, disk)), self.line, None):
                    self.line += 1
                    self.bytes_read = self._before[self.file] + disk.tell()
                    if line:
                        yield line
            self.file, self.line = self.file + 1, 0
            self.bytes_read = self._before[self.file]


def _decoded(path: Path, disk: IO[bytes]) -> IO[str]:
    """Its text, without a byte order mark; any usual line end is a line feed."""
    return io.TextIOWrapper(_expanded(path, disk), encoding="utf-8-sig")


def _expanded(path: Path, disk: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(disk)) if path.suffix.lower() == ".gz" else disk


def _lines(file: IO[str]) -> Iterator[str]:
    held = ""
    while read := file.readline(LONGEST):
        held += read
        goes_on = len(read) == LONGEST and not read.endswith("\n")
        cut = held.rfind(" ") if goes_on else -1
        cut = cut if cut > 0 else len(held)
        yield held[:cut].strip()
        held = held[cut:]
    if held:
        yield held.strip()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong in reading, in one sentence."""
    try:
        yield
    except UnicodeDecodeError:
        line, byte = _not_utf8(path)
        fix = "Convert it, e.g. with 'iconv -f cp1252 -t utf-8'"
        raise LimbeckError(f"not UTF-8 (byte 0x{byte:02x})", where=path, line=line, fix=fix) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LimbeckError(f"damaged, or not compressed by gzip ({error})", where=path) from None
    except OSError as error:
        raise LimbeckError(f"cannot be read ({error.strerror or error})", where=path) from None


def _not_utf8(path: Path) -> tuple[int, int]:
    """The first byte of a file that is not UTF-8, and its line, counted from one."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as disk:
        file = _expanded(path, disk)
        while True:
            chunk = file.read(CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return line + error.object.count(b"\n", 0, error.start), error.object[error.start]
            line += chunk.count(b"\n")
