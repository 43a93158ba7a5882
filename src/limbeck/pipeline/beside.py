"""Beside the test answers: what an analysis asks of a run's other folders, and once of its models.

What models say of dev, and of some of the text that the student was trained on, is asked at the first analysis and kept
in the run's folder ``analysis/answers`` for as long as its evaluation stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from limbeck.analyse.mistakes.analysis import Beside
from limbeck.analyse.mistakes.rows import Background, Cut, Training, words_of
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import DONE, StepFolder, read_json
from limbeck.core.tasks import OF_SENTENCES, Task
from limbeck.evaluate.calibration import softmax
from limbeck.evaluate.judged import Entrant
from limbeck.evaluate.kept import Kept
from limbeck.evaluate.metrics import Floats
from limbeck.evaluate.predictions import column_of, write_predictions
from limbeck.evaluate.yardstick import yardstick
from limbeck.text.tags import mark_spans
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run

ANALYSIS, ANSWERS = "analysis", "answers"
"""The folder of a run's analysis, and inside it that of what models were asked for it."""
SAMPLED = 500
"""Texts of each origin, at most, on which students are held against the teacher; evenly spaced."""
PRIOR_TEXTS = 50_000
"""Training texts, at most, that the prior of words is taken from; evenly spaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What models said of dev and of some transfer text.

    Attributes:
        dev: By the model's name, seed by seed, ``(texts, ...)``; with dev's examples.
        text: Likewise, of the transfer text, with the kind of each example.
    """

    dev: Mapping[str, Sequence[Floats]]
    dev_examples: Sequence[Example]
    text: Mapping[str, Sequence[Floats]]
    kinds: Sequence[str]


@dataclass(slots=True, eq=False)
class Gathered:
    """All that is known beside the test answers."""

    beside: Beside
    asked: Asked | None
    why: dict[str, str] = field(default_factory=dict)


def gather(folder: Path, kept: Kept, student: str, rare: int, *, ask_models: bool = True) -> Gathered:
    """What there is beside a run's test answers; whatever is missing is told of, and left out.

    Args:
        folder: The run's.
        kept: Its test answers.
        student: The student that is looked at.
        rare: A word is rare that stands in the training text at most this many times.
        ask_models: Ask the run's models about dev and the transfer text, where that was not done before.
    """
    why: dict[str, str] = {}
    trained_on = _training_text(folder, why)
    plain = kept.task != "tagging" or not mark_spans(kept.labels)
    training = None if trained_on is None else Training.of(trained_on.examples, plain)
    background = Background(training, _cut(folder, student, why), rare)
    asked = _asked(folder, kept, why, ask_models)
    known_text = (
        () if trained_on is None else [words_of(one) for one in _evenly(trained_on.examples, PRIOR_TEXTS)]
    )
    temperatures = _temperatures(folder)
    beside = Beside(background, known_text, _dev_of(kept, asked), temperatures, why)
    return Gathered(beside, asked, why)


def agreement_by_source(kept: Kept, asked: Asked, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """How far student and control say what the teacher says, by where a text came from, and on test.

    Args:
        kept: The run's test answers.
        asked: What its models say of its transfer text.
        names: Of models, by role.

    Returns:
        Rows with ``source``, ``texts``, and ``student`` and ``control``: the share of texts on which they say the
        very same as the teacher (of scores, Pearson's correlation), the mean over seeds.
    """
    if "teacher" not in names or names["teacher"] not in asked.text:
        return []
    on_test = {name: [np.array(one, dtype=np.float64) for one in seeds] for name, seeds in kept.said.items()}
    kinds = np.array(asked.kinds)
    rows = [(kind, asked.text, kinds == kind) for kind in dict.fromkeys(asked.kinds)]
    rows.append(("test", on_test, np.ones(len(kept.examples), dtype=np.bool_)))
    return [
        {"source": source, "texts": int(rows_in.sum())}
        | {
            role: _alike(kept, said[name], said[names["teacher"]][0], rows_in)
            for role, name in names.items()
            if role != "teacher" and name in said
        }
        for source, said, rows_in in rows
    ]


def _alike(kept: Kept, ours: Sequence[Floats], teacher: Floats, rows: Any) -> float | None:
    by = yardstick(kept.task, kept.labels)
    if not rows.sum():
        return None
    theirs = by.read(teacher[rows])
    if kept.task == "regression":
        return float(np.mean([np.corrcoef(by.read(one[rows]), theirs)[0, 1] for one in ours]))
    same = [by.read(one[rows]) == theirs for one in ours]
    return float(np.mean([each.reshape(len(each), -1).all(axis=1).mean() for each in same]))


# Training text and tokeniser.


def _training_text(folder: Path, why: dict[str, str]) -> TransferSet | None:
    """The text that students were trained on."""
    places = (("rewritten", "transfer"), ("prepared", "train"))
    found = next((place for place in places if (folder / place[0] / f"{place[1]}.arrow").is_file()), None)
    if found is None:
        why["training"] = "the run's folder holds no training text any more"
        return None
    return TransferSet.load(folder / found[0], found[1])


def _cut(folder: Path, student: str, why: dict[str, str]) -> Cut | None:
    """How the student's tokeniser cuts a word."""
    from tokenizers import Tokenizer

    places = [*sorted((folder / "students" / student).glob("seed-*")), folder / "bundle"]
    path = next((each / "tokenizer.json" for each in places if (each / "tokenizer.json").is_file()), None)
    if path is None:
        why["tokeniser"] = "the run's folder holds no tokeniser of its student any more"
        return None
    tokeniser = Tokenizer.from_file(str(path))
    tokeniser.no_padding()
    tokeniser.no_truncation()
    unknown = _unknown(json.loads(path.read_text(encoding="utf-8"))["model"])

    def cut(word: str) -> Sequence[str] | None:
        pieces: list[str] = tokeniser.encode(word, add_special_tokens=False).tokens
        return None if unknown in pieces else pieces

    return cut


def _unknown(model: Mapping[str, Any]) -> str | None:
    """The token that stands for what a tokeniser does not know."""
    if model.get("unk_id") is not None:
        return str(model["vocab"][model["unk_id"]][0])
    found = model.get("unk_token")
    return None if found is None else str(found)


def _evenly(examples: Sequence[Example], wanted: int) -> list[Example]:
    if len(examples) <= wanted:
        return list(examples)
    return [examples[n * len(examples) // wanted] for n in range(wanted)]


# What models are asked.


def _asked(folder: Path, kept: Kept, why: dict[str, str], ask_models: bool) -> Asked | None:
    """What models said of dev and transfer text, asked now where it was not before."""
    if kept.task not in OF_SENTENCES:
        return None
    done = folder / "evaluation" / DONE
    inputs = {"evaluation": read_json(done)["inputs"] if done.is_file() else None, "sampled": SAMPLED}
    place = StepFolder(folder / ANALYSIS / ANSWERS)
    if not place.is_done(inputs):
        if not ask_models:
            why["calibration"] = why["sources"] = "the run's models were not to be asked"
            return None
        try:
            _ask(folder, kept, place, inputs)
        except LimbeckError as error:
            reason = f"the run's models cannot be asked ({str(error).rstrip('.')})"
            why["calibration"] = why["sources"] = reason
            progress.warn(f"analyse   {reason}")
            return None
    return _read(place.path, kept)


def _ask(folder: Path, kept: Kept, place: StepFolder, inputs: Mapping[str, Any]) -> None:
    """Ask every model of the evaluation, and write down what it says."""
    from limbeck.pipeline.run import Run

    run = Run.open(folder)
    sets = {"dev": [("dev", example) for example in run.prepared.dev.examples], "text": list(_sampled(run))}
    with place.writing(inputs) as partial:
        for name, texts in sets.items():
            examples = [example for _, example in texts]
            columns: dict[str, pa.Array] = {
                "id": pa.array([example.id for example in examples], pa.string()),
                "kind": pa.array([kind for kind, _ in texts], pa.string()),
            }
            for column, said in _said(run, kept, examples, name):
                columns[column] = column_of(said)
            write_predictions(partial / f"{name}.parquet", kept.labels, columns)
        run.prepared.dev.save(partial, "dev")


def _sampled(run: Run) -> Iterator[tuple[str, Example]]:
    from limbeck.pipeline.transfer_text import kinds_of

    for kind in kinds_of(run):
        for example in _evenly(kind.examples, SAMPLED):
            yield kind.name, example


def _said(run: Run, kept: Kept, examples: Sequence[Example], what: str) -> Iterator[tuple[str, Floats]]:
    """What each model says of some texts, by its column in a predictions file."""
    from limbeck.models.outputs import predict

    encoded = run.encoded(examples)
    models = [Entrant(one["name"], one["role"], one["seed"]) for one in kept.content["models"]]
    with progress.task(f"analyse   asking {len(models)} models about {what}", len(models)) as task:
        for model in models:
            if model.role == "teacher":
                logits = _teacher_says(run, examples)
            else:
                assert model.seed is not None
                logits = predict(run.load_student(model.name, model.seed), encoded)
            task.advance()
            if logits is not None:
                yield model.column, _answers(kept.task, logits)


def _teacher_says(run: Run, examples: Sequence[Example]) -> Any:
    """The teacher's logits; None of a file of answers that lacks some of these texts."""
    import torch

    from limbeck.transfer.ask import ask
    from limbeck.transfer.ensemble import EnsembleTeacher
    from limbeck.transfer.teachers import FileTeacher

    if isinstance(run.teacher, FileTeacher | EnsembleTeacher) and not run.teacher.holds(examples):
        return None
    answers = ask(run.teacher, examples, run.needs, run.store)
    logits = answers.signals([example.id for example in examples], torch.device("cpu")).logits
    assert logits is not None
    return logits.numpy()


def _answers(task: Task, logits: Any) -> Floats:
    """As a predictions file holds them: scores, probabilities of labels, or of classes."""
    exact = np.asarray(logits, dtype=np.float64)
    if task == "regression":
        return exact[:, 0]
    return np.asarray(expit(exact)) if task == "multilabel" else softmax(exact)


def _read(folder: Path, kept: Kept) -> Asked:
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in ("dev", "text")}
    models = [Entrant(one["name"], one["role"], one["seed"]) for one in kept.content["models"]]

    def said(table: pa.Table) -> dict[str, list[Floats]]:
        found: dict[str, list[Floats]] = {}
        for model in models:
            if model.column in table.column_names:
                column = np.array(table.column(model.column).to_pylist(), dtype=np.float64)
                found.setdefault(model.name, []).append(column)
        return found

    dev = TransferSet.load(folder, "dev").examples
    return Asked(said(tables["dev"]), dev, said(tables["text"]), tables["text"].column("kind").to_pylist())


def _dev_of(kept: Kept, asked: Asked | None) -> tuple[Mapping[str, Sequence[Floats]], Any] | None:
    if asked is None or kept.task == "regression":
        return None
    return asked.dev, yardstick(kept.task, kept.labels).gold(asked.dev_examples)


def _temperatures(folder: Path) -> list[float]:
    """Those at which the run's methods hear the teacher, as far as its recipe can be read."""
    from limbeck.pipeline.run import Run

    try:
        run = Run.open(folder)
        settings = [method.settings(values).model_dump() for method, values in run.methods.values()]
    except LimbeckError:
        return []
    return sorted({float(each) for one in settings for each in _named("temperature", one)})


def _named(key: str, values: Any) -> Iterator[Any]:
    """Everything that stands under a key, however deep."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            if name == key and isinstance(value, int | float):
                yield value
            else:
                yield from _named(key, value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _named(key, value)
