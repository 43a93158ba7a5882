"""A tiny test set, and models that answered it."""

from __future__ import annotations

import numpy as np
import pytest

from limbeck.core.example import Example
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.evaluate import Model
from limbeck.evaluate.speed import Speed

LABELS = ("bad", "fine", "good")


def answering(gold, right, seed):
    """Logits that are right that often."""
    generator = np.random.default_rng(seed)
    said = np.where(generator.random(len(gold)) < right, gold, (gold + 1) % len(LABELS))
    return (2 * np.eye(len(LABELS))[said] + generator.normal(0, 0.3, (len(gold), len(LABELS)))).astype(
        np.float32
    )


@pytest.fixture
def examples():
    gold = np.random.default_rng(0).integers(0, 3, 120)
    return [
        Example(f"t:{n}", f"sentence – {n}", LABELS[label], f"test.csv:{n + 2}")
        for n, label in enumerate(gold)
    ]


@pytest.fixture
def models(examples):
    gold = np.array([LABELS.index(example.gold) for example in examples])
    return [
        Model("soft_labels", "student", 1, answering(gold, 0.90, 1), dev_score=0.80),
        Model("soft_labels", "student", 2, answering(gold, 0.88, 2), dev_score=0.95),
        Model("gold", "control", 1, answering(gold, 0.70, 3), dev_score=0.7),
        Model("gold", "control", 2, answering(gold, 0.72, 4), dev_score=0.7),
        Model("teacher", "teacher", 1, answering(gold, 0.95, 5), dev_score=0.96),
    ]


@pytest.fixture
def costs():
    return [
        Cost("teacher", "pytorch", 1000, 4000, Speed(20.0, 30.0, 60.0)),
        Cost("teacher", "onnx-int8", 1000, 1000, Speed(5.0, 6.0, 300.0)),
        Cost("soft_labels", "onnx", 100, 400, Speed(0.8, 1.0, 2000.0)),
        Cost("soft_labels", "onnx-int8", 100, 100, Speed(0.4, 0.5, 4000.0)),
    ]
