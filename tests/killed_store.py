"""A process that fills an answer store, and is killed half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path


def kill_after(process: subprocess.Popen[bytes], folder: Path, shards: int) -> None:
    """Kill it with ``kill -9`` as soon as so many shards lie in the store's folder."""
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*/shard-*"))) < shards:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
