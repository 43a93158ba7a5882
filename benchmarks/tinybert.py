"""TinyBERT beside its baselines: transformers (and a BiLSTM) that a MiniLM teaches on four tasks of GLUE's kind.

Tasks: sst2 (sentences of SST in two classes), trec (six kinds of questions), cola (Matthews correlation) and stsb
(pairs, Pearson's correlation with people's scores); of each 2,500 training examples, scored on the published dev set
(trec: test). Teacher: MiniLM with 6 layers, fine-tuned. Students: 4 layers of 96 with 12 heads, a seventh of the
teacher's weights (TinyBERT, MiniLM, and BERT_SMALL, which learns from gold alone); every other layer of the teacher
(BERT-PKD, DistilBERT), as in the papers; a BiLSTM. All but BERT-PKD and DistilBERT hear the teacher on augmented text
as well (``masked_lm`` by word vectors, two copies); TinyBERT and DistilBERT have a general stage on 15,000 sentences of
the Brown corpus. LIMBECK_DATA names the folder of the sets.

    python benchmarks/tinybert.py          # two cores: about 75 minutes, three seeds
    python benchmarks/tinybert.py --full   # all training examples, all of Brown, 20 copies, five seeds

A row a task and model, as it is finished; run again, it goes on where it stopped. Speeds are of one sentence at a time
on one thread, students in ONNX int8, the teacher in PyTorch.
"""

from __future__ import annotations

import shutil
import statistics
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import command
from limbeck.core.recipe import Recipe, Training
from limbeck.evaluate import table
from limbeck.pipeline import Run, steps
from limbeck.train.adapt import adapt
from results_file import Aim, Row
from text_sets import ENCODER, SETS

RUNS = Path("runs/tinybert")
TASKS = {
    "sst2": replace(SETS["sst2"], test="sst5/dev.tsv"),
    "trec": SETS["trec"],
    "cola": SETS["cola"],
    "stsb": replace(SETS["stsb"], test="stsb/original/sts-dev.csv"),
}
LABELLED, RAW, COPIES = 2500, 15_000, 2
SMALL = {
    "kind": "transformer",
    "layers": 4,
    "hidden_size": 96,
    "heads": 12,
    "intermediate": 384,
    "start": "layers",
}
HALF = {"kind": "transformer", "from_teacher": [1, 3, 5]}
BILSTM = {"kind": "bilstm", "embeddings": "teacher", "dimension": 128, "hidden": 100, "pooling": "max"}
BATCHES = {"tokens_per_batch": 2048, "sentences_per_batch": 32}


def groups(full: bool) -> dict[str, dict[str, Any]]:
    """What is trained in one run: students that share their shape and their text."""
    text = {"rewrite": [{"name": "masked_lm", **vectors(), "copies": 20 if full else COPIES}]}
    return {
        "small": {
            "student": SMALL,
            "method": [
                {"name": "tinybert", "general_epochs": 1, "intermediate_epochs": 3},
                {"name": "minilm", "intermediate_epochs": 3},
            ],
            "train": {"epochs": 4, "learning_rate": 5e-4, "evaluate": 8, **BATCHES},
            **text,
        },
        "half": {
            "student": HALF,
            "method": [
                {"name": "bert_pkd", "temperature": 5, "soft_weight": 0.5},
                {"name": "distilbert", "general_epochs": 1},
            ],
            "control": False,
            "train": {"epochs": 4, "learning_rate": 1e-4, "evaluate": 4, **BATCHES},
        },
        "bilstm": {
            "student": BILSTM,
            "method": ["logit_regression"],
            "control": False,
            "train": {"epochs": 6, "learning_rate": 1e-3, "embedding_rate": 0.1, "clip": 20, **BATCHES},
            **text,
        },
    }


NAMES = {
    "gold": "BERT_SMALL", "tinybert": "TinyBERT", "minilm": "MiniLM", "bert_pkd": "BERT-PKD",
    "distilbert": "DistilBERT", "logit_regression": "distilled BiLSTM", "teacher": "teacher",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "all training examples, five seeds")
    results = command.opened("tinybert", full)
    for task in TASKS:
        for group in groups(full):
            if not results.has(task=task, group=group):
                for row in rows(evaluated(recipe(task, group, full), task), task):
                    if row["model"] != "teacher" or not results.has(task=task, model="teacher"):
                        results.append(task=task, group=group, **row)
                results.finish(AIMS)
    command.judged(results, AIMS)


def recipe(task: str, group: str, full: bool) -> Recipe:
    """The recipe of a group on a task."""
    published, chosen = TASKS[task], groups(full)[group]
    fine_tune = {"epochs": 4, "learning_rate": 8e-5, "metric": published.metric, "evaluate": 4, **BATCHES}
    values = {
        **chosen,
        "task": published.task,
        "name": f"{task}-{group}",
        "data": {
            **published.data,
            "limit": None if full else LABELLED,
            "clean": {"duplicates": False},
            "raw": str(raw(full)),
        },
        "teacher": {"model": str(adapted(full)), "fine_tune": fine_tune, "max_length": 128},
        "export": {"changed": 0.05},  # CoLA is decided by little, and int8 turns 2.4% of it
        "student": {**chosen["student"], "max_length": 128},
        "train": {**chosen["train"], "metric": published.metric},
        "seeds": 5 if full else 3,
        "jobs": 2,
        "out": str(RUNS),
    }
    return Recipe.model_validate(values)


def evaluated(made: Recipe, task: str) -> Run:
    """A run, done to its evaluation; all of a task share the teacher."""
    run, teacher = Run(made), RUNS / f"{task}-teacher"
    if teacher.is_dir() and not run.teacher_folder.path.exists():
        shutil.copytree(teacher, run.teacher_folder.path)
    for step in steps.ALL:
        step(run)
    if not teacher.exists():
        shutil.copytree(run.teacher_folder.path, teacher)
    return run


# Data.


def raw(full: bool) -> Path:
    """Sentences of the Brown corpus, one a line, without their tags."""
    path = RUNS / "data" / ("brown-full.txt" if full else "brown.txt")
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(command.shared("nltk_brown", "brown.zip")) as corpus:
            files = sorted(name for name in corpus.namelist() if name.rpartition("/")[2][:1] == "c")
            texts = [corpus.read(name).decode("ascii", "ignore") for name in files if name[-2:].isdigit()]
        found = [line for text in texts for line in text.splitlines() if line.strip()]
        chosen = found if full else found[:: max(1, len(found) // RAW)][:RAW]
        words = (" ".join(word.rpartition("/")[0] for word in line.split()) for line in chosen)
        path.write_text("\n".join(words) + "\n", encoding="utf-8")
    return path


def adapted(full: bool) -> Path:
    """The encoder with a masked-LM head, which DistilBERT needs; the encoder itself stays as it is."""
    folder = RUNS / ("adapted-full" if full else "adapted")
    settings = Training.model_validate(
        {"epochs": 1, "learning_rate": 1e-3, "tokens_per_batch": 2048, "clip": 1.0}
    )
    adapt(ENCODER, raw(full).read_text(encoding="utf-8").splitlines(), folder, settings, whole=False)
    return folder


def vectors() -> dict[str, str]:
    """GloVe's, with their words."""
    return {
        "vectors": str(command.shared("glove_6b_50d_top100k", "vectors.float16.npy")),
        "words": str(command.shared("glove_6b_50d_top100k", "vocab.txt")),
    }


# Rows and aims.


def rows(run: Run, task: str) -> Iterator[Row]:
    """One flat row a model."""
    found, metric = run.evaluation, TASKS[task].metric
    costs = {(cost["name"] == "teacher", cost["engine"]): cost for cost in found["cost"]}
    for row in table.rows(found):
        engine = costs[row["name"] == "teacher", "pytorch" if row["name"] == "teacher" else "onnx-int8"]
        scores = [one["scores"][metric] for one in found["models"] if one["name"] == row["name"]]
        yield {
            "model": NAMES[row["name"]],
            "metric": metric,
            "score": statistics.fmean(scores),
            "deviation": statistics.stdev(scores) if len(scores) > 1 else None,
            "seeds": len(scores),
            "parameters": engine["parameters"],
            "bytes": engine["bytes"],
            "p50_ms": engine["p50_ms"],
            "times_faster": costs[True, "pytorch"]["p50_ms"] / engine["p50_ms"],
        }


def average(rows: Sequence[Row], model: str, field: str = "score") -> float | None:
    """The mean over all tasks, which must be there."""
    found = {row["task"]: row[field] for row in rows if row["model"] == model}
    return statistics.fmean(found.values()) if found.keys() == TASKS.keys() else None


def kept(rows: Sequence[Row]) -> float | None:
    """Percent of the teacher's average that TinyBERT keeps."""
    student, teacher = average(rows, "TinyBERT"), average(rows, "teacher")
    return None if student is None or teacher is None else 100 * student / teacher


def above(rows: Sequence[Row]) -> float | None:
    """Points of the average by which TinyBERT stands above the same student without a teacher."""
    student, control = average(rows, "TinyBERT"), average(rows, "BERT_SMALL")
    return None if student is None or control is None else 100 * (student - control)


AIMS = [
    Aim("TinyBERT: share of the teacher's average, %", kept, at_least=96.8),
    Aim(
        "TinyBERT in ONNX int8 against the teacher in PyTorch at batch one, times faster",
        lambda rows: average(rows, "TinyBERT", "times_faster"),
        at_least=9.4,
    ),
    Aim("TinyBERT above BERT_SMALL on average, points", above, at_least=4),
]

if __name__ == "__main__":
    command.run(main)
