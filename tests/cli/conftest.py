"""The command as a person runs it, in a folder of its own."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from limbeck.core import progress


class Done(NamedTuple):
    """What a command left on its two streams."""

    stdout: str
    stderr: str

    @property
    def sentence(self) -> str:
        """The one sentence of a refusal: the last line, no traceback before it."""
        assert "Traceback" not in self.stderr
        return self.stderr.strip().splitlines()[-1]


Limbeck = Callable[..., Done]


@pytest.fixture
def limbeck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Limbeck:
    """Runs the command in a folder of its own, in this process: importing PyTorch anew each time takes seconds."""
    from limbeck.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(progress, "_reporter", progress.Reporter())

    def run(*arguments: str | Path, status: int = 0, typed: str = "") -> Done:
        capfd.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        ended = main([str(argument) for argument in arguments])
        done = Done(*capfd.readouterr())
        assert ended == status, f"status {ended}\n{done.stdout}\n{done.stderr}"
        return done

    return run
