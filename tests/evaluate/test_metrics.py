"""Metrics against scikit-learn, on anything hypothesis can think of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as oracle

from limbeck.evaluate.correlation import CORRELATIONS
from limbeck.evaluate.entities import TAG_METRICS
from limbeck.evaluate.metrics import (
    METRICS,
    OPTIONS,
    Counts,
    accuracy,
    agreement,
    confusion,
    macro_f1,
    mcc,
    score,
    signature,
)
from limbeck.evaluate.sets import SET_METRICS

pytestmark = pytest.mark.unit


@st.composite
def answers(draw, models=1):
    """Gold ``(examples,)``, predictions ``(models, examples)``, number of classes."""
    classes = draw(st.integers(2, 6))
    examples = draw(st.integers(1, 40))
    number = st.integers(0, classes - 1)
    gold = draw(st.lists(number, min_size=examples, max_size=examples))
    predicted = [draw(st.lists(number, min_size=examples, max_size=examples)) for _ in range(models)]
    return np.array(gold), np.array(predicted), classes


@given(answers(models=3))
def test_confusion_is_sklearns_for_every_model(drawn):
    gold, predicted, classes = drawn
    ours = confusion(gold, predicted, classes)
    for row, one in enumerate(predicted):
        assert_array_equal(ours[row], oracle.confusion_matrix(gold, one, labels=range(classes)))


@given(answers(models=3))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_metrics_are_sklearns_over_leading_axes(drawn):
    gold, predicted, classes = drawn
    counts = Counts.of(confusion(gold, predicted, classes))
    labels = list(range(classes))
    assert_allclose(accuracy(counts), [oracle.accuracy_score(gold, one) for one in predicted])
    assert_allclose(
        macro_f1(counts),
        [oracle.f1_score(gold, one, labels=labels, average="macro", zero_division=0) for one in predicted],
    )
    assert_allclose(mcc(counts), [oracle.matthews_corrcoef(gold, one) for one in predicted], atol=1e-12)


@given(answers())
def test_metrics_stay_in_their_range_and_are_one_when_all_is_right(drawn):
    gold, predicted, classes = drawn
    counts = Counts.of(confusion(gold, predicted, classes))
    assert 0 <= accuracy(counts)[0] <= 1
    assert 0 <= macro_f1(counts)[0] <= 1
    assert -1 - 1e-12 <= mcc(counts)[0] <= 1 + 1e-12
    right = Counts.of(confusion(gold, gold, classes))
    assert accuracy(right) == 1
    assert_allclose(mcc(right), 1.0 if len(set(gold.tolist())) > 1 else 0.0)


@given(answers(models=2), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_examples_does_not_matter(drawn, random):
    gold, predicted, classes = drawn
    order = list(range(len(gold)))
    random.shuffle(order)
    assert_array_equal(
        confusion(gold, predicted, classes), confusion(gold[order], predicted[:, order], classes)
    )


def test_more_leading_axes_than_one():
    generator = np.random.default_rng(0)
    gold, predicted = generator.integers(0, 3, 20), generator.integers(0, 3, (2, 4, 20))
    assert confusion(gold, predicted, 3).shape == (2, 4, 3, 3)
    assert mcc(Counts.of(confusion(gold, predicted, 3))).shape == (2, 4)


def test_a_class_never_seen_nor_predicted_counts_as_zero_in_macro_f1():
    counts = Counts.of(confusion(np.array([0, 1]), np.array([0, 1]), 4))
    assert macro_f1(counts) == pytest.approx(0.5)


@given(answers(models=2))
def test_agreement_is_the_share_of_equal_answers(drawn):
    gold, predicted, _ = drawn
    plain = [np.mean([a == b for a, b in zip(one, gold, strict=True)]) for one in predicted]
    assert_allclose(agreement(predicted, gold), plain)


def test_signatures_say_how_a_score_was_counted():
    assert signature("accuracy", examples=1821, labels=2).startswith(
        "accuracy|examples:1821|labels:2|limbeck:"
    )
    assert signature("macro_f1", examples=5, labels=3).startswith(
        "macro_f1|average:macro|zero:0|examples:5|labels:3|limbeck:"
    )
    assert signature("ece", examples=5, labels=3).startswith(
        "ece|bins:15|norm:1|examples:5|labels:3|limbeck:"
    )
    of_texts = {*METRICS, "binary_f1", *CORRELATIONS, "rmse", "teacher_pearson", *SET_METRICS}
    assert set(OPTIONS) == {*of_texts, *TAG_METRICS, "agreement", "ece"}


def test_a_score_prints_with_its_signature():
    one = score("accuracy", np.array([0, 1, 1, 0]), np.array([0, 1, 1, 1]), 2)
    assert one.value == 0.75
    assert str(one) == f"{one.signature} = 0.7500"
