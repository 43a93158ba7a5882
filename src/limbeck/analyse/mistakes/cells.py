"""Four cells: where two models are both right, one of them alone, or neither; and McNemar's exact test.

McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages": if two
models are equally good, each unit on which one alone is right falls to either with probability one half, so that the
smaller of both counts is binomial. The exact test (Dietterich 1998, "Approximate Statistical Tests", section 3.1, there
with a chi-squared approximation) doubles the tail. Of translations, where nobody is right by himself, the cells are
better by a margin, worse, and alike, and the same test is the sign test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from limbeck.analyse.mistakes.units import Measure, Units, seed_pairs
from limbeck.evaluate.metrics import Floats


@dataclass(frozen=True, slots=True)
class Cells:
    """One seed of a model against one of another.

    Attributes:
        seed: Of ours; None where it has none.
        both: Units on which both are right; of translations those that are alike.
        ours, theirs: Those on which only one is right, or is better by the margin.
        neither: Those on which neither is right; None of translations.
        p: Of the exact test, two-sided.
    """

    seed: int | None
    both: int
    ours: int
    theirs: int
    neither: int | None
    p: float


def cells(ours: Floats, theirs: Floats, measure: Measure, seed: int | None = None) -> Cells:
    """Count the cells.

    Args:
        ours: Quality of ours, ``(units,)``.
        theirs: Of the other model.
        measure: What is right.
        seed: Of ours.
    """
    won, lost = int(measure.beats(ours, theirs).sum()), int(measure.beats(theirs, ours).sum())
    right, rights = measure.right(ours), measure.right(theirs)
    if right is None or rights is None:
        return Cells(seed, len(ours) - won - lost, won, lost, None, mcnemar(won, lost))
    both = int((right & rights).sum())
    return Cells(seed, both, won, lost, len(ours) - both - won - lost, mcnemar(won, lost))


def mcnemar(ours: int, theirs: int) -> float:
    """Two-sided p of the exact test, from the two counts of units on which one model alone is right."""
    return float(binomtest(ours, ours + theirs).pvalue) if ours + theirs else 1.0


def table(units: Units, ours: str, theirs: str, seeds: Sequence[int | None]) -> list[Cells]:
    """The cells of each seed of ours, each against the other's seed beside it.

    Args:
        units: What is judged.
        ours: A model.
        theirs: Another one.
        seeds: Those of ours.
    """
    good, others = units.quality[ours], units.quality[theirs]
    return [cells(good[one], others[two], units.measure, seeds[one]) for one, two in seed_pairs(good, others)]


def mean(rows: Sequence[Cells]) -> dict[str, Any]:
    """The mean cells over seeds."""
    names = ("both", "ours", "theirs", "neither")
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return {name: None if None in values else float(np.mean(values)) for name, values in columns.items()}
