"""What a model costs: parameters, bytes of weights, time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from limbeck.core.errors import LimbeckError
from limbeck.evaluate.speed import Speed

if TYPE_CHECKING:
    from torch import nn

Engine = Literal["pytorch", "onnx", "onnx-int8"]

WEIGHTS = frozenset({".bin", ".data", ".onnx", ".onnx_data", ".safetensors"})
"""Endings of files that hold weights; ``.data`` and ``.onnx_data`` are what ONNX keeps beside a graph."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one model costs on one engine.

    Attributes:
        name: The model's name, as in its predictions.
        engine: What runs it.
        parameters: How many numbers were learnt.
        bytes: Of its weights, on disk.
        speed: How fast it answers; None where that was not measured.
    """

    name: str
    engine: Engine
    parameters: int
    bytes: int
    speed: Speed | None = None


def weight_bytes(path: Path) -> int:
    """Bytes on disk of a model's weights.

    Args:
        path: One weights file (with what ONNX keeps beside it), or a folder that holds one model.

    Raises:
        LimbeckError: There are no weights there.
    """
    if path.is_file():
        beside = (path.with_name(path.name + ending) for ending in (".data", "_data"))
        files = [path, *(file for file in beside if file.is_file())]
    else:
        files = [file for file in path.glob("*") if file.suffix in WEIGHTS and file.is_file()]
    if not files:
        raise LimbeckError("there are no weights here", where=path)
    return sum(file.stat().st_size for file in files)


def tensor_bytes(model: nn.Module) -> int:
    """Bytes of the tensors that a model is saved with, each once: its size for a model that lies in no folder."""
    tensors = {tensor.data_ptr(): tensor for tensor in model.state_dict().values()}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
