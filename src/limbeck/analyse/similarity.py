"""Similarity: CKA between every layer of two models, and the mapping of layers that it speaks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from limbeck.analyse.cka import cka_matrix
from limbeck.analyse.representations import Representations
from limbeck.analyse.states import Pooling, Words

Floats = NDArray[np.float64]


class Alike(NamedTuple):
    """How alike the layers of two models are.

    Attributes:
        cka: ``(layers of the first, layers of the second)``, embeddings among them.
        examples: Sentences or words that were compared.
        width: Of the widest layer; with fewer examples than that, CKA comes out too high.
    """

    cka: Floats
    examples: int
    width: int


def layers_alike(
    first: Representations, second: Representations, sentences: Sequence[Words], over: Pooling | None
) -> Alike:
    """CKA of each layer of a model with each of another; words that either cut off are left out.

    Args:
        first: Has read the sentences.
        second: Likewise.
        sentences: The text.
        over: How sentences are pooled; None compares states of words, one an example.
    """
    of_each = [[_layer(model, sentences, n, over) for n in model.layers] for model in (first, second)]
    if over is None:  # words that were cut off have noughts, which two models would have in common
        read = np.logical_and(*(np.any([each.any(1) for each in layers], axis=0) for layers in of_each))
        of_each = [[each[read] for each in layers] for layers in of_each]
    every = [each for layers in of_each for each in layers]
    return Alike(cka_matrix(*of_each), len(every[0]), max(each.shape[1] for each in every))


def _layer(
    states: Representations, sentences: Sequence[Words], layer: int, over: Pooling | None
) -> NDArray[np.float32]:
    if over is not None:
        return states.of(sentences).layer(layer, over)
    spans = [
        (row, ((place, place + 1),)) for row, words in enumerate(sentences) for place in range(len(words))
    ]
    return states.of_spans(sentences, spans).layer(layer)


def best_mapping(alike: Floats) -> tuple[int, ...] | None:
    """The mapping of layers that is most alike in all: for each student's layer one of the teacher's, rising.

    Args:
        alike: CKA, ``(student's layers, teacher's layers)``, without embeddings.

    Returns:
        The teacher's layers, counted from 1, as ``mapping`` of TinyBERT and its kin takes them; None where the student
        has more layers.
    """
    students, teachers = alike.shape
    if students > teachers:
        return None
    best = np.full((students, teachers), -np.inf)
    for layer in range(students):
        before = (
            np.concatenate([[-np.inf], np.maximum.accumulate(best[layer - 1])[:-1]])
            if layer
            else np.zeros(teachers)
        )
        best[layer] = alike[layer] + before
    found, end = list[int](), teachers
    for layer in reversed(range(students)):
        end = int(best[layer, :end].argmax())
        found.append(end + 1)
    return tuple(reversed(found))
