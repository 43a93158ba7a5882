"""Probing: what a MiniLM, before and after fine-tuning, and its students know of language, layer by layer.

SentEval's ten tasks are built from nltk's sample of the Penn Treebank and from the Brown corpus; LIMBECK_DATA names the
folder of both, of SST and of GloVe. Probed are MiniLM as it comes and as it is fine-tuned on SST-2's sentences, a
BiLSTM and a transformer of three layers that it teaches (three seeds each), the BiLSTM's control, MiniLM's shape with
random weights, and word vectors. Logistic regression on the mean of tokens, three draws of train; intervals over test.

    python benchmarks/probing.py          # two cores: about 50 minutes
    python benchmarks/probing.py --full   # more examples of every task, five seeds

A row a model, task and layer, as a model is finished; run again, it goes on where it stopped, and what was read of a
model stays in the answer store.

What is timed of a MiniLM: reading some sentences of each task once, for all tasks and layers (``one pass``); once a
task, for all of its layers (``each task``); and once a probe, which is a task on one layer (``each probe``), as who
asks one question after the other does. The aim is about the last of these; tasks share few sentences here, for they are
drawn from sixty thousand, so that one pass saves little over one a task.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import command
from limbeck.analyse.probes.builder import RULES
from limbeck.analyse.probes.task import SentenceTask, Sizes, Task
from limbeck.analyse.representations import Representations
from limbeck.analyse.states import Encoder
from limbeck.core import progress
from limbeck.pipeline.probed_models import Probed, fresh, probed_models, word_vectors
from limbeck.pipeline.probing import ProbeSettings, filled, make_tasks, probe_model, told_of_task
from limbeck.transfer.store import AnswerStore
from results_file import Aim, ResultsFile, Row
from text_sets import BILSTM, ENCODER, LENGTH, TRAINED, Size, done, draw, in_steps, recipe

RUNS = Path("runs/probing")
STUDENTS = {
    "bilstm": BILSTM,
    "transformer": {"kind": "transformer", "from_teacher": [1, 3, 5], "max_length": LENGTH},
}
TRAINING: dict[str, dict[str, Any]] = {
    "bilstm": {},
    "transformer": {"learning_rate": 2e-4, "embedding_rate": 1.0},
}
"""Of the students, where it is not the BiLSTM's."""


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        sizes: Of tasks.
        runs: Of the runs that make what is probed.
        timed: Sentences of each task whose reading is timed.
    """

    sizes: Sizes
    runs: Size
    timed: int


USUAL = Scale(
    Sizes(train=1500, dev=300, test=900), Size(labelled=2500, dev=400, more=3000, test=400, steps=1000), 120
)
FULL = Scale(
    Sizes(train=10_000, dev=1000, test=4000),
    Size(labelled=6000, dev=600, more=6000, test=900, steps=4000, seeds=5),
    500,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "more examples of every task, five seeds")
    measure(command.opened("probing", full), FULL if full else USUAL, RUNS / ("full" if full else "usual"))


def measure(results: ResultsFile, scale: Scale, folder: Path) -> None:
    """All rows of a scale."""
    settings = settings_of(scale, folder)
    tasks = make_tasks(settings)
    of_sentences = [task for task in tasks.tasks if isinstance(task, SentenceTask)]
    for task in of_sentences:
        told = told_of_task(task, tasks.published)
        if not results.has(kind="task", task=task.name):
            results.append(
                kind="task",
                task=task.name,
                **{key: told[key] for key in ("classes", "train", "test", "majority")},
            )
    store = AnswerStore(folder / "store")
    for name, load in models(scale, folder, settings).items():
        if not results.has(kind="mean", model=name):
            progress.say(f"\n{name}")
            probe(results, replace(load(), name=name), of_sentences, settings, store)
    time_reading(results, of_sentences, scale, folder)
    command.judged(results, AIMS)


def settings_of(scale: Scale, folder: Path) -> ProbeSettings:
    """The text of tasks, and how probes are trained."""
    return ProbeSettings(
        models=[ENCODER],
        treebank=[str(unpacked("nltk_treebank", "treebank.zip", "treebank/combined/", folder / "data"))],
        tagged=[{"path": str(unpacked("nltk_brown", "brown.zip", "brown/c", folder / "data"))}],
        tasks=list(RULES),
        sizes=scale.sizes,
        seeds=scale.runs.seeds,
        vectors=str(command.shared("glove_6b_50d_top100k", "vectors.float16.npy")),
        vector_words=str(command.shared("glove_6b_50d_top100k", "vocab.txt")),
    )


def unpacked(name: str, archive: str, start: str, folder: Path) -> Path:
    """A folder with those files of an archive whose names begin so; texts only."""
    place = folder / name
    if not place.is_dir():
        partial_place = place.with_name(f"{name}.partial")
        shutil.rmtree(partial_place, ignore_errors=True)
        partial_place.mkdir(parents=True)
        with zipfile.ZipFile(command.shared(name, archive)) as files:
            for each in files.namelist():
                if each.startswith(start) and (each[-1].isdigit() or each.endswith(".mrg")):
                    (partial_place / each.rpartition("/")[2]).write_bytes(files.read(each))
        partial_place.replace(place)
    return place


# Models.


def models(scale: Scale, folder: Path, settings: ProbeSettings) -> dict[str, Callable[[], Probed]]:
    """What is probed, by name; each is trained and loaded when it is asked for."""

    def before() -> Probed:
        return probed_models([ENCODER], settings.max_length)[0]

    def of_run(kind: str, role: str) -> Probed:
        found = probed_models([str(trained(kind, scale, folder))], settings.max_length, settings.seeds)
        return next(each for each in found if each.role == role)

    return {
        "MiniLM": before,
        "MiniLM fine-tuned": partial(of_run, "bilstm", "teacher"),
        "BiLSTM distilled": partial(of_run, "bilstm", "student"),
        "BiLSTM control": partial(of_run, "bilstm", "control"),
        "transformer distilled": partial(of_run, "transformer", "student"),
        "random encoder": lambda: fresh(before(), settings.seeds),
        "word vectors": lambda: word_vectors(str(settings.vectors), settings.vector_words),
    }


def trained(kind: str, scale: Scale, folder: Path) -> Path:
    """The folder of a run with this student, trained once; all share the teacher."""
    data = draw("sst2", folder / "data" / "sst2", scale.runs)
    made = recipe(
        "sst2",
        data,
        scale.runs,
        name=kind,
        student=STUDENTS[kind],
        method="logit_regression",
        control=kind == "bilstm",
        train=TRAINING[kind],
        out=str(folder / "runs"),
    )
    return done(in_steps(made, scale.runs.steps), folder / "teacher", TRAINED).folder


# Rows.


def probe(
    results: ResultsFile, model: Probed, tasks: Sequence[Task], settings: ProbeSettings, store: AnswerStore
) -> None:
    """Rows of a model, and its mean over tasks."""
    started = time.perf_counter()
    best: list[float] = []
    layers = len(model.members[0].widths)
    filled(model, tasks, settings.poolings, store)
    for task in tasks:
        key = {"kind": "probe", "model": model.name, "task": task.name}
        if len(results.find(**key)) < layers:
            for row in probe_model(model, [task], settings, store):
                if not results.has(**key, layer=row["layer"]):
                    results.append(**flat(model, row))
        rows = results.find(**key)
        best.append(max(rows, key=lambda row: row["dev"])["accuracy"])
    results.append(
        kind="mean",
        model=model.name,
        tasks=len(tasks),
        layers=layers,
        seeds=settings.seeds,
        accuracy=fmean(best),
        seconds=time.perf_counter() - started,
    )


def flat(model: Probed, row: Row) -> Row:
    """A row of plain values."""
    return {"model": model.name, **row, "seeds": len(row["seeds"])}


def time_reading(results: ResultsFile, tasks: Sequence[SentenceTask], scale: Scale, folder: Path) -> None:
    """How long it takes to read what probes ask for, one way and the others."""
    encoder = probed_models([ENCODER], LENGTH)[0].members[0]
    layers = len(encoder.widths)
    passes = {
        "one pass": [list(tasks)],
        "each task": [[task] for task in tasks],
        "each probe": [[task] for task in tasks for _ in range(layers)],
    }
    for way, groups in passes.items():
        if not results.has(kind="reading", way=way):
            seconds, read = timed(encoder, groups, scale.timed, folder)
            results.append(kind="reading", way=way, passes=len(groups), sentences=read, seconds=seconds)


def timed(
    encoder: Encoder, groups: Sequence[Sequence[SentenceTask]], most: int, folder: Path
) -> tuple[float, int]:
    """Seconds, and sentences read, where each group of tasks is read by itself and nothing is known before."""
    seconds, read = 0.0, 0
    for group in groups:
        with tempfile.TemporaryDirectory(dir=folder) as place, progress.silently():
            states = Representations(encoder, AnswerStore(Path(place)), ["mean"])
            started = time.perf_counter()
            read += states.fill(words for task in group for words in task.sentences[:most])
            seconds += time.perf_counter() - started
    return seconds, read


def times_faster(rows: Sequence[Row], way: str = "each probe") -> float | None:
    """How many times one pass is faster than another way."""
    seconds = {row["way"]: row["seconds"] for row in rows if row["kind"] == "reading"}
    return seconds[way] / seconds["one pass"] if {way, "one pass"} <= set(seconds) else None


def built(rows: Sequence[Row]) -> float | None:
    """How many tasks there are."""
    return sum(row["kind"] == "task" for row in rows) or None


def covered(rows: Sequence[Row]) -> float | None:
    """Models that were probed."""
    return sum(row["kind"] == "mean" for row in rows) or None


AIMS = [
    Aim(
        "reading all tasks and layers in one pass, times faster than once per probe", times_faster, at_least=5
    ),
    Aim("of SentEval's ten tasks, built from the treebank sample and the Brown text", built, at_least=10),
    Aim("models and baselines probed", covered, at_least=7),
]


if __name__ == "__main__":
    command.run(main)
