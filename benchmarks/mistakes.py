"""Mistakes: where distilled students lose what their teachers know, and whether their controls lose the same.

Runs of two benchmarks, three seeds each: students of film reviews (``benchmarks/sentiment.py``) on the labelled
sentences and on unlabelled phrases, and taggers of entities and chunks (``benchmarks/taggers.py``) on the tagged
sentences, by the sub-structure method. They are trained here where those benchmarks have not been run.
``limbeck analyse`` cuts each test set into slices and tests all of them, p-values adjusted by Holm's method.

    python benchmarks/mistakes.py          # two cores: about 60 minutes where nothing is trained yet
    python benchmarks/mistakes.py --full   # more runs: every student of both benchmarks, five seeds

Rows: ``kind: run``, what is kept overall; ``kind: slice``, a slice on which the student is surely worse than its
teacher (adjusted p below 0.05), with the gap there, the gap elsewhere and whether it is surely worse there than
elsewhere (``worse_here``); ``kind: overlap``, of the units that the distilled student lost the share that its control
lost too, with its interval, and the share that luck would have them lose together. Each is written as it is known; run
again, it goes on where it stopped. LIMBECK_DATA names the folder of the sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import command
import sentiment
import taggers
from limbeck.pipeline import Run, steps
from limbeck.pipeline.analysing import analyse
from results_file import Aim, ResultsFile, Row

SURE = 0.05
"""Largest adjusted p-value of a slice that is told of."""


@dataclass(frozen=True)
class Looked:
    """A run that is looked into.

    Attributes:
        name: In the rows.
        made: Makes it, to its evaluation.
    """

    name: str
    made: Callable[[], Run]


def looked_into(full: bool) -> list[Looked]:
    """The runs, those that take least first."""
    seeds = 5 if full else 3
    students = ["bilstm", "static", "transformer"] if full else ["bilstm"]
    cells = [
        sentiment.Cell(student, text, ("logit_regression",), seeds)
        for text in ("sentences", "phrases")
        for student in students
    ]
    tagged = [
        (task, student)
        for task in taggers.SETS
        for student in taggers.STUDENTS
        if full or (task, student) != ("chunks", "bilstm")
    ]
    return [
        *(
            Looked(f"sentiment, {cell.student} on {cell.transfer}", lambda cell=cell: of_cell(cell))
            for cell in cells
        ),
        *(
            Looked(f"{task}, {student}", lambda of=(task, student): of_tagger(*of, full))
            for task, student in tagged
        ),
    ]


def of_cell(cell: sentiment.Cell) -> Run:
    """A run of the sentiment benchmark."""
    data = sentiment.write_data(sentiment.RUNS / "data")
    return sentiment.evaluate(cell, data, sentiment.teach(data))


def of_tagger(task: str, student: str, full: bool) -> Run:
    """A run of the taggers' benchmark, which stops before export and evaluation."""
    run = Run(taggers.recipe(task, student, "tagged", taggers.METHODS[-1], full))
    for step in steps.ALL:
        step(run)
    return run


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "every student of both benchmarks, five seeds")
    results = command.opened("mistakes", full)
    for one in looked_into(full):
        if not results.has(kind="run", run=one.name):
            write(one.name, analyse([one.made().folder]).content, results)
        results.finish(AIMS)
    command.judged(results, AIMS)


def write(name: str, content: Mapping[str, Any], results: ResultsFile) -> None:
    """The rows of a run; the one that tells of it as a whole comes last, for then all are there."""
    unit = content["cells"][0]["unit"]
    for row in [*slices(content), *overlaps(content)]:
        told = {field: row[field] for field in ("slice", "unit") if field in row}
        key = {"kind": row["kind"], "run": name, **told}
        if not results.has(**key, of=row["of"], over=row["over"]):
            results.append(**key, **{field: value for field, value in row.items() if field not in key})
    whole = content["overall"][unit]
    results.append(
        kind="run",
        run=name,
        unit=unit,
        units=whole["size"],
        **whole["quality"],
        slices_tried=content["slices"]["tried"],
        slices_lost=len(slices(content)),
    )


def slices(content: Mapping[str, Any]) -> list[Row]:
    """Slices on which the student is surely worse than the teacher."""
    found = []
    for row in content["slices"]["ranked"]:
        gap = row["gaps"]["teacher"]
        if gap["gap"] < 0 and gap["adjusted"] < SURE:
            found.append(
                {
                    "kind": "slice",
                    "slice": row["name"],
                    "of": content["cast"]["student"],
                    "over": content["cast"]["teacher"],
                    "unit": row["unit"],
                    "size": row["size"],
                    **{field: gap[field] for field in ("gap", "low", "high", "adjusted", "elsewhere")},
                    "worse_here": gap["excess"] < 0 and gap["excess_adjusted"] < SURE,
                }
            )
    return found


def overlaps(content: Mapping[str, Any]) -> list[Row]:
    """How far student and control lose the same, and each of them the same under other seeds."""
    fields = ("of", "over", "lost", "share", "low", "high", "luck")
    return [{"kind": "overlap", **{field: row[field] for field in fields}} for row in content["overlap"]]


# Aims.


def beyond_luck(rows: Sequence[Row]) -> float | None:
    """In points, the least distance of any run between the interval of the overlap with the control, and luck."""
    found = [
        row
        for row in rows
        if row["kind"] == "overlap" and row["of"] != row["over"] and row["share"] is not None
    ]
    return min(100 * (row["low"] - row["luck"]) for row in found) if found else None


AIMS = [
    Aim(
        "students lose what their controls lose beyond luck: least lower end of an interval above luck, points",
        beyond_luck,
        above=0,
    )
]

if __name__ == "__main__":
    command.run(main)
