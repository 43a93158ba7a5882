"""Classifiers of ten shapes of data: what the recommended method gains over a control that has no teacher.

Of each set 1,000 examples have labels (150 of them pick the best weights), up to 6,000 more of its training part are
text without labels, and up to 2,000 test examples are scored. CoLA keeps 6,000 labels, for fewer teach its teacher
nothing; rte, which has no text to spare, keeps all of them, and text is made of it (``ngrams``). Teacher: MiniLM with 6
layers, fine-tuned on the labels. Student: a BiLSTM, of pairs a siamese one. Method: what docs/which_method.md
recommends for the shape of data. The control is the same student on the labels alone, for as many steps.

    python benchmarks/classifiers.py          # two idle cores: about 65 minutes; 1,200 steps, three seeds
    python benchmarks/classifiers.py --full   # 2,500 labels, all other text, all of test, 3,000 steps, five seeds

That is, for a set: 110 s to fine-tune the teacher, 20 s to ask it, 110 s to train three students and three controls
two at a time, 40 s to export and score; rte, whose texts are long, takes three times as long, questions and intents
less, but that teachers of many classes take three times as many passes. Rows of a set (teacher, control, student) are
written as it is finished; run again, it goes on where it stopped. Intervals: paired bootstrap over test examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import command
from limbeck.core.recipe import Recipe
from limbeck.evaluate import table
from limbeck.pipeline import Run
from results_file import Aim, Row
from text_sets import BILSTM, SETS, SIAMESE, TEACHER, Size, TextSet, done, draw, in_steps, recipe

RUNS = Path("runs/classifiers")
SIZES = {
    False: Size(labelled=850, dev=150, more=6000, test=2000, steps=1200),
    True: Size(labelled=2150, dev=350, more=100_000, test=100_000, steps=3000, seeds=5),
}
"""By ``--full``."""
FEWEST = {"cola": 6000}
"""Labels that it takes at least. In pilots 850 of CoLA's taught the teacher nothing, in large batches or small ones (an
MCC of 0 on dev); 6,000 do (0.19)."""
COPIES = 2
"""Of each pair, where text is made."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "more labels, all other text, five seeds")
    results = command.opened("classifiers", full)
    for name in SETS:
        if not results.has(data=name):
            made = design(name, size_of(name, full), RUNS / ("full" if full else ""))
            for row in rows(name, done(made, made.folder.with_name(f"{name}-{TEACHER}"))):
                results.append(**row)
            results.finish(AIMS)
    command.judged(results, AIMS)


def size_of(name: str, full: bool) -> Size:
    """How much is drawn of a set."""
    size = SIZES[full]
    return replace(size, labelled=max(size.labelled, FEWEST.get(name, 0)))


def method_of(one: TextSet) -> str:
    """What is recommended: of two classes, or a score, logits; of more classes their distribution."""
    return "soft_labels" if one.classes > 2 else "logit_regression"


def design(name: str, size: Size, out: Path) -> Recipe:
    """The recipe of a set."""
    one = SETS[name]
    made = recipe(
        name,
        draw(name, out / "data" / name, size),
        size,
        name=name,
        student=SIAMESE if one.pairs else BILSTM,
        method=method_of(one),
        rewrite=[] if one.more else [{"name": "ngrams", "copies": COPIES}],
        out=str(out),
    )
    return in_steps(made, size.steps)


def rows(name: str, run: Run) -> Iterator[Row]:
    """One flat row each for teacher, control and student."""
    found, one = run.evaluation, SETS[name]
    for row in table.rows(found):
        metric = row["metric"]
        scores = [each["scores"][metric] for each in found["models"] if each["name"] == row["name"]]
        yield {
            "data": name,
            "shape": shape(one),
            "model": row["role"],
            "student": run.recipe.student.kind if row["role"] != TEACHER else None,
            "method": "fine-tuned" if row["role"] == TEACHER else row["name"],
            "text": ("unlabelled" if one.more else "ngrams") if row["role"] == "student" else "labelled",
            "labelled": len(run.prepared.train.labelled),
            "sentences": len(run.transfer_set) if row["role"] == "student" else None,
            "test": len(run.prepared.test),
            "metric": metric,
            "score": row[metric],
            **{key: row[key] for key in ("deviation", "gain", "low", "high", "p", "retention", "bytes")},
            "seeds": row["seeds"],
            **{f"score_{number}": score for number, score in enumerate(scores, 1)},
        }


def shape(one: TextSet) -> str:
    """A set's shape in words."""
    said = "scores" if one.task == "regression" else f"{one.classes} classes"
    return f"pairs, {said}" if one.pairs else said


def clear(rows: Sequence[Row]) -> float | None:
    """Sets in which the gain's interval lies above nought; None before all are there."""
    students = [row for row in rows if row["model"] == "student"]
    return sum(row["low"] > 0 for row in students) if len(students) == len(SETS) else None


AIMS = [Aim(f"sets of {len(SETS)} in which the gain over the control is clear of zero", clear, at_least=7)]

if __name__ == "__main__":
    command.run(main)
