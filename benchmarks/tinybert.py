"""TinyBERT beside its baselines: transformers (and a BiLSTM) that a MiniLM teaches on four tasks of GLUE's kind.

Tasks: sst2 (sentences of SST in two classes), trec (six kinds of questions), cola (Matthews correlation) and stsb
(pairs, Pearson's correlation with people's scores); of each 4,000 texts, 1,500 of them labelled, scored on the
published dev set (trec: test). Teacher: MiniLM with 6 layers, fine-tuned on what is labelled. Students: 4 layers of 96
with 12 heads, a seventh of the teacher's weights (TinyBERT, MiniLM, and BERT_SMALL, which learns from gold alone);
every other layer of the teacher (BERT-PKD, DistilBERT), as in the papers; a BiLSTM. All but BERT_SMALL hear the teacher
on all texts, and all but BERT-PKD and DistilBERT on more text as well: augmented (``masked_lm`` by word vectors, one
copy), for stsb 20,000 pairs of Quora's questions; what TinyBERT learns from its own pairs alone stands beside it.
TinyBERT and DistilBERT have had a general stage on 15,000 sentences of the Brown corpus, once for all tasks and seeds.
LIMBECK_DATA names the folder of the sets.

    python benchmarks/tinybert.py          # two cores: about two hours, three seeds
    python benchmarks/tinybert.py --full   # all texts, all labelled, all of Brown, 20 copies, five seeds

A row a task and model, as it is finished; run again, it goes on where it stopped. Speeds are of one sentence at a time
on one thread, the teacher's in PyTorch, students' in ONNX: int8, or float32 (``engine``) where int8 changes more
predictions (``changed``) than a bundle may by default.
"""

from __future__ import annotations

import statistics
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import command
from limbeck.core.files import read_json
from limbeck.core.recipe import Export, Recipe, Training
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
TEXTS, LABELLED, RAW, COPIES = 4000, 1500, 15_000, 1
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


GENERAL: dict[str, dict[str, Any]] = {
    "tinybert": {
        "student": SMALL,
        "method": {"name": "tinybert", "general_epochs": 2, "intermediate_epochs": 0, "prediction": None},
        "train": {"learning_rate": 5e-4, **BATCHES, "tokens_per_batch": 1024},
    },
    "distilbert": {
        "student": HALF,
        "method": {"name": "distilbert", "general_epochs": 1, "prediction": None},
        "train": {"learning_rate": 1e-4, **BATCHES},
    },
}
"""General stages, each once."""


def groups(task: str, full: bool) -> dict[str, dict[str, Any]]:
    """What is trained in one run: students that share their start and their text."""
    text = more_text(task, full)
    small = {"train": {"epochs": 4, "learning_rate": 5e-4, "evaluate": 8, **BATCHES}}
    half = {"control": False, "train": {"epochs": 3, "learning_rate": 1e-4, "evaluate": 4, **BATCHES}}
    tinybert = {
        **small,
        "student": general_student("tinybert", full),
        "method": {"name": "tinybert", "intermediate_epochs": 3},
        "control": False,
    }
    found = {
        "small": {**small, **text, "student": SMALL, "method": {"name": "minilm", "intermediate_epochs": 3}},
        "tinybert": {**tinybert, **text},
        "half": {
            **half,
            "student": HALF,
            "method": {"name": "bert_pkd", "temperature": 5, "soft_weight": 0.5},
        },
        "distilbert": {
            **half,
            "student": general_student("distilbert", full),
            "method": {"name": "distilbert", "general_epochs": 0},
        },
        "bilstm": {
            "student": BILSTM,
            "method": "logit_regression",
            "control": False,
            "train": {"epochs": 6, "learning_rate": 1e-3, "embedding_rate": 0.1, "clip": 20, **BATCHES},
            **text,
        },
    }
    return {**found, "own": {**tinybert, **rewritten(full)}} if TASKS[task].pairs else found


def more_text(task: str, full: bool) -> dict[str, Any]:
    """What students hear that do not start from the teacher's layers, beside the task's own text."""
    if TASKS[task].pairs:
        questions = {"format": "tsv", "text": 0, "second": 1, "label": None}
        files = [str(command.shared("qqp", name)) for name in ("dev.txt", "test.txt")]
        return {"data": {"unlabelled": [{"path": path, **questions} for path in files]}}
    return rewritten(full)


def rewritten(full: bool) -> dict[str, Any]:
    """The task's own text once more, with other words in it."""
    return {"rewrite": [{"name": "masked_lm", **vectors(), "copies": 20 if full else COPIES}]}


NAMES = {
    "gold": "BERT_SMALL", "tinybert": "TinyBERT", "minilm": "MiniLM", "bert_pkd": "BERT-PKD",
    "distilbert": "DistilBERT", "logit_regression": "distilled BiLSTM", "teacher": "teacher",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "all training examples, five seeds")
    results = command.opened("tinybert", full)
    for name in GENERAL:
        general(name, full)
    for task in TASKS:
        for group in groups(task, full):
            if not results.has(task=task, group=group):
                for row in rows(evaluated(recipe(task, group, full), task), task):
                    if row["model"] != "teacher" or not results.has(task=task, model="teacher"):
                        row["model"] += ", own pairs" * (group == "own")
                        results.append(task=task, group=group, **row)
                results.finish(AIMS)
    command.judged(results, AIMS)


def recipe(task: str, group: str, full: bool) -> Recipe:
    """The recipe of a group on a task."""
    return recipe_of(f"{task}-{group}" + "-full" * full, task, groups(task, full)[group], full)


def recipe_of(name: str, task: str, chosen: Mapping[str, Any], full: bool) -> Recipe:
    """A recipe with these keys, on a task."""
    published = TASKS[task]
    fine_tune = {"epochs": 4, "learning_rate": 8e-5, "metric": published.metric, "evaluate": 4, **BATCHES}
    values = {
        **chosen,
        "task": published.task,
        "name": name,
        "data": {
            **published.data,
            "limit": None if full else TEXTS,
            "labelled": None if full else LABELLED,
            "clean": {"duplicates": False},
            "raw": str(raw(full)),
            **chosen.get("data", {}),
        },
        "teacher": {"model": str(adapted(full)), "fine_tune": fine_tune, "max_length": 128},
        "export": {"changed": 0.05},  # rows fall back on float32 where int8 changes more than the default
        "student": {**chosen["student"], "max_length": 128},
        "train": {**chosen["train"], "metric": published.metric},
        "seeds": chosen.get("seeds", 5 if full else 3),
        "jobs": 3,
        "out": str(RUNS),
    }
    return Recipe.model_validate(values)


def general(name: str, full: bool) -> None:
    """Train a general student; the task of its run is the first one, of which it learns nothing."""
    task = next(iter(TASKS))
    chosen = {**GENERAL[name], "seeds": 1, "control": False}
    run = taught(recipe_of(f"general-{name}" + "-full" * full, task, chosen, full), task)
    for step in (steps.pack, steps.train):
        step(run)


def general_student(name: str, full: bool) -> dict[str, Any]:
    """A student that goes on from a general one."""
    folder = RUNS / (f"general-{name}" + "-full" * full) / "students" / name / "seed-1"
    return {"kind": "transformer", "encoder": str(folder)}


def evaluated(made: Recipe, task: str) -> Run:
    """A run, done to its evaluation."""
    run = taught(made, task)
    for step in steps.ALL:
        step(run)
    return run


def taught(made: Recipe, of: str) -> Run:
    """A run with its teacher, which all of a task and size share."""
    run, teacher = Run(made), RUNS / f"{of}-teacher"
    command.copied(teacher, run.teacher_folder.path)
    steps.prepare(run)
    steps.teach(run)
    command.copied(run.teacher_folder.path, teacher)
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
    changed = read_json(run.bundle_folder.path / "bundle.json")["parity"]["int8"]["changed"]
    deployed = "onnx-int8" if changed <= Export().changed else "onnx"
    for row in table.rows(found):
        teaches = row["name"] == "teacher"
        engine = costs[teaches, "pytorch" if teaches else deployed]
        scores = [one["scores"][metric] for one in found["models"] if one["name"] == row["name"]]
        yield {
            "model": NAMES[row["name"]],
            "metric": metric,
            "score": statistics.fmean(scores),
            "deviation": statistics.stdev(scores) if len(scores) > 1 else None,
            "seeds": len(scores),
            "engine": engine["engine"],
            "changed": None if teaches else changed,
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
        "TinyBERT in ONNX against the teacher in PyTorch at batch one, times faster",
        lambda rows: average(rows, "TinyBERT", "times_faster"),
        at_least=9.4,
    ),
    Aim("TinyBERT above BERT_SMALL on average, points", above, at_least=4),
]

if __name__ == "__main__":
    command.run(main)
