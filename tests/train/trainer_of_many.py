"""Processes that share a step of DistillationTrainer; the first writes what the step left.

Usage: trainer_of_many.py FOLDER PORT PROCESSES. The parent imports once and forks.
"""

import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from safetensors.torch import save_file
from test_trainer import Tokens, arguments, rows, trainer
from train_task import make_student


def take_part(folder: Path, processes: int) -> None:
    torch.set_num_threads(1)
    given = arguments(
        folder,
        optim="sgd",
        max_grad_norm=0.0,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=8 // processes,
        ddp_backend="gloo",
        ddp_find_unused_parameters=False,
    )
    objective = Tokens()
    mine = trainer(folder, objective, make_student(3), rows(), arguments_=given)
    assert mine.accelerator.num_processes == processes
    mine.train()
    if mine.accelerator.is_main_process:
        after = {f"student.{name}": value.clone() for name, value in mine.model.state_dict().items()}
        after |= {f"objective.{name}": value.clone() for name, value in objective.state_dict().items()}
        after["loss"] = torch.tensor(mine.state.log_history[0]["loss"])
        save_file(after, folder / "after.safetensors")


def main(folder: Path, port: str, processes: int) -> None:
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    children = []
    for rank in map(str, range(processes)):
        child = os.fork()
        if child == 0:
            os.environ.update({**world, "RANK": rank, "LOCAL_RANK": rank})
            take_part(folder, processes)
            os._exit(0)
        children.append(child)
    sys.exit(max(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
