"""The sides of pairs in ONNX: what :mod:`limbeck.models.sides` does, on ids in the place of embeddings.

Axes: ``batch``, ``2`` (first and second text), ``tokens``.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from limbeck.models.configs import SiameseConfig
from limbeck.models.graph import Graph


def apart(graph: Graph, config: SiameseConfig) -> tuple[str, str]:
    """Each side as a text of its own, the sides of a pair one after the other.

    Returns:
        Ids, ``(batch * 2, tokens of the longest side)``, and how many of them are real, ``(batch * 2, 1)``.
    """
    starts, lengths = _places(graph, config)
    one = graph.constant("one_step", np.array(1, dtype=np.int64))
    longest = graph.node("Max", graph.node("ReduceMax", lengths, axes=[0, 1], keepdims=0), one)
    place = graph.node("Unsqueeze", graph.count(longest), graph.axes(0, 1))  # (1, 1, longest)
    end = graph.node("Sub", graph.size("input_ids", 1), one)
    places = graph.node("Min", graph.node("Add", graph.node("Unsqueeze", starts, graph.axes(2)), place), end)
    sides = graph.node(
        "GatherElements", "input_ids", graph.node("Reshape", places, graph.axes(0, -1)), axis=1
    )
    rows = graph.node("Concat", graph.axes(-1), graph.node("Unsqueeze", longest, graph.axes(0)), axis=0)
    return graph.node("Reshape", sides, rows), graph.node("Reshape", lengths, graph.axes(-1, 1))


def _places(graph: Graph, config: SiameseConfig) -> tuple[str, str]:
    """Where each side begins, and how many tokens it has, ``(batch, 2)`` each."""
    numbers = graph.constant("sides", np.array([[[0], [1]]], dtype=np.int64))
    of_side = graph.node("Equal", graph.node("Unsqueeze", _side(graph, config), graph.axes(1)), numbers)
    texts = graph.node("Unsqueeze", _texts(graph, config), graph.axes(1))
    of_side = graph.node("And", of_side, texts)  # (batch, 2, tokens)
    tokens = graph.size("input_ids", 1)
    place = graph.node("Unsqueeze", graph.count(tokens), graph.axes(0, 1))
    none = graph.constant("none", np.array(-1, dtype=np.int64))
    first = graph.node("ReduceMin", graph.node("Where", of_side, place, tokens), axes=[2], keepdims=0)
    last = graph.node("ReduceMax", graph.node("Where", of_side, place, none), axes=[2], keepdims=0)
    length = graph.node("Sub", graph.node("Sub", last, none), first)
    return first, graph.node("Max", length, graph.nought())


def _side(graph: Graph, config: SiameseConfig) -> str:
    """0 or 1, ``(batch, tokens)``, by types, or by the separator before."""
    if config.reads_types:
        return "token_type_ids"
    separator = graph.constant("separator", np.array(config.separator_id, dtype=np.int64))
    found = graph.node("Cast", graph.node("Equal", "input_ids", separator), to=TensorProto.INT32)
    axis = graph.constant("tokens_axis", np.array(1, dtype=np.int64))
    seen = graph.node("Cast", graph.node("CumSum", found, axis), to=TensorProto.INT64)
    return graph.node("Min", seen, graph.constant("one_step", np.array(1, dtype=np.int64)))


def _texts(graph: Graph, config: SiameseConfig) -> str:
    """Whether a token is real, and none that the tokeniser added: ``(batch, tokens)``."""
    real = graph.node("Cast", "attention_mask", to=TensorProto.BOOL)
    if not config.special_ids:
        return real
    special = graph.constant("special", np.array([[config.special_ids]], dtype=np.int64))
    same = graph.node("Equal", graph.node("Unsqueeze", "input_ids", graph.axes(2)), special)
    found = graph.node("ReduceMax", graph.node("Cast", same, to=TensorProto.INT32), axes=[2], keepdims=0)
    return graph.node("And", real, graph.node("Not", graph.node("Cast", found, to=TensorProto.BOOL)))
