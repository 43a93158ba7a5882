"""Probes on planted states: what is there is found, what is not is not; and labels at random are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from limbeck.analyse.probes.classifier import Kind, probe, standardised
from limbeck.analyse.probes.controls import control
from limbeck.analyse.probes.mixing import mix
from limbeck.analyse.probes.scoring import interval
from limbeck.analyse.probes.task import PARTS, Edge, EdgeTask, Part

TRAIN, DEV, TEST = 300, 100, 300
ROWS: dict[Part, np.ndarray] = {
    "train": np.arange(TRAIN),
    "dev": np.arange(TRAIN, TRAIN + DEV),
    "test": np.arange(TRAIN + DEV, TRAIN + DEV + TEST),
}
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.choice(["past", "present"], TRAIN + DEV + TEST)
NOISE = RANDOM.normal(size=(len(LABELS), 12)).astype(np.float32)


def planted(strength: float = 3.0) -> np.ndarray:
    """States of which one direction holds the label."""
    direction = np.random.default_rng(1).normal(size=12).astype(np.float32)
    sign = np.where(LABELS == "past", 1.0, -1.0).astype(np.float32)
    return NOISE + strength * sign[:, None] * direction / np.linalg.norm(direction)


@pytest.mark.parametrize("kind", ["logistic", "perceptron"])
def test_what_is_planted_is_found_and_noise_is_not(kind: Kind) -> None:
    assert probe(planted(), LABELS, ROWS, kind=kind, penalties=(1.0,)).accuracy > 0.97
    assert abs(probe(NOISE, LABELS, ROWS, kind=kind, penalties=(1.0,)).accuracy - 0.5) < 0.12


def test_a_perceptron_finds_what_no_line_parts() -> None:
    signs = np.random.default_rng(2).choice([-1.0, 1.0], (len(LABELS), 2))
    labels = np.where(signs[:, 0] == signs[:, 1], "same", "apart")
    states = np.concatenate([3 * signs, NOISE[:, :4]], axis=1).astype(np.float32)
    assert probe(states, labels, ROWS, kind="logistic", penalties=(1.0,)).accuracy < 0.65
    assert probe(states, labels, ROWS, kind="perceptron", penalties=(0.1,)).accuracy > 0.9


def test_dev_chooses_the_penalty() -> None:
    weak = probe(planted(0.5), LABELS, ROWS, penalties=(0.01, 1000.0))
    alone = {p: probe(planted(0.5), LABELS, ROWS, penalties=(p,)) for p in (0.01, 1000.0)}
    assert weak.dev == max(each.dev for each in alone.values())
    assert weak.accuracy == alone[weak.penalty].accuracy


def test_features_are_standardised_by_train_alone() -> None:
    states = planted()
    states[:, 3] = 7.0
    found = standardised(states, ROWS)
    assert found[ROWS["train"]].mean(0) == pytest.approx(np.zeros(12), abs=1e-5)
    assert np.delete(found[ROWS["train"]].std(0), 3) == pytest.approx(np.ones(11), abs=1e-3)
    assert (found[:, 3] == 0).all()
    far = states.copy()
    far[ROWS["test"]] += 100
    assert standardised(far, ROWS)[ROWS["train"]] == pytest.approx(found[ROWS["train"]])


def test_the_mixing_probe_listens_to_the_layer_that_knows() -> None:
    other = np.random.default_rng(4).normal(size=NOISE.shape).astype(np.float32)
    found = mix([NOISE, other, 5 * planted(), other[::-1].copy()], LABELS, ROWS)
    assert found is not None
    assert found.weights.sum() == pytest.approx(1)
    assert found.weights.argmax() == 2
    assert found.right.mean() > 0.95
    assert found.gravity == pytest.approx(float(np.dot(range(4), found.weights)))


def test_layers_of_another_width_are_not_mixed() -> None:
    assert mix([NOISE[:, :3], planted()], LABELS, ROWS) is None
    found = mix([NOISE[:, :3], NOISE, planted()], LABELS, ROWS, penalties=(1.0,))
    assert found is not None
    assert found.layers == (1, 2)


def edge_task() -> tuple[EdgeTask, np.ndarray]:
    """Words of forty types: a state says the type's class, and, in many directions, the type itself."""
    random = np.random.default_rng(6)
    types = random.integers(0, 40, len(LABELS))
    classes = random.choice(["N", "V"], 40)
    edges = [Edge(n, ((0, 1),), str(classes[t]), f"word{t}") for n, t in enumerate(types)]
    parts: list[Part] = [part for part in PARTS for _ in ROWS[part]]
    code = np.where(classes[types] == "N", 2.0, -2.0)[:, None]
    states = np.concatenate([code, np.eye(40)[types], NOISE], axis=1).astype(np.float32)
    return EdgeTask("pos", [("w",)] * len(edges), edges, parts), states


def test_control_labels_go_by_type_and_selectivity_tells_memory_from_knowledge() -> None:
    task, states = edge_task()
    other = control(task, seed=3)
    by_type = {edge.type: edge.label for edge in other.edges}
    assert all(edge.label == by_type[edge.type] for edge in other.edges)
    assert set(by_type.values()) == {"N", "V"}
    assert list(control(task, 3).labels) == list(other.labels) != list(control(task, 4).labels)
    assert [edge.spans for edge in other.edges] == [edge.spans for edge in task.edges]
    blind = states[:, :1] + 0.1 * NOISE[:, :1]
    knows, memory = (probe(x, task.labels, ROWS, penalties=(1.0,)).accuracy for x in (blind, states))
    guesses, learnt = (probe(x, other.labels, ROWS, penalties=(1.0,)).accuracy for x in (blind, states))
    assert knows > 0.95 and memory > 0.95
    assert learnt > 0.95  # who sees the type learns any labels by heart
    assert knows - guesses > 0.2 > memory - learnt


def test_an_interval_holds_the_mean_and_narrows() -> None:
    shares = np.random.default_rng(8).choice([0.0, 1.0], 400)
    low, high = interval(shares, 400, 0.95)
    assert low < shares.mean() < high
    error = np.sqrt(shares.var() / 400)
    assert (high - low) == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert interval(np.ones(10), 50, 0.9) == (1.0, 1.0)
