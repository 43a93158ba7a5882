"""Linear CKA against its definition by Gram matrices, and what it must not change by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from limbeck.analyse.cka import cka_matrix, linear_cka
from limbeck.analyse.similarity import best_mapping


def by_gram_matrices(x: np.ndarray, y: np.ndarray) -> float:
    """HSIC of linear kernels, normalised (Kornblith et al. 2019, equations 2 and 3)."""
    centring = np.eye(len(x)) - 1 / len(x)

    def hsic(k: np.ndarray, other: np.ndarray) -> float:
        return float(np.trace(k @ centring @ other @ centring))

    k, other = x @ x.T, y @ y.T
    return hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other))


seeds = st.integers(0, 2**32 - 1)


def states(seed: int, width: int, examples: int = 30) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(examples, width)) + random.normal(size=width) * 5


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 8), st.integers(1, 8))
def test_it_is_what_gram_matrices_say(seed: int, width: int, other: int) -> None:
    x, y = states(seed, width), states(seed + 1, other)
    assert linear_cka(x, y) == pytest.approx(by_gram_matrices(x, y), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 8), st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_rotation_scale_and_shift_change_nothing(seed: int, width: int, scale: float, shift: float) -> None:
    x, y = states(seed, width), states(seed + 1, 5)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))
    assert linear_cka(scale * x @ rotation + shift, y) == pytest.approx(linear_cka(x, y), abs=1e-6)
    assert linear_cka(x, scale * x @ rotation) == pytest.approx(1, abs=1e-9)
    assert linear_cka(x, y) == pytest.approx(linear_cka(y, x), abs=1e-12)


def test_other_linear_maps_do_change_it() -> None:
    x = states(1, 6)
    assert linear_cka(x, x @ np.diag([10, 1, 1, 0.1, 0.1, 0.1])) < 0.9


def test_states_that_never_change_are_like_nothing() -> None:
    x = states(2, 4)
    assert linear_cka(x, np.full((30, 3), 7.0)) == 0
    assert linear_cka(np.zeros((30, 3)), np.zeros((30, 3))) == 0


def test_a_matrix_has_one_number_a_pair_and_half_precision_serves() -> None:
    x = [states(n, 4, 200) for n in range(3)]
    found = cka_matrix(x, [each.astype(np.float16) for each in x[:2]])
    assert found.shape == (3, 2)
    assert found[0, 0] == pytest.approx(1, abs=1e-3)
    assert found[2, 1] == pytest.approx(linear_cka(x[2], x[1]), abs=1e-3)
    with pytest.raises(ValueError, match="different numbers of examples"):
        linear_cka(x[0], x[1][:10])


def by_trying_all(alike: np.ndarray) -> tuple[int, ...]:
    from itertools import combinations

    students, teachers = alike.shape
    tried = combinations(range(teachers), students)
    return tuple(
        n + 1 for n in max(tried, key=lambda those: sum(alike[row, n] for row, n in enumerate(those)))
    )


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(0, 3))
def test_the_mapping_is_the_best_of_all_that_rise(seed: int, students: int, more: int) -> None:
    alike = np.random.default_rng(seed).random((students, students + more))
    assert best_mapping(alike) == by_trying_all(alike)


def test_a_deeper_student_has_no_mapping() -> None:
    assert best_mapping(np.ones((3, 2))) is None
