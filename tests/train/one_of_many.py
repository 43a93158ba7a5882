"""Processes that share a training, each started with the environment that 'accelerate launch' sets.

Usage: one_of_many.py FOLDER PORT PROCESSES. The parent imports once and forks.
"""

import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from accelerate import Accelerator  # noqa: F401 - imported before forking
from train_task import Dictionary, Distance, make_data, make_settings, make_student, make_tokeniser, score

from limbeck.train.loop import train


def take_part(folder: Path, accumulate: int) -> None:
    torch.set_num_threads(1)
    data = make_data(80, seed=1)
    settings = make_settings(accumulate=accumulate, evaluate=3, checkpoint_seconds=0)
    train(
        make_student(dropout=0.0),
        make_tokeniser(),
        Distance(),
        data,
        Dictionary(data),
        make_data(30, seed=2),
        settings,
        folder,
        1,
        score=score,
    )


def main(folder: Path, port: str, processes: int) -> None:
    world = {"ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = []
    for rank in map(str, range(processes)):
        child = os.fork()
        if child == 0:
            os.environ.update({**world, "WORLD_SIZE": str(processes), "RANK": rank, "LOCAL_RANK": rank})
            take_part(folder, accumulate=1)
            os._exit(0)
        children.append(child)
    sys.exit(max(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
