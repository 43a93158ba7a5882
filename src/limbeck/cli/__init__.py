"""The command ``limbeck``: flags in, one call each. Heavy libraries are imported by the commands that use them."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

REFUSED = 2
"""Exit status of bad input."""
INTERRUPTED = 130
"""Exit status after Ctrl-C."""
PLACES = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENOENT)
"""Troubles with files that are the person's to mend, and not ours."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the command's name; by default those that the process was given.

    Returns:
        The exit status: 0, or 2 after bad input, told in one sentence on standard error.
    """
    from limbeck.cli.app import app
    from limbeck.core.errors import LimbeckError

    try:
        app(None if arguments is None else list(arguments), prog_name="limbeck")
    except SystemExit as end:
        if end.code == INTERRUPTED:  # what Typer makes of it
            return _stopped()
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except LimbeckError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return _stopped()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in PLACES:
            raise
        return _refuse(f"{error.filename or 'a file'}: {error.strerror}.")
    return 0


def _stopped() -> int:
    print(
        "\nlimbeck: stopped; finished work is kept, and the same command goes on from there", file=sys.stderr
    )
    return INTERRUPTED


def _refuse(sentence: str) -> int:
    print(f"limbeck: {sentence}", file=sys.stderr)
    return REFUSED
