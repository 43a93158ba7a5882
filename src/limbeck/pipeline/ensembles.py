"""Ensembles of teachers: put together of their members, with weights that are equal, given, or fitted on dev."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from limbeck.core import progress
from limbeck.core.files import read_json, write_json
from limbeck.core.signals import Signals
from limbeck.pipeline.folders import require
from limbeck.transfer.ask import ask
from limbeck.transfer.ensemble import EnsembleTeacher, fit_weights
from limbeck.transfer.teachers import LOGITS

if TYPE_CHECKING:
    from limbeck.pipeline.run import Member, Run
    from limbeck.transfer.transfer_set import TransferSet

FITTED = "fitted"
WEIGHTS = "weights.json"


def assembled(run: Run) -> EnsembleTeacher:
    """The ensemble, ready to be asked.

    Raises:
        LimbeckError: ``teach`` has not run.
    """
    return EnsembleTeacher([each.alone for each in run.members], _weights(run), name_of(run), run.recipe.task)


def untaught(run: Run) -> EnsembleTeacher:
    """The ensemble, with encoders that are yet to be fine-tuned in it, and equal weights: for a plan's estimates."""
    for each in run.members:
        each.use_untaught_teacher()
    return EnsembleTeacher([each.alone for each in run.members], None, name_of(run), run.recipe.task)


def name_of(run: Run) -> str:
    """What a person calls the ensemble: its members, each with how many of it there are."""
    names = [each.teacher_name for each in run.members]
    told = (
        f"{names.count(name)} of {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)
    )
    return " + ".join(told)


def is_fitted(run: Run) -> bool:
    """Whether the weights are fitted on dev."""
    return bool(run.members) and run.recipe.teacher.weights == FITTED


def fit(run: Run, folder: Path) -> None:
    """Ask the members about dev, and write down the weights under which its gold is the likeliest."""
    dev = run.prepared.dev
    gold = torch.tensor([run.labels.index(example.gold or "") for example in dev.examples])
    of_gold = []
    for each in run.members:
        logits = _said(run, each, dev).logits
        assert logits is not None
        shares = logits.double().log_softmax(-1).exp()  # (examples, classes)
        of_gold.append(shares.gather(1, gold[:, None])[:, 0].numpy())
    weights = fit_weights(np.maximum(np.stack(of_gold), np.finfo(np.float64).tiny))
    write_json(folder / WEIGHTS, {"weights": weights})
    told = ", ".join(f"{weight:.3f}" for weight in weights)
    progress.say(f"teach     weights of the {len(weights)} members, fitted on dev: {told}")


def _said(run: Run, member: Member, texts: TransferSet) -> Signals:
    answers = ask(member.alone, texts.examples, LOGITS, run.store)
    return answers.signals(texts.ids, torch.device("cpu"))


def _weights(run: Run) -> list[float] | None:
    chosen = run.recipe.teacher.weights
    if isinstance(chosen, list):
        return [weight / sum(chosen) for weight in chosen]
    if not is_fitted(run):
        return None
    require(run.weights_folder, "teach")
    found: list[float] = read_json(run.weights_folder.path / WEIGHTS)["weights"]
    return found
