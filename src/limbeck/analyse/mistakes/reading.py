"""The fifty texts most worth reading, and in which order.

Four kinds, each with its part of the fifty; what one leaves over goes to the others, in this order:

1. *lost* (30): the teacher is right, the student is not.
2. *lost to the control* (8): the control is right, the student and the teacher are not (or there is no teacher): what
   distilling cost.
3. *doubtful* (8): nobody is right, and all say the same: gold itself may be wrong.
4. *won* (4): the student is right, the teacher is not.

Within a kind, texts come first to which it happened under more seeds; of these, the ones on which who errs is surest of
his answer (:mod:`limbeck.analyse.mistakes.confidence`). Where he tells no confidence, the distance between the two
qualities stands in for it (chrF of two translations, distances of two scores from gold); of taggers, the number of
words that are tagged otherwise. A model of several seeds is right here where most of them are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from limbeck.analyse.mistakes.confidence import confidence_of
from limbeck.analyse.mistakes.rows import Row
from limbeck.analyse.mistakes.units import Bools, Cast, Units, marks, probabilities_of
from limbeck.evaluate.kept import Kept
from limbeck.evaluate.metrics import Floats
from limbeck.text.tags import mark_spans

QUOTAS = {"lost": 30, "lost to the control": 8, "doubtful": 8, "won": 4}
"""How many of each kind."""

Kind = tuple[str, Floats, Floats]
"""Its name; the share of seeds by which each text is of it, and how sure who errs is of his answer, ``(texts,)``."""


def most_telling(kept: Kept, units: Units, cast: Cast, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The texts, in the order above.

    Args:
        kept: The run's answers.
        units: Its texts.
        cast: Who is looked at.
        rows: Columns of each text.

    Returns:
        Of each its ``kind``, ``id``, ``origin``, ``text``, ``gold``; what each role ``said``; the ``confidence`` of
        each role that tells it, None where none does; its ``quality``; and the share of ``seeds`` under which it
        happened.
    """
    surety = Surety(kept, cast, units)
    kinds = list(_kinds(kept, units, cast, surety))
    return [
        _told(rows[n], n, kind, cast, surety) | {"seeds": float(share[n])}
        for (kind, share, _), chosen in zip(kinds, _chosen_of(kinds), strict=True)
        for n in chosen
    ]


def _chosen_of(kinds: Sequence[Kind]) -> list[list[int]]:
    """Texts of each kind, none in two of them: each its part of the fifty, then what others left over."""
    orders = [
        sorted(np.flatnonzero(share > 0).tolist(), key=lambda n: (-share[n], -sure[n], n))
        for _, share, sure in kinds
    ]
    chosen: list[list[int]] = [[] for _ in kinds]
    taken: set[int] = set()
    for most in ([QUOTAS[kind] for kind, *_ in kinds], [sum(QUOTAS.values())] * len(kinds)):
        for mine, order, enough in zip(chosen, orders, most, strict=True):
            room = min(enough - len(mine), sum(QUOTAS.values()) - len(taken))
            more = [n for n in order if n not in taken][: max(0, room)]
            mine += more
            taken.update(more)
    return chosen


def _kinds(kept: Kept, units: Units, cast: Cast, surety: Surety) -> Iterator[Kind]:
    beats, student = units.measure.beats, units.quality[cast.student]
    good = {role: units.quality[name].mean(axis=0) for role, name in cast.others.items()}
    lost = np.zeros(len(units))
    if "teacher" in good:
        lost = beats(good["teacher"], student).mean(axis=0)
        yield "lost", lost, surety.of("student", "teacher")
    if "control" in good:
        ours = beats(good["control"], student).mean(axis=0)
        yield "lost to the control", np.where(lost > 0, 0.0, ours), surety.of("student", "control")
    if units.measure.level is not None and kept.task != "regression":
        yield "doubtful", _doubtful(units, cast, surety), surety.of("student", "student")
    if "teacher" in good:
        yield "won", beats(student, good["teacher"]).mean(axis=0), surety.of("teacher", "student")


def _doubtful(units: Units, cast: Cast, surety: Surety) -> Floats:
    """One where no model is right under any seed, and all say the same; else nought."""
    wrong = [units.quality[name].max(axis=0) < 0.5 for name in cast.all.values()]
    return np.asarray(np.logical_and.reduce(wrong) & surety.alike(), dtype=np.float64)


class Surety:
    """How sure models are of what they say.

    Args:
        kept: The run's answers.
        cast: Who is looked at.
        units: Its texts.
    """

    def __init__(self, kept: Kept, cast: Cast, units: Units) -> None:
        self.kept, self.cast, self.units = kept, cast, units
        told = {role: confidence_of(kept, name) for role, name in cast.all.items()}
        self.confidence = {role: said.mean(axis=0) for role, said in told.items() if said is not None}

    def _probabilities(self) -> dict[str, Floats]:
        said = probabilities_of(self.kept)
        return {role: said[name] for role, name in self.cast.all.items()} if said else {}

    def of(self, who: str, against: str) -> Floats:
        """How sure a role is of each text, ``(texts,)``, or how far apart it and another are."""
        if who in self.confidence:
            return np.asarray(np.nan_to_num(self.confidence[who]))
        ours, theirs = (self.cast.all[role] for role in (who, against))
        if self.kept.task == "tagging":
            said = zip(self.kept.said[ours][0], self.kept.said[theirs][0], strict=True)
            return np.array(
                [sum(a != b for a, b in zip(*both, strict=True)) for both in said], dtype=np.float64
            )
        quality = self.units.quality
        return np.asarray(np.abs(quality[ours].mean(axis=0) - quality[theirs].mean(axis=0)))

    def alike(self) -> Bools:
        """Whether all models and seeds say the same of a text, ``(texts,)``."""
        if self.kept.task in ("classification", "multilabel"):
            sets = self._probabilities().values()
            said = np.concatenate([_chosen(one, self.kept.task) for one in sets])
            return np.asarray(
                (said == said[0]).all(axis=tuple(axis for axis in range(said.ndim) if axis != 1))
            )
        answers = [seed for name in self.cast.all.values() for seed in self.kept.said[name]]
        return np.array([all(one[n] == answers[0][n] for one in answers) for n in range(len(self.units))])


def _chosen(probabilities: Floats, task: str) -> Any:
    return probabilities.argmax(axis=-1) if task == "classification" else probabilities > 0.5


def _answers(row: Row, number: int, kind: str, cast: Cast, surety: Surety) -> dict[str, Any]:
    """Gold, and what each role says; of tags the spans that they mark, of plain ones those that are in dispute."""
    if surety.kept.task not in ("tagging", "translation"):
        return {"gold": row["gold"], "said": {role: row[role] for role in cast.all}}
    said = {
        role: surety.kept.said[name][_seed(kind, role, surety.units.quality[name][:, number])][number]
        for role, name in cast.all.items()
    }
    if surety.kept.task == "translation":
        return {"gold": row["gold"], "said": said}
    told = _spans_told(surety.kept, number, {"gold": row["gold"], **said})
    return {"gold": told.pop("gold"), "said": told}


def _seed(kind: str, role: str, quality: Floats) -> int:
    """Of which seed the answer is told: of one to which it happened."""
    if role == "student":
        return int(quality.argmax() if kind == "won" else quality.argmin())
    return int(quality.argmax()) if kind == "lost to the control" and role == "control" else 0


def _spans_told(kept: Kept, number: int, tags: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What tags mark, as text; where they are plain, only words on which some differ."""
    words, plain = kept.examples[number].words, not mark_spans(kept.labels)
    disputed = {place for place, each in enumerate(zip(*tags.values(), strict=True)) if len(set(each)) > 1}
    return {
        role: [
            f"{' '.join(words[span.start : span.end])} ({span.type})"
            for span in marks(said, plain)
            if not plain or span.start in disputed
        ]
        for role, said in tags.items()
    }


def _told(row: Row, number: int, kind: str, cast: Cast, surety: Surety) -> dict[str, Any]:
    sure = {role: float(values[number]) for role, values in surety.confidence.items()}
    return {
        "kind": kind,
        "id": row["id"],
        "origin": row["origin"],
        "text": surety.kept.examples[number].shown,
        **_answers(row, number, kind, cast, surety),
        "confidence": {role: value for role, value in sure.items() if not math.isnan(value)} or None,
        "quality": {
            role: float(surety.units.quality[name][:, number].mean()) for role, name in cast.all.items()
        },
    }
