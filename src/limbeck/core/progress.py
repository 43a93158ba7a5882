"""What a long step tells the person (or the machine) that waits for it.

One reporter serves the whole process; the command line picks it, library users get the silent one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Task(Protocol):
    """A long step under way."""

    def advance(self, amount: float = 1) -> None:
        """That much more is done."""

    def note(self, text: str) -> None:
        """A short remark beside the bar, e.g. the loss."""


class Reporter:
    """The silent reporter, and the base of the others."""

    def say(self, text: str, **facts: Any) -> None:
        """One finished thing."""

    def warn(self, text: str, **facts: Any) -> None:
        """Something that the person should look at."""

    @contextmanager
    def task(self, what: str, total: float) -> Iterator[Task]:
        """A long step of ``total`` units."""
        yield SilentTask()


class SilentTask:
    """A step that nobody is told of."""

    def advance(self, amount: float = 1) -> None:
        """That much more is done."""

    def note(self, text: str) -> None:
        """A short remark beside the bar, e.g. the loss."""


class JsonReporter(Reporter):
    """One JSON object a line on standard error, for machines; a task speaks at most once in five seconds."""

    def say(self, text: str, **facts: Any) -> None:
        """One finished thing."""
        self._write("info", text, facts)

    def warn(self, text: str, **facts: Any) -> None:
        """Something that the person should look at."""
        self._write("warning", text, facts)

    @contextmanager
    def task(self, what: str, total: float) -> Iterator[Task]:
        """A long step of ``total`` units."""
        task = _JsonTask(self, what, total)
        yield task
        self._write("done", what, {"done": task.done, "total": total})

    def _write(self, kind: str, text: str, facts: dict[str, Any]) -> None:
        line = {"time": round(time.time(), 3), "kind": kind, "text": text, **facts}
        print(json.dumps(line, ensure_ascii=False, default=str), file=sys.stderr, flush=True)


class _JsonTask:
    def __init__(self, reporter: JsonReporter, what: str, total: float) -> None:
        self.reporter, self.what, self.total = reporter, what, total
        self.done, self.remark, self.started = 0.0, "", time.monotonic()
        self.spoke = self.started

    def advance(self, amount: float = 1) -> None:
        self.done += amount
        now = time.monotonic()
        if now - self.spoke >= 5:
            self.spoke = now
            left = (now - self.started) / self.done * (self.total - self.done) if self.done else None
            facts = {
                "done": self.done,
                "total": self.total,
                "seconds_left": left and round(left),
                "note": self.remark,
            }
            self.reporter._write("progress", self.what, facts)

    def note(self, text: str) -> None:
        self.remark = text


class RichReporter(Reporter):
    """Bars with time left on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str, **facts: Any) -> None:
        """One finished thing."""
        self.console.print(text, markup=False)

    def warn(self, text: str, **facts: Any) -> None:
        """Something that the person should look at."""
        self.console.print(f"! {text}", style="yellow", markup=False)

    @contextmanager
    def task(self, what: str, total: float) -> Iterator[Task]:
        """A long step of ``total`` units."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
        )
        with Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        ) as bar:
            yield _RichTask(bar, bar.add_task(what, total=total, note=""))


class _RichTask:
    def __init__(self, bar: Any, number: Any) -> None:
        self.bar, self.number = bar, number

    def advance(self, amount: float = 1) -> None:
        self.bar.advance(self.number, amount)

    def note(self, text: str) -> None:
        self.bar.update(self.number, note=text)


_reporter: Reporter = Reporter()
_busy = False


def use(reporter: Reporter) -> None:
    """Make this the process's reporter."""
    global _reporter
    _reporter = reporter


def used() -> Reporter:
    """The process's reporter."""
    return _reporter


def say(text: str, **facts: Any) -> None:
    """Tell of one finished thing."""
    _reporter.say(text, **facts)


def warn(text: str, **facts: Any) -> None:
    """Tell of something that the person should look at."""
    _reporter.warn(text, **facts)


@contextmanager
def task(what: str, total: float) -> Iterator[Task]:
    """Around a long step of ``total`` units; one inside another is silent, for the outer one tells of both."""
    global _busy
    if _busy:
        yield SilentTask()
        return
    _busy = True
    try:
        with _reporter.task(what, total) as under_way:
            yield under_way
    finally:
        _busy = False


@contextmanager
def silently() -> Iterator[None]:
    """Tell nothing meanwhile: around what is timed, or takes less time than a bar."""
    global _busy
    busy, _busy = _busy, True
    try:
        yield
    finally:
        _busy = busy
