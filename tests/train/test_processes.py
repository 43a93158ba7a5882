"""Two processes with a batch each take the steps that one process takes with two batches."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from one_of_many import take_part
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("one_of_many.py")


def test_processes_share_a_step(tmp_path: Path) -> None:
    take_part(tmp_path / "one", accumulate=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(SCRIPT), str(tmp_path / "two"), str(port), "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    losses = [
        [
            json.loads(line).get("loss")
            for line in (tmp_path / name / "journal.jsonl").read_text().splitlines()
        ]
        for name in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
