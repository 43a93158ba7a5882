"""Batches: every row once, within budget, equally many in every epoch, shuffled by seed and epoch alone."""

import numpy as np
from hypothesis import given, strategies as st

from limbeck.text.batching import batches

LENGTHS = st.lists(st.integers(0, 300), max_size=300).map(lambda values: np.array(values, dtype=np.int64))


@given(
    lengths=LENGTHS,
    budget=st.integers(1, 2000),
    most=st.none() | st.integers(1, 40),
    seed=st.none() | st.integers(0, 9),
    epoch=st.integers(0, 9),
)
def test_every_row_once_and_within_budget(lengths, budget, most, seed, epoch):
    cut = batches(lengths, budget, most, seed=seed, epoch=epoch)
    assert sorted(row for rows in cut for row in rows) == list(range(len(lengths)))
    for rows in cut:
        assert 1 <= len(rows) <= (most or len(lengths))
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= budget or lengths[rows].max() == 0


@given(lengths=LENGTHS, budget=st.integers(1, 2000), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_seed_and_epoch_say_all_and_the_number_never_changes(lengths, budget, seed, epoch):
    first, second = (batches(lengths, budget, seed=seed, epoch=epoch) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert len(first) == len(batches(lengths, budget, seed=seed + 1, epoch=epoch + 1))


def test_order_and_company_change_from_epoch_to_epoch():
    lengths = np.random.default_rng(0).integers(5, 60, 2000)
    one, two = (batches(lengths, 1024, seed=1, epoch=epoch) for epoch in (0, 1))
    assert {frozenset(rows.tolist()) for rows in one} != {frozenset(rows.tolist()) for rows in two}
    assert [lengths[rows].max() for rows in one] != [lengths[rows].max() for rows in two]
    together = [set(rows.tolist()) for rows in two]
    # A batch's rows are spread over several batches an epoch later.
    spread = [sum(bool(set(rows.tolist()) & other) for other in together) for rows in one if len(rows) > 5]
    assert np.mean(spread) > 1.5


def test_little_is_padding():
    lengths = np.random.default_rng(0).lognormal(2.8, 0.6, 20_000).astype(np.int64) + 2
    cut = batches(lengths, 2048, seed=1)
    used = sum(len(rows) * lengths[rows].max() for rows in cut)
    assert lengths.sum() / used > 0.93


def test_inference_takes_the_longest_first():
    lengths = np.array([3, 9, 4, 9, 20])
    assert [rows.tolist() for rows in batches(lengths, 18)] == [[4], [1, 3], [2, 0]]
