"""What a grown forest has to tell: which features it splits on, and its most faithful tree, for the report."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.models.growing import Grown, estimators_of
from limbeck.models.ngrams import tokens_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from limbeck.core.objective import Targets
    from limbeck.models.forest import ForestForSequenceClassification

USED = 30
"""Features that are told, those that do the most first."""
MOST_LEAVES = 24
"""Of the tree that is told; where it has more, those splits are told that take off most of the squared distances."""
DEEPEST = 24
"""Splits on the way to a leaf of the tree that is told."""


def told(
    model: ForestForSequenceClassification,
    tokeniser: PreTrainedTokenizerFast,
    grown: Grown,
    targets: Targets,
) -> dict[str, Any]:
    """A forest for people to read, as JSON can say it.

    Args:
        model: The forest.
        tokeniser: Its tokeniser.
        grown: What it was grown from.
        targets: What it was grown on.

    Returns:
        Its size; ``used``: features with their share of the impurity that all splits together take away, and the
        number of splits on them; ``shown``: the tree whose answers are nearest to the targets, its number, the share
        of texts in which it chooses their class, and its ``nodes``, the root first: texts that come by, class
        ``shares``, and of a split the feature's ``name``, ``threshold``, and the nodes ``below`` and ``above`` it; or
        ``more``, the splits that are left out there.
    """
    config, wanted = model.config, targets.values.double().numpy()
    names = feature_names(model, tokeniser)
    best, agreement = _most_faithful(grown, wanted)
    tree = estimators_of(grown.estimator)[best]
    return {
        "features": config.features,
        "values": config.values,
        "texts": len(wanted),
        "trees": config.trees,
        "nodes": config.nodes,
        "leaves": config.leaves,
        "depth": config.depth,
        "labels": list(dict(config.id2label or {}).values()),
        "used": _used(grown, names),
        "shown": {"tree": best, "agreement": agreement, "nodes": _nodes(tree, grown, names)},
    }


def feature_names(model: ForestForSequenceClassification, tokeniser: PreTrainedTokenizerFast) -> list[str]:
    """What each column is: an n-gram's words (of a pair with the text that they are of), or a dimension."""
    config = model.config
    if model.keys is None:
        return [f"dimension {number + 1}" for number in range(config.embedding_size)]
    grams = [tokens_of(key, config.vocab_size) for key in model.keys.tolist()]
    paired = any(gram[0] >= config.vocab_size for gram in grams)
    return [_name(gram, config.vocab_size, tokeniser, paired) for gram in grams]


def _name(gram: Sequence[int], vocabulary: int, tokeniser: PreTrainedTokenizerFast, paired: bool) -> str:
    tokens = [str(tokeniser.convert_ids_to_tokens(token % vocabulary)) for token in gram]
    name = tokeniser.convert_tokens_to_string(tokens).strip() or " ".join(tokens)
    return f"{'second' if gram[0] >= vocabulary else 'first'}: {name}" if paired else name


def _most_faithful(grown: Grown, wanted: NDArray[np.float64]) -> tuple[int, float]:
    """The tree with the least squared distance to what was wanted, and how often it chooses the same class."""
    said = [one.predict(grown.features) for one in estimators_of(grown.estimator)]
    best = int(np.argmin([np.square(each.reshape(wanted.shape) - wanted).sum() for each in said]))
    same = said[best].reshape(wanted.shape).argmax(1) == wanted.argmax(1)
    return best, float(same.mean())


def _used(grown: Grown, names: Sequence[str]) -> list[dict[str, Any]]:
    shares = grown.estimator.feature_importances_
    looked = grown.trees.features.numpy()
    splits = np.bincount(looked[looked >= 0], minlength=len(names))
    order = [int(column) for column in np.argsort(-shares, kind="stable")[:USED] if splits[column]]
    return [
        {"name": names[column], "share": float(shares[column]), "splits": int(splits[column])}
        for column in order
    ]


def _nodes(estimator: Any, grown: Grown, names: Sequence[str]) -> list[dict[str, Any]]:
    """The tree's upper part, a node after the one that leads to it."""
    tree = estimator.tree_
    texts = np.asarray(estimator.decision_path(grown.features).sum(0)).ravel()
    shares = _shares(tree.value[:, :, 0], grown.temperature)
    depth, splits = _depths_and_splits(tree.children_left, tree.children_right)
    opened = _opened(tree, depth)
    order = [int(node) for node in np.flatnonzero(opened["shown"])]
    place = {node: number for number, node in enumerate(order)}
    found = []
    for node in order:
        facts: dict[str, Any] = {"texts": int(texts[node]), "shares": shares[node].round(4).tolist()}
        if opened["split"][node]:
            facts |= {
                "name": names[tree.feature[node]],
                "threshold": float(tree.threshold[node]),
                "below": place[int(tree.children_left[node])],
                "above": place[int(tree.children_right[node])],
            }
        elif splits[node]:
            facts["more"] = int(splits[node])
        found.append(facts)
    return found


def _shares(values: NDArray[np.float64], temperature: float | None) -> NDArray[np.float64]:
    """Class probabilities of what nodes say, each ``(nodes, classes)``."""
    from limbeck.models.forest import LEAST

    logits = values if temperature is None else temperature * np.log(np.maximum(values, LEAST))
    raised = np.exp(logits - logits.max(1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(1, keepdims=True)
    return shares


def _depths_and_splits(
    left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits on the way to each node, and splits in the tree that begins there, ``(nodes,)``."""
    depth, splits = np.zeros(len(left), np.int64), np.zeros(len(left), np.int64)
    for node in range(len(left)):  # a node comes before those below it
        if left[node] >= 0:
            depth[[left[node], right[node]]] = depth[node] + 1
    for node in reversed(range(len(left))):
        if left[node] >= 0:
            splits[node] = 1 + splits[left[node]] + splits[right[node]]
    return depth, splits


def _opened(tree: Any, depth: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Which nodes are ``shown``, and at which the ``split`` is."""
    left, right = tree.children_left, tree.children_right
    rest = tree.impurity * tree.weighted_n_node_samples  # squared distances to a node's mean
    gain = np.where(left >= 0, rest - rest[left] - rest[right], 0)
    shown, split = np.zeros(len(left), bool), np.zeros(len(left), bool)
    shown[0], leaves, waiting = True, 1, [(-float(gain[0]), 0)]
    while waiting and leaves < MOST_LEAVES:
        _, node = heapq.heappop(waiting)
        if left[node] < 0 or depth[node] >= DEEPEST:
            continue
        split[node], leaves = True, leaves + 1
        for below in (int(left[node]), int(right[node])):
            shown[below] = True
            heapq.heappush(waiting, (-float(gain[below]), below))
    return {"shown": shown, "split": split}
