"""benchmarks/command.py: what all benchmarks' commands do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from limbeck.core.errors import LimbeckError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import command
    from results_file import Aim
finally:
    sys.path.pop(0)


def test_results_are_those_of_the_command_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command.progress, "use", lambda _: None)
    assert command.asked_for_all("A benchmark.", ["--full"], "all of it")
    assert not command.asked_for_all("A benchmark.", [], "all of it")
    command.opened("some", full=True).append(seed=1)
    assert command.opened("some", full=True).rows == [{"seed": 1}]
    with pytest.raises(LimbeckError, match="another command .python benchmarks/some.py --full"):
        command.opened("some", full=False)


def test_aims_are_told_as_they_are_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    results = command.opened("some", full=False)
    aims = [Aim(f"seeds, {least} or more", lambda rows: len(rows), at_least=least) for least in (1, 2)]
    results.append(seed=1)
    command.judged(results, aims)
    assert (
        capsys.readouterr().out == "met     seeds, 1 or more: 1 (>= 1)\nNOT MET seeds, 2 or more: 1 (>= 2)\n"
    )
    assert [aim["met"] for aim in command.opened("some", full=False).aims] == [True, False]


def test_what_stops_a_benchmark_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        raise LimbeckError("there is no data")

    monkeypatch.setattr(sys, "argv", ["benchmarks/some.py"])
    with pytest.raises(SystemExit, match="^some: there is no data"):
        command.run(main)
