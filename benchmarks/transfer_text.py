"""Transfer text: what unlabelled text, or text made by rules and language models, is worth with few labels and many.

Sets: sst2 (sentences of SST in two classes) and cola (Matthews correlation), of each 4,000 training sentences, and 200
more for dev; 10%, 30% and 100% of the 4,000 have labels. The teacher (MiniLM with 6 layers) is fine-tuned on these
alone, and the student, a BiLSTM taught by ``logit_regression``, hears it on them and on

- none: nothing else;
- rules, masked_lm, causal_lm: about 12,000 texts made of them by Limbeck's rewriters. No pretrained masked-LM head for
  the encoder is at hand, so masked_lm puts neighbours among GloVe's vectors (50 dimensions, 100,000 words) for words;
  causal_lm is a GPT-2 of 4 layers by 256, trained from scratch on the labelled sentences;
- unlabelled: the training sentences whose labels are hidden. At 100% there are none: of sst2 the 67,349 phrases of
  SST-2's training file stand in, of cola the 1,063 sentences of GLUE's test file, whose labels nobody has.

The control learns from the labels alone. All students of a set take as many steps, so that a cell's gain is the text's
and not the training's.

    python benchmarks/transfer_text.py          # two idle cores: about 75 minutes; 1,000 steps, three seeds
    python benchmarks/transfer_text.py --full   # all training sentences, 2,500 steps, five seeds

That is, of each of six rows: 70 to 220 s to fine-tune the teacher; 280 s for 18 students, two at a time; 150 to 250 s
to train the causal language model and draw from it; 100 s to ask the teacher about what was made (all of sst2; of
cola, whose sentences are shorter, half). A row a cell, as it is finished; run again, it goes on where it stopped.
Gains are over the control and over *none*, with intervals of a paired bootstrap over test sentences. LIMBECK_DATA
names the folder of the sets, and of ``glove_6b_50d_top100k``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command
from limbeck.core.recipe import Recipe
from limbeck.evaluate.compared import Predicted
from limbeck.pipeline import Run
from results_file import Aim, ResultsFile, Row
from text_sets import (
    BILSTM,
    TEACHER,
    TRAINED,
    Size,
    compared,
    done,
    draw,
    in_steps,
    keep,
    recipe,
    students,
    teachers,
)
from tinybert import vectors

RUNS = Path("runs/transfer_text")
TASKS = ("sst2", "cola")
SHARES = (0.1, 0.3, 1.0)
MADE = ("rules", "masked_lm", "causal_lm")
TEXTS = ("none", *MADE, "unlabelled")
METHOD, CONTROL = "logit_regression", "gold"
GAIN = {"gain": "difference", "low": "low", "high": "high"}
"""Of our rows, by the names of the comparison's."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        drawn: Of a set: ``labelled`` sentences are 100%.
        made: About so many texts each rewriter makes.
        read: Sentences that the causal language model reads in training, the same ones several times.
    """

    drawn: Size
    made: int
    read: int


SIZES = {
    False: Sizes(Size(labelled=4000, dev=200, more=0, test=2000, steps=1000), made=12_000, read=12_000),
    True: Sizes(
        Size(labelled=100_000, dev=200, more=0, test=2000, steps=2500, seeds=5), made=40_000, read=80_000
    ),
}
"""By ``--full``."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "all training sentences, five seeds")
    results = command.opened("transfer_text", full)
    for task in TASKS:
        for share in SHARES:
            if not all(results.has(data=task, share=share, text=text) for text in TEXTS):
                measure(task, share, SIZES[full], RUNS / ("full" if full else ""), results)
            results.finish(AIMS)
    command.judged(results, AIMS)


def measure(task: str, share: float, sizes: Sizes, out: Path, results: ResultsFile) -> None:
    """One row of cells; what is trained already is only read."""
    place = {"data": task, "share": share}
    first = cell(task, share, "none", sizes, out)
    mine = students(first)
    said = {CONTROL: mine[CONTROL], "none": mine[METHOD], TEACHER: teachers(first)}
    for name in (TEACHER, CONTROL, *TEXTS):
        if not results.has(**place, text=name):
            run = first if name in said else cell(task, share, name, sizes, out)
            models = said if name in said else {**said, name: students(run)[METHOD]}
            results.append(**place, text=name, **row(run, name, models))


def cell(task: str, share: float, text: str, sizes: Sizes, out: Path) -> Run:
    """The students of a text, trained; with those of *none* goes the control."""
    name = f"{task}-{round(100 * share)}"
    return done(
        in_steps(design(task, share, text, sizes, out), sizes.drawn.steps), out / f"{name}-{TEACHER}", TRAINED
    )


def design(task: str, share: float, text: str, sizes: Sizes, out: Path) -> Recipe:
    """The recipe of a cell."""
    whole = draw(task, out / "data" / task, sizes.drawn)
    folder = keep(share, whole, out / "data" / f"{task}-{round(100 * share)}")
    keys: dict[str, Any] = {}
    if text in MADE:
        labelled = sum(1 for _ in (folder / "train.jsonl").open(encoding="utf-8"))
        keys["rewrite"] = [rewriter(text, labelled, sizes)]
    elif text == "unlabelled" and share == 1:
        keys["data"] = {"unlabelled": [more(task)]}
    return recipe(
        task,
        folder,
        sizes.drawn,
        hidden=text == "unlabelled",
        name=f"{task}-{round(100 * share)}-{text}",
        student=BILSTM,
        method=METHOD,
        control=text == "none",
        out=str(out),
        **keys,
    )


def rewriter(name: str, labelled: int, sizes: Sizes) -> dict[str, Any]:
    """A rewriter that makes about as much text of any number of sentences."""
    copies = max(2, round(sizes.made / labelled))
    if name == "rules":
        return {"name": name, "n_iter": copies}
    if name == "masked_lm":
        return {"name": name, "copies": copies, **vectors()}
    return {"name": name, "samples": copies, "epochs": max(3, round(sizes.read / labelled))}


def more(task: str) -> dict[str, Any]:
    """Text of a set's kind beside its training sentences."""
    path = command.shared(task, "train.tsv" if task == "sst2" else "test.tsv")
    return {"path": str(path), "format": "glue", "label": None}


# Rows and aims.


def row(run: Run, name: str, models: Mapping[str, Predicted]) -> Row:
    """What a model scores and gains, and how much it heard."""
    over = {other: compared(run, models, other)[name] for other in (CONTROL, "none")}
    heard = run.transfer_set.labelled if name in (TEACHER, CONTROL) else run.transfer_set
    return {
        "metric": run.recipe.train.metric,
        "labelled": len(run.transfer_set.labelled),
        "sentences": len(heard),
        "score": over[CONTROL]["mean"],
        "deviation": over[CONTROL]["deviation"],
        "seeds": over[CONTROL]["seeds"],
        **{key: over[CONTROL][field] for key, field in GAIN.items()},
        **{f"{key}_over_none": over["none"][field] for key, field in GAIN.items()},
    }


def read(rows: Sequence[Row], field: str, **fields: Any) -> float | None:
    """A field of the first row with these fields, in points."""
    found = (row for row in rows if all(row[name] == wanted for name, wanted in fields.items()))
    value = next((row[field] for row in found), None)
    return None if value is None else 100 * value


def best(task: str, share: float, field: str) -> Callable[[Sequence[Row]], float | None]:
    """A field of the made text with the highest score; None before all are there."""

    def measured(rows: Sequence[Row]) -> float | None:
        here = [row for row in rows if row["data"] == task and row["share"] == share and row["text"] in MADE]
        if len(here) < len(MADE):
            return None
        return read(rows, field, data=task, share=share, text=max(here, key=lambda row: row["score"])["text"])

    return measured


def fades(task: str) -> Callable[[Sequence[Row]], float | None]:
    """By how many points the best made text gains more over none with a tenth of the labels than with all."""

    def measured(rows: Sequence[Row]) -> float | None:
        few, all_ = (best(task, share, "gain_over_none")(rows) for share in (0.1, 1.0))
        return None if few is None or all_ is None else few - all_

    return measured


AIMS = [
    aim
    for task in TASKS
    for aim in (
        Aim(
            f"{task}, 10% of the labels: the best made text over none, lower end of the interval, points",
            best(task, 0.1, "low_over_none"),
            above=0,
        ),
        Aim(
            f"{task}, 10% of the labels: unlabelled text over none, lower end of the interval, points",
            lambda rows, task=task: read(rows, "low_over_none", data=task, share=0.1, text="unlabelled"),
            above=0,
        ),
        Aim(
            f"{task}: what the best made text gains over none with 10% of the labels and no more with all, points",
            fades(task),
            above=0,
        ),
    )
]

if __name__ == "__main__":
    command.run(main)
