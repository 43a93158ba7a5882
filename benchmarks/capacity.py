"""Capacity: what students learn from teachers of four sizes, and from what two more methods make of one of them.

The slides ("Knowledge Distillation in NLP", analysis of the distilled data set and of the models) say that larger
teachers write text that is less simple (C) and more faithful (F); that all of it keeps more of the source's word order
than people's translations; that the best teacher of a weak student is not the largest; that a teacher born again
writes simpler text, and interpolation more faithful text. Here: tatoeba, English to German, 20,850 short pairs to learn
from, 1,000 to test on, 4,000 pieces. Teachers in the published proportions, an eighth as wide, so that two cores can
train them: tiny (3 + 3 layers of 32), small (3 + 3 of 64), base (6 + 6 of 64) and big (6 + 6 of 128); ``parameters``
of the rows counts their weights. Students: an autoregressive one and the vanilla parallel one, both of 3 + 3 layers of
64: in a pilot a vanilla student of that width learned nearly as much at a step as one of 128, in less than half the
time. The rows with ``text: real`` are their controls.

    python benchmarks/capacity.py          # two cores: about 90 minutes (teachers 45, texts 17, students 30)
    python benchmarks/capacity.py --full   # published widths, twice the epochs, three seeds: wants an accelerator

Rows: ``kind: text``, a text's measures in each of two rounds of alignment; ``kind: student``, BLEU on test of each
student on each text; ``kind: summary``, a row a text with means over the rounds, and the BLEU of its teacher and of
both students. Each is written as it is known; run again, it goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import command
import translators
from limbeck.core.recipe import Recipe
from limbeck.models.weights import learnt
from limbeck.pipeline import distill, steps
from limbeck.pipeline.run import CONTROL, TEACHER
from limbeck.pipeline.translation import TranslationRun
from results_file import Aim, ResultsFile, Row

SIZES = ("tiny", "small", "base", "big")
SCALE = 0.125
RATES = {"tiny": 2.8e-3, "small": 2e-3, "base": 2e-3, "big": 1.4e-3}
"""Of teachers: they fall with the root of the width (Vaswani et al. 2017, equation 3). In pilots the narrowest learned
three times as much at 2.8e-3 as at 1e-3."""
STUDENTS: dict[str, dict[str, Any]] = {
    "autoregressive": {"kind": "autoregressive", "size": "tiny", "scale": 0.25},
    "vanilla": {"kind": "vanilla", "size": "tiny", "scale": 0.25},
}
EPOCHS = 10
REAL, DISTILLED, INTERPOLATED, BORN_AGAIN = "real", "distilled", "interpolated", "born again"
METHODS = {DISTILLED: "sequence_level", INTERPOLATED: "sequence_interpolation", BORN_AGAIN: "born_again"}
"""The method that makes each text."""
MORE = "base"
"""The teacher that all methods are tried on; the others distil only."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, translators.FULL)
    results = command.opened("capacity", full)
    for size in SIZES:
        texts = texts_of(size)
        if not all(results.has(kind="summary", **place(size, text)) for text in texts):
            for student in STUDENTS:
                fill(size, student, full, results)
            for text in texts:
                summarise(size, text, results)
        results.finish(AIMS)
    command.judged(results, AIMS)


def texts_of(size: str) -> dict[str, str]:
    """Texts by name that a size's students train on, and of each the method; the real one goes with the first size."""
    found = METHODS if size == MORE else {DISTILLED: METHODS[DISTILLED]}
    return {REAL: CONTROL, **found} if size == SIZES[0] else dict(found)


def place(size: str, text: str) -> Row:
    """Fields of a row that say which text it is about."""
    return {"teacher": None if text == REAL else size, "text": text}


def recipe(size: str, student: str, full: bool) -> Recipe:
    """The recipe of a teacher and a kind of student."""
    scale = 8 if full else 1
    chosen, times = STUDENTS[student], 2 if full else 1
    decoding = {"beams": 5, "max_length": translators.MAX_LENGTH}
    texts = texts_of(size)
    return translators.recipe(
        f"capacity-{size}-{student}" + "-full" * full,
        translators.tatoeba(),
        teacher(size, scale, times * EPOCHS),
        {**chosen, "scale": min(1.0, scale * chosen["scale"])},
        [{"name": name, "decoding": decoding} for text, name in texts.items() if text != REAL],
        epochs=times * EPOCHS,
        seeds=3 if full else 1,
        control=REAL in texts,
    )


def teacher(size: str, wider: int, epochs: float) -> dict[str, Any]:
    """The teacher of a size, so many times as wide as here."""
    return translators.teacher(size, wider * SCALE, epochs, RATES[size] / wider**0.5)


def fill(size: str, student: str, full: bool, results: ResultsFile) -> None:
    """The rows of a teacher and a kind of student."""
    run, texts = TranslationRun(recipe(size, student, full)), texts_of(size)
    steps.prepare(run)
    translators.adopt(run, TranslationRun(recipe(size, next(iter(STUDENTS)), full)))
    for step in (steps.teach, steps.ask):
        step(run)
    for text, title in texts.items():
        translators.measure_texts(run, {text: title}, results, place(size, text))
    distill(run)
    found = translators.scores(run)
    if not results.has(kind="teacher", teacher=size):
        count = learnt(run.teacher.models[0])
        results.append(kind="teacher", teacher=size, parameters=count, **found[TEACHER])
    for text, title in texts.items():
        where = {"kind": "student", **place(size, text), "student": student}
        if not results.has(**where):
            results.append(**where, **found[title])


def summarise(size: str, text: str, results: ResultsFile) -> None:
    """The row that sums up what is known of a text."""
    key = place(size, text)
    if results.has(kind="summary", **key):
        return
    (teacher,) = results.find(kind="teacher", teacher=size)
    wrote = text in (DISTILLED, INTERPOLATED)
    students = results.find(kind="student", **key)
    bleu = {row["student"]: row["bleu"] for row in students}
    dev = {f"{row['student']}_dev": row["dev_bleu"] for row in students}
    results.append(
        kind="summary",
        **key,
        parameters=None if text == REAL else teacher["parameters"],
        teacher_bleu=teacher["bleu"] if wrote else None,  # a successor is not scored
        **translators.mean_measures(results.find(kind="text", **key)),
        **bleu,
        **dev,
    )


# Aims.


def distilled(size: str) -> Row:
    """Key of the text that a teacher's beams found."""
    return place(size, DISTILLED)


def gap(field: str, larger: Row, smaller: Row) -> translators.Measured:
    """By how much a text's field is above another text's."""
    return translators.gap(field, larger, smaller)


def straighter(rows: Sequence[Row]) -> float | None:
    """By how much the least monotonic of the distilled texts is above the real one in fuzzy reordering."""
    real = translators.value(rows, "reordering", **place("", REAL))
    found = [translators.value(rows, "reordering", **distilled(size)) for size in SIZES]
    known = [each for each in found if each is not None]
    return None if real is None or len(known) < len(SIZES) else min(known) - real


def not_the_largest(rows: Sequence[Row]) -> float | None:
    """Vanilla's BLEU by the smaller teacher whose student is best on dev, above that by the largest."""
    summaries = [
        [row for row in rows if row["kind"] == "summary" and row.items() >= distilled(size).items()]
        for size in SIZES
    ]
    if not all(summaries):
        return None
    *smaller, largest = (row for (row,) in summaries)
    chosen = max(smaller, key=lambda row: row["vanilla_dev"])
    return chosen["vanilla"] - largest["vanilla"]


AIMS = [
    Aim(
        "C(d): big's text above tiny's, nats",
        gap("complexity", distilled("big"), distilled("tiny")),
        above=0,
    ),
    Aim(
        "C(d): real text above big's, nats",
        gap("complexity", place("", REAL), distilled("big")),
        above=0,
    ),
    Aim(
        "F(d): tiny's text above big's, nats",
        gap("faithfulness", distilled("tiny"), distilled("big")),
        above=0,
    ),
    Aim("fuzzy reordering score: every distilled text above the real one", straighter, above=0),
    Aim(
        "vanilla's BLEU: by the smaller teacher that is best on dev not below that by big, points",
        not_the_largest,
        at_least=0,
    ),
    Aim(
        "C(d): base's text above that of base born again, nats",
        gap("complexity", distilled(MORE), place(MORE, BORN_AGAIN)),
        above=0,
    ),
    Aim(
        "F(d): base's text above base's interpolated, nats",
        gap("faithfulness", distilled(MORE), place(MORE, INTERPOLATED)),
        above=0,
    ),
]  # fmt: skip

if __name__ == "__main__":
    command.run(main)
