"""ONNX graphs of Limbeck's own students, built from ONNX's standard operators.

ONNX's LSTM takes the lengths of padded sentences and both directions at once, which no exporter makes of a
PyTorch model. Inputs are ``input_ids`` and ``attention_mask``, ``(batch, tokens)`` int64, any batch and any
length (and ``token_type_ids`` likewise, of a siamese student that is told by them which text of a pair a token is
of); the output is ``logits``, ``(batch, classes)`` float32. A tagger is told of words, too (:func:`inputs_of`),
and puts out ``emissions``, ``(batch, words, tags)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto
from torch import nn

from limbeck.models.bilstm import LSTMStudent
from limbeck.models.graph import LOWEST, Graph
from limbeck.models.graph_sides import apart
from limbeck.models.siamese import FEATURES, SiameseForSequenceClassification
from limbeck.models.static import StaticForSequenceClassification
from limbeck.models.student import EmbeddingModel, Student, classes
from limbeck.models.taggers.bilstm import BiLSTMForTokenClassification
from limbeck.models.taggers.spelling import Spelling
from limbeck.models.taggers.tagger import Tagger

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

OUTPUT, OUTPUT_OF_TAGGERS = "logits", "emissions"


def inputs_of(model: nn.Module) -> list[str]:
    """Names of what a model reads.

    Args:
        model: A tagger: it reads where words start, where they end if it needs all their tokens, and their bytes
            if it spells them; or a classifier.
    """
    names = ["input_ids", "attention_mask"]
    if not isinstance(model, Tagger):
        typed = isinstance(model, SiameseForSequenceClassification) and model.config.reads_types
        return [*names, *["token_type_ids"] * typed]
    spells = getattr(model, "spelling", None) is not None
    pools = getattr(model.config, "pooling", "first") != "first"
    return [*names, "word_starts", *["word_ends"] * (spells or pools), *["word_bytes"] * spells]


def graph_of(model: Student | BiLSTMForTokenClassification) -> onnx.ModelProto:
    """The ONNX graph of a student.

    Args:
        model: A BiLSTM, of either task, a siamese one, or a static student.
    """
    graph = Graph()
    if isinstance(model, BiLSTMForTokenClassification):
        emissions = graph.linear(_words(graph, _tagger_states(graph, model)), model.head.emissions)
        output = (OUTPUT_OF_TAGGERS, ("batch", "words", classes(model.config)))
        return graph.model(emissions, *output, inputs=inputs_of(model))
    if isinstance(model, SiameseForSequenceClassification):
        summary = _siamese(graph, model)
    elif isinstance(model, LSTMStudent):
        summary = _read(graph, model, "input_ids", "attention_mask")
    else:
        assert isinstance(model, StaticForSequenceClassification)
        summary = _static(graph, model)
    hidden = graph.node("Relu", graph.linear(summary, model.hidden))
    logits = graph.linear(hidden, model.classifier)
    return graph.model(logits, OUTPUT, ("batch", classes(model.config)), inputs=inputs_of(model))


def _embedded(graph: Graph, model: EmbeddingModel, ids: str = "input_ids") -> str:
    """``(batch, tokens, width)``."""
    table = graph.constant("embeddings", model.embeddings.weight.float())
    return graph.node("Gather", table, ids)


def _static(graph: Graph, model: StaticForSequenceClassification) -> str:
    """The mean of embeddings, ``(batch, width)``."""
    embedded = _embedded(graph, model)
    real = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)  # (batch, tokens)
    if model.token_weights is None:
        share = _equal(graph, real, axis=1)
    else:
        weights = graph.constant("token_weights", model.token_weights.weight.squeeze(-1).float())
        share = _softmax(graph, graph.node("Gather", weights, "input_ids"), real, axis=1)
    row = graph.node("Unsqueeze", share, graph.axes(1))  # (batch, 1, tokens)
    return graph.node("Squeeze", graph.node("MatMul", row, embedded), graph.axes(1))


def _read(graph: Graph, model: LSTMStudent, ids: str, mask: str) -> str:
    """The pooled states of texts, ``(batch, states)``, from ids and mask, ``(batch, tokens)``."""
    states, last = _sentence_states(graph, _embedded(graph, model, ids), mask, model)
    if model.config.pooling == "last":
        return last
    return _pool(graph, model, states, mask)


def _siamese(graph: Graph, model: SiameseForSequenceClassification) -> str:
    """What a siamese student compares, ``(batch, 4 * states)``."""
    ids, lengths = apart(graph, model.config)
    place = graph.node("Unsqueeze", graph.count(graph.size(ids, 1)), graph.axes(0))
    mask = graph.node("Cast", graph.node("Less", place, lengths), to=TensorProto.INT64)
    summaries = _read(graph, model, ids, mask)  # (batch * 2, states)
    some = graph.node("Greater", lengths, graph.nought())  # ONNX leaves open what has read an empty text
    summaries = graph.node("Mul", summaries, graph.node("Cast", some, to=TensorProto.FLOAT))
    states = model.hidden.in_features // FEATURES
    pairs = graph.node("Reshape", summaries, graph.axes(-1, 2, states))
    first, second = (
        graph.node("Gather", pairs, graph.constant(f"side_{side}", np.array(side)), axis=1) for side in (0, 1)
    )
    product = graph.node("Mul", first, second)
    difference = graph.node("Abs", graph.node("Sub", first, second))
    return graph.node("Concat", first, second, product, difference, axis=1)


def _sentence_states(
    graph: Graph, embedded: str, mask: str, model: LSTMStudent | BiLSTMForTokenClassification
) -> tuple[str, str]:
    """A model's LSTMs over ``(batch, tokens, width)``; results as of :func:`_lstms`."""
    real = graph.node("Cast", mask, to=TensorProto.INT32)
    lengths = graph.node("ReduceSum", real, graph.axes(1), keepdims=0)
    layers = list(zip(model.forward_lstms, model.backward_lstms, strict=True))
    return _lstms(graph, graph.node("Transpose", embedded, perm=[1, 0, 2]), lengths, layers, "lstm")


def _lstms(
    graph: Graph, states: str, lengths: str, layers: Sequence[Sequence[nn.Module]], name: str
) -> tuple[str, str]:
    """Bidirectional LSTMs. The axes inside are ONNX's: steps (tokens or bytes) first.

    Args:
        graph: Takes the nodes.
        states: ``(steps, batch, width)``.
        lengths: Steps of each row, ``(batch,)`` int32.
        layers: The forward and the backward LSTM of each.
        name: What the weights' names begin with.

    Returns:
        The last layer's states, ``(steps, batch, states)``, zero past a row's end, and those that have read all of
        it, ``(batch, states)``.
    """
    last = ""
    for number, directions in enumerate(layers):
        forward = directions[0]
        assert isinstance(forward, nn.LSTM)
        units = forward.hidden_size
        weights = [
            graph.constant(f"{name}_{number}_{kind}", value) for kind, value in _lstm(directions).items()
        ]
        every, both = graph.nodes_of(
            "LSTM", states, *weights, lengths, outputs=2, hidden_size=units, direction="bidirectional"
        )
        # (steps, direction, batch, units) -> (steps, batch, states)
        side_by_side = graph.node("Transpose", every, perm=[0, 2, 1, 3])
        states = graph.node("Reshape", side_by_side, graph.axes(0, 0, 2 * units))
        if number == len(layers) - 1:
            turned = graph.node("Transpose", both, perm=[1, 0, 2])
            last = graph.node("Reshape", turned, graph.axes(0, 2 * units))
    return states, last


def _pool(graph: Graph, model: LSTMStudent, states: str, mask: str) -> str:
    """``(tokens, batch, states) -> (batch, states)``, by maximum, mean or attention; zeros without a token."""
    real = graph.node("Transpose", graph.node("Cast", mask, to=TensorProto.FLOAT), perm=[1, 0])
    if model.config.pooling == "mean":
        share = graph.node("Unsqueeze", _equal(graph, real, axis=0), graph.axes(2))
        return graph.node("ReduceSum", graph.node("Mul", states, share), graph.axes(0), keepdims=0)
    if model.attention is not None:
        scores = graph.node("Squeeze", graph.linear(states, model.attention), graph.axes(2))
        share = graph.node("Unsqueeze", _softmax(graph, scores, real, axis=0), graph.axes(2))
        return graph.node("ReduceSum", graph.node("Mul", states, share), graph.axes(0), keepdims=0)
    is_real = graph.node("Cast", graph.node("Unsqueeze", real, graph.axes(2)), to=TensorProto.BOOL)
    lowest = graph.constant("lowest", LOWEST)
    largest = graph.node("ReduceMax", graph.node("Where", is_real, states, lowest), axes=[0], keepdims=0)
    some = graph.node("ReduceMax", real, axes=[0], keepdims=0)  # (batch,): 0 for a sentence without tokens
    return graph.node("Mul", largest, graph.node("Unsqueeze", some, graph.axes(1)))


def _tagger_states(graph: Graph, model: BiLSTMForTokenClassification) -> str:
    """``(tokens, batch, states)``."""
    read = _embedded(graph, model)
    if model.spelling is not None:
        spelled = _spelled(graph, model.spelling)  # (batch, words, width)
        reaching = graph.node("MatMul", _members(graph), spelled)  # (batch, tokens, width)
        read = graph.node("Concat", read, reaching, axis=2)
    states, _ = _sentence_states(graph, read, "attention_mask", model)
    return states


def _words(graph: Graph, states: str) -> str:
    """States of words' first tokens, nought after the last word: ``(tokens, batch, w) -> (batch, words, w)``."""
    by_sentence = graph.node("Transpose", states, perm=[1, 0, 2])
    place = graph.node("Unsqueeze", _first_tokens(graph), graph.axes(2))
    taken = graph.node("GatherND", by_sentence, place, batch_dims=1)
    is_word = graph.node("GreaterOrEqual", "word_starts", graph.nought())
    real = graph.node("Cast", is_word, to=TensorProto.FLOAT)
    return graph.node("Mul", taken, graph.node("Unsqueeze", real, graph.axes(2)))


def _members(graph: Graph) -> str:
    """One where a token is of a word, ``(batch, tokens, words)``."""
    place = graph.node("Unsqueeze", graph.count(graph.size("input_ids", 1)), graph.axes(1))
    starts = graph.node("Unsqueeze", _first_tokens(graph), graph.axes(1))  # (batch, 1, words)
    ends = graph.node("Unsqueeze", "word_ends", graph.axes(1))
    within = graph.node(
        "And", graph.node("GreaterOrEqual", place, starts), graph.node("LessOrEqual", place, ends)
    )
    return graph.node("Cast", within, to=TensorProto.FLOAT)


def _first_tokens(graph: Graph) -> str:
    """``word_starts`` with nought after the last word."""
    return graph.node("Max", "word_starts", graph.nought())


def _spelled(graph: Graph, spelling: Spelling) -> str:
    """What is read from words' bytes, ``(batch, words, width)``; inside, all words in one row, ``n``."""
    count = graph.node("Shape", "word_bytes", start=2, end=3)
    rows = graph.node("Concat", graph.constant("all", np.array([-1], dtype=np.int64)), count, axis=0)
    flat = graph.node("Reshape", "word_bytes", rows)  # (n, bytes)
    table = graph.constant("byte_embeddings", spelling.embeddings.weight.float())
    is_byte = graph.node("Greater", flat, graph.nought())
    real = graph.node("Cast", is_byte, to=TensorProto.FLOAT)  # (n, bytes)
    embedded = graph.node(
        "Mul", graph.node("Gather", table, flat), graph.node("Unsqueeze", real, graph.axes(2))
    )
    if spelling.convolution is not None:
        read = _convolved(graph, embedded, is_byte, spelling.convolution)
    else:
        lengths = graph.node(
            "Cast", graph.node("ReduceSum", real, graph.axes(1), keepdims=0), to=TensorProto.INT32
        )
        layers = list(zip(spelling.forward_lstms, spelling.backward_lstms, strict=True))
        _, read = _lstms(
            graph, graph.node("Transpose", embedded, perm=[1, 0, 2]), lengths, layers, "byte_lstm"
        )
    some = graph.node("ReduceMax", real, axes=[1], keepdims=1)  # (n, 1): 0 for a word without bytes
    size = graph.constant("spelling_size", np.array([spelling.size], dtype=np.int64))
    shape = graph.node("Concat", graph.node("Shape", "word_bytes", start=0, end=2), size, axis=0)
    return graph.node("Reshape", graph.node("Mul", read, some), shape)


def _convolved(graph: Graph, embedded: str, is_byte: str, convolution: nn.Conv1d) -> str:
    """The largest value of each filter, ``(n, bytes, width) -> (n, size)``."""
    weight = graph.constant("convolution_weight", convolution.weight.float())
    assert convolution.bias is not None
    bias = graph.constant("convolution_bias", convolution.bias.float())
    edge = int(convolution.kernel_size[0]) // 2
    seen = graph.node(
        "Conv", graph.node("Transpose", embedded, perm=[0, 2, 1]), weight, bias, pads=[edge, edge]
    )
    masked = graph.node(
        "Where", graph.node("Unsqueeze", is_byte, graph.axes(1)), seen, graph.constant("lowest", LOWEST)
    )
    return graph.node("ReduceMax", masked, axes=[2], keepdims=0)


def _equal(graph: Graph, real: str, axis: int) -> str:
    """The same share for each real token; all zero where there is none."""
    count = graph.node("ReduceSum", real, graph.axes(axis), keepdims=1)
    return graph.node("Div", real, graph.node("Max", count, graph.constant("one", np.ones(1, np.float32))))


def _softmax(graph: Graph, scores: str, real: str, axis: int) -> str:
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
