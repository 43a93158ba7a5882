"""The command ``limbeck``: flags in, one call each. Heavy libraries are imported by the commands that use them."""

from __future__ import annotations

import errno
import os
import sys


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit status 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from limbeck.cli.app import app
    from limbeck.core.errors import LimbeckError

    try:
        app()
    except LimbeckError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("\nlimbeck: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EISDIR, errno.ENOTDIR):
            raise
        _fail(f"{error.filename or 'a file'}: {error.strerror}")


def _fail(sentence: str) -> None:
    print(f"limbeck: {sentence}", file=sys.stderr)
    sys.exit(2)
