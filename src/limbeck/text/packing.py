"""Packing: raw text to blocks of tokens, all of one length, on disk.

Lines are tokenised one by one, without special tokens, and stand one after the other; that stream is cut into
blocks, each between the special tokens of the tokeniser. So no block is padded but the last, which may be shorter.
A block may cut a sentence, and may hold the end of one document and the beginning of the next.

Axes: ``blocks``; ``length``, the tokens of a block.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from limbeck.core import fingerprint, progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json, write_error, write_json
from limbeck.text.encode import check_length, first_id, truncating
from limbeck.text.packed import FACTS, TOKENS, TYPE, Packed
from limbeck.text.raw import RawText, raw_files
from limbeck.text.tokeniser import fingerprint_tokeniser

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

STATE = "unfinished.json"
LINES = 1024
"""Lines handed to the tokeniser at a time: enough for its threads, and little memory even where lines are long."""
SAVED = 10.0
"""Seconds between two notes of how far it has come."""
SAMPLE = (8, 2**18)
"""Files, and characters of each, that an estimate is made from."""


def pack(
    refs: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    length: int,
    folder: Path,
    *,
    shuffle: int = 0,
    seed: int = 0,
) -> Packed:
    """Tokenise raw text and write it in blocks; an interrupted call on the same folder is gone on with.

    Args:
        refs: Files and folders of UTF-8 text, one piece of text a line (:mod:`limbeck.text.raw`).
        tokeniser: A fast tokeniser.
        length: Tokens of a block, special tokens included.
        folder: Receives ``tokens.int32`` and, when all is written, ``packed.json``.
        shuffle: So many lines at a time, which are held in memory, change places among themselves; 0 keeps order.
        seed: Of their places.

    Raises:
        LimbeckError: A path is missing, a file is not UTF-8 (with the line) or damaged, all are empty, ``length``
            leaves no room for text, or the disk is full.
    """
    files = raw_files(refs)
    frame = _Frame.of(tokeniser, length)
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = fingerprint.of_value([stats, fingerprint_tokeniser(tokeniser), length, shuffle, seed])
    if (folder / FACTS).is_file() and (done := Packed(**read_json(folder / FACTS))).key == key:
        return done
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FACTS).unlink(missing_ok=True)
        state = _State.found(folder, key)
        text = RawText(files, state.file, state.line)
        windows = _windows(text, shuffle, seed, state.windows)
        # What was written after the last note is written again.
        with (folder / TOKENS).open("ab") as out:
            out.truncate(state.tokens * TYPE.itemsize)
            _write_blocks(text, windows, tokeniser.backend_tokenizer, frame, out, state, folder)
        if not state.tokens:
            raise LimbeckError("the raw text is empty", where=refs[0])
        pad_id = first_id(tokeniser.pad_token_id, tokeniser.eos_token_id)
        packed = Packed(length, state.tokens, state.lines, len(files), pad_id, key)
        write_json(folder / FACTS, asdict(packed))
        (folder / STATE).unlink(missing_ok=True)
    except OSError as error:
        raise write_error(error, folder) from error
    return packed


@dataclass(frozen=True, slots=True)
class Estimate:
    """What packing would come to, about.

    Attributes:
        blocks: Of all text.
        bytes: On disk.
        seconds: On this machine.
    """

    blocks: int
    bytes: int
    seconds: float


def estimate(refs: Sequence[str], tokeniser: PreTrainedTokenizerFast, length: int) -> Estimate:
    """What packing would come to, from the beginnings of some of the files; writes nothing.

    Raises:
        LimbeckError: As of :func:`pack`, as far as it was read.
    """
    files, frame = raw_files(refs), _Frame.of(tokeniser, length)
    most, characters = SAMPLE
    read = tokens = 0
    started = time.perf_counter()
    for path in files[:: -(-len(files) // most)]:
        text = RawText([path])
        with truncating(tokeniser.backend_tokenizer, None):
            for lines in _windows(_beginning(text, characters)):
                tokens += len(_ids(tokeniser.backend_tokenizer, lines))
        read += text.bytes_read
    if not tokens:
        raise LimbeckError("the raw text is empty", where=refs[0])
    more = max(1.0, RawText(files).bytes / read)
    blocks = -(-round(tokens * more) // frame.room)
    return Estimate(blocks, blocks * length * TYPE.itemsize, more * (time.perf_counter() - started))


def _beginning(text: RawText, characters: int) -> Iterator[str]:
    """Lines up to that many characters, about."""
    for line in text:
        yield line
        characters -= len(line)
        if characters <= 0:
            return


# Writing.


@dataclass
class _State:
    """How far packing has come.

    Attributes:
        key: Digest of what is packed.
        file: Number of the file that is being read.
        line: Lines of it that are done.
        windows: Windows that are done.
        lines: Lines of text that are done, in all files.
        tokens: Tokens on disk.
        rest: Tokens that did not fill a block.
    """

    key: str
    file: int = 0
    line: int = 0
    windows: int = 0
    lines: int = 0
    tokens: int = 0
    rest: list[int] = field(default_factory=list)

    @classmethod
    def found(cls, folder: Path, key: str) -> _State:
        """What an interrupted call on the same text left; else the beginning."""
        if not (folder / STATE).is_file():
            return cls(key)
        state, path = cls(**read_json(folder / STATE)), folder / TOKENS
        whole = path.is_file() and path.stat().st_size >= state.tokens * TYPE.itemsize
        return state if state.key == key and whole else cls(key)


@dataclass(frozen=True)
class _Frame:
    """The special tokens around a block, and the room for text between them."""

    before: NDArray[np.int32]
    after: NDArray[np.int32]
    room: int

    @classmethod
    def of(cls, tokeniser: PreTrainedTokenizerFast, length: int) -> _Frame:
        backend = tokeniser.backend_tokenizer
        check_length(length, backend.num_special_tokens_to_add(False), "raw_length")
        with truncating(backend, None):
            # Any text of which it makes a token shows what stands around it.
            texts = chain("a", (backend.id_to_token(number) or "" for number in range(len(tokeniser))))
            shown = next(one for one in map(backend.encode, texts) if 0 in one.special_tokens_mask)
        ids = np.array(shown.ids, dtype=TYPE)
        inside = np.flatnonzero(np.array(shown.special_tokens_mask) == 0)
        before, after = ids[: inside[0]], ids[inside[-1] + 1 :]
        return cls(before, after, length - len(before) - len(after))

    def around(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Each row between special tokens: ``(blocks, room)`` or less room, to ``(blocks, length)`` or less."""
        before, after = (np.broadcast_to(one, (len(tokens), len(one))) for one in (self.before, self.after))
        return np.concatenate((before, tokens, after), axis=1)


def _write_blocks(
    text: RawText,
    windows: Iterator[list[str]],
    backend: Any,
    frame: _Frame,
    out: BinaryIO,
    state: _State,
    folder: Path,
) -> None:
    """Write all blocks from the state on, and note from time to time how far it has come."""
    saved = time.monotonic()
    rest = np.array(state.rest, dtype=TYPE)
    with truncating(backend, None), progress.task("pack raw text", text.bytes) as task:
        done = 0
        for window in windows:
            for start in range(0, len(window), LINES):
                tokens = np.concatenate((rest, _ids(backend, window[start : start + LINES])))
                full = len(tokens) - len(tokens) % frame.room
                state.tokens += _put(out, frame.around(tokens[:full].reshape(-1, frame.room)))
                rest = tokens[full:]
            state.file, state.line = text.file, text.line
            state.windows, state.lines = state.windows + 1, state.lines + len(window)
            if time.monotonic() - saved >= SAVED:
                _note(out, state, rest, folder)
                saved = time.monotonic()
            task.advance(text.bytes_read - done)
            done = text.bytes_read
    if len(rest):
        state.tokens += _put(out, frame.around(rest[None]))
    out.flush()
    os.fsync(out.fileno())


def _put(out: BinaryIO, blocks: NDArray[np.int32]) -> int:
    """Write blocks; gives the number of their tokens."""
    out.write(blocks.tobytes())
    return blocks.size


def _note(out: BinaryIO, state: _State, rest: NDArray[np.int32], folder: Path) -> None:
    """Write down how far it has come, once all before that is on disk."""
    out.flush()
    os.fsync(out.fileno())
    state.rest = rest.tolist()
    write_json(folder / STATE, asdict(state))


def _windows(text: Iterable[str], shuffle: int = 0, seed: int = 0, first: int = 0) -> Iterator[list[str]]:
    """Lines that are packed together, in their places.

    Args:
        text: The lines.
        shuffle: Lines of a window, which change places; 0 keeps their order.
        seed: Of their places.
        first: Number of the first window: each has its own shuffle, which depends on nothing before it.
    """
    lines = iter(text)
    for number in count(first):
        window = list(islice(lines, shuffle or LINES))
        if not window:
            return
        if shuffle:
            order = np.random.default_rng((seed, number)).permutation(len(window))
            window = [window[place] for place in order]
        yield window


def _ids(backend: Any, lines: list[str]) -> NDArray[np.int32]:
    """The tokens of lines, one line after the other, without special tokens."""
    encodings = backend.encode_batch_fast(lines, add_special_tokens=False)
    return np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), dtype=TYPE)
