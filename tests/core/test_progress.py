"""Reporters: JSON lines for machines, bars for people, and one bar at a time."""

import json

import pytest

from limbeck.core import progress


def test_json_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "_reporter", progress.JsonReporter())
    progress.say("read 3 rows", rows=3)
    progress.warn("few rows")
    with progress.task("train", 10) as task:
        task.note("loss 0.1")
        task.advance(4)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["kind"] for line in lines] == ["info", "warning", "done"]
    assert lines[0]["rows"] == 3
    assert (lines[2]["text"], lines[2]["done"], lines[2]["total"]) == ("train", 4, 10)


def test_a_long_task_tells_how_long_it_will_take(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 6.0, 7.0, 12.0])
    monkeypatch.setattr("limbeck.core.progress.time.monotonic", lambda: next(clock))
    monkeypatch.setattr(progress, "_reporter", progress.JsonReporter())
    with progress.task("ask", 100) as task:
        for _ in range(3):
            task.advance(10)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["done"], line["seconds_left"]) for line in lines if line["kind"] == "progress"] == [
        (10, 54),
        (30, 28),
    ]


def test_a_task_inside_another_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_reporter", progress.JsonReporter())
    with progress.task("outer", 1), progress.task("inner", 1) as inner:
        inner.advance()
        inner.note("unheard")
    assert [json.loads(line)["text"] for line in capsys.readouterr().err.splitlines()] == ["outer"]
    with progress.task("next", 1):
        pass
    assert "next" in capsys.readouterr().err


def test_bars_and_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = progress.RichReporter()
    reporter.say("text with [brackets] stays")
    with reporter.task("train", 2) as task:
        task.advance()
        task.note("loss")
    quiet = progress.Reporter()
    quiet.say("unheard")
    quiet.warn("unheard")
    told = capsys.readouterr().err
    assert "[brackets]" in told and "unheard" not in told
