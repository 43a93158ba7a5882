"""Edits against enumeration, a plain Python implementation and sacreBLEU's; applying targets gives the goal."""

from __future__ import annotations

import itertools
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sacrebleu.metrics.lib_ter import BeamEditDistance

from limbeck.structure.edits import (
    NOT_KEPT,
    Rows,
    alignment,
    distances,
    padded,
    placeholders,
    targets,
    with_placeholders,
    without,
)

pytestmark = pytest.mark.unit

HOLE = 99
SHORT = st.lists(st.integers(0, 2), max_size=5)
SEQUENCES = st.lists(st.integers(0, 4), max_size=12)
PAIRS = st.lists(st.tuples(SEQUENCES, SEQUENCES), max_size=5)


def sides(pairs):
    return padded([one for one, _ in pairs]), padded([other for _, other in pairs])


def lists(rows):
    return [row[:length].tolist() for row, length in zip(rows.tokens, rows.lengths, strict=True)]


def plain(one, other, substitutions):
    """The recursion as Wagner and Fischer have it."""

    @cache
    def distance(i, j):
        if not i or not j:
            return i + j
        least = min(distance(i - 1, j), distance(i, j - 1)) + 1
        if one[i - 1] == other[j - 1]:
            return min(least, distance(i - 1, j - 1))
        return min(least, distance(i - 1, j - 1) + 1) if substitutions else least

    return distance(len(one), len(other))


def subsequences(sequence):
    for size in range(len(sequence) + 1):
        yield from itertools.combinations(sequence, size)


def fewest_by_scripts(one, other):
    """Deletions and insertions of the best of all edit scripts: each deletes down to what both have in common."""
    common = {len(left) for left in subsequences(one) if left in set(subsequences(other))}
    return min(len(one) - size + len(other) - size for size in common)


def fewest_by_steps(one, other):
    """Single edits, substitutions among them, until the goal is found, all that there are at each step."""
    reached, steps = {tuple(one)}, 0
    while tuple(other) not in reached:
        steps += 1
        reached |= {
            changed
            for row in reached
            for place in range(len(row) + 1)
            for changed in (
                row[:place] + row[place + 1 :],
                *((*row[:place], token, *row[place:]) for token in range(3)),
                *((*row[:place], token, *row[place + 1 :]) for token in range(3)),
            )
        }
    return steps


# ------------------------------------------------------------ distances


def test_distances_that_are_known():
    known = [
        ("kitten", "sitting", 3, 5),
        ("flaw", "lawn", 2, 2),
        ("", "abc", 3, 3),
        ("abc", "", 3, 3),
        ("", "", 0, 0),
    ]
    pairs = [([ord(c) for c in one], [ord(c) for c in other]) for one, other, _, _ in known]
    assert distances(*sides(pairs)).tolist() == [each[2] for each in known]
    assert distances(*sides(pairs), substitutions=False).tolist() == [each[3] for each in known]


def test_of_no_pairs_there_are_no_distances():
    assert distances(*sides([])).shape == (0,)
    assert alignment(*sides([])).shape == (0, 0)
    assert [each.shape for each in targets(*sides([]))] == [(0, 0), (0, 1), (0, 0)]


@settings(max_examples=30, deadline=None)
@given(one=SHORT, other=SHORT)
def test_no_script_of_deletions_and_insertions_is_shorter(one, other):
    found = distances(*sides([(one, other)]), substitutions=False)
    assert found.tolist() == [fewest_by_scripts(one, other)]


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_no_path_of_single_edits_is_shorter(length):
    every = [list(row) for size in range(4) for row in itertools.product(range(3), repeat=size)]
    of_length = [row for row in every if len(row) == length][:9]
    pairs = list(itertools.product(of_length, every[::3]))
    assert distances(*sides(pairs)).tolist() == [fewest_by_steps(*pair) for pair in pairs]


@settings(max_examples=40, deadline=None)
@given(pairs=PAIRS, substitutions=st.booleans())
def test_distances_are_the_recursions(pairs, substitutions):
    found = distances(*sides(pairs), substitutions=substitutions)
    assert found.tolist() == [plain(*pair, substitutions) for pair in pairs]


def test_distances_are_sacrebleus():
    random = np.random.default_rng(5)
    pairs = [
        tuple(random.integers(0, 6, size).tolist() for size in random.integers(1, 20, 2)) for _ in range(100)
    ]
    theirs = [BeamEditDistance([str(t) for t in goal])([str(t) for t in row])[0] for row, goal in pairs]
    assert distances(*sides(pairs)).tolist() == theirs


@settings(max_examples=40, deadline=None)
@given(one=SEQUENCES, two=SEQUENCES, three=SEQUENCES, substitutions=st.booleans())
def test_it_is_a_metric(one, two, three, substitutions):
    pairs = [(one, two), (two, one), (two, three), (one, three), (one, one)]
    there, back, on, whole, none = distances(*sides(pairs), substitutions=substitutions).tolist()
    assert there == back
    assert none == 0
    assert (there == 0) == (one == two)
    assert whole <= there + on


# ------------------------------------------------------------ alignment and targets


@settings(max_examples=40, deadline=None)
@given(pairs=PAIRS)
def test_what_is_kept_is_a_longest_common_subsequence(pairs):
    hypotheses, goals = sides(pairs)
    aligned = alignment(hypotheses, goals)
    least = distances(hypotheses, goals, substitutions=False)
    for row, (hypothesis, goal) in enumerate(pairs):
        assert (aligned[row, len(hypothesis) :] == NOT_KEPT).all()
        partners = [(place, int(to)) for place, to in enumerate(aligned[row]) if to != NOT_KEPT]
        assert all(hypothesis[place] == goal[to] for place, to in partners)
        assert all(one[1] < next_one[1] for one, next_one in itertools.pairwise(partners))
        assert len(hypothesis) + len(goal) - 2 * len(partners) == least[row]


@settings(max_examples=40, deadline=None)
@given(pairs=PAIRS)
def test_the_targets_make_the_goal(pairs):
    hypotheses, goals = sides(pairs)
    deleted, counts, inserted = targets(hypotheses, goals)
    left = without(hypotheses, deleted)
    opened = with_placeholders(left, counts, HOLE)
    np.testing.assert_array_equal(opened.lengths, goals.lengths)
    np.testing.assert_array_equal((opened.tokens == HOLE) & opened.real, inserted)
    opened.tokens[inserted] = goals.tokens[inserted]
    assert lists(opened) == [goal for _, goal in pairs]
    edits = deleted.sum(1) + inserted.sum(1)
    assert edits.tolist() == distances(hypotheses, goals, substitutions=False).tolist()
    np.testing.assert_array_equal(counts.sum(1), inserted.sum(1))


def test_targets_that_can_be_seen():
    hypotheses, goals = sides([([7, 1, 2, 8], [1, 5, 6, 2, 3]), ([4, 4], [4]), ([], [9, 9])])
    deleted, counts, inserted = targets(hypotheses, goals)
    assert deleted.astype(int).tolist() == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert counts.tolist() == [[0, 2, 1], [0, 0, 0], [2, 0, 0]]
    assert inserted.astype(int).tolist() == [[0, 1, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(pairs=PAIRS.filter(bool), more=st.integers(0, 4), padding=st.integers(0, 4))
def test_padding_and_company_change_nothing(pairs, more, padding):
    def wide(rows):
        tokens = np.full((len(rows.lengths), rows.tokens.shape[1] + more), padding)
        tokens[:, : rows.tokens.shape[1]] = np.where(rows.real, rows.tokens, padding)
        return Rows(tokens, rows.lengths)

    hypotheses, goals = sides(pairs)
    far = wide(hypotheses), wide(goals)
    for substitutions in (True, False):
        alone = [int(distances(*sides([pair]), substitutions=substitutions)[0]) for pair in pairs]
        assert distances(hypotheses, goals, substitutions=substitutions).tolist() == alone
        assert distances(*far, substitutions=substitutions).tolist() == alone
    for together, apart in zip(targets(hypotheses, goals), targets(*far), strict=True):
        np.testing.assert_array_equal(apart[:, : together.shape[1]], together)
        assert not apart[:, together.shape[1] :].any()
    for row, pair in enumerate(pairs):
        for mine, own in zip(targets(hypotheses, goals), targets(*sides([pair])), strict=True):
            np.testing.assert_array_equal(mine[row, : own.shape[1]], own[0])
            assert not mine[row, own.shape[1] :].any()


# ------------------------------------------------------------ changes


@settings(max_examples=30, deadline=None)
@given(goal=SEQUENCES, data=st.data())
def test_placeholders_stand_where_tokens_were_dropped(goal, data):
    goals = padded([goal, [*goal, 3]])
    places = goals.tokens.shape[1]
    chosen = data.draw(st.lists(st.booleans(), min_size=2 * places, max_size=2 * places))
    dropped = np.array(chosen, dtype=bool).reshape(2, places) & goals.real
    counts = placeholders(goals, dropped)
    opened = with_placeholders(without(goals, dropped), counts, HOLE, padding=-1)
    for row, own in enumerate(lists(goals)):
        expected = [HOLE if gone else token for token, gone in zip(own, dropped[row], strict=False)]
        assert opened.tokens[row].tolist() == expected + [-1] * (places - len(own))


def test_slots_after_the_last_are_not_read():
    rows = padded([[1], [2, 3]])
    opened = with_placeholders(rows, np.array([[1, 0, 5], [0, 2, 1]]), HOLE)
    assert lists(opened) == [[HOLE, 1], [2, HOLE, HOLE, 3, HOLE]]


def test_padding_is_never_left_over():
    rows = Rows(np.array([[1, 2, 8], [3, 8, 8]]), np.array([2, 1]))
    left = without(rows, np.array([[False, True, True], [False, False, True]]))
    assert (left.tokens.tolist(), left.lengths.tolist()) == ([[1], [3]], [1, 1])


def test_it_loads_without_torch_and_numba():
    code = "import sys, limbeck.structure.edits; sys.exit(any(m in sys.modules for m in ('torch', 'numba')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
