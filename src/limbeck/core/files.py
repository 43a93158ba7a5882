"""Writing without leaving anything half-written, and folders that know whether they are finished."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO, Any

from limbeck.core.errors import LimbeckError

DONE = "done.json"
INPUTS = "inputs.json"
CANNOT_LOCK = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What file systems say that know no locks: there nothing keeps two processes apart."""
HOST = socket.gethostname()
PATIENCE = 10.0
"""Seconds to wait for a folder that another process writes; one that was just killed may still be ending."""


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that appears under its name only when complete and on disk.

    Raises:
        LimbeckError: The disk is full, or the place cannot be written.
    """
    partial = path.with_name(f".{path.name}.{HOST}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        with partial.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise write_error(error, path) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove what processes of this machine that were killed have left of the same file or folder.

    It stands beside it as ``.NAME.HOST.PROCESS.`` and more.
    """
    if os.name != "posix":  # elsewhere to ask whether a process lives may end it
        return
    start = f".{path.name}.{HOST}."
    for left in path.parent.glob(f"{escape(start)}*.*"):
        process = left.name.removeprefix(start).partition(".")[0]
        try:
            os.kill(int(process), 0)
        except (ProcessLookupError, ValueError):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        except OSError:
            continue  # somebody else's, and alive


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    with atomic_write(path) as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        LimbeckError: It is missing or not JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LimbeckError("no such file", where=path) from None
    return parse_json(text, path)


def parse_json(text: str, where: str | Path, line: int | None = None, fix: str | None = None) -> Any:
    """The value that JSON tells, for text that somebody else wrote.

    Args:
        text: The JSON.
        where: For the error, as ``fix`` is.
        line: Of a file with a value a line; None where the text is the whole file.
        fix: What to do about it.

    Raises:
        LimbeckError: It is not JSON, or nobody could read it: nested thousands deep, a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = error.lineno if line is None else line
        raise LimbeckError(f"not JSON ({error.msg})", where=where, line=line, fix=fix) from None
    except (ValueError, RecursionError) as error:
        raise LimbeckError(
            f"unreadable JSON ({str(error).partition(';')[0]})", where=where, line=line
        ) from None


def write_error(error: OSError, path: Path) -> LimbeckError:
    """The sentence for a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LimbeckError(
            "the disk is full",
            where=path,
            fix="Free some space and run the same command again; finished work is kept",
        )
    return LimbeckError(f"cannot be written ({error.strerror or error})", where=path)


class StepFolder:
    """A folder that one step writes: absent, being written (``NAME.partial``), or finished.

    A finished folder holds ``done.json`` with the fingerprints of what it was made from. A partial folder
    holds ``inputs.json`` with the same, so that an interrupted step goes on only where its inputs still match.
    One process at a time writes it, and holds ``.NAME.lock``, which the system frees however the process ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")

    def is_done(self, inputs: Mapping[str, Any]) -> bool:
        """Whether the folder was finished from exactly these inputs."""
        self._settle()
        done = self.path / DONE
        return done.is_file() and read_json(done)["inputs"] == _normal(inputs)

    def finished(self) -> dict[str, Any]:
        """What ``done.json`` says.

        Raises:
            LimbeckError: The step has not been finished.
        """
        self._settle()
        if not (self.path / DONE).is_file():
            raise LimbeckError("this step is not finished", where=self.path)
        content: dict[str, Any] = read_json(self.path / DONE)
        return content

    @contextmanager
    def writing(self, inputs: Mapping[str, Any]) -> Iterator[Path]:
        """The partial folder to write into; it takes the folder's name when the block ends well.

        What an interrupted run with the same inputs left is still there; anything else is cleared. The
        folder of an earlier run stays until the new one is complete.

        Raises:
            LimbeckError: Another process is writing it, the disk is full, or the place cannot be written.
        """
        started = time.time()
        try:
            with self._alone(PATIENCE):
                self._take_name()
                inputs_file = self.partial / INPUTS
                if self.partial.exists() and not (
                    inputs_file.is_file() and read_json(inputs_file) == _normal(inputs)
                ):
                    shutil.rmtree(self.partial)
                self.partial.mkdir(parents=True, exist_ok=True)
                write_json(inputs_file, _normal(inputs))
                yield self.partial
                write_json(self.partial / DONE, {"inputs": _normal(inputs), "seconds": time.time() - started})
                self._take_name()
        except OSError as error:
            raise write_error(error, self.path) from error

    def _settle(self) -> None:
        """Name a folder that was complete when its process was killed; one that is still written is left alone."""
        if (self.partial / DONE).is_file():
            with suppress(LimbeckError), self._alone(0):
                self._take_name()

    def _take_name(self) -> None:
        """Give a complete partial folder its name; a kill between any two lines here is mended by the next call."""
        if not (self.partial / DONE).is_file():
            return
        (self.partial / INPUTS).unlink(missing_ok=True)
        if self.path.exists():
            shutil.rmtree(self.path)
        self.partial.replace(self.path)

    @contextmanager
    def _alone(self, patience: float) -> Iterator[None]:
        """Keep other processes from the folder.

        Raises:
            LimbeckError: One of them has it for longer than these seconds.
        """
        from filelock import FileLock, Timeout

        path = self.path.with_name(f".{self.path.name}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=patience)
        try:
            lock.acquire()
        except Timeout:
            fix = f"Wait until it has ended, or stop it; if there is none, remove {path}"
            raise LimbeckError("another process is writing this", where=self.path, fix=fix) from None
        except OSError as error:
            if error.errno not in CANNOT_LOCK:
                raise
        try:
            yield
        finally:
            # While it is held: whoever waits for it sees that it is gone, and makes another.
            with suppress(OSError):
                path.unlink(missing_ok=True)
            lock.release()


def _normal(value: Any) -> Any:
    """The value as it comes back from JSON, so that comparing what was written is comparing like with like."""
    return json.loads(json.dumps(value, default=str))
