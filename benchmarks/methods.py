"""Methods: all that teach classifiers, on sst2 and trec, each group with the same student and budget of steps.

Of both sets 1,000 examples have labels (150 of them pick the best weights), and 3,000 more are text without. Teacher:
MiniLM with 6 layers, fine-tuned on the labels. Two groups, for not all methods teach all students:

- bilstm: every method that needs no transformer; 640 steps;
- transformer: two layers of the teacher's, with its width; the methods that need one, and 320 steps.

``soft_labels`` and the control stand in both. A method of two stages has half of the steps for each; what trains others
(the models of ``assistant`` and ``born_again``) and distilbert's third of a pass over 15,000 sentences of the Brown
corpus come on top. ``ensemble`` is ``soft_labels`` from three teachers. Settings are the methods' defaults, but for
``combined``: soft labels and gold half and half, where there is gold.

    python benchmarks/methods.py          # two idle cores: about 90 minutes; three seeds
    python benchmarks/methods.py --full   # 2,500 labels, all other text, three times the steps, five seeds

That is, on sst2 (trec, whose questions are shorter, takes half): half a minute for each of 11 methods of a BiLSTM, and
of those that hear the teacher at every step 2 for hints, 5 for neuron_selectivity and 10 for jacobian; 2 for each
teacher, of which there are 4; 4 for a method of the transformer.

A row a method, as it is finished; run again, it goes on where it stopped. Gains are over the control and over
``soft_labels`` of the same student, with intervals of a paired bootstrap over test examples. LIMBECK_DATA names the
folder of the sets, and of ``nltk_brown``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import command
from limbeck import methods
from limbeck.core.recipe import Recipe
from limbeck.evaluate.compared import Predicted
from limbeck.pipeline import Run
from results_file import Aim, ResultsFile, Row
from text_sets import (
    BILSTM,
    LENGTH,
    TEACHER,
    TRAINED,
    Size,
    compared,
    done,
    draw,
    in_steps,
    recipe,
    students,
    teachers,
)
from tinybert import adapted, raw

RUNS = Path("runs/methods")
TASKS = ("sst2", "trec")
CONTROL, SOFT, ENSEMBLE = "gold", "soft_labels", "ensemble"
MEMBERS = 3
STUDENTS: dict[str, dict[str, Any]] = {
    "bilstm": BILSTM,
    "transformer": {"kind": "transformer", "from_teacher": [2, 5], "max_length": LENGTH},
}
TRAINING: dict[str, dict[str, Any]] = {
    "bilstm": {},
    "transformer": {"learning_rate": 2e-4, "embedding_rate": 1.0},
}
OF_TRANSFORMERS = ("bert_pkd", "distilbert", "minilm", "tinybert")
KEYS: dict[str, dict[str, Any]] = {
    "combined": {"objectives": [{"name": SOFT, "weight": 0.5}, {"name": CONTROL, "weight": 0.5}]},
    "distilbert": {"general_epochs": 0.33},
}
"""Of methods, where they are not the defaults."""
SIZES = {
    False: {
        "bilstm": Size(labelled=850, dev=150, more=3000, test=2000, steps=640),
        "transformer": Size(labelled=850, dev=150, more=3000, test=2000, steps=320),
    },
    True: {
        "bilstm": Size(labelled=2150, dev=350, more=100_000, test=2000, steps=1920, seeds=5),
        "transformer": Size(labelled=2150, dev=350, more=100_000, test=2000, steps=960, seeds=5),
    },
}
"""By ``--full``, of each student."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "more labels, all other text, five seeds")
    results = command.opened("methods", full)
    for task in TASKS:
        for student in STUDENTS:
            measure(task, student, full, results)
            results.finish(AIMS)
    command.judged(results, AIMS)


def names(student: str) -> list[str]:
    """The methods of a student; those that it is compared with come first, the costliest last."""
    found = [name for name in methods.names() if "classification" in methods.get(name).tasks]
    mine = [name for name in found if (name in OF_TRANSFORMERS) == (student == "transformer")]
    first = [CONTROL, SOFT]
    others = [name for name in mine if name not in (*first, "jacobian")]
    return [*first, *others, *([ENSEMBLE, "jacobian"] if student == "bilstm" else [])]


def measure(task: str, student: str, full: bool, results: ResultsFile) -> None:
    """The rows of a student on a set; what is trained already is only read."""
    place = {"data": task, "student": student}
    if all(results.has(**place, method=name) for name in (TEACHER, *names(student))):
        return
    out = RUNS / ("full" if full else "")
    of = partial(trained, task, student, SIZES[full][student], out, adapted(full), raw(full))
    first = of(SOFT)
    said = {**students(first), TEACHER: teachers(first)}
    for name in (TEACHER, *names(student)):
        if not results.has(**place, method=name):
            run = first if name in said else of(name)
            models = said if name in said else {**said, **students(run)}
            results.append(**place, method=name, **row(run, name, models))


def trained(task: str, student: str, size: Size, out: Path, encoder: Path, text: Path, name: str) -> Run:
    """The students of a method; with those of soft labels goes the control."""
    made = design(task, student, size, out, encoder, text, name)
    shared = out / (f"{task}-{ENSEMBLE}-{TEACHER}" if name == ENSEMBLE else f"{task}-{TEACHER}")
    return done(in_steps(made, size.steps // stages(name)), shared, TRAINED)


def design(task: str, student: str, size: Size, out: Path, encoder: Path, text: Path, name: str) -> Recipe:
    """The recipe of a method."""
    choice = {"name": SOFT, "label": ENSEMBLE} if name == ENSEMBLE else {"name": name, **KEYS.get(name, {})}
    return recipe(
        task,
        draw(task, out / "data" / task, size),
        size,
        name=f"{task}-{student}-{name}",
        data={"raw": [str(text)] if name == "distilbert" else []},
        teacher={"model": str(encoder), "members": MEMBERS if name == ENSEMBLE else 1},
        student=STUDENTS[student],
        method=choice,
        control=name == SOFT,
        train=TRAINING[student],
        out=str(out),
    )


def stages(name: str) -> int:
    """In how many stages a method trains its student on the transfer set."""
    if name == ENSEMBLE:
        return 1
    found = methods.get(name).stages(KEYS.get(name, {}))
    return sum(stage.trains == "student" and stage.hears != "raw" for stage in found)


# Rows and aims.


def row(run: Run, name: str, models: Mapping[str, Predicted]) -> Row:
    """What a method scores, and what it gains over the control and over soft labels."""
    over = {other: compared(run, models, other)[name] for other in (CONTROL, SOFT)}
    told: Row = {key: over[CONTROL][field] for key, field in FIELDS.items()}
    return {
        "metric": run.recipe.train.metric,
        "stages": None if name == TEACHER else stages(name),
        **told,
        **{f"{key}_over_soft": over[SOFT][FIELDS[key]] for key in ("gain", "low", "high")},
    }


FIELDS = {
    "score": "mean",
    "deviation": "deviation",
    "seeds": "seeds",
    "gain": "difference",
    "low": "low",
    "high": "high",
}
"""Of our rows, by the names of the comparison's."""


def best(task: str, student: str) -> Callable[[Sequence[Row]], float | None]:
    """Lower end of the gain over the control of the method with the highest score; None before all are there."""

    def measured(rows: Sequence[Row]) -> float | None:
        mine = [row for row in rows if row["data"] == task and row["student"] == student]
        mine = [row for row in mine if row["method"] not in (TEACHER, CONTROL)]
        if len(mine) < len(names(student)) - 1:
            return None
        return 100 * float(max(mine, key=lambda row: row["score"])["low"])

    return measured


AIMS = [
    Aim(
        f"{task}, {student}: the best method over the control, lower end of the interval, points",
        best(task, student),
        above=0,
    )
    for task in TASKS
    for student in STUDENTS
]

if __name__ == "__main__":
    command.run(main)
