"""int8: weights in eight bits, activations scaled to eight bits as they come (dynamic quantisation).

ONNX Runtime does the products (MatMul, LSTM). Embeddings are done here: it would give the whole matrix one
scale, where columns differ widely (principal components by construction), so each column gets its own.
"""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRODUCTS = ["MatMul", "Gemm", "LSTM"]
LEAST_ROWS = 256
"""Smaller tables stay as they are."""


def quantise(source: Path, target: Path) -> None:
    """Write the int8 form of a float32 ONNX model.

    Args:
        source: The float32 model.
        target: Where to.
    """
    with TemporaryDirectory(prefix="limbeck-") as scratch:
        with_embeddings = Path(scratch) / "model.onnx"
        model = onnx.load(str(source))
        _quantise_embeddings(model)
        onnx.save(model, str(with_embeddings))
        # It would advise, on the root logger, to run a preprocessing that has nothing to do for these graphs.
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(
                str(with_embeddings),
                str(target),
                op_types_to_quantize=PRODUCTS,
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
            )
        finally:
            logging.disable(before)


def _quantise_embeddings(model: onnx.ModelProto) -> None:
    """Make ``Gather(floats)`` into ``Gather(int8)`` and a product with one scale a column, in place."""
    graph = model.graph
    tables = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.append(node)
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < LEAST_ROWS:
            continue
        small, scale = _by_column(numpy_helper.to_array(table))
        name, output = table.name, node.output[0]
        table.CopyFrom(numpy_helper.from_array(small, name))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        node.output[0] = f"{output}_int8"
        rounded, wide = f"{output}_int8", f"{output}_float"
        nodes += [
            helper.make_node("Cast", [rounded], [wide], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [wide, f"{name}_scale"], [output]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _by_column(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """``(rows, columns)`` in eight bits, and the columns' scales, ``(columns,)``."""
    scale = np.maximum(np.abs(table).max(0) / 127, np.finfo(np.float32).tiny).astype(np.float32)
    return np.round(table / scale).astype(np.int8), scale
