import itertools

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from train_task import make_settings

from limbeck.text.batching import batches
from limbeck.train.schedule import evaluation_steps, groups, journal_interval, learning_rate, total_steps

LENGTHS = np.random.default_rng(0).integers(1, 20, 101)
SMALL = make_settings(tokens_per_batch=64)


@given(st.integers(1, 300), st.floats(0, 1), st.sampled_from(["linear", "inverse_sqrt"]))
def test_learning_rate_rises_and_falls_and_never_wastes_a_step(
    steps: int, warmup: float, schedule: str
) -> None:
    settings = make_settings(learning_rate=2.0, warmup=warmup, schedule=schedule)
    rates = [learning_rate(step, steps, settings) for step in range(steps)]
    assert all(0 < rate <= 2 for rate in rates)
    top = int(np.argmax(rates))
    assert (np.diff(rates[: top + 1]) >= 0).all()
    assert (np.diff(rates[top:]) <= 0).all()


def test_learning_rate_reaches_its_peak_and_both_ends() -> None:
    settings = make_settings(learning_rate=1.0, warmup=0.2)
    rates = [learning_rate(step, 10, settings) for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


def test_inverse_square_root_is_that_of_vaswani_scaled_to_the_peak() -> None:
    settings = make_settings(learning_rate=0.5, warmup=0.25, schedule="inverse_sqrt")
    rates = np.array([learning_rate(step, 40, settings) for step in range(40)])
    number, warmup = np.arange(1.0, 41.0), 10
    published = 512**-0.5 * np.minimum(number**-0.5, number * warmup**-1.5)  # equation 3, width 512
    np.testing.assert_allclose(rates, 0.5 * published / published.max(), rtol=1e-12)
    assert rates[9] == pytest.approx(0.5)
    unwarmed = settings.model_copy(update={"warmup": 0.0})
    assert [learning_rate(step, 40, unwarmed) for step in (0, 3)] == pytest.approx([0.5, 0.25])


@given(st.integers(1, 500), st.integers(1, 30))
def test_evaluations_are_spread_evenly_and_end_with_the_last_step(steps: int, evaluations: int) -> None:
    found = sorted(evaluation_steps(steps, evaluations))
    assert found[-1] == steps
    assert found[0] >= 1
    assert len(found) == min(steps, evaluations)
    gaps = np.diff([0, *found])
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(
    ("epochs", "accumulate", "processes"), [(1, 1, 1), (2.5, 3, 1), (2, 2, 2), (0.001, 1, 1)]
)
def test_total_steps_cover_the_epochs(epochs: float, accumulate: int, processes: int) -> None:
    settings = make_settings(epochs=epochs, accumulate=accumulate, tokens_per_batch=64)
    steps = total_steps(LENGTHS, settings, processes=processes)
    size = accumulate * processes
    last = next(groups(LENGTHS, settings, size, seed=5, skip=steps - 1))
    assert last.epoch >= epochs
    if steps > 1:
        assert next(groups(LENGTHS, settings, size, seed=5, skip=steps - 2)).epoch < epochs


@given(st.integers(0, 60), st.integers(1, 4))
@hypothesis_settings(max_examples=30)
def test_skipping_groups_equals_walking_past_them(skip: int, size: int) -> None:
    walked = next(itertools.islice(groups(LENGTHS, SMALL, size, 3), skip, None))
    jumped = next(groups(LENGTHS, SMALL, size, 3, skip=skip))
    assert walked.epoch == jumped.epoch
    assert all(np.array_equal(a, b) for a, b in zip(walked.rows, jumped.rows, strict=True))


def test_every_row_comes_once_an_epoch_in_another_order() -> None:
    count = len(batches(LENGTHS, 64, seed=3, epoch=0))
    stream = groups(LENGTHS, SMALL, 1, 3)
    epochs = [np.concatenate([next(stream).rows[0] for _ in range(count)]) for _ in range(2)]
    assert all(sorted(rows) == list(range(101)) for rows in epochs)
    assert not np.array_equal(*epochs)


def test_journal_gets_a_hundred_lines_or_all_steps() -> None:
    assert [journal_interval(steps) for steps in (1, 99, 250, 100_000)] == [1, 1, 2, 20]
