"""Drawing: candidates to the examples of a task, as many of each class, and nothing in test that train gives away.

Where candidates belong to groups (the lemma of the verb whose tense is asked, say) a group is in one part only, so that
a probe cannot answer by remembering words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.analyse.probes.task import PARTS, Part, SentenceTask, Sizes, Words
from limbeck.core.errors import LimbeckError

LEAST = 8
"""Examples of a class that test must hold; dev half of them, train three times as many."""
FEWEST: dict[Part, int] = {"train": 3 * LEAST, "dev": LEAST // 2, "test": LEAST}


def least(sizes: Sizes) -> int:
    """Examples of a class of which every part gets as many as it must hold, where they are cut at random."""
    return 1 + max(-(-fewest * sizes.total // sizes.of(part)) for part, fewest in FEWEST.items())


class TooFewError(LimbeckError):
    """The text does not hold enough for a task."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that could be an example.

    Attributes:
        words: The sentence.
        label: Its class.
        group: What must not be in two parts; empty for nothing.
    """

    words: Words
    label: str
    group: str = ""


def draw(
    name: str, candidates: Sequence[Candidate], sizes: Sizes, random: np.random.Generator
) -> SentenceTask:
    """A balanced task.

    Args:
        name: Of the task.
        candidates: One a sentence.
        sizes: How many examples at most.
        random: Says which ones.

    Raises:
        TooFewError: There is one class only, or too few examples of one.
    """
    shuffled = [candidates[row] for row in random.permutation(len(candidates))]
    grouped = any(each.group for each in shuffled)
    found = _by_group(shuffled, sizes) if grouped else _at_random(shuffled, sizes)
    classes = sorted({each.label for each in shuffled})
    _check(name, found, classes)
    rows: list[tuple[Candidate, Part]] = []
    for part in PARTS:
        if sizes.of(part) < len(classes):
            what = f"{name}: 'sizes.{part}' is {sizes.of(part)}, and there are {len(classes)} classes"
            raise TooFewError(what)
        each = min(sizes.of(part) // len(classes), *(len(found[part][label]) for label in classes))
        rows += [(one, part) for label in classes for one in found[part][label][:each]]
    rows = [rows[row] for row in random.permutation(len(rows))]
    return SentenceTask(
        name,
        [one.words for one, _ in rows],
        [one.label for one, _ in rows],
        [part for _, part in rows],
    )


Sorted = dict[Part, dict[str, list[Candidate]]]
"""Candidates by part and class."""


def _at_random(candidates: Sequence[Candidate], sizes: Sizes) -> Sorted:
    """Each class cut alike, by the shares that are wanted."""
    by_class: dict[str, list[Candidate]] = defaultdict(list)
    for each in candidates:
        by_class[each.label].append(each)
    found: Sorted = {part: {} for part in PARTS}
    for label, members in by_class.items():
        ends = np.cumsum([round(len(members) * sizes.of(part) / sizes.total) for part in ("test", "dev")])
        found["test"][label] = members[: ends[0]]
        found["dev"][label] = members[ends[0] : ends[1]]
        found["train"][label] = members[ends[1] :]
    return found


def _by_group(candidates: Sequence[Candidate], sizes: Sizes) -> Sorted:
    """Whole groups, the largest first, each to the part that still lacks most of what the group holds.

    One that would be more than a quarter of test goes to train while that lacks anything. In a part groups take turns,
    so that what is drawn of it is not of the largest ones alone.
    """
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for each in candidates:
        groups[each.group].append(each)
    whole = Counter(each.label for each in candidates)
    lacking = {
        part: {label: count * sizes.of(part) / sizes.total for label, count in whole.items()}
        for part in PARTS
    }
    part_of: dict[str, Part] = {}
    for group, members in sorted(groups.items(), key=lambda item: len(item[1]), reverse=True):
        counts = Counter(each.label for each in members)
        part: Part = max(
            PARTS, key=lambda part: min(lacking[part][label] - count for label, count in counts.items())
        )
        most = {label: whole[label] * sizes.test / sizes.total / 4 for label in counts}
        if any(counts[label] > most[label] and lacking["train"][label] > 0 for label in counts):
            part = "train"
        part_of[group] = part
        for label, count in counts.items():
            lacking[part][label] -= count
    turns: dict[int, list[Candidate]] = defaultdict(list)
    taken: Counter[tuple[str, str]] = Counter()
    for each in candidates:
        taken[each.group, each.label] += 1
        turns[taken[each.group, each.label]].append(each)
    found: Sorted = {part: {label: [] for label in whole} for part in PARTS}
    for turn in sorted(turns):
        for each in turns[turn]:
            found[part_of[each.group]][each.label].append(each)
    return found


def _check(name: str, found: Sorted, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise TooFewError(
            f"{name}: there is one class of examples only" if classes else f"{name}: there are no examples"
        )
    for part, fewest in FEWEST.items():
        scarce = min(classes, key=lambda label: len(found[part].get(label, ())))
        count = len(found[part].get(scarce, ()))
        if count < fewest:
            raise TooFewError(f"{name}: {count} examples of '{scarce}' for {part}, and {fewest} are wanted")
