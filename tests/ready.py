"""Processes that have imported Limbeck before they start, for tests that kill many of them.

Importing takes seconds, in which there is nothing to kill; a server imports once, and forks them from then on.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["limbeck.cli.app", "limbeck.pipeline", "accelerate"])


def start_command(*words: object, output: Path | None = None) -> BaseProcess:
    """``limbeck WORDS``, which writes to a file, or to nowhere."""
    return _started(_command, list(map(str, words)), output)


def start_code(code: str, *arguments: object) -> BaseProcess:
    """``python -c CODE ARGUMENTS``."""
    return _started(_code, code, list(map(str, arguments)))


def kill(process: BaseProcess) -> None:
    """``kill -9``."""
    process.kill()
    process.join()
    assert process.exitcode == -9, "it had ended before"


def _started(what: object, *arguments: object) -> BaseProcess:
    process = _server.Process(target=what, args=arguments)
    process.start()
    return process


def _command(words: list[str], output: Path | None) -> None:
    from limbeck.cli import main

    with (output or Path(os.devnull)).open("w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        sys.exit(main(words))


def _code(code: str, arguments: list[str]) -> None:
    sys.argv[1:] = arguments
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
