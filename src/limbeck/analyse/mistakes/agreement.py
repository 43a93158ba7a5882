"""Agreement between all models of a run, and whether two of them make the same mistakes.

Cohen's kappa (Cohen 1960, "A Coefficient of Agreement for Nominal Scales") takes from the share of equal answers what
two models would share by luck, each keeping its own counts of labels: ``(p_o - p_e) / (1 - p_e)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.analyse.mistakes.resampling import by_text, drawn_sums, ends, ratio
from limbeck.analyse.mistakes.units import Units
from limbeck.evaluate.bleu import Scorer, chrf
from limbeck.evaluate.correlation import pearson
from limbeck.evaluate.kept import Kept, Said

Codes = NDArray[Any]
"""Answers of one model and seed, as numbers that are equal where the answers are: ``(answers,)``."""

COUNTED = {
    "classification": "texts given the same class",
    "multilabel": "texts given the very same labels",
    "tagging": "words given the same tag",
    "translation": "points of chrF of a row's translations, with a column's as references (first seeds)",
    "regression": "correlation of scores (Pearson)",
}
"""What agreement is, by task."""


def agreement(kept: Kept) -> dict[str, Any]:
    """How alike the models' answers are.

    Returns:
        ``what`` is counted, and in which ``unit`` (share, correlation or points); ``models``; ``share`` (in that unit)
        and ``kappa`` (None where answers are no labels), each ``(models, models)``: means over pairs of seeds, in the
        diagonal over pairs of other seeds of one model (None of a single seed).
    """
    codes = _codes(kept)
    names, nominal = list(codes), kept.task in ("classification", "multilabel", "tagging")
    unit, score = {
        "regression": ("correlation", _correlation),
        "translation": ("points", partial(_likeness, language=kept.language)),
    }.get(kept.task, ("share", _share))
    return {
        "what": COUNTED[kept.task],
        "unit": unit,
        "models": names,
        "share": [[_over_seeds(codes[a], codes[b], a == b, score) for b in names] for a in names],
        "kappa": [[_over_seeds(codes[a], codes[b], a == b, kappa) for b in names] for a in names]
        if nominal
        else None,
    }


def kappa(ours: Codes, theirs: Codes) -> float:
    """Cohen's kappa of two series of labels, ``(answers,)`` each; 1 where both are one and the same label."""
    labels, numbers = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    first, second = (np.bincount(part, minlength=len(labels)) / len(ours) for part in np.split(numbers, 2))
    luck = float(first @ second)
    return 1.0 if luck == 1 else (float(np.mean(ours == theirs)) - luck) / (1 - luck)


def _share(ours: Codes, theirs: Codes) -> float:
    return float(np.mean(ours == theirs))


def _correlation(ours: Codes, theirs: Codes) -> float:
    return float(pearson(ours, theirs))


def _likeness(ours: Codes, theirs: Codes, language: str) -> float:
    """Corpus chrF of translations, with others in the references' place."""
    scorer = Scorer([(text,) for text in theirs], language=language)
    return float(chrf(scorer.counts(list(ours)).sum(axis=0)))


def _over_seeds(ours: Sequence[Codes], theirs: Sequence[Codes], same: bool, score: Any) -> float | None:
    pairs = [
        (one, two) for number, one in enumerate(ours) for two in (theirs[number + 1 :] if same else theirs)
    ]
    if isinstance(score, partial):  # translations are dear to compare
        pairs = pairs[:1]
    return float(np.mean([score(one, two) for one, two in pairs])) if pairs else None


def _codes(kept: Kept) -> dict[str, list[Codes]]:
    """Every model's answers, seed by seed, as numbers; of regression the scores, of translators the texts."""
    if kept.task == "regression":
        return {name: [np.array(one, dtype=np.float64) for one in seeds] for name, seeds in kept.said.items()}
    if kept.task == "translation":
        return {name: [np.array(one) for one in seeds] for name, seeds in kept.said.items()}
    number: dict[Any, int] = {}
    return {
        name: [
            np.array([number.setdefault(each, len(number)) for each in _answers(kept, one)]) for one in seeds
        ]
        for name, seeds in kept.said.items()
    }


def _answers(kept: Kept, said: Said) -> Sequence[Any]:
    if kept.task == "classification":
        return np.array(said).argmax(axis=-1).tolist()  # type: ignore[no-any-return]
    if kept.task == "multilabel":
        return [tuple(row) for row in (np.array(said) > 0.5).tolist()]
    return [tag for sentence in said for tag in sentence]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Whether two models lose the same units of their teacher.

    Attributes:
        of, over: The models; the second may be the first, under its other seeds.
        lost: Units that the first lost, the mean over seeds.
        share: Of these the share that the second lost too, over all pairs of seeds; None where nothing was lost.
        low, high: Ends of its interval over test texts.
        luck: The share that the second lost of all that the teacher has right: so much would be shared by luck.
    """

    of: str
    over: str
    lost: float
    share: float | None
    low: float | None
    high: float | None
    luck: float


def overlap(units: Units, teacher: str, of: str, over: str, resamples: int, interval: float) -> Overlap:
    """How far the units that one model lost are those that another lost, or itself under other seeds.

    Args:
        units: What is judged.
        teacher: Whose units they are that can be lost.
        of: The model.
        over: The other one; the same name takes pairs of other seeds.
        resamples: Of the bootstrap over texts.
        interval: How sure the interval is.
    """
    quality, good = units.quality, units.quality[teacher].mean(axis=0)
    lose = units.measure.beats
    ours, theirs = (lose(good, quality[name]).astype(np.float64) for name in (of, over))
    joint = ours.mean(axis=0) * theirs.mean(axis=0)
    if of == over:
        seeds = len(ours)
        joint = (ours.sum(axis=0) ** 2 - ours.sum(axis=0)) / max(1, seeds * (seeds - 1))
    right = units.measure.right(good)
    can_lose = np.ones(len(good)) if right is None else right.astype(np.float64)
    columns = np.stack([joint, ours.mean(axis=0), theirs.mean(axis=0), can_lose], axis=1)
    sums = by_text(columns, units.texts)
    whole = sums.sum(axis=0)
    luck = float(whole[2] / whole[3]) if whole[3] else 0.0
    if not whole[1] or (of == over and len(ours) == 1):
        return Overlap(of, over, float(whole[1]), None, None, None, luck)
    drawn = drawn_sums(sums, resamples)
    low, high = ends(ratio(drawn[:, 0], drawn[:, 1]), interval)
    return Overlap(of, over, float(whole[1]), float(whole[0] / whole[1]), low, high, luck)
