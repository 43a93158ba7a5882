"""Expected calibration error against a loop over examples and bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose

from limbeck.evaluate.calibration import ece, reliability, softmax

pytestmark = pytest.mark.unit


def plainly(probabilities, gold, bins):
    """ECE as Guo et al. 2017 write it."""
    n, total = len(gold), 0.0
    for m in range(1, bins + 1):
        members = [
            i for i in range(n)
            if (m - 1) / bins < max(probabilities[i]) <= m / bins
        ]  # fmt: skip
        if members:
            right = sum(int(np.argmax(probabilities[i]) == gold[i]) for i in members) / len(members)
            sure = sum(max(probabilities[i]) for i in members) / len(members)
            total += len(members) / n * abs(right - sure)
    return total


@st.composite
def answers(draw):
    classes = draw(st.integers(2, 5))
    examples = draw(st.integers(1, 30))
    logits = draw(hnp.arrays(np.float64, (examples, classes), elements=st.floats(-8, 8, width=32)))
    gold = draw(hnp.arrays(np.int64, examples, elements=st.integers(0, classes - 1)))
    return softmax(logits), gold


@given(answers(), st.integers(1, 20))
def test_ece_equals_the_brute_force(drawn, bins):
    probabilities, gold = drawn
    edges = np.linspace(0, 1, bins + 1)
    near_an_edge = np.abs(probabilities.max(axis=1)[:, None] - edges).min(axis=1) < 1e-9
    # On an edge, rounding decides: (m - 1) / bins is not edges[m - 1] to the last bit.
    probabilities, gold = probabilities[~near_an_edge], gold[~near_an_edge]
    if len(gold):
        assert_allclose(
            ece(reliability(probabilities, gold, bins)), plainly(probabilities, gold, bins), atol=1e-12
        )


@given(answers())
def test_bins_tile_the_unit_interval_and_hold_every_example(drawn):
    probabilities, gold = drawn
    bins = reliability(probabilities, gold)
    assert [b.low for b in bins[1:]] == [b.high for b in bins[:-1]]
    assert (bins[0].low, bins[-1].high, len(bins)) == (0.0, 1.0, 15)
    assert sum(b.count for b in bins) == len(gold)
    for b in bins:
        assert (b.count == 0) == (b.confidence is None) == (b.accuracy is None)
        if b.confidence is not None:
            assert b.low - 1e-12 <= b.confidence <= b.high + 1e-12


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    bins = reliability(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]), bins=4)
    assert [b.count for b in bins] == [0, 1, 0, 1]


def test_sure_and_right_is_calibrated_sure_and_wrong_is_not():
    sure = np.array([[1.0, 0.0]] * 4)
    assert ece(reliability(sure, np.zeros(4, dtype=int))) == 0
    assert ece(reliability(sure, np.ones(4, dtype=int))) == 1


def test_softmax_bears_large_logits_and_a_probability_of_zero():
    assert_allclose(softmax(np.array([[1e4, 0.0], [-np.inf, 0.0]], dtype=np.float32)), [[1, 0], [0, 1]])
