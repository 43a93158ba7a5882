"""The fuzzy reordering score, by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from limbeck.analyse.alignment import Links
from limbeck.analyse.reordering import fuzzy_reordering

nan = float("nan")


@pytest.mark.parametrize(
    ("points", "score"),
    [
        ({(0, 0), (1, 1), (2, 2)}, 1),  # as it was
        ({(0, 2), (1, 1), (2, 0)}, 0),  # backwards: three chunks of three words
        ({(0, 1), (1, 2), (2, 0)}, 0.5),  # the last comes first: two chunks
        ({(0, 3), (1, 4), (2, 0), (3, 1), (4, 2)}, 0.75),  # two blocks change places
        ({(0, 0), (4, 1), (9, 7)}, 1),  # words between that have no link are in neither order
        ({(0, 0), (1, 0), (2, 0)}, 1),  # three words become one
        ({(0, 0), (0, 3), (1, 1), (2, 2)}, 1),  # one word becomes two, the first in front
        ({(0, 0), (0, 1)}, nan),  # one word has no order
        (set(), nan),
    ],
)
def test_by_hand(points: set[tuple[int, int]], score: float) -> None:
    assert fuzzy_reordering(Links.of([points]), 1) == pytest.approx([score], nan_ok=True)


@given(st.lists(st.integers(2, 8).flatmap(lambda n: st.permutations(range(n)))))
def test_of_permutations(orders: list[list[int]]) -> None:
    links = Links.of([{(source, target) for target, source in enumerate(order)} for order in orders])
    steps = [sum(b - a != 1 for a, b in pairwise(order)) / (len(order) - 1) for order in orders]
    assert fuzzy_reordering(links, len(orders)) == pytest.approx(1 - np.array(steps))
