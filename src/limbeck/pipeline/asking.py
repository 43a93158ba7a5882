"""Asking models for an analysis: what they say of dev, and of some of the text that students were trained on.

They are asked at the first analysis, and what they say is kept in the run's folder ``analysis/answers`` for as long as
its evaluation stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import DONE, StepFolder, read_json
from limbeck.core.tasks import OF_SENTENCES, Task
from limbeck.evaluate.calibration import softmax
from limbeck.evaluate.correlation import pearson
from limbeck.evaluate.judged import Entrant
from limbeck.evaluate.kept import Kept
from limbeck.evaluate.metrics import Floats
from limbeck.evaluate.predictions import column_of, write_predictions
from limbeck.evaluate.yardstick import yardstick
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run

ANALYSIS, ANSWERS = "analysis", "answers"
"""The folder of a run's analysis, and inside it that of what models were asked for it."""
SAMPLED = 500
"""Texts of each origin, at most, on which students are held against the teacher; evenly spaced."""


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


def what_models_say(folder: Path, kept: Kept, why: dict[str, str], ask_models: bool) -> Asked | None:
    """What models say of dev and of transfer text, asked now where it was not before.

    Args:
        folder: The run's.
        kept: Its test answers.
        why: Takes the reason where nothing can be told.
        ask_models: Whether they may be asked now.
    """
    if kept.task not in OF_SENTENCES:
        return None
    parts = ("calibration", "sources")
    place = asked_once(folder, why, parts, ask_models, partial(_ask, kept))
    return None if place is None else _read(place, kept)


def asked_once(
    folder: Path,
    why: dict[str, str],
    parts: Sequence[str],
    ask_models: bool,
    ask: Callable[[Run, Path], None],
) -> Path | None:
    """Where the answers of a run's models lie, asked for now where they were not before.

    Args:
        folder: The run's.
        why: Takes the reason where they are not there.
        parts: Of an analysis that are then missing.
        ask_models: Whether models may be asked now.
        ask: Asks the models of a run, and writes what they say to a folder.
    """
    from limbeck.pipeline.inputs import evaluate_inputs
    from limbeck.pipeline.run import Run

    done = folder / "evaluation" / DONE
    inputs = {"evaluation": read_json(done)["inputs"] if done.is_file() else None, "sampled": SAMPLED}
    place = StepFolder(folder / ANALYSIS / ANSWERS)
    if place.is_done(inputs):
        return place.path
    if not ask_models:
        why |= dict.fromkeys(parts, "the run's models were not to be asked")
        return None
    try:
        run = Run.open(folder)
        if not run.evaluation_folder.is_done(evaluate_inputs(run)):
            raise LimbeckError(
                "they, or the recipe, are not those that were evaluated: run 'limbeck evaluate'"
            )
        with place.writing(inputs) as unfinished:
            ask(run, unfinished)
    except LimbeckError as error:
        reason = f"the run's models cannot be asked ({str(error).rstrip('.')})"
        why |= dict.fromkeys(parts, reason)
        progress.warn(f"analyse   {reason}")
        return None
    return place.path


def _ask(kept: Kept, run: Run, folder: Path) -> None:
    """Ask every model of the evaluation, and write down what it says."""
    sets = {"dev": [("dev", example) for example in run.prepared.dev.examples], "text": list(_sampled(run))}
    for name, texts in sets.items():
        examples = [example for _, example in texts]
        columns: dict[str, pa.Array] = {
            "id": pa.array([example.id for example in examples], pa.string()),
            "kind": pa.array([kind for kind, _ in texts], pa.string()),
        }
        for column, said in _said(run, kept, examples, name):
            columns[column] = column_of(said)
        write_predictions(folder / f"{name}.parquet", kept.labels, columns)
    run.prepared.dev.save(folder, "dev")


def _sampled(run: Run) -> Iterator[tuple[str, Example]]:
    from limbeck.pipeline.transfer_text import kinds_of

    for kind in kinds_of(run):
        for example in evenly(kind.examples, SAMPLED):
            yield kind.name, example


def entrants(kept: Kept) -> list[Entrant]:
    """The models of an evaluation, in its order."""
    return [Entrant(one["name"], one["role"], one["seed"]) for one in kept.content["models"]]


def _said(run: Run, kept: Kept, examples: Sequence[Example], what: str) -> Iterator[tuple[str, Floats]]:
    """What each model says of some texts, by its column in a predictions file."""
    from limbeck.models.outputs import predict

    encoded = run.encoded(examples)
    models = entrants(kept)
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
    models = entrants(kept)

    def said(table: pa.Table) -> dict[str, list[Floats]]:
        found: dict[str, list[Floats]] = {}
        for model in models:
            if model.column in table.column_names:
                column = np.array(table.column(model.column).to_pylist(), dtype=np.float64)
                found.setdefault(model.name, []).append(column)
        return found

    dev = TransferSet.load(folder, "dev").examples
    return Asked(said(tables["dev"]), dev, said(tables["text"]), tables["text"].column("kind").to_pylist())


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
    if not rows.sum() or (kept.task == "regression" and rows.sum() < 2):
        return None
    theirs = by.read(teacher[rows])
    if kept.task == "regression":
        return float(np.mean([pearson(by.read(one[rows]), theirs) for one in ours]))
    same = [by.read(one[rows]) == theirs for one in ours]
    return float(np.mean([each.reshape(len(each), -1).all(axis=1).mean() for each in same]))


def evenly(examples: Sequence[Example], wanted: int) -> list[Example]:
    """So many of the examples, evenly spaced; all of them where there are no more."""
    if len(examples) <= wanted:
        return list(examples)
    return [examples[n * len(examples) // wanted] for n in range(wanted)]
