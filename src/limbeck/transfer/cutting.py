"""Cutting: draws of examples, which keep their order in whatever they are drawn into.

Each draw has a random generator of its own, so that one draw more changes no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.tasks import SCORE
from limbeck.text.clean import example_key
from limbeck.text.tags import ordered

ALIKE = ""
"""The group of all sentences with tags, translations, scores or sets of labels; no label has this name."""


def labels_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """Labels in order: as numbers where all are whole numbers, by name otherwise; tags as in ``text.tags``.

    Of examples with scores the one that stands for these.
    """
    if any(example.tags is not None for example in examples):
        return ordered(tag for example in examples for tag in example.tags or ())
    if any(example.score is not None for example in examples):
        return (SCORE,)
    names = {example.gold for example in examples if example.gold is not None}
    names.update(label for example in examples for label in example.labels or ())
    try:
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(names))


def limit(examples: list[Example], most: int, seed: int) -> list[Example]:
    """At most so many of the examples, drawn at random."""
    if most >= len(examples):
        return examples
    rows = np.sort(_random(seed, "limit").permutation(len(examples))[:most])
    return [examples[row] for row in rows]


def limit_texts(examples: list[Example], most: int, seed: int) -> list[Example]:
    """At most so many translated examples, drawn at random; all translations of a text go together."""
    if most >= len(examples):
        return examples
    texts = _rows_by_text(enumerate(examples))
    kept: set[int] = set()
    for place in _random(seed, "limit").permutation(len(texts)):
        if len(kept) + len(texts[place]) > most:
            break
        kept.update(texts[place])
    return [example for row, example in enumerate(examples) if row in kept]


def cut(
    examples: Sequence[Example], wanted: int, role: str, seed: int
) -> tuple[list[Example], list[Example]]:
    """Cut some labelled examples off, labels in proportion; one at least of each label stays.

    Sentences with tags, scores or sets of labels are cut off at random.

    Args:
        examples: To cut from; unlabelled ones stay.
        wanted: How many to cut off.
        role: What they are cut for: ``dev`` or ``test``.
        seed: Of the draw.

    Returns:
        What stays, and what was cut off.

    Raises:
        LimbeckError: There are too few.
    """
    groups = _by_label(examples)
    room = {label: len(rows) - 1 for label, rows in groups.items()}
    if wanted > sum(room.values()):
        what = "tagged" if any(example.tags is not None for example in examples) else "labelled"
        raise _too_few(role, wanted, groups, f"{what} sentences")
    off = _draw(groups, _proportional(room, wanted), _random(seed, role))
    stays = [example for row, example in enumerate(examples) if row not in off]
    return stays, [example for row, example in enumerate(examples) if row in off]


def cut_texts(
    examples: Sequence[Example], wanted: int, role: str, seed: int
) -> tuple[list[Example], list[Example]]:
    """Cut some translated examples off at random: about ``wanted``, for all translations of a text go together.

    Args:
        examples: To cut from; untranslated ones stay.
        wanted: How many to cut off; more where the last text has several translations.
        role: What they are cut for: ``dev`` or ``test``.
        seed: Of the draw.

    Returns:
        What stays, and what was cut off.

    Raises:
        LimbeckError: There are too few.
    """
    texts = _rows_by_text((row, example) for row, example in enumerate(examples) if example.targets)
    off: set[int] = set()
    for place in _random(seed, role).permutation(len(texts))[: len(texts) - 1]:
        if len(off) >= wanted:
            break
        off.update(texts[place])
    if len(off) < wanted:
        raise _too_few(role, wanted, {ALIKE: [row for rows in texts for row in rows]}, "translated texts")
    stays = [example for row, example in enumerate(examples) if row not in off]
    return stays, [example for row, example in enumerate(examples) if row in off]


def hide(examples: Sequence[Example], shown: int, seed: int) -> list[Example]:
    """All the examples, with the gold of only so many of them, drawn alike from every label.

    Tagged and translated sentences are drawn at random.

    Raises:
        LimbeckError: There are fewer labelled examples than that, or more labels.
    """
    groups = _by_label(examples)
    have = sum(map(len, groups.values()))
    if shown > have:
        what = f"'labelled' asks for {shown} labelled examples, and there are {have}"
        raise LimbeckError(what, fix="Ask for fewer, or leave 'labelled' out")
    if shown < len(groups):
        what = f"'labelled' keeps {shown} examples, too few for {len(groups)} labels"
        raise LimbeckError(what, fix=f"Keep at least {len(groups)}, one for each label")
    rows = _draw(
        groups,
        _balanced({label: len(group) for label, group in groups.items()}, shown),
        _random(seed, "hide"),
    )
    return [
        example if row in rows or not example.labelled else example.without_gold
        for row, example in enumerate(examples)
    ]


def _too_few(role: str, wanted: int, groups: Mapping[str, list[int]], what_they_are: str) -> LimbeckError:
    rows = sum(map(len, groups.values()))
    if groups.keys() == {ALIKE}:
        what = f"too few rows: {wanted} for {role} cannot be cut from {rows} {what_they_are}, one to stay"
        return LimbeckError(what, fix=f"Give {role} a file of its own or a smaller number")
    what = (
        f"too few rows: {wanted} for {role} cannot be cut from {rows} labelled examples with "
        f"{len(groups)} labels, one of each to stay for training"
    )
    doubt = "; or is 'label' the wrong column?" if len(groups) > rows / 2 else ""
    return LimbeckError(what, fix=f"Give {role} a file of its own or a smaller number{doubt}")


def _proportional(room: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Shares of ``wanted`` in proportion to ``room``, by largest remainder; none passes its room."""
    total = max(1, sum(room.values()))
    quotas = {label: wanted * size // total for label, size in room.items()}
    by_remainder = sorted(room, key=lambda label: (-(wanted * room[label] % total), label))
    for label in by_remainder[: wanted - sum(quotas.values())]:
        quotas[label] += 1
    return quotas


def _balanced(room: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Equal shares of ``wanted``; what a scarce label lacks goes to the others."""
    quotas: dict[str, int] = {}
    left = wanted
    for place, label in enumerate(sorted(room, key=lambda label: (room[label], label))):
        quotas[label] = min(room[label], left // (len(room) - place))
        left -= quotas[label]
    return quotas


def _draw(
    groups: Mapping[str, list[int]], quotas: Mapping[str, int], random: np.random.Generator
) -> set[int]:
    """Row numbers: of each label as many as its quota."""
    return {int(row) for label, rows in groups.items() for row in random.permutation(rows)[: quotas[label]]}


def _by_label(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Row numbers of each label, labels sorted; sentences without one label each are one group."""
    groups: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        if example.gold is not None:
            groups.setdefault(example.gold, []).append(row)
        elif example.labelled:
            groups.setdefault(ALIKE, []).append(row)
    return dict(sorted(groups.items()))


def _rows_by_text(rows: Iterable[tuple[int, Example]]) -> list[list[int]]:
    """Row numbers of each text, in the order in which texts come first."""
    found: dict[str, list[int]] = {}
    for row, example in rows:
        found.setdefault(example_key(example), []).append(row)
    return list(found.values())


def _random(seed: int, draw: str) -> np.random.Generator:
    return np.random.default_rng([seed, *draw.encode()])
