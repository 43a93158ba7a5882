"""Paired bootstrap: against a plain loop over the same resamples, and against what an interval promises."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose
from sklearn import metrics as oracle

from limbeck.evaluate import bootstrap
from limbeck.evaluate.bootstrap import paired, resampled
from limbeck.evaluate.metrics import METRICS


def noisy(gold, right, classes, generator, seeds):
    """Predictions ``(seeds, examples)`` that are right that often."""
    shape = (seeds, len(gold))
    wrong = (gold + generator.integers(1, classes, shape)) % classes
    return np.where(generator.random(shape) < right, gold, wrong)


def plainly(gold, ours, theirs, metric, classes, resamples, seed):
    """Every gain by a loop: draw sentences, score each seed with scikit-learn, take means."""
    labels = list(range(classes))
    judge = {
        "accuracy": oracle.accuracy_score,
        "mcc": oracle.matthews_corrcoef,
        "macro_f1": lambda a, b: oracle.f1_score(a, b, labels=labels, average="macro", zero_division=0),
    }[metric]
    generator, n = np.random.default_rng(seed), len(gold)
    gains = []
    for rows in generator.integers(0, n, (resamples, n), dtype=np.int32):
        mean_ours = np.mean([judge(gold[rows], one[rows]) for one in ours])
        mean_theirs = np.mean([judge(gold[rows], one[rows]) for one in theirs])
        gains.append(mean_ours - mean_theirs)
    return np.array(gains)


@pytest.mark.unit
@pytest.mark.parametrize("metric", METRICS)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 25), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=8, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_resamples_equal_a_plain_loop(metric, seed, classes, examples, seeds, others):
    generator = np.random.default_rng(seed)
    gold = generator.integers(0, classes, examples)
    ours = noisy(gold, 0.8, classes, generator, seeds)
    theirs = noisy(gold, 0.6, classes, generator, others)
    gains = plainly(gold, ours, theirs, metric, classes, 30, seed=7)
    fast = resampled(gold, np.concatenate([ours, theirs]), classes, resamples=30, seed=7)
    drawn = fast.drawn[metric]
    assert_allclose(drawn[:, :seeds].mean(axis=1) - drawn[:, seeds:].mean(axis=1), gains, atol=1e-12)
    interval = paired(gold, ours, theirs, metric=metric, classes=classes, resamples=30, interval=0.9, seed=7)
    assert_allclose([interval.low, interval.high], np.quantile(gains, [0.05, 0.95]), atol=1e-12)
    side = min((gains <= 1e-12).sum(), (gains >= -1e-12).sum())
    assert interval.p == pytest.approx(min(1, 2 * (side + 1) / 31))
    assert interval.resamples == 30


@pytest.mark.unit
def test_one_seed_draws_the_same_in_any_number_of_pieces(monkeypatch):
    generator = np.random.default_rng(1)
    gold = generator.integers(0, 3, 101)
    predicted = noisy(gold, 0.8, 3, generator, 4)
    whole = resampled(gold, predicted, 3, resamples=50, seed=3)
    monkeypatch.setattr(bootstrap, "DRAWN_AT_ONCE", 707)
    pieces = resampled(gold, predicted, 3, resamples=50, seed=3)
    other = resampled(gold, predicted, 3, resamples=50, seed=4)
    for metric in METRICS:
        assert (whole.drawn[metric] == pieces.drawn[metric]).all()
        assert (whole.drawn[metric] != other.drawn[metric]).any()


@pytest.mark.unit
def test_pairs_are_judged_on_the_same_resamples_whoever_else_is_there():
    generator = np.random.default_rng(2)
    gold = generator.integers(0, 2, 80)
    models = noisy(gold, 0.8, 2, generator, 5)
    together = resampled(gold, models, 2, resamples=200, seed=0).gain("mcc", [0, 1], [4])
    alone = paired(gold, models[:2], models[4:], metric="mcc", classes=2, resamples=200, seed=0)
    assert_allclose(
        [together.gain, together.low, together.high, together.p], [alone.gain, alone.low, alone.high, alone.p]
    )


@pytest.mark.unit
def test_a_model_does_not_gain_over_itself():
    generator = np.random.default_rng(3)
    gold = generator.integers(0, 3, 60)
    models = noisy(gold, 0.7, 3, generator, 3)
    for metric in METRICS:
        # In another order of seeds, so that rounding may differ.
        same = paired(gold, models, models[[2, 0, 1]], metric=metric, classes=3, resamples=300)
        assert_allclose([same.gain, same.low, same.high, same.p], [0, 0, 0, 1], atol=1e-12)


@pytest.mark.unit
def test_who_gains_and_who_loses_are_mirror_images():
    generator = np.random.default_rng(4)
    gold = generator.integers(0, 2, 200)
    good, bad = noisy(gold, 0.95, 2, generator, 2), noisy(gold, 0.6, 2, generator, 3)
    there = paired(gold, good, bad, metric="accuracy", classes=2, resamples=999)
    back = paired(gold, bad, good, metric="accuracy", classes=2, resamples=999)
    assert_allclose([there.gain, there.low, there.high], [-back.gain, -back.high, -back.low], atol=1e-12)
    assert there.low > 0
    assert there.p == back.p == pytest.approx(2 / 1000)


@pytest.mark.unit
def test_a_wider_interval_holds_a_narrower_one_and_the_gain():
    generator = np.random.default_rng(5)
    gold = generator.integers(0, 2, 200)
    models = noisy(gold, 0.8, 2, generator, 2)
    narrow = paired(gold, models[:1], models[1:], metric="accuracy", classes=2, resamples=999, interval=0.5)
    wide = paired(gold, models[:1], models[1:], metric="accuracy", classes=2, resamples=999, interval=0.99)
    assert wide.low <= narrow.low <= narrow.gain <= narrow.high <= wide.high


@pytest.mark.unit
def test_the_size_of_the_sentiment_benchmark_is_quick():
    generator = np.random.default_rng(6)
    gold = generator.integers(0, 2, 1821)
    ours, theirs = noisy(gold, 0.88, 2, generator, 5), noisy(gold, 0.85, 2, generator, 5)
    start = time.process_time()
    paired(gold, ours, theirs, metric="accuracy", classes=2, resamples=10_000)
    assert time.process_time() - start < 4  # about 0.7 s; the rest is for a machine that is busy


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_intervals_cover_the_truth_as_often_as_they_promise(metric):
    """Draw test sets from a world where the true gain is known; 95% intervals miss it in about 5% of them."""
    generator = np.random.default_rng(8)
    world, classes, trials = 400_000, 3, 400
    gold = generator.choice(classes, world, p=[0.5, 0.3, 0.2])
    hard = generator.random(world) < 0.3  # both models err on the same sentences, as models do
    right = np.where(hard, 0.5, 0.95)
    models = np.stack([noisy(gold, right - loss, classes, generator, 1)[0] for loss in (0, 0.01, 0.04, 0.05)])
    truth = resampled(gold, models, classes, resamples=1).observed[metric]
    true_gain = truth[:2].mean() - truth[2:].mean()
    held = 0
    for trial in range(trials):
        rows = generator.integers(0, world, 500)
        interval = resampled(gold[rows], models[:, rows], classes, resamples=1000, seed=trial).gain(
            metric, [0, 1], [2, 3]
        )
        held += interval.low <= true_gain <= interval.high
    assert 0.92 <= held / trials <= 0.98


@pytest.mark.slow
def test_p_is_uniform_enough_where_nobody_gains():
    generator = np.random.default_rng(9)
    p = []
    for trial in range(400):
        gold = generator.integers(0, 2, 500)
        models = noisy(gold, 0.85, 2, generator, 2)
        p.append(
            paired(gold, models[:1], models[1:], metric="accuracy", classes=2, resamples=1000, seed=trial).p
        )
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08
