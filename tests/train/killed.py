"""Train in child processes that are killed at random moments, until one comes to its end.

Usage: killed.py FOLDER CHECKPOINT_SECONDS SEED KILLS [masked | average]. The parent imports once and forks, so that a child
starts at once. With "masked" it is DistilBERT's general stage that is trained; with "average" the mean of three
evaluations' weights is kept. Prints the steps at which children found a checkpoint.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from accelerate import Accelerator  # noqa: F401 - imported before forking: a child must start at once
from train_task import (
    Dictionary,
    Distance,
    make_data,
    make_masked,
    make_settings,
    make_student,
    make_tokeniser,
    score,
)

from limbeck.train import checkpoint, loop


def train(folder: Path, checkpoint_seconds: float, what: str = "") -> None:
    masked = what == "masked"
    torch.set_num_threads(1)
    data, student = make_data(120, seed=1), make_student()
    settings = make_settings(
        epochs=20 if masked else 40,
        evaluate=7,
        accumulate=2,
        checkpoint_seconds=checkpoint_seconds,
        average=3 if what == "average" else 1,
    )
    plain = {"tokeniser": make_tokeniser(), "objective": Distance(), "answers": Dictionary(data)}
    loop.train(
        student,
        data=data,
        dev=make_data(30, seed=2),
        settings=settings,
        folder=folder,
        seed=1,
        score=score,
        **(make_masked(student) if masked else plain),
    )


def main(folder: Path, checkpoint_seconds: float, seed: int, kills: int, what: str) -> None:
    random_, found = random.Random(seed), []
    while True:
        path = folder / "checkpoint" / "checkpoint.safetensors"
        found.append(checkpoint.read(path)[1]["run"]["step"] if path.is_file() else 0)
        child = os.fork()
        if child == 0:
            train(folder, checkpoint_seconds, what)
            os._exit(0)
        if len(found) <= kills:
            if len(found) % 4:  # the fourth dies at any moment, perhaps before its first step
                wait_for_step(folder / "journal.jsonl", found[-1] + random_.randint(1, 40), child)
            time.sleep(random_.uniform(0, 0.1 if len(found) % 4 == 0 else 0.01))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status != signal.SIGKILL:
            print(json.dumps({"found": found, "status": status}))
            return


def wait_for_step(path: Path, step: int, child: int) -> None:
    """Until the journal has come that far, or the child to its end."""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        lines = path.read_bytes().splitlines() if path.is_file() else []
        if lines and lines[-1].endswith(b"}") and json.loads(lines[-1])["step"] >= step:
            return
        time.sleep(0.001)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), "".join(sys.argv[5:]))
