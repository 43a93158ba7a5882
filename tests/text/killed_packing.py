"""Pack in child processes that kill themselves at random writes, until one comes to its end.

Usage: killed_packing.py TEXT FOLDER. Prints how many were killed.
"""

import os
import random
import signal
import sys
from pathlib import Path

from limbeck.text import packing
from limbeck.text.tokeniser import word_tokeniser


def main(text: str, folder: Path) -> None:
    random_, kills = random.Random(0), 0
    while True:
        left = random_.randint(5, 16)
        child = os.fork()
        if child == 0:
            pack_or_die(text, folder, left)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status != signal.SIGKILL:
            print(kills)
            sys.exit(status)
        kills += 1


def pack_or_die(text: str, folder: Path, left: int) -> None:
    """Die at the write or note of that number, before it or half-way."""
    packing.LINES, packing.SAVED = 3, 0
    acts = {name: getattr(packing, name) for name in ("_put", "_note", "write_json")}
    counter = iter(range(left, -1, -1))

    def deadly(name):
        def act(*arguments):
            if next(counter) == 0:
                if name == "_put":
                    out, blocks = arguments
                    out.write(blocks.tobytes()[:5])
                    out.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return acts[name](*arguments)

        return act

    for name in acts:
        setattr(packing, name, deadly(name))
    packing.pack([text], word_tokeniser([*"abcdefghijklmnopqrstuvwxyz"]), 8, folder, shuffle=7)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
