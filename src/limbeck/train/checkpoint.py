"""The checkpoint of a run: one safetensors file, tensors as tensors and all else as JSON in its header.

One file can be replaced in one move, so a kill leaves the old checkpoint or the new one and never a mixture.
What is not in it needs no keeping: the batch order, the learning rate and the random numbers of a step are
functions of the seed and the step.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_error

STATE = "state"
"""Key of the JSON in the file's header."""


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; shared ones once, so that tied weights stay tied."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def clone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy that training does not change."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@torch.no_grad()
def put_back(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy values into the tensors of the same names, in place."""
    for name, tensor in into.items():
        tensor.copy_(values[name])


def optimiser_tensors(optimiser: torch.optim.Optimizer, modules: nn.Module) -> dict[str, Tensor]:
    """Moments and step counts by ``PARAMETER//KEY``; empty before the first step."""
    return {
        f"{name}//{key}": value
        for name, parameter in modules.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def put_back_optimiser(
    optimiser: torch.optim.Optimizer, modules: nn.Module, values: Mapping[str, Tensor]
) -> None:
    """Give the optimiser its moments back."""
    parameters = dict(modules.named_parameters())
    for key, value in values.items():
        name, _, kind = key.rpartition("//")
        # A fused AdamW keeps the step count where the parameter is.
        optimiser.state[parameters[name]][kind] = value.to(parameters[name].device)


def write(path: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write a checkpoint; it takes its name only when complete and on disk.

    Args:
        path: The file.
        tensors: Groups of tensors by name.
        state: JSON-like values.

    Raises:
        LimbeckError: The disk is full, or the file cannot be written.
    """
    flat = {
        f"{group}:{name}": tensor.contiguous()
        for group, members in tensors.items()
        for name, tensor in members.items()
    }
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(flat, partial, metadata={STATE: json.dumps(state)})
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except SafetensorError as error:
        raise write_error(system_error(error), path) from error
    except OSError as error:
        raise write_error(error, path) from error


def system_error(error: SafetensorError) -> OSError:
    """The system's error that safetensors met while writing; it keeps only the text of it."""
    found = re.search(r"os error (\d+)", str(error))
    number = int(found[1]) if found else errno.EIO
    return OSError(number, os.strerror(number))


def read(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Tensors by group and name, and the state, as :func:`write` was given them.

    Raises:
        LimbeckError: It is not a checkpoint, or damaged.
    """
    tensors: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()[STATE])
            for key in file.keys():  # noqa: SIM118 - it is no mapping
                group, _, name = key.partition(":")
                tensors.setdefault(group, {})[name] = file.get_tensor(key)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise LimbeckError(
            f"the checkpoint is damaged ({error})", where=path, fix="Delete it to start this training anew"
        ) from None
    return tensors, state
