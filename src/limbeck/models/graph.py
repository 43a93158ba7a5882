"""Graph: an ONNX graph in the making, and what all graphs of students have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

OPSET = 17
IR_VERSION = 8
"""ONNX's file format that came with opset 17, so that older runtimes read the file too."""

AXES = {
    "input_ids": ("batch", "tokens"),
    "attention_mask": ("batch", "tokens"),
    "token_type_ids": ("batch", "tokens"),
    "word_starts": ("batch", "words"),
    "word_ends": ("batch", "words"),
    "word_bytes": ("batch", "words", "bytes"),
}
"""All inputs that there are, each int64, and their axes; -1 and 0 stand after a sentence's last word and a word's
last byte."""

LOWEST = np.array(np.finfo(np.float32).min, dtype=np.float32)


class Graph:
    """A graph in the making; every method returns the name of a value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def node(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add an operator; its first output."""
        return self.nodes_of(operator, *inputs, outputs=outputs, **attributes)[0]

    def nodes_of(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add an operator; all its outputs."""
        names = [f"{operator.lower()}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def constant(self, name: str, value: NDArray[Any] | Tensor) -> str:
        """Add a constant."""
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        self.constants[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def axes(self, *numbers: int) -> str:
        """A constant list of axes (or a shape), made once."""
        return self.constant("axes_" + "_".join(map(str, numbers)), np.array(numbers, dtype=np.int64))

    def nought(self) -> str:
        """The number 0."""
        return self.constant("nought", np.array(0, dtype=np.int64))

    def size(self, value: str, axis: int) -> str:
        """How long an axis is, a number."""
        return self.node("Squeeze", self.node("Shape", value, start=axis, end=axis + 1), self.axes(0))

    def count(self, most: str) -> str:
        """0, 1, ... up to a number, without it."""
        return self.node("Range", self.nought(), most, self.constant("one_step", np.array(1, dtype=np.int64)))

    def linear(self, value: str, layer: nn.Linear) -> str:
        """``value W' + b``."""
        number = len(self.nodes)
        product = self.node("MatMul", value, self.constant(f"weight_{number}", layer.weight.T.float()))
        bias: Tensor | None = layer.bias
        return (
            product
            if bias is None
            else self.node("Add", product, self.constant(f"bias_{number}", bias.float()))
        )

    def model(
        self, value: str, output: str, axes: Sequence[str | int], inputs: Sequence[str]
    ) -> onnx.ModelProto:
        """The finished model, checked.

        Args:
            value: Name of the value to put out.
            output: The name that it gets.
            axes: Its axes.
            inputs: Names of the inputs.
        """
        self.nodes.append(helper.make_node("Identity", [value], [output]))
        read = [helper.make_tensor_value_info(name, TensorProto.INT64, AXES[name]) for name in inputs]
        told = helper.make_tensor_value_info(output, TensorProto.FLOAT, axes)
        graph = helper.make_graph(self.nodes, "limbeck", read, [told], list(self.constants.values()))
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="limbeck")
        onnx.checker.check_model(model, full_check=True)
        return model
