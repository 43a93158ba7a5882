"""Nothing half-written, nothing lost: atomic files and step folders."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from limbeck.core import files
from limbeck.core.errors import LimbeckError
from limbeck.core.files import DONE, StepFolder, atomic_write, read_json, sweep, write_json


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write("half")
        raise ZeroDivisionError
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_left_is_swept_away(tmp_path: Path) -> None:
    """And what one that lives writes, or one of another machine, is not."""
    path = tmp_path / "a.json"
    script = f"""
import os, signal
from pathlib import Path
from limbeck.core.files import atomic_write
with atomic_write(Path({str(path)!r})) as file:
    file.write("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a.json.") and left.suffix == ".partial"
    dead = left.name.split(".")[-2]
    others = [
        tmp_path / f".a.json.{files.HOST}.{os.getppid()}.partial",
        tmp_path / f".a.json.elsewhere.{dead}.partial",
        tmp_path / f".b.json.{files.HOST}.{dead}.partial",
    ]
    for other in others:
        other.touch()
    write_json(path, {"new": 1})
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])
    folder = tmp_path / f".bundle.{files.HOST}.{dead}.x1y2"
    (folder / "inner").mkdir(parents=True)
    mine = tmp_path / f".bundle.{files.HOST}.{os.getpid()}.x1y2"
    mine.mkdir()
    sweep(tmp_path / "bundle")
    assert not folder.exists() and mine.exists()


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(LimbeckError, match=r"b.json: the disk is full. Free some space"),
        atomic_write(tmp_path / "b.json"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_really_full_disk(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(LimbeckError, match="the disk is full"):
        try:
            with full.open("w") as file:
                file.write("x" * 100_000)
        except OSError as error:
            from limbeck.core.files import write_error

            raise write_error(error, full) from error


def test_a_step_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    step = StepFolder(tmp_path / "step")
    with step.writing({"a": 1}) as folder:
        (folder / "result").write_text("42")
        assert not step.path.exists()
    assert (step.path / "result").read_text() == "42"
    assert step.is_done({"a": 1}) and not step.is_done({"a": 2})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step"]


def test_an_interrupted_step_finds_its_work_again_only_with_the_same_inputs(tmp_path: Path) -> None:
    step = StepFolder(tmp_path / "step")
    for inputs, there in (({"a": 1}, False), ({"a": 1}, True), ({"a": 2}, False)):
        with pytest.raises(KeyboardInterrupt), step.writing(inputs) as folder:
            assert (folder / "half").exists() == there
            (folder / "half").write_text("x")
            raise KeyboardInterrupt


def test_the_earlier_result_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    step = StepFolder(tmp_path / "step")
    with step.writing({"a": 1}) as folder:
        (folder / "result").write_text("old")
    with pytest.raises(KeyboardInterrupt), step.writing({"a": 2}) as folder:
        raise KeyboardInterrupt
    assert (step.path / "result").read_text() == "old"
    assert step.is_done({"a": 1})


def test_a_kill_between_done_and_rename_loses_nothing(tmp_path: Path) -> None:
    step = StepFolder(tmp_path / "step")
    with step.writing({"a": 1}) as folder:
        (folder / "result").write_text("42")
    step.path.rename(step.partial)
    assert (step.partial / DONE).is_file()
    assert step.is_done({"a": 1})
    assert (step.path / "result").read_text() == "42"


WRITER = """
import sys
from pathlib import Path
from limbeck.core.files import StepFolder, write_json
with StepFolder(Path(sys.argv[1])).writing({"a": 1}) as folder:
    write_json(folder / "done.json", {"inputs": {"a": 1}, "seconds": 1})
    print("writing", flush=True)
    sys.stdin.read()
"""
"""A process that writes a step, and has just said that it is complete."""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process


def test_one_process_at_a_time_writes_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    step = StepFolder(tmp_path / "step")
    with another_process(step.path) as process:
        for inputs in ({"a": 1}, {"a": 2}):
            with pytest.raises(LimbeckError, match=r"step: another process is writing this\. Wait"):
                step.writing(inputs).__enter__()
        assert not step.is_done({"a": 1}), "the name is the other one's to give"
        process.communicate()
    assert step.is_done({"a": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step"]


def test_a_file_system_without_locks_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    step = StepFolder(tmp_path / "step")
    with step.writing({"a": 1}):
        pass
    assert step.is_done({"a": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step"]


def test_a_killed_process_keeps_nobody_out(tmp_path: Path) -> None:
    step = StepFolder(tmp_path / "step")
    with another_process(step.path) as process:
        process.kill()
    assert step.is_done({"a": 1})
    with step.writing({"a": 2}) as folder:
        (folder / "result").write_text("42")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step"]


def test_json_that_is_damaged_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{\n "a": 1,\n')
    with pytest.raises(LimbeckError, match=r"x.json:\d: not JSON"):
        read_json(path)
    with pytest.raises(LimbeckError, match="no such file"):
        read_json(tmp_path / "y.json")
