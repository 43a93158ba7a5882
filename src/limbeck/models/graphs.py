"""ONNX graphs of Limbeck's own students, built from ONNX's standard operators.

ONNX's LSTM takes the lengths of padded sentences and both directions at once, which no exporter makes of a
PyTorch model. Inputs are ``input_ids`` and ``attention_mask``, ``(batch, tokens)`` int64, any batch and any
length; the output is ``logits``, ``(batch, classes)`` float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from limbeck.models.bilstm import BiLSTMForSequenceClassification
from limbeck.models.static import StaticForSequenceClassification
from limbeck.models.student import Student, classes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

OPSET = 17
IR_VERSION = 8
"""ONNX's file format that came with opset 17, so that older runtimes read the file too."""

LOWEST = np.array(np.finfo(np.float32).min, dtype=np.float32)


def graph_of(model: Student) -> onnx.ModelProto:
    """The ONNX graph of a student.

    Args:
        model: A BiLSTM or a static student.
    """
    graph = _Graph()
    if isinstance(model, BiLSTMForSequenceClassification):
        summary = _bilstm(graph, model)
    else:
        assert isinstance(model, StaticForSequenceClassification)
        summary = _static(graph, model)
    hidden = graph.node("Relu", graph.linear(summary, model.hidden))
    return graph.model(graph.linear(hidden, model.classifier), classes(model.config))


class _Graph:
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
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def axes(self, *numbers: int) -> str:
        """A constant list of axes (or a shape), made once."""
        return self.constant("axes_" + "_".join(map(str, numbers)), np.array(numbers, dtype=np.int64))

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

    def model(self, logits: str, classes: int) -> onnx.ModelProto:
        """The finished model, checked.

        Args:
            logits: Name of the value to put out.
            classes: Their number.
        """
        self.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])
        graph = helper.make_graph(self.nodes, "limbeck", inputs, [output], list(self.constants.values()))
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="limbeck")
        onnx.checker.check_model(model, full_check=True)
        return model


def _embedded(graph: _Graph, model: Student) -> str:
    """``(batch, tokens, width)``."""
    table = graph.constant("embeddings", model.embeddings.weight.float())
    return graph.node("Gather", table, "input_ids")


def _static(graph: _Graph, model: StaticForSequenceClassification) -> str:
    """The mean of embeddings, ``(batch, width)``."""
    embedded = _embedded(graph, model)
    real = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)  # (batch, tokens)
    if model.token_weights is None:
        count = graph.node("ReduceSum", real, graph.axes(1), keepdims=1)
        share = graph.node(
            "Div", real, graph.node("Max", count, graph.constant("one", np.ones(1, dtype=np.float32)))
        )
    else:
        weights = graph.constant("token_weights", model.token_weights.weight.squeeze(-1).float())
        share = _softmax(graph, graph.node("Gather", weights, "input_ids"), real, axis=1)
    row = graph.node("Unsqueeze", share, graph.axes(1))  # (batch, 1, tokens)
    return graph.node("Squeeze", graph.node("MatMul", row, embedded), graph.axes(1))


def _bilstm(graph: _Graph, model: BiLSTMForSequenceClassification) -> str:
    """The pooled states, ``(batch, states)``. The axes inside are ONNX's: tokens first."""
    both = 2 * model.config.hidden_size
    states = graph.node("Transpose", _embedded(graph, model), perm=[1, 0, 2])  # (tokens, batch, width)
    real = graph.node("Cast", "attention_mask", to=TensorProto.INT32)
    lengths = graph.node("ReduceSum", real, graph.axes(1), keepdims=0)
    last = ""
    layers = zip(model.forward_lstms, model.backward_lstms, strict=True)
    for number, directions in enumerate(layers):
        names = [graph.constant(f"lstm_{number}_{name}", value) for name, value in _lstm(directions).items()]
        every, last = graph.nodes_of(
            "LSTM",
            states,
            *names,
            lengths,
            outputs=2,
            hidden_size=model.config.hidden_size,
            direction="bidirectional",
        )
        # (tokens, direction, batch, hidden) -> (tokens, batch, states); past a sentence's end all is zero.
        side_by_side = graph.node("Transpose", every, perm=[0, 2, 1, 3])
        states = graph.node("Reshape", side_by_side, graph.axes(0, 0, both))
    if model.config.pooling == "last":
        return graph.node("Reshape", graph.node("Transpose", last, perm=[1, 0, 2]), graph.axes(0, both))
    return _pool(graph, model, states)


def _pool(graph: _Graph, model: BiLSTMForSequenceClassification, states: str) -> str:
    """``(tokens, batch, states) -> (batch, states)``, by maximum or by attention; zeros without a token."""
    real = graph.node("Transpose", graph.node("Cast", "attention_mask", to=TensorProto.FLOAT), perm=[1, 0])
    if model.attention is not None:
        scores = graph.node("Squeeze", graph.linear(states, model.attention), graph.axes(2))
        share = graph.node("Unsqueeze", _softmax(graph, scores, real, axis=0), graph.axes(2))
        return graph.node("ReduceSum", graph.node("Mul", states, share), graph.axes(0), keepdims=0)
    is_real = graph.node("Cast", graph.node("Unsqueeze", real, graph.axes(2)), to=TensorProto.BOOL)
    lowest = graph.constant("lowest", LOWEST)
    largest = graph.node("ReduceMax", graph.node("Where", is_real, states, lowest), axes=[0], keepdims=0)
    some = graph.node("ReduceMax", real, axes=[0], keepdims=0)  # (batch,): 0 for a sentence without tokens
    return graph.node("Mul", largest, graph.node("Unsqueeze", some, graph.axes(1)))


def _softmax(graph: _Graph, scores: str, real: str, axis: int) -> str:
    """Softmax over real tokens alone; all zero where there is none."""
    is_real = graph.node("Cast", real, to=TensorProto.BOOL)
    masked = graph.node("Where", is_real, scores, graph.constant("lowest", LOWEST))
    return graph.node("Mul", graph.node("Softmax", masked, axis=axis), real)


def _lstm(directions: Sequence[nn.Module]) -> dict[str, NDArray[np.float32]]:
    """Weights as ONNX's LSTM wants them: a row a direction, gates in the order i, o, f, c, not i, f, g, o."""
    found: dict[str, list[NDArray[np.float32]]] = {"input": [], "recurrent": [], "bias": []}
    for lstm in directions:
        weights = {name: _gates(value) for name, value in lstm.named_parameters()}
        found["input"].append(weights["weight_ih_l0"])
        found["recurrent"].append(weights["weight_hh_l0"])
        found["bias"].append(np.concatenate((weights["bias_ih_l0"], weights["bias_hh_l0"])))
    return {name: np.stack(values) for name, values in found.items()}


def _gates(value: Tensor) -> NDArray[np.float32]:
    first, forget, cell, output = value.detach().float().cpu().numpy().reshape(4, -1, *value.shape[1:])
    return np.concatenate((first, output, forget, cell))
