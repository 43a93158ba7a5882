import errno
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn
from train_task import make_student

from limbeck.core.errors import LimbeckError
from limbeck.train import checkpoint
from limbeck.train.optimiser import adamw


def test_all_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    state = {"step": 3, "score": 0.1 + 0.2, "names": ["é"], "best": None}
    model = make_student()
    optimiser = adamw(model, 0.1, 0.1)
    ids = torch.arange(6).reshape(2, 3)
    model(input_ids=ids).logits.square().sum().backward()
    optimiser.step()
    tensors = {
        "modules": checkpoint.tensors_of(model),
        "optimiser": checkpoint.optimiser_tensors(optimiser, model),
    }
    checkpoint.write(path, tensors, state)
    other = make_student(seed=9)
    again = adamw(other, 0.1, 0.1)
    read, kept = checkpoint.read(path)
    assert kept == state
    checkpoint.put_back(checkpoint.tensors_of(other), read["modules"])
    checkpoint.put_back_optimiser(again, other, read["optimiser"])
    for one, step in ((model, optimiser), (other, again)):
        one.zero_grad()
        one.eval()(input_ids=ids).logits.square().sum().backward()
        step.step()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_tied_weights_are_kept_once_and_stay_tied(tmp_path: Path) -> None:
    model = nn.ModuleDict({"one": nn.Linear(3, 3), "two": nn.Linear(3, 3)})
    model["two"].weight = model["one"].weight
    checkpoint.write(tmp_path / "c", {"modules": checkpoint.tensors_of(model)}, {})
    tensors, _ = checkpoint.read(tmp_path / "c")
    assert sorted(tensors["modules"]) == ["one.bias", "one.weight", "two.bias"]
    checkpoint.put_back(checkpoint.tensors_of(model), tensors["modules"])
    assert model["two"].weight is model["one"].weight


@pytest.mark.parametrize("content", [b"", b"nonsense, not a header", b"\x02\0\0\0\0\0\0\0{}"])
def test_damaged_checkpoint_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    with pytest.raises(LimbeckError, match=r"the checkpoint is damaged .*Delete it to start"):
        checkpoint.read(path)


def test_truncated_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.write(path, {"modules": {"a": torch.zeros(100)}}, {})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(LimbeckError, match="the checkpoint is damaged"):
        checkpoint.read(path)


def test_full_disk_is_one_sentence_and_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.write(path, {"modules": {"a": torch.zeros(2)}}, {"step": 1})

    def full(*args: object, **named: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(LimbeckError, match="the disk is full"):
        checkpoint.write(path, {"modules": {"a": torch.ones(2)}}, {"step": 2})
    assert checkpoint.read(path)[1] == {"step": 1}


def test_error_of_the_system_is_found_in_safetensors_own(tmp_path: Path) -> None:
    with pytest.raises(SafetensorError) as caught:
        checkpoint.save_file({"a": torch.zeros(1)}, tmp_path / "missing" / "x")
    assert checkpoint.system_error(caught.value).errno == errno.ENOENT
