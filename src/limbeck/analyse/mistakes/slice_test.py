"""Is a model worse than another on a slice, and worse there than elsewhere?

For each unit, ``d`` is the quality of ours minus that of the other model, each the mean over its seeds; ``D`` is its
sum over a text. Of a slice there are told

* the *gap*, the mean of ``d`` in it, with the percentile interval of a paired bootstrap over texts, and the p-value of
  the sign-flip test (Fisher 1935, "The Design of Experiments", section 21): if both models are equally good on the
  slice, every ``D`` could as well have the other sign. Where qualities are shares of seeds the test is exact, by
  convolution; of one seed it is McNemar's (:mod:`cells`). Elsewhere the sum is held against a normal law of variance
  ``sum D²``.
* the *excess*, the gap less the gap outside the slice, with its interval by the same resamples, and the p-value of the
  permutation test of membership in its normal approximation (Hoeffding 1951, "A Combinatorial Central Limit Theorem").

What a student loses everywhere is a gap in every slice; what it loses in one place is an excess. Slices are ranked by
what is sure of their excess, by the upper end of its interval: the most negative comes first. All slices that are tried
are one family: p-values are adjusted by Holm's step-down ("A Simple Sequentially Rejective Multiple Test Procedure",
1979), which holds however slices overlap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import binom, norm

from limbeck.analyse.mistakes.resampling import by_text, drawn_sums, ends, ratio
from limbeck.analyse.mistakes.slices import Slice
from limbeck.analyse.mistakes.units import Cast, Units
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.metrics import Floats

EXACT = 1e-9
"""How near to whole numbers differences must be, in parts of a seed, for the exact test."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How far ours is from another model on a slice, in the measure's own unit; below nought, ours is worse.

    Attributes:
        gap: Mean difference on the slice.
        low, high: Ends of its interval.
        p: That there is none; ``adjusted`` by Holm over all slices.
        elsewhere: Mean difference outside the slice.
        excess: The gap less that.
        excess_low, excess_high: Ends of its interval.
        excess_p: That there is none; ``excess_adjusted`` likewise.
    """

    gap: float
    low: float
    high: float
    p: float
    elsewhere: float
    excess: float
    excess_low: float
    excess_high: float
    excess_p: float
    adjusted: float = 1.0
    excess_adjusted: float = 1.0


@dataclass(frozen=True, slots=True)
class Tested:
    """A slice with what was found of it.

    Attributes:
        name: The slice's.
        feature: What it was cut by.
        unit: What is in it.
        members: Digest of which units are in it: slices of two runs with one name may differ in them.
        size: How many units.
        share: Of all units.
        quality: Mean quality of student, teacher and control on it, by role.
        gaps: Of the student, by the role of the other model.
    """

    name: str
    feature: str
    unit: str
    members: str
    size: int
    share: float
    quality: Mapping[str, float]
    gaps: Mapping[str, Gap]

    @property
    def main(self) -> Gap:
        """The gap by which slices are ranked: that to the teacher, where there is one."""
        return self.gaps["teacher"] if "teacher" in self.gaps else self.gaps["control"]


def ranked(judged: Sequence[tuple[Units, Sequence[Slice]]], cast: Cast, settings: Evaluation) -> list[Tested]:
    """Test all slices of a run, and rank them: what was surely lost first.

    Args:
        judged: Units with their slices; of taggers sentences, and spans.
        cast: Who is looked at; without a teacher and a control there is nothing to test.
        settings: Resamples and interval of the bootstrap.
    """
    if not cast.others:
        return []
    found = [one for units, slices in judged for one in _tested(units, slices, cast, settings)]
    found.sort(key=lambda one: (one.main.excess_high, one.main.excess, one.unit, one.name))
    return _adjusted(found, list(cast.others))


def overall(units: Units, cast: Cast, settings: Evaluation) -> dict[str, Any]:
    """Mean quality of each role on all units, and the student's gaps there."""
    everything = Slice("all", "", np.ones(len(units), dtype=np.bool_))
    (found,) = _tested(units, [everything], cast, settings) if len(units) else [None]
    return {} if found is None else {"size": found.size, "quality": found.quality, "gaps": _plain(found.gaps)}


def as_row(one: Tested) -> dict[str, Any]:
    """As JSON holds it."""
    return asdict(one) | {"gaps": _plain(one.gaps)}


def _plain(gaps: Mapping[str, Gap]) -> dict[str, dict[str, float]]:
    return {role: asdict(gap) for role, gap in gaps.items()}


def _tested(units: Units, slices: Sequence[Slice], cast: Cast, settings: Evaluation) -> list[Tested]:
    """The slices of one kind of units, in order."""
    if not slices:
        return []
    means = {role: units.quality[name].mean(axis=0) for role, name in cast.all.items()}
    members = np.stack([one.members for one in slices], axis=1).astype(np.float64)  # (units, slices)
    gaps = {role: _gaps(units, members, cast, role, settings) for role in cast.others}
    sizes = members.sum(axis=0)
    return [
        Tested(
            one.name,
            one.feature,
            units.name,
            hashlib.sha256(one.members.tobytes()).hexdigest()[:16],
            int(sizes[number]),
            float(sizes[number] / len(units)),
            {role: float(mean[one.members].mean()) for role, mean in means.items()},
            {role: found[number] for role, found in gaps.items()},
        )
        for number, one in enumerate(slices)
    ]


def _gaps(units: Units, members: Floats, cast: Cast, role: str, settings: Evaluation) -> list[Gap]:
    """The student's gap to one other model on each slice."""
    ours, theirs = units.quality[cast.student], units.quality[cast.others[role]]
    d = ours.mean(axis=0) - theirs.mean(axis=0)
    parts = len(ours) * len(theirs) // np.gcd(len(ours), len(theirs))
    slices, ones = members.shape[1], np.ones((len(d), 1))
    columns = np.concatenate([members * d[:, None], members, ones * d[:, None], ones], axis=1)
    sums = by_text(columns, units.texts)
    observed = _means(sums.sum(axis=0, keepdims=True), slices)
    drawn = _means(drawn_sums(sums, settings.resamples), slices)
    return [
        Gap(
            float(observed[0][0, n]),
            *ends(drawn[0][:, n], settings.interval),
            sign_flip(sums[:, n], int(parts)),
            float(observed[1][0, n]),
            float(observed[0][0, n] - observed[1][0, n]),
            *ends(drawn[0][:, n] - drawn[1][:, n], settings.interval),
            membership(sums[:, n], sums[:, slices + n], sums[:, -2], sums[:, -1]),
        )
        for n in range(slices)
    ]


def _means(sums: Floats, slices: int) -> tuple[Floats, Floats]:
    """Means of ``d`` inside and outside of each slice, each ``(resamples, slices)``; outside of all units, nought."""
    inside, sizes = sums[:, :slices], sums[:, slices : 2 * slices]
    outside, left = sums[:, -2:-1] - inside, sums[:, -1:] - sizes
    return ratio(inside, sizes), np.where(left > 0, ratio(outside, left), 0.0)


def sign_flip(differences: Floats, parts: int) -> float:
    """Two-sided p of the sign-flip test that differences are as likely to be negative as positive.

    Args:
        differences: One a text, ``(texts,)``.
        parts: They may be whole numbers of this part of one (seeds); then the test is exact.
    """
    steps = differences[np.abs(differences) > EXACT] * parts
    if not len(steps):
        return 1.0
    whole = np.rint(steps)
    if np.abs(steps - whole).max() > EXACT * parts or np.abs(whole).sum() > 1e6:
        return float(2 * norm.sf(abs(steps.sum()) / np.sqrt((steps**2).sum())))
    chances, reach = _sums_of_signs(np.abs(whole).astype(np.int64)), int(np.abs(whole).sum())
    observed = int(abs(whole.sum()))
    return float(min(1.0, chances[np.abs(np.arange(-reach, reach + 1)) >= observed].sum()))


def _sums_of_signs(sizes: np.ndarray[Any, np.dtype[np.int64]]) -> Floats:
    """Chances of each sum of these numbers with signs thrown by fair coins, from the least to the greatest.

    Of ``n`` equal numbers ``k`` the sum is ``k (2 B - n)`` with a binomial ``B``; different ones are convolved.
    """
    chances = np.ones(1)
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        spaced = np.zeros(2 * size * count + 1)
        spaced[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        # The transform is quicker than the sum, and wrong by some 1e-17 of what is largest.
        chances = (
            fftconvolve(chances, spaced)
            if min(len(chances), len(spaced)) > 4096
            else np.convolve(chances, spaced)
        )
    return np.asarray(np.maximum(chances, 0.0))


def membership(inside: Floats, sizes: Floats, totals: Floats, counts: Floats) -> float:
    """Two-sided p that a slice's mean is like that of as many units drawn from all, by Hoeffding's normal law.

    Units of one text go together, so that what is permuted are texts: each text's residual, its sum less its size times
    the mean of all, is in the slice by the share of its units that are.

    Args:
        inside: Sums of differences over each text's units in the slice, ``(texts,)``.
        sizes: How many of its units are in the slice.
        totals: Sums over all its units.
        counts: How many units it has.
    """
    mean = totals.sum() / counts.sum()
    residuals, share = totals - mean * counts, sizes / counts
    observed = (inside - mean * sizes).sum()
    if len(totals) < 2:
        return 1.0
    variance = (
        ((residuals - residuals.mean()) ** 2).sum() * ((share - share.mean()) ** 2).sum() / (len(totals) - 1)
    )
    # A slice that parts a text's units has a part of its residual by their own differences.
    own = ((inside - share * totals) ** 2).sum()
    spread = np.sqrt(variance + own)
    return float(2 * norm.sf(abs(observed) / spread)) if spread > 0 else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    order = np.argsort(p_values, kind="stable")
    scaled = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(one) for one in adjusted]


def _adjusted(found: Sequence[Tested], roles: Sequence[str]) -> list[Tested]:
    """With p-values adjusted for as many slices as there are, gaps and excesses of each role by themselves."""
    gaps: list[dict[str, Gap]] = [{} for _ in found]
    for role in roles:
        of_gap = holm([one.gaps[role].p for one in found])
        of_excess = holm([one.gaps[role].excess_p for one in found])
        for number, one in enumerate(found):
            gaps[number][role] = replace(
                one.gaps[role], adjusted=of_gap[number], excess_adjusted=of_excess[number]
            )
    return [replace(one, gaps=gap) for one, gap in zip(found, gaps, strict=True)]
