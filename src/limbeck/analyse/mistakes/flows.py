"""Flows: from what one model says to what another says of the same units, by gold label.

Two confusion matrices do not tell which units changed their place between them. A flow does: so many units of a gold
label went from one answer to another. It is *lost* where the first answer was gold's, *won* where the second is, and
else *moved* from one error to another. Counts are means over seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limbeck.analyse.mistakes.units import MISSED, OTHERWISE, Units, seed_pairs

SHOWN = 30
"""Flows that are told, the largest first."""
MANY = 30
"""With more labels than this the whole difference of two matrices is not told."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Units of a gold label that went from one answer to another.

    Attributes:
        kind: ``lost``, ``won`` or ``moved``.
        count: How many, the mean over seeds.
    """

    gold: str
    before: str
    after: str
    kind: str
    count: float


def labels_of(units: Units) -> list[str]:
    """Gold's labels and those that models say, sorted; what is no label comes last."""
    assert units.gold is not None
    seen = {
        *units.gold.tolist(),
        *(label for said in units.said.values() for label in np.unique(said).tolist()),
    }
    return sorted(seen, key=lambda label: (label in (MISSED, OTHERWISE), label))


Codes = Mapping[tuple[str, str, str], float]
"""How many units have a gold label, the first answer, and the second."""


def counts(units: Units, before: str, after: str) -> Codes:
    """How many units went where, by gold, first and second answer: means over seeds.

    Args:
        units: What is judged, with labels.
        before: The model that flows come from.
        after: The model that they go to.
    """
    assert units.gold is not None
    gold, pairs = units.gold.tolist(), seed_pairs(units.said[after], units.said[before])
    found: Counter[tuple[str, str, str]] = Counter()
    for one, two in pairs:
        found.update(
            zip(gold, units.said[before][two].tolist(), units.said[after][one].tolist(), strict=True)
        )
    return {went: count / len(pairs) for went, count in found.items()}


def flows(units: Units, before: str, after: str) -> dict[str, Any]:
    """What is told of the flows between two models.

    Returns:
        ``labels``; ``flows``, the largest first, and in ``others`` how many units are in those not told; ``change``,
        the second confusion matrix minus the first, gold down and answers across (None of too many labels); ``stayed``,
        units by the answer that both gave.
    """
    labels, found = labels_of(units), counts(units, before, after)
    went = [Flow(g, b, a, _kind(g, b, a), count) for (g, b, a), count in found.items() if a != b]
    went.sort(key=lambda flow: (-flow.count, flow.gold, flow.before, flow.after))
    stayed = dict.fromkeys(labels, 0.0)
    for (_, first, second), count in found.items():
        stayed[first] += count if first == second else 0.0
    return {
        "before": before,
        "after": after,
        "labels": labels,
        "flows": [asdict(flow) for flow in went[:SHOWN]],
        "others": float(sum(flow.count for flow in went[SHOWN:])),
        "change": _change(went, labels) if len(labels) <= MANY else None,
        "stayed": stayed,
    }


def _change(went: Sequence[Flow], labels: Sequence[str]) -> list[list[float]]:
    number = {label: place for place, label in enumerate(labels)}
    change = np.zeros((len(labels), len(labels)))
    for flow in went:
        change[number[flow.gold], number[flow.before]] -= flow.count
        change[number[flow.gold], number[flow.after]] += flow.count
    listed: list[list[float]] = change.round(9).tolist()
    return listed


def _kind(gold: str, before: str, after: str) -> str:
    return "lost" if before == gold else "won" if after == gold else "moved"
