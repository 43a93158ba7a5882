"""Slices: parts of a test set that are cut by one thing about each of its units.

A :class:`Feature` gives a value of each row. A truth value makes one slice, of the rows where it is true; a text one
slice for each text that there is; a tuple of texts one for each text in it; a number is cut at its quartiles; None is
in no slice. What is too small to be tested, or leaves out too little, is none, and of slices with the same units only
the first is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.analyse.mistakes.rows import AS_ANOTHER, AS_THIS, NEVER, Row
from limbeck.analyse.mistakes.units import Bools

Value = bool | float | str | tuple[str, ...] | None

DIGITS, EXACT = 3, 17
"""Of numbers in names: as few as this where they tell parts apart, and never more than a float has."""
BINS = 4
"""Parts that numbers are cut into, of about as many units each."""
MOST = 50
"""Slices of one feature, at most, the largest: of texts that all differ there would be no end."""
NEGATING = """
no not never none nobody nothing nowhere neither nor cannot without hardly barely scarcely lacks lack lacking
ain aint arent cant couldnt didnt doesnt dont hadnt hasnt havent isnt mustnt shouldnt wasnt werent wont wouldnt
"""
NEGATIONS = frozenset(NEGATING.split())
"""Words that negate in English, also as people write them who leave out the apostrophe."""
NEGATED = re.compile(r"n['’]t$")
"""How negated verbs end, and what tokenisers leave of them."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing about each row.

    Attributes:
        name: As tables call it; of a truth value the slice.
        value: From a row.
        reads: Columns without which there is none.
        of_spans: Whether it is about spans, and not about the texts that they are in.
    """

    name: str
    value: Callable[[Row], Value]
    reads: tuple[str, ...]
    of_spans: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Some of the units.

    Attributes:
        name: What they share.
        feature: What they were cut by.
        members: Which they are, ``(units,)``.
    """

    name: str
    feature: str
    members: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The slices of a test set.

    Attributes:
        slices: In the order of the features.
        small: How many had too few units, or left out too few.
        lacking: Features whose columns are not known, with these columns.
    """

    slices: Sequence[Slice]
    small: int
    lacking: Mapping[str, Sequence[str]]


def is_negated(words: Sequence[str]) -> bool:
    """Whether some of the words (in small letters) negate, in English."""
    return any(word in NEGATIONS or NEGATED.search(word) is not None for word in words)


FEATURES: tuple[Feature, ...] = (
    Feature("length in words", lambda row: int(row["length"]), ("length",)),
    Feature("gold", lambda row: row["gold"], ("gold",)),
    Feature("negation", lambda row: is_negated(row["words"]), ("words",)),
    Feature("rare words", lambda row: row["rare"] > 0, ("rare",)),
    Feature("unknown words", lambda row: row["unknown"] > 0, ("unknown",)),
    Feature("share of words cut into pieces", lambda row: float(row["split"]), ("split",)),
    Feature("words that the tokeniser cannot read", lambda row: row["unread"] > 0, ("unread",)),
    Feature("numbers", lambda row: any(map(_is_number, row["words"])), ("words",)),
    Feature("questions", lambda row: "?" in row["text"] or "?" in row.get("second", ""), ("text",)),
    Feature("teacher's confidence", lambda row: float(row["confidence"]), ("confidence",)),
    Feature("teacher's entropy", lambda row: float(row["entropy"]), ("entropy",)),
    Feature("shared words of the pair", lambda row: float(row["overlap"]), ("overlap",)),
    Feature("entities in the sentence", lambda row: _up_to(row["entities"], 3), ("entities",)),
    Feature("type", lambda row: str(row["type"]), ("type",), of_spans=True),
    Feature("size in words", lambda row: _up_to(row["size"], 3), ("size",), of_spans=True),
    Feature("seen in training", lambda row: _seen(row["seen"]), ("seen",), of_spans=True),
    Feature("place in the sentence", lambda row: _third(row["place"]), ("place",), of_spans=True),
)
"""Those that every run is cut by, as far as their columns are known; gold's only where it is labels or scores."""


def built_in(task: str, with_spans: bool) -> list[Feature]:
    """The features of a task.

    Args:
        task: Which one.
        with_spans: Whether the units are spans: then those of texts are of the sentence that they are in.
    """
    without = {"tagging": {"gold"}, "translation": {"gold"}}.get(task, set())
    return [one for one in FEATURES if one.name not in without and (with_spans or not one.of_spans)]


def cut(features: Sequence[Feature], rows: Sequence[Row], smallest: int) -> Found:
    """All slices by these features.

    Args:
        features: In the order of slices.
        rows: One a unit, all with the same columns.
        smallest: A slice has this many units at least, and leaves out as many.
    """
    known = set(rows[0]) if rows else set()
    lacking = {one.name: sorted(set(one.reads) - known) for one in features if not set(one.reads) <= known}
    slices, small, seen = [], 0, set()
    for feature in features:
        if feature.name in lacking:
            continue
        for one in _by(feature, [feature.value(row) for row in rows]):
            size = int(one.members.sum())
            key = one.members.tobytes()
            if min(size, len(rows) - size) < smallest:
                small += size > 0
            elif key not in seen:
                seen.add(key)
                slices.append(one)
    return Found(slices, small, lacking)


def _by(feature: Feature, values: Sequence[Value]) -> Iterator[Slice]:
    """The slices that values make."""
    there = [value for value in values if value is not None]
    if all(isinstance(value, bool | np.bool_) for value in there):
        yield Slice(feature.name, feature.name, np.array([bool(value) for value in values], dtype=np.bool_))
    elif all(isinstance(value, bool | int | float | np.number) for value in there):
        yield from _bins(feature, np.array([np.nan if v is None else float(v) for v in values]))  # type: ignore[arg-type]
    else:
        sets = [
            value if isinstance(value, tuple) else () if value is None else (str(value),) for value in values
        ]
        sizes: dict[str, int] = {}
        for value in sets:
            for each in value:
                sizes[each] = sizes.get(each, 0) + 1
        for name in sorted(sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST]):
            yield Slice(f"{feature.name}: {name}", feature.name, np.array([name in value for value in sets]))


def _bins(feature: Feature, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Iterator[Slice]:
    """Numbers cut at their quartiles; equal numbers are never parted."""
    known = values[~np.isnan(values)]
    if not len(known):
        return
    upper = np.unique(np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    upper = upper[upper < known.max()]
    number = np.searchsorted(upper, values)
    bins = [(number == bin_) & ~np.isnan(values) for bin_ in range(len(upper) + 1)]
    bins = [members for members in bins if members.any()]
    ends = [(float(values[members].min()), float(values[members].max())) for members in bins]
    for digits in range(DIGITS, EXACT + 1):  # as few as tell them apart
        names = [_span(*each, digits) for each in ends]
        if len(set(names)) == len(names):
            break
    for members, name in zip(bins, names, strict=True):
        yield Slice(f"{feature.name}: {name}", feature.name, members)


def _span(low: float, high: float, digits: int) -> str:
    return _number(low, digits) if low == high else f"{_number(low, digits)} to {_number(high, digits)}"


def _number(value: float, digits: int) -> str:
    if value == int(value):
        return f"{value:,.0f}"
    if 0.95 <= value < 1:  # what is all but sure is told apart by how far it is from one
        return f"{value:.{max(digits + 1, 1 - math.floor(math.log10(1 - value)))}f}"
    return f"{value:.{digits}g}"


def _up_to(count: int, most: int) -> str:
    return str(count) if count < most else f"{most} or more"


def _is_number(word: str) -> bool:
    return any(map(str.isdigit, word))


def _third(place: float) -> str:
    return (
        "in the first third" if place < 1 / 3 else "in the middle" if place <= 2 / 3 else "in the last third"
    )


def _seen(how: str) -> str:
    return {AS_THIS: "marked the same", AS_ANOTHER: "marked otherwise", NEVER: "never marked"}.get(how, how)
