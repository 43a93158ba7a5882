"""Growing: scikit-learn's trees on what a student should say, and what came out as arrays.

All classes are predicted by the same trees (regression of several outputs): a split is the one after which the squared
distances to the two sides' means are least. For one-hot targets that is Gini's criterion. skl2onnx writes the trees
out with thresholds in single precision that decide as scikit-learn does; its arrays are the ones that a forest keeps
and that its bundle holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.models.ngrams import digits_of, keys_in
from limbeck.models.outputs import tokens_at_a_time
from limbeck.text.batching import batches
from limbeck.text.encode import collate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from limbeck.core.objective import Targets
    from limbeck.models.forest import ForestForSequenceClassification, Settings
    from limbeck.text.encode import Encoded

OPSETS = {"": 17, "ai.onnx.ml": 1}
"""Of the graph that skl2onnx writes: the version that came with its operator for regression by trees."""
OF_A_FOREST = 1 / 3
"""Share of the features that each split of a forest tries (Breiman's for regression). The root of their number, which
suits few dense features, finds hardly any word that a text has."""


@dataclass(frozen=True)
class Trees:
    """Trees as arrays, node after node.

    Attributes:
        roots: Node at which each tree begins, ``(trees,)`` int32.
        features: The column that a node looks at, -1 at a leaf, ``(nodes,)`` int32.
        thresholds: Of that column, ``(nodes,)`` float32.
        below: The next node for values up to the threshold, and above it; at a leaf its row in ``said``, twice:
            ``(nodes, 2)`` int32.
        said: What each leaf says, divided by the number of trees, ``(leaves, classes)`` float32.
        depth: Splits on the longest way to a leaf.
    """

    roots: Tensor
    features: Tensor
    thresholds: Tensor
    below: Tensor
    said: Tensor
    depth: int


@dataclass(frozen=True)
class Grown:
    """What was grown.

    Attributes:
        trees: As arrays.
        temperature: See :class:`limbeck.core.objective.Targets`.
        estimator: Scikit-learn's own.
        features: What it was grown on, ``(texts, columns)``, sparse for n-grams.
    """

    trees: Trees
    temperature: float | None
    estimator: Any
    features: NDArray[np.float32] | csr_matrix


def grow(
    model: ForestForSequenceClassification,
    settings: Settings,
    data: Encoded,
    targets: Targets,
    *,
    unknown: int | None,
    seed: int,
) -> Grown:
    """Grow trees on texts, and give them to the model.

    Args:
        model: As :func:`limbeck.models.build` makes it.
        settings: How many trees, how large, and over which features.
        data: The texts.
        targets: What should be said of them.
        unknown: The token of which no n-gram is made.
        seed: Of bootstrap samples and of the features that are tried; of a single tree, of ties.

    Raises:
        LimbeckError: No n-gram stands in enough of the texts.
    """
    if settings.features == "ngrams":
        _choose_ngrams(model, settings, data, unknown)
    features = featurise(model, data)
    estimator = _estimator(settings, seed)
    weights = None if targets.weights is None else targets.weights.double().numpy()
    estimator.fit(features, targets.values.double().numpy(), sample_weight=weights)
    grown = Grown(trees_of(estimator), targets.temperature, estimator, features)
    model.take(grown)
    return grown


def featurise(model: ForestForSequenceClassification, data: Encoded) -> NDArray[np.float32] | csr_matrix:
    """What the model's trees split on, ``(texts, columns)``, sparse for n-grams."""
    from scipy.sparse import csr_matrix, vstack

    rows, parts = [], []
    with torch.inference_mode(), progress.task("features", len(data)) as task:
        for chosen in batches(data.lengths, tokens_at_a_time(model.device)):
            inputs = collate(data, chosen).to(model.device).inputs
            found = model.featurise(**inputs).cpu().numpy()
            parts.append(found if model.embeddings is not None else csr_matrix(found))
            rows.append(chosen)
            task.advance(len(chosen))
    order = np.argsort(np.concatenate(rows))
    whole = np.concatenate(parts) if model.embeddings is not None else vstack(parts, format="csr")
    return whole[order]


def trees_of(estimator: Any) -> Trees:
    """A fitted tree or forest as arrays."""
    from onnx import helper
    from skl2onnx import to_onnx

    sample = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    graph = to_onnx(estimator, sample, target_opset=OPSETS).graph
    node = next(one for one in graph.node if one.op_type == "TreeEnsembleRegressor")
    told = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    tree, within = (np.array(told[f"nodes_{name}"]) for name in ("treeids", "nodeids"))
    roots = np.flatnonzero(within == 0)  # nodes come tree by tree, each tree's root first
    is_leaf = np.array(told["nodes_modes"]) == b"LEAF"
    said = np.zeros((is_leaf.sum(), told["n_targets"]), dtype=np.float32)
    leaf = np.cumsum(is_leaf) - 1
    of = roots[np.array(told["target_treeids"])] + np.array(told["target_nodeids"])
    said[leaf[of], np.array(told["target_ids"])] = told["target_weights"]
    ways = np.array([told["nodes_truenodeids"], told["nodes_falsenodeids"]]).T + roots[tree][:, None]
    below = np.where(is_leaf[:, None], leaf[:, None], ways)
    features = np.where(is_leaf, -1, told["nodes_featureids"])
    thresholds = np.array(told["nodes_values"], dtype=np.float32)
    depth = max((one.get_depth() for one in estimators_of(estimator)), default=0)
    whole = (torch.from_numpy(each.astype(np.int32)) for each in (roots, features, below))
    starts, looks, goes = whole
    return Trees(starts, looks, torch.from_numpy(thresholds), goes, torch.from_numpy(said), depth)


def estimators_of(estimator: Any) -> list[Any]:
    """The trees of a forest; of a tree itself."""
    return list(getattr(estimator, "estimators_", [estimator]))


def _estimator(settings: Settings, seed: int) -> Any:
    """Scikit-learn's tree or forest, not fitted."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.tree import DecisionTreeRegressor

    tried = settings.split_features
    if tried is None and settings.trees > 1:
        tried = OF_A_FOREST
    shape = {
        "max_depth": settings.depth,
        "max_leaf_nodes": settings.leaves,
        "min_samples_leaf": settings.min_leaf,
        "max_features": tried,
        "random_state": seed,
    }
    if settings.trees == 1:
        return DecisionTreeRegressor(**shape)
    return RandomForestRegressor(settings.trees, n_jobs=torch.get_num_threads(), **shape)


def _choose_ngrams(
    model: ForestForSequenceClassification, settings: Settings, data: Encoded, unknown: int | None
) -> None:
    """Give the model the n-grams of the texts that are frequent enough."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    found = _keys_of(model, data, unknown)
    counter = CountVectorizer(
        analyzer=lambda row: found[row], min_df=settings.min_df, max_features=settings.max_features
    )
    try:
        counts = counter.fit_transform(range(len(data)))
    except ValueError:
        what = f"no n-gram stands in {settings.min_df} of the {len(data):,} texts"
        raise LimbeckError(f"'student.min_df': {what}", fix="Lower it, or give more text") from None
    rarity = None
    if settings.values == "tfidf":
        rarity = torch.from_numpy(TfidfTransformer().fit(counts).idf_).float()
    model.take_ngrams(torch.tensor(sorted(counter.vocabulary_), dtype=torch.int64), rarity)


def _keys_of(
    model: ForestForSequenceClassification, data: Encoded, unknown: int | None
) -> dict[int, list[int]]:
    """Keys of the n-grams of each text, by its row; none of them has the unknown token in it."""
    config, found = model.config, {}
    for rows in batches(data.lengths, tokens_at_a_time(torch.device("cpu"))):
        inputs = collate(data, rows).inputs
        ids = inputs["input_ids"]
        real = (inputs["attention_mask"] > 0) & (ids != (-1 if unknown is None else unknown))
        digits = digits_of(ids, real, inputs.get("token_type_ids"), config.vocab_size)
        runs = keys_in(digits, config.vocab_size, config.shortest, config.longest)
        keys = torch.cat([ids[:, :0], *runs], dim=1).numpy()  # (batch, windows of all lengths)
        found.update({int(row): own[own >= 0].tolist() for row, own in zip(rows, keys, strict=True)})
    return found
