"""Fertilities: the aligner against plain loops over dictionaries, and what alignments must be like."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from limbeck.core.objective import NO_GOLD
from limbeck.text import fertilities
from limbeck.text.encode import Encoded, Targets, collate
from limbeck.text.fertilities import Aligner

pytestmark = pytest.mark.unit
END = 2
Pairs = list[tuple[list[int], list[int]]]


def flat(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return np.array([token for row in rows for token in row], dtype=np.int32), offsets


def encoded(pairs: Pairs) -> Encoded:
    """Pairs without end tokens; an empty translation is none."""
    tokens, offsets = flat([[*source, END] for source, _ in pairs])
    targets = Targets(*flat([[*target, END] if target else [] for _, target in pairs]))
    ids = tuple(map(str, range(len(pairs))))
    return Encoded(ids, tokens, offsets, np.full(len(pairs), NO_GOLD), 0, 0, targets=targets)


def by_loops(pairs: Pairs, rounds: int) -> list[list[int]]:
    """Fertilities by the formulas of the module, word by word."""
    table: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)

    def posterior(source: list[int], target: list[int], i: int) -> list[float]:
        n, m = len(source), len(target)
        joint = [
            math.exp(-4 * abs((i + 1) / m - (j + 1) / n)) * max(table[word, target[i]], 1e-7)
            for j, word in enumerate(source)
        ]
        return [each / sum(joint) for each in joint]

    for _ in range(rounds):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        totals: dict[int, float] = defaultdict(float)
        for source, target in pairs:
            for i, said in enumerate(target):
                for word, share in zip(source, posterior(source, target, i), strict=True):
                    counts[word, said] += share
                    totals[word] += share
        table = defaultdict(float, {(word, said): n / totals[word] for (word, said), n in counts.items()})
    found = []
    for source, target in pairs:
        fertility = [0] * (len(source) + 1)
        for i in range(len(target)):
            shares = posterior(source, target, i)
            fertility[shares.index(max(shares))] += 1
        found.append(fertility)
    return found


def some_pairs(count: int, seed: int = 0) -> Pairs:
    random = np.random.default_rng(seed)
    pairs: Pairs = []
    for _ in range(count):
        source = random.integers(5, 15, random.integers(1, 7)).tolist()
        pairs.append((source, random.integers(5, 20, random.integers(0, 8)).tolist()))
    return pairs


@pytest.mark.parametrize("at_once", [1 << 22, 10])
def test_it_is_what_plain_loops_find(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fertilities, "CELLS", at_once)
    pairs = some_pairs(40)
    data = encoded(pairs)
    found = Aligner.learn(data).fertilities(data)
    assert found.dtype == np.int32
    rows = [found[start:end].tolist() for start, end in zip(data.offsets, data.offsets[1:], strict=False)]
    assert rows == by_loops(pairs, fertilities.ROUNDS)
    assert [sum(row) for row in rows] == [len(target) for _, target in pairs]
    assert all(row[-1] == 0 for row in rows)  # end tokens stand for nothing


def test_words_that_stand_for_two_and_for_none_are_found() -> None:
    random = np.random.default_rng(1)
    pairs: Pairs = []
    truth = []
    for _ in range(300):
        source = random.choice(np.arange(5, 25), random.integers(2, 8), replace=False).tolist()
        # Words divisible by 5 say nothing, by 3 are said in two parts.
        said = {
            word: [] if word % 5 == 0 else [100 + word, 200 + word][: 2 if word % 3 == 0 else 1]
            for word in source
        }
        pairs.append((source, [part for word in source for part in said[word]] or [99]))
        truth += [len(said[word]) for word in source] if any(said.values()) else [1] + [0] * (len(source) - 1)
        truth.append(0)
    data = encoded(pairs)
    found = Aligner.learn(data).fertilities(data)
    assert np.mean(found == np.array(truth)) > 0.97


def test_unseen_words_go_by_their_places_and_batches_hold_what_was_found() -> None:
    aligner = Aligner.learn(encoded([([5, 6], [7, 8]), ([6], [8])]))
    strange = encoded([([50, 60, 70], [2_000_000_000, 9, 9]), ([5], []), ([6], [8, 8])])
    found = aligner.fertilities(strange)
    assert found.tolist() == [1, 1, 1, 0, 0, 0, 2, 0]
    nobody = Aligner.learn(encoded([([5], [])]))
    assert not nobody.fertilities(encoded([([5], [])])).any()
    batch = collate(replace(strange, fertilities=found), np.array([2, 0]))
    assert torch.equal(batch.inputs["fertilities"], torch.tensor([[2, 0, 0, 0], [1, 1, 1, 0]]))
    assert "fertilities" not in collate(strange, np.array([0])).inputs
