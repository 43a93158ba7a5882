"""Parallel students and the capacity of their teachers: which teacher is the best for which student.

The slides ("Knowledge Distillation in NLP"; Zhou, Gu and Neubig 2020, section 4) find that the best teacher of a
parallel student is not the largest, and that it grows with the student. Here: tatoeba, English to German, 10,000 short
pairs to learn from, 1,000 to test on, 4,000 pieces; the teachers are the four sizes of ``benchmarks/capacity.py`` and
search with five beams; each of the six parallel students has 3 + 3 layers of 64. ``teacher: real`` is the real text.

    python benchmarks/parallel_capacity.py          # two cores: about 90 minutes (teachers 25, students 65), one seed
    python benchmarks/parallel_capacity.py --full   # all 20,850 pairs, published widths, three seeds

A row a student and a text: BLEU on test with its interval, and the teacher's own; then a row a student
(``kind: summary``) that says whose text it learned best, by BLEU on dev, and how well. That some of six students learn
best from another teacher than the largest is no aim: by luck alone nearly always some would. Each is written as it is
known; run again, it goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy.stats import spearmanr

import command
import translators
from capacity import SIZES, teacher
from limbeck.core.recipe import Recipe
from limbeck.pipeline import distill, steps
from limbeck.pipeline.run import CONTROL, TEACHER
from limbeck.pipeline.translation import TranslationRun
from parallel_students import METHOD, PARALLEL
from results_file import Aim, ResultsFile, Row

PAIRS = 10_000 + translators.HELD_OUT["dev"] + translators.HELD_OUT["test"]
EPOCHS = {"teacher": 12, "student": 10}
STUDENT = {"size": "tiny", "scale": 0.25}
REAL = "real"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, translators.FULL)
    results = command.opened("parallel_capacity", full)
    for size in SIZES:
        for student in PARALLEL:
            if not results.has(kind="student", student=student, teacher=size):
                fill(size, student, full, results)
    for student in PARALLEL:
        if not results.has(kind="summary", student=student):
            results.append(kind="summary", **best(results.find(kind="student", student=student)))
    command.judged(results, AIMS)


def recipe(size: str, student: str, full: bool) -> Recipe:
    """The recipe of a teacher and a student; the real text is learned beside the first teacher's."""
    times, wider = (3, 8) if full else (1, 1)
    decoding = {"beams": 5, "max_length": translators.MAX_LENGTH}
    shape: dict[str, Any] = {**STUDENT, "scale": 1.0} if full else STUDENT
    return translators.recipe(
        f"parallel-capacity-{size}-{student}" + "-full" * full,
        {**translators.tatoeba(), "limit": None if full else PAIRS},
        teacher(size, wider, times * EPOCHS["teacher"]),
        {"kind": student, **shape},
        [{"name": METHOD, "decoding": decoding}],
        epochs=times * EPOCHS["student"],
        seeds=3 if full else 1,
        control=size == SIZES[0],
    )


def fill(size: str, student: str, full: bool, results: ResultsFile) -> None:
    """The rows of a teacher and a student."""
    run, first = (TranslationRun(recipe(size, each, full)) for each in (student, PARALLEL[0]))
    steps.prepare(run)
    translators.adopt(run, first)
    distill(run)
    found = translators.scores(run)
    if size == SIZES[0] and not results.has(kind="student", student=student, teacher=REAL):
        results.append(kind="student", student=student, teacher=REAL, teacher_bleu=None, **found[CONTROL])
    results.append(
        kind="student",
        student=student,
        teacher=size,
        teacher_bleu=found[TEACHER]["bleu"],
        **found[METHOD],
    )


def best(rows: Sequence[Row]) -> Row:
    """Of a student's rows the one that is best on dev, and what it gains over the real text on test."""
    taught = [row for row in rows if row["teacher"] != REAL]
    chosen = max(taught, key=lambda row: row["dev_bleu"])
    (real,) = (row["bleu"] for row in rows if row["teacher"] == REAL)
    kept = {key: chosen[key] for key in ("student", "teacher", "teacher_bleu", "bleu", "seeds")}
    return {**kept, "gain": chosen["bleu"] - real}


# Aims.


def grows(rows: Sequence[Row]) -> float | None:
    """Spearman's correlation of a student's BLEU with the size of its best teacher; 0 where all have the same."""
    found = [row for row in rows if row["kind"] == "summary"]
    if len(found) < len(PARALLEL):
        return None
    sizes = [SIZES.index(row["teacher"]) for row in found]
    return 0.0 if len(set(sizes)) == 1 else float(spearmanr([row["bleu"] for row in found], sizes).statistic)


AIMS = [
    Aim("Spearman's correlation of students' BLEU with the size of their best teacher", grows, above=0),
]

if __name__ == "__main__":
    command.run(main)
