"""One process of several under DistillationTrainer; the first writes what the step left."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from safetensors.torch import save_file
from test_trainer import Tokens, arguments, rows, trainer
from train_task import make_student

torch.set_num_threads(1)
folder = Path(sys.argv[1])
given = arguments(
    folder,
    optim="sgd",
    max_grad_norm=0.0,
    per_device_train_batch_size=1,
    gradient_accumulation_steps=4,
    ddp_backend="gloo",
    ddp_find_unused_parameters=False,
)
objective = Tokens()
mine = trainer(folder, objective, make_student(3), rows(), arguments_=given)
assert mine.accelerator.num_processes == 2
mine.train()
if mine.accelerator.is_main_process:
    after = {f"student.{name}": value for name, value in mine.model.state_dict().items()}
    after |= {f"objective.{name}": value for name, value in objective.state_dict().items()}
    after["loss"] = torch.tensor(mine.state.log_history[0]["loss"])
    save_file({name: value.clone() for name, value in after.items()}, folder / "after.safetensors")
torch.distributed.destroy_process_group()
