"""Correlations against SciPy, on the test set and on resamples drawn out in full."""

import numpy as np
import pytest
from scipy import stats

from limbeck.evaluate.bootstrap import draws
from limbeck.evaluate.correlation import pearson, resampled_correlations, rmse, spearman

pytestmark = pytest.mark.unit


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    """Gold with ties, and two models' scores, the second with ties too."""
    random = np.random.default_rng(0)
    gold = random.integers(0, 6, 40).astype(float)
    said = gold + random.normal(size=(2, 40))
    return gold, np.stack([said[0], said[1].round()])


def test_they_are_scipys(scores: tuple[np.ndarray, np.ndarray]) -> None:
    gold, said = scores
    for one in said:
        assert float(pearson(gold, one)) == pytest.approx(stats.pearsonr(gold, one).statistic)
        assert float(spearman(gold, one)) == pytest.approx(stats.spearmanr(gold, one).statistic)


@pytest.mark.parametrize("value", [0.0, 0.1, 2.7, 1e6])
def test_constants_are_not_correlated(value: float) -> None:
    gold, constant = np.arange(7.0), np.full(7, value)
    assert float(pearson(gold, constant)) == float(spearman(gold, constant)) == 0
    assert float(pearson(constant, gold)) == float(spearman(constant, gold)) == 0
    found = resampled_correlations(gold, constant[None], resamples=20)
    assert not found.drawn["pearson"].any() and not found.drawn["spearman"].any()


def test_resamples_are_scored_as_if_they_were_written_out(scores: tuple[np.ndarray, np.ndarray]) -> None:
    gold, said = scores
    found = resampled_correlations(gold, said, resamples=30, seed=3)
    (counts,) = draws(np.arange(40), 40, 40, 30, 3)
    for row, count in enumerate(counts):
        written_out = np.repeat(np.arange(40), count)
        for model, one in enumerate(said):
            for name, of in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
                wanted = of(gold[written_out], one[written_out]).statistic
                assert found.drawn[name][row, model] == pytest.approx(wanted)
    assert found.observed["pearson"].tolist() == pytest.approx(
        [stats.pearsonr(gold, s).statistic for s in said]
    )


def test_equal_models_tie_on_every_resample(scores: tuple[np.ndarray, np.ndarray]) -> None:
    gold, said = scores
    found = resampled_correlations(gold, said[[0, 0]], resamples=50)
    for name in ("pearson", "spearman"):
        gain = found.gain(name, [0], [1])
        assert (gain.gain, gain.low, gain.high, gain.p) == (0, 0, 0, 1)


def test_the_root_mean_squared_error() -> None:
    assert rmse(np.array([1.0, 2.0]), np.array([4.0, 6.0])) == pytest.approx(np.sqrt(12.5))
