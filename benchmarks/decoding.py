"""Decoding: which of a teacher's translations a parallel student learns best (a table of the slides).

The slides ("Knowledge Distillation in NLP", analysis of the distillation strategies) have a vanilla non-autoregressive
student learn what its teacher draws, draws among its ten likeliest words, takes greedily, and finds with five beams:
each simpler (C) than the one before, and the student's BLEU higher. Here: tatoeba, English to German, 20,850 short
pairs to learn from, 1,000 to test on; teacher and student with 3 + 3 layers of 128 (``tiny``, half as wide as
published, 2.2 million weights of which half a million embed 4,000 pieces). The control is the same student on the real
translations.

    python benchmarks/decoding.py          # two cores: about 55 minutes (teacher 9, texts 6, students 40)
    python benchmarks/decoding.py --full   # twice the epochs, three seeds

Rows: ``kind: text``, C(d), F(d), fuzzy reordering and BLEU against the real text of each text, aligned anew in each of
two rounds (the real text's F is that of its second alignment: what alignment alone makes of it); ``kind: student``,
BLEU on test; ``kind: summary``, both, with means over the rounds. Each is written as it is known; run again, it goes on
where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import command
import translators
from limbeck.core.recipe import Recipe
from limbeck.pipeline import distill, steps
from limbeck.pipeline.run import CONTROL, TEACHER
from limbeck.pipeline.translation import TranslationRun
from results_file import Aim, ResultsFile, Row

SCALE = 0.5
EPOCHS = {"teacher": 15, "student": 15}
SEARCHES: dict[str, dict[str, Any]] = {
    "sampling": {"search": "sampling"},
    "sampling among 10": {"search": "sampling", "top_k": 10},
    "greedy": {"search": "greedy"},
    "beam 5": {"search": "beam", "beams": 5},
}
"""Texts by name in the slides' order, and how the teacher is searched for them."""
REAL = "real"
TITLES = {REAL: CONTROL, **{text: text.replace(" ", "_") for text in SEARCHES}}
"""The method that trains on each text."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, translators.FULL)
    results = command.opened("decoding", full)
    if len(results.find(kind="summary")) < len(TITLES):
        fill(TranslationRun(recipe(full)), results)
    command.judged(results, AIMS)


def recipe(full: bool) -> Recipe:
    """One teacher, and a student a search."""
    size, times = {"size": "tiny", "scale": SCALE}, 2 if full else 1
    methods = [
        {
            "name": "sequence_level",
            "label": TITLES[text],
            "decoding": {**search, "max_length": translators.MAX_LENGTH},
        }
        for text, search in SEARCHES.items()
    ]
    return translators.recipe(
        "decoding" + "-full" * full,
        translators.tatoeba(),
        translators.teacher(**size, epochs=times * EPOCHS["teacher"]),
        {"kind": "vanilla", **size},
        methods,
        epochs=times * EPOCHS["student"],
        seeds=3 if full else 1,
    )


def fill(run: TranslationRun, results: ResultsFile) -> None:
    """All rows: the texts' once they are made, the students' once they are trained."""
    for step in (steps.prepare, steps.teach, steps.ask):
        step(run)
    translators.measure_texts(run, TITLES, results)
    distill(run)
    scores = translators.scores(run)
    if not results.has(kind="teacher"):
        results.append(kind="teacher", **scores[TEACHER])
    for text, title in TITLES.items():
        if not results.has(kind="student", text=text):
            results.append(kind="student", text=text, **scores[title])
        if not results.has(kind="summary", text=text):
            measures = translators.mean_measures(results.find(kind="text", text=text))
            results.append(kind="summary", text=text, **measures, **scores[title])


def gap(field: str, larger: str, smaller: str) -> translators.Measured:
    """By how much a text's field is above another text's."""
    return translators.gap(field, {"text": larger}, {"text": smaller})


def least_faithful(rows: Sequence[Row]) -> float | None:
    """By how much F(d) of sampled text is above the largest of the other searches'."""
    found = [translators.value(rows, "faithfulness", text=text) for text in SEARCHES]
    sampled, *others = (each for each in found if each is not None)
    return sampled - max(others) if len(others) == len(SEARCHES) - 1 else None


STEPS = list(pairwise(SEARCHES))
AIMS = [
    *(
        Aim(f"student's BLEU: {better} above {worse}, points", gap("bleu", better, worse), above=0)
        for worse, better in STEPS[:-1]
    ),
    Aim("student's BLEU: beam 5 not below greedy, points", gap("bleu", "beam 5", "greedy"), at_least=0),
    Aim("student's BLEU: beam 5 above real text, points", gap("bleu", "beam 5", REAL), above=0),
    *(
        Aim(f"C(d): {better} below {worse}, nats", gap("complexity", worse, better), above=0)
        for worse, better in STEPS
    ),
    Aim("F(d): sampling above all others, nats", least_faithful, above=0),
]

if __name__ == "__main__":
    command.run(main)
