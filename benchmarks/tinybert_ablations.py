"""TinyBERT's ablations: its three tables (Jiao et al. 2020, tables 5 to 7) in our size, on sst2 and trec.

Teacher, student and data are those of ``benchmarks/tinybert.py``, but of fewer examples (1,500), which are gone over
more often (after 4 epochs of answers, and 3 before them, rows were ranked by who learns fastest). In the table of
procedures each student has a general stage of its own, on 4,000 sentences of the Brown corpus; in those of objectives
and mappings all go on from that benchmark's general student, and the task's two stages are what is taken apart. A row
for each task and row of a table, and one for their average (``task: average``), which is put beside the paper's: its
order within the table, ``rank``, and the paper's, ``paper_rank``.

    python benchmarks/tinybert_ablations.py          # two cores: about 65 minutes, two seeds
    python benchmarks/tinybert_ablations.py --full   # all training examples, five seeds

Each row is written as it is finished; run again, it goes on where it stopped.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import command
from limbeck.core.recipe import Recipe
from limbeck.pipeline.ablate import ablate
from limbeck.pipeline.ablation_rows import Over, design
from results_file import Aim, Row
from tinybert import TASKS as PUBLISHED, general, general_student, raw, recipe, taught

TASKS = ("sst2", "trec")
LABELLED, GENERAL = 1500, 4000
EPOCHS = 12
TINYBERT = {"name": "tinybert", "intermediate_epochs": 6}
PAPER: dict[Over, dict[str, float]] = {
    "procedures": {"TinyBERT": 75.3, "no GD": 72.5, "no TD": 68.5, "no DA": 68.4},
    "objectives": {
        "TinyBERT": 75.3, "no Embd": 74.1, "no Pred": 73.5, "no Trm": 56.3, "no Attn": 71.0, "no Hidn": 72.9,
    },
    "mappings": {"uniform": 75.3, "top": 70.9, "bottom": 71.3},
}  # fmt: skip
"""The paper's averages."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "all training examples, five seeds")
    results = command.opened("tinybert_ablations", full)
    general("tinybert", full)
    for over in PAPER:
        for task in TASKS:
            if not results.has(table=over, task=task):
                chosen = design(taken_apart(task, over, full), over)
                taught(chosen.run_recipe, f"{task}-ablated" + "-full" * full)
                for row in ablate(chosen).rows:
                    kept = {
                        key: row[key] for key in ("mean", "deviation", "difference", "low", "high", "seeds")
                    }
                    results.append(
                        table=over, task=task, row=row["name"], metric=PUBLISHED[task].metric, **kept
                    )
        if not results.has(table=over, task="average"):
            for row in averages(results.find(table=over), over):
                results.append(table=over, task="average", **row)
        results.finish(AIMS)
    command.judged(results, AIMS)


def taken_apart(task: str, over: Over, full: bool) -> Recipe:
    """The recipe whose rows a table has."""
    if over == "procedures":
        return changed(
            task,
            full,
            name=f"{task}-procedures",
            method={**TINYBERT, "general_epochs": 1},
            data={"raw": str(raw(full) if full else fewer(raw(full)))},
        )
    student = {**general_student("tinybert", full), "max_length": 128}
    return changed(task, full, name=f"{task}-inner", method=TINYBERT, student=student)


def changed(task: str, full: bool, **changes: Any) -> Recipe:
    """The recipe of ``tinybert.py``'s small students, with less of everything, and with these changes."""
    values = recipe(task, "small", full).model_dump(mode="json")
    less = {"limit": None if full else LABELLED, "labelled": None, **changes.pop("data", {})}
    return Recipe.model_validate(
        {
            **values,
            "data": {**values["data"], **less},
            "train": {**values["train"], "epochs": values["train"]["epochs"] if full else EPOCHS},
            "control": False,
            "seeds": 5 if full else 2,
            **changes,
        }
    )


def fewer(path: Path) -> Path:
    """Of a file of sentences some, evenly spaced, in a file beside it."""
    found = path.with_name(f"{path.stem}-{GENERAL}.txt")
    if not found.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        found.write_text(
            "\n".join(lines[:: max(1, len(lines) // GENERAL)][:GENERAL]) + "\n", encoding="utf-8"
        )
    return found


def averages(rows: Sequence[Row], over: Over) -> list[Row]:
    """The mean over tasks of each row, with its place among them and the paper's."""
    names = [name for name in PAPER[over] if any(row["row"] == name for row in rows)]
    means = {name: statistics.fmean(row["mean"] for row in rows if row["row"] == name) for name in names}
    paper = {name: PAPER[over][name] for name in names}
    ranked = {name: (rank(means, name), rank(paper, name)) for name in names}
    return [
        {"row": name, "mean": means[name], "paper": paper[name], "rank": ours, "paper_rank": theirs}
        for name, (ours, theirs) in ranked.items()
    ]


def rank(scores: dict[str, float], name: str) -> int:
    """One for the best."""
    return 1 + sum(score > scores[name] for score in scores.values())


def agreement(over: Over) -> Callable[[Sequence[Row]], float | None]:
    """Kendall's tau between our order of a table's rows and the paper's: 1 for the same, -1 for the reverse."""

    def measured(rows: Sequence[Row]) -> float | None:
        found = [row for row in rows if row["table"] == over and row["task"] == "average"]
        pairs = [(one, other) for place, one in enumerate(found) for other in found[:place]]
        signs = [
            1 if (one["mean"] - other["mean"]) * (one["paper"] - other["paper"]) > 0 else -1
            for one, other in pairs
        ]
        return statistics.fmean(signs) if signs else None

    return measured


AIMS = [
    Aim(f"{over}: Kendall's tau between our order of rows and the paper's", agreement(over), at_least=1)
    for over in PAPER
]

if __name__ == "__main__":
    command.run(main)
