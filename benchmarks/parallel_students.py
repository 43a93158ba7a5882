"""Parallel students: six of them, and autoregressive ones, on real text and on a teacher's translations of it.

The slides ("Knowledge Distillation in NLP"; Zhou, Gu and Neubig 2020) tell of each what distillation gains in BLEU:
vanilla 8.1, FlowSeq 3.1, the Levenshtein transformer 1.7, so that weak students gain most. Here: tatoeba, English to
German, 20,850 short pairs to learn from, 1,000 to test on, 4,000 pieces; the teacher has 3 + 3 layers of 128 (``tiny``,
half as wide as published) and searches with five beams, the parallel students are half as wide as it, and
autoregressive ones are of that width and of half of it. Students on both texts take equal steps.

    python benchmarks/parallel_students.py          # two cores: about 85 minutes, one seed
    python benchmarks/parallel_students.py --full   # three times the epochs, three seeds

A row a student: parameters, mean passes of the decoder a sentence, BLEU on test without and with distillation
(``real``, ``distilled``), the gain with its interval (paired bootstrap), and the median of a sentence alone on one
thread, in PyTorch and in ONNX int8, with how many times faster than the teacher's five beams in PyTorch that is, timed
in turn with it. Each is written as it is known; run again, it goes on where it stopped.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import command
import translators
from limbeck.core.recipe import Recipe
from limbeck.pipeline import distill, steps
from limbeck.pipeline.run import CONTROL, TEACHER
from limbeck.pipeline.translation import TranslationRun
from results_file import Aim, Row

TIMED = 50
"""Sentences timed alone."""
EPOCHS = {"teacher": 15, "student": 10}
SHAPE = {"size": "tiny", "scale": 0.25}
PARALLEL = ("vanilla", "flowseq", "inat", "insertion", "maskt", "levenshtein")
STUDENTS: dict[str, dict[str, Any]] = {
    **{kind: {"kind": kind, **SHAPE} for kind in PARALLEL},
    "autoregressive, 64 wide": {"kind": "autoregressive", **SHAPE},
    "autoregressive, 32 wide": {"kind": "autoregressive", "size": "tiny", "scale": 0.125},
}
SLIDES = {"vanilla": 8.1, "flowseq": 3.1, "levenshtein": 1.7}
"""Gains in BLEU that the slides tell of."""
METHOD = "sequence_level"
ENGINES = {"pytorch": "p50_ms", "onnx-int8": "int8_p50_ms"}
"""Engines that are told of, and the field of each."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, translators.FULL)
    results = command.opened("parallel_students", full)
    first = TranslationRun(recipe(next(iter(STUDENTS)), full))
    for student in STUDENTS:
        if not results.has(student=student):
            run = TranslationRun(recipe(student, full))
            steps.prepare(run)
            translators.adopt(run, first)
            distill(run)
            if not results.has(student=TEACHER):
                results.append(
                    student=TEACHER, **told(run, TEACHER), real=translators.scores(run)[TEACHER]["bleu"]
                )
            results.append(student=student, **told(run, METHOD), **gained(run))
        results.finish(AIMS)
    command.judged(results, AIMS)


def recipe(student: str, full: bool) -> Recipe:
    """The recipe of a student; teacher and texts are the same for all."""
    times = 3 if full else 1
    return translators.recipe(
        f"parallel-{student.replace(', ', '-').replace(' ', '-')}" + "-full" * full,
        translators.tatoeba(),
        translators.teacher("tiny", 0.5, times * EPOCHS["teacher"]),
        STUDENTS[student],
        [{"name": METHOD, "decoding": {"beams": 5, "max_length": translators.MAX_LENGTH}}],
        epochs=times * EPOCHS["student"],
        seeds=3 if full else 1,
        evaluate={
            "latency_sentences": TIMED,
            "resamples": 2000,
            "decoding": {"beams": 5, "max_length": translators.MAX_LENGTH},
        },
    )


def told(run: TranslationRun, name: str) -> Row:
    """What a model costs, in PyTorch and in int8, and how often its decoder runs for a sentence."""
    found = run.evaluation
    costs = {row["engine"]: row for row in found["cost"] if row["name"] == name}
    passes = [row["passes"] for row in found["faults"] if row["name"] == name]
    timed = {field: costs[engine]["p50_ms"] if engine in costs else None for engine, field in ENGINES.items()}
    reference = next(
        row["p50_ms"] for row in found["cost"] if (row["name"], row["engine"]) == (TEACHER, "pytorch")
    )
    faster = {
        field.replace("p50_ms", "times_faster"): each and reference / each for field, each in timed.items()
    }
    return {
        "parameters": costs["pytorch"]["parameters"],
        "passes": None if None in passes else statistics.fmean(passes),  # a teacher's are not counted
        **timed,
        **faster,
    }


def gained(run: TranslationRun) -> Row:
    """BLEU after real text and after the teacher's, and what that gains, with its interval."""
    (gain,) = (
        each
        for each in run.evaluation["gains"]
        if (each["of"], each["over"], each["metric"]) == (METHOD, CONTROL, "bleu")
    )
    return {
        "real": translators.scores(run)[CONTROL]["bleu"],
        "distilled": translators.scores(run)[METHOD]["bleu"],
        "gain": gain["gain"],
        "low": gain["low"],
        "high": gain["high"],
        "seeds": len(run.recipe.seeds),
    }


# Aims.


def gain(rows: Sequence[Row], student: str) -> float | None:
    """What distillation gains for a student, in points of BLEU."""
    return next((row["gain"] for row in rows if row["student"] == student), None)


def least(rows: Sequence[Row]) -> float | None:
    """The smallest gain of the parallel students."""
    found = [gain(rows, kind) for kind in PARALLEL]
    known = [each for each in found if each is not None]
    return min(known) if len(known) == len(PARALLEL) else None


def weak_gain_most(rows: Sequence[Row]) -> float | None:
    """Of pairs of parallel students, the share in which the weaker one gains more.

    Weaker is whose mean over both texts is lower (Oldham 1962): what luck takes from a student on real text alone would
    be its gain as well, and the unlucky would seem to gain more.
    """
    found = [row for row in rows if row["student"] in PARALLEL]
    pairs = [(one, other) for place, one in enumerate(found) for other in found[:place]]
    agreeing = [(strength(one) - strength(other)) * (one["gain"] - other["gain"]) < 0 for one, other in pairs]
    return sum(agreeing) / len(agreeing) if len(found) == len(PARALLEL) else None


def strength(row: Row) -> float:
    """A student's mean BLEU over both texts."""
    return statistics.fmean((row["real"], row["distilled"]))


def above(more: str, less: str) -> translators.Measured:
    """By how much one student gains more than another."""

    def found(rows: Sequence[Row]) -> float | None:
        high, low = gain(rows, more), gain(rows, less)
        return None if high is None or low is None else high - low

    return found


SLIDES_ORDER = sorted(SLIDES, key=lambda kind: -SLIDES[kind])
AIMS = [
    Aim("least gain of the six by distillation, BLEU", least, above=0),
    Aim("share of pairs in which the weaker student gains more", weak_gain_most, above=0.5),
    *(
        Aim(f"{more} gains more than {less}, BLEU", above(more, less), above=0)
        for more, less in pairwise(SLIDES_ORDER)
    ),
]

if __name__ == "__main__":
    command.run(main)
