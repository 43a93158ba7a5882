"""Training without gradients: a student that is grown from what the teacher says, in one go.

There are no steps, and so no checkpoints: what is interrupted is grown anew, from the same seed to the same student.
"""

from __future__ import annotations

import copy
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_json
from limbeck.core.objective import Objective, Targets
from limbeck.core.signals import Signals
from limbeck.models.forest import ForestForSequenceClassification, Settings
from limbeck.models.forest_told import told
from limbeck.models.growing import grow as grow_trees
from limbeck.models.outputs import answered
from limbeck.models.student import classes
from limbeck.models.weights import learnt
from limbeck.text.encode import Encoded
from limbeck.train.journal import Journal
from limbeck.train.loop import Score, Trained, save_model
from limbeck.transfer.ask import Answers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FOREST = "forest.json"
"""Beside the weights: the forest for people to read."""
CPU = torch.device("cpu")


def grow(
    model: ForestForSequenceClassification,
    tokeniser: PreTrainedTokenizerFast,
    settings: Settings,
    objective: Objective,
    data: Encoded,
    answers: Answers | None,
    dev: Encoded,
    folder: Path,
    seed: int,
    *,
    score: Score,
    metric: str,
    stage: str,
) -> Trained:
    """Grow a student, and leave it in the model and, as a Hugging Face folder, in ``folder``.

    Args:
        model: The student, not grown yet.
        tokeniser: Saved beside it.
        settings: The student's own.
        objective: What it is taught; it must have targets.
        data: Examples to learn from.
        answers: The teacher's; None where the objective needs none.
        dev: Examples with gold that it is scored on.
        folder: Receives the model, tokeniser, journal.jsonl, forest.json and trained.json.
        seed: Of all that is drawn at random.
        score: Scores dev.
        metric: The score that decides.
        stage: Named in the journal.

    Raises:
        LimbeckError: There is nothing to learn from, an answer is not finite, or a full disk.
    """
    if not len(data):
        raise LimbeckError("there is nothing to train on", fix="Check data.train in the recipe")
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    targets = targets_of(objective, data, answers, classes(model.config))
    grown = grow_trees(model, settings, data, targets, unknown=tokeniser.unk_token_id, seed=seed)
    taken = time.monotonic() - started
    gold, predicted, loss = answered(model, dev)
    scores = dict(score(gold, predicted))
    facts = {"scores": scores, "loss": loss, "best": True, "seconds": round(time.monotonic() - started, 3)}
    Journal(folder / "journal.jsonl").write({"kind": "dev", "stage": stage, "step": 1, "epoch": 1, **facts})
    write_json(folder / FOREST, told(model, tokeniser, grown, targets))
    save_model(model, tokeniser, folder)
    trained = Trained(
        dev_score=scores[metric],
        best_step=1,
        steps=1,
        epochs=1,
        seconds=round(time.monotonic() - started, 3),
        examples_per_second=round(len(data) / max(taken, 1e-9), 1),
        threads=torch.get_num_threads(),
        device=str(CPU),
        precision="fp32",
        parameters=learnt(model),
        key=fingerprint.of_value([settings.model_dump(mode="json"), fingerprint.of_strings(data.ids), seed]),
    )
    write_json(folder / "trained.json", asdict(trained))
    return trained


def targets_of(objective: Objective, data: Encoded, answers: Answers | None, count: int) -> Targets:
    """What the student should say of each example.

    Raises:
        LimbeckError: The objective has no targets, its teacher's answers are not there, or one is not finite.
    """
    teacher = Signals()
    if objective.needs:
        assert answers is not None
        teacher = answers.signals(data.ids, CPU)
    targets = objective.targets(teacher, torch.from_numpy(np.asarray(data.gold)), count)
    sound = torch.isfinite(targets.values).all(-1)
    if not sound.all():
        broken = data.ids[int((~sound).nonzero()[0, 0])]
        raise LimbeckError(f"the teacher's answer for example '{broken}' is not finite")
    return targets


def seconds_to_grow(
    model: ForestForSequenceClassification, settings: Settings, sample: Encoded, texts: int
) -> float:
    """Seconds that growing takes here, from a few trees on some of the texts.

    Args:
        model: The student, not grown yet; a copy of it does the work.
        settings: Its own.
        sample: Some of the texts.
        texts: How many there are in all.
    """
    few = settings.model_copy(update={"trees": min(settings.trees, 3), "min_df": 1})
    draws = np.random.default_rng(0).dirichlet(np.ones(classes(model.config)), len(sample))
    targets, taken = Targets(torch.from_numpy(draws)), []
    for _ in range(2):  # the first one imports libraries, too
        started = time.perf_counter()
        grow_trees(copy.deepcopy(model), few, sample, targets, unknown=None, seed=0)
        taken.append(time.perf_counter() - started)
    more = texts * np.log(texts + 1) / (len(sample) * np.log(len(sample) + 1))
    return float(taken[-1] * max(more, 1) * settings.trees / few.trees)
