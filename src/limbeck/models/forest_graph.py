"""ONNX graph of a forest: from token ids to logits, with ONNX's own operators for n-grams and for trees.

The trees are the arrays that skl2onnx wrote when they were grown (:mod:`limbeck.models.growing`), in its operator
``TreeEnsembleRegressor``; before it stands ``TfIdfVectorizer``, which counts n-grams of token ids, or the mean of
embeddings. So a bundle of a forest is served like any other: from text to ids to scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from limbeck.models.forest import LEAST, ForestForSequenceClassification
from limbeck.models.graph import AXES, IR_VERSION, OPSET
from limbeck.models.graphs import OUTPUT
from limbeck.models.growing import OPSETS
from limbeck.models.ngrams import tokens_of
from limbeck.models.student import classes

OF_TREES = "ai.onnx.ml"
"""Domain of the operator for trees."""


def forest_graph(model: ForestForSequenceClassification, pairs: bool = False) -> onnx.ModelProto:
    """The ONNX graph of a forest, checked.

    Args:
        model: The forest.
        pairs: Whether it reads pairs of texts, and so is told which token is of which.
    """
    names = ["input_ids", "attention_mask", *["token_type_ids"] * pairs]
    constants: dict[str, Any] = {}
    features = _mean if model.embeddings is not None else _ngrams
    nodes = [*features(model, pairs, constants), *_said(model, constants)]
    graph = helper.make_graph(
        nodes,
        "limbeck",
        [helper.make_tensor_value_info(name, TensorProto.INT64, AXES[name]) for name in names],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ("batch", classes(model.config)))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(OF_TREES, OPSETS[OF_TREES])]
    found = helper.make_model(graph, producer_name="limbeck", opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(found)
    return found


def _ngrams(
    model: ForestForSequenceClassification, pairs: bool, constants: dict[str, Any]
) -> Iterator[onnx.NodeProto]:
    """What is told of each n-gram, ``(batch, columns)``; padding is -1, which is in none of them."""
    config, ids = model.config, "input_ids"
    constants |= {"nought": np.int64(0), "nothing": np.int64(-1)}
    if pairs:
        constants["vocabulary"] = np.int64(config.vocab_size)
        yield helper.make_node("Mul", ["token_type_ids", "vocabulary"], ["raised"])
        yield helper.make_node("Add", [ids, "raised"], ["sided"])
        ids = "sided"
    yield helper.make_node("Greater", ["attention_mask", "nought"], ["real"])
    yield helper.make_node("Where", ["real", ids, "nothing"], ["tokens"])
    yield helper.make_node("TfIdfVectorizer", ["tokens"], ["counts"], **_pool(model))
    if config.values == "presence":
        constants["one"] = np.float32(1)
        yield helper.make_node("Min", ["counts", "one"], ["features"])
    elif model.rarity is None:
        yield helper.make_node("Identity", ["counts"], ["features"])
    else:
        constants |= {"rarity": model.rarity.double().cpu().numpy(), "tiny": np.float64(1e-12)}
        yield helper.make_node("Cast", ["counts"], ["counted"], to=TensorProto.DOUBLE)
        yield helper.make_node("Mul", ["counted", "rarity"], ["weighed"])
        yield helper.make_node("ReduceL2", ["weighed"], ["norm"], axes=[1], keepdims=1)
        yield helper.make_node("Max", ["norm", "tiny"], ["length"])
        yield helper.make_node("Div", ["weighed", "length"], ["shares"])
        yield helper.make_node("Cast", ["shares"], ["features"], to=TensorProto.FLOAT)


def _pool(model: ForestForSequenceClassification) -> dict[str, Any]:
    """Attributes of the operator that counts n-grams: these in one list, shorter ones first, and their columns."""
    assert model.keys is not None
    config = model.config
    grams = [tokens_of(key, config.vocab_size) for key in model.keys.tolist()]
    order = sorted(range(len(grams)), key=lambda column: len(grams[column]))
    pool = [token for column in order for token in grams[column]]
    lengths = np.array([len(grams[column]) for column in order])
    starts = [int(lengths[lengths < length].sum()) for length in range(1, config.longest + 1)]
    return {
        "mode": "TF",
        "min_gram_length": config.shortest,
        "max_gram_length": config.longest,
        "max_skip_count": 0,
        "ngram_counts": starts,
        "ngram_indexes": order,
        "pool_int64s": pool,
    }


def _mean(
    model: ForestForSequenceClassification, pairs: bool, constants: dict[str, Any]
) -> Iterator[onnx.NodeProto]:
    """The mean embedding, ``(batch, columns)``."""
    assert model.embeddings is not None
    constants |= {
        "embeddings": model.embeddings.weight.detach().float().cpu().numpy(),
        "over_tokens": np.array([1]),
        "last": np.array([2]),
        "one": np.float64(1),
    }
    yield helper.make_node("Gather", ["embeddings", "input_ids"], ["single"])
    yield helper.make_node("Cast", ["single"], ["embedded"], to=TensorProto.DOUBLE)
    yield helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.DOUBLE)
    yield helper.make_node("Unsqueeze", ["mask", "last"], ["real"])
    yield helper.make_node("Mul", ["embedded", "real"], ["kept"])
    yield helper.make_node("ReduceSum", ["kept", "over_tokens"], ["sum"], keepdims=0)
    yield helper.make_node("ReduceSum", ["mask", "over_tokens"], ["tokens"], keepdims=1)
    yield helper.make_node("Max", ["tokens", "one"], ["count"])
    yield helper.make_node("Div", ["sum", "count"], ["mean"])
    yield helper.make_node("Cast", ["mean"], ["features"], to=TensorProto.FLOAT)


def _said(model: ForestForSequenceClassification, constants: dict[str, Any]) -> Iterator[onnx.NodeProto]:
    """Logits, ``(batch, classes)``."""
    temperature = model.config.temperature
    logits = OUTPUT if temperature is None else "said"
    yield helper.make_node("TreeEnsembleRegressor", ["features"], [logits], domain=OF_TREES, **_trees(model))
    if temperature is not None:
        constants |= {"least": np.float32(LEAST), "temperature": np.float32(temperature)}
        yield helper.make_node("Max", ["said", "least"], ["likely"])
        yield helper.make_node("Log", ["likely"], ["logs"])
        yield helper.make_node("Mul", ["logs", "temperature"], [OUTPUT])


def _trees(model: ForestForSequenceClassification) -> dict[str, Any]:
    """Attributes of the operator for trees; nodes are numbered within their tree."""
    roots, features, below = (
        each.cpu().numpy().astype(np.int64) for each in (model.roots, model.features, model.below)
    )
    said = model.said.cpu().numpy()
    tree = np.searchsorted(roots, np.arange(len(features)), side="right") - 1
    within = np.arange(len(features)) - roots[tree]
    is_leaf = features < 0
    ways = np.where(is_leaf[:, None], 0, below - roots[tree][:, None])
    count = said.shape[1]
    leaves, rows = np.flatnonzero(is_leaf), below[is_leaf, 0]
    return {
        "n_targets": count,
        "post_transform": "NONE",
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": within.tolist(),
        "nodes_featureids": np.maximum(features, 0).tolist(),
        "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": model.thresholds.detach().cpu().tolist(),
        "nodes_truenodeids": ways[:, 0].tolist(),
        "nodes_falsenodeids": ways[:, 1].tolist(),
        "target_treeids": tree[leaves].repeat(count).tolist(),
        "target_nodeids": within[leaves].repeat(count).tolist(),
        "target_ids": np.tile(np.arange(count), len(leaves)).tolist(),
        "target_weights": said[rows].ravel().tolist(),
    }
