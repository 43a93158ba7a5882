"""The one error that a person at the keyboard is meant to read."""

from __future__ import annotations

from pathlib import Path


class LimbeckError(Exception):
    """Bad input, told in one sentence: where it is, what is wrong, what to do.

    The command line prints it without a traceback and exits with status 2.

    Args:
        what: What is wrong, as a sentence without a full stop.
        where: The file, folder or recipe key that it was found in.
        line: The line in that file, counted from one.
        fix: What to do about it, as a sentence without a full stop.
    """

    def __init__(
        self, what: str, *, where: str | Path | None = None, line: int | None = None, fix: str | None = None
    ) -> None:
        self.what = what
        self.where = where
        self.line = line
        self.fix = fix
        place = "" if where is None else f"{where}: " if line is None else f"{where}:{line}: "
        super().__init__(f"{place}{what}." + (f" {fix}{'' if fix.endswith('?') else '.'}" if fix else ""))

    def __reduce__(self) -> tuple[object, ...]:
        """How it passes from one process to another."""
        return _again, (self.what, self.where, self.line, self.fix)


def _again(what: str, where: str | Path | None, line: int | None, fix: str | None) -> LimbeckError:
    return LimbeckError(what, where=where, line=line, fix=fix)
