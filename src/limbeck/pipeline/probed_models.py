"""Probed models: what a person names, a run or a model, as encoders with a role."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from limbeck.analyse.states import Encoder, ModelEncoder, VectorEncoder
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.models.heads import quiet
from limbeck.models.student import longest_input
from limbeck.pipeline.folders import require
from limbeck.pipeline.run import Run
from limbeck.text import resources
from limbeck.text.tokeniser import load_tokeniser
from limbeck.transfer.ensemble import EnsembleTeacher
from limbeck.transfer.teachers import ModelTeacher

Role = Literal["teacher", "student", "control", "model", "vectors", "random"]
AUTO: tuple[Any, ...] = (AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification)


@dataclass(frozen=True, slots=True)
class Probed:
    """A model to be probed.

    Attributes:
        name: What pages call it.
        role: Its part in a run; ``model`` for one that is in no run.
        members: Of a student, one a seed; else one alone.
        folder: Where it was named.
    """

    name: str
    role: Role
    members: tuple[Encoder, ...]
    folder: str


def is_run(reference: str) -> bool:
    """Whether this is the folder of a run."""
    return (Path(reference).expanduser() / "recipe.yaml").is_file()


def probed_models(references: Sequence[str], max_length: int, seeds: int | None = None) -> list[Probed]:
    """What is named.

    Args:
        references: Run folders, model folders, ``package:NAME/FOLDER``, names on the hub; each perhaps after ``NAME=``.
        max_length: Tokens kept of a sentence, by models of no run; those of a run keep as many as they were trained on.
        seeds: Most seeds of a student; None for all.

    Raises:
        LimbeckError: Something cannot be loaded, is a translator or no neural network, or two have one name.
    """
    found: list[Probed] = []
    several = sum(map(is_run, (reference.rpartition("=")[2] for reference in references))) > 1
    for reference in references:
        name, _, place = reference.rpartition("=")
        if is_run(place):
            members = _of_run(Path(place).expanduser(), seeds)
            prefix = name or (Path(place).resolve().name if several else "")
            found += [
                replace(each, name=f"{prefix}: {each.name}" if prefix else each.name) for each in members
            ]
        else:
            found.append(_of_model(name or place.rstrip("/").rpartition("/")[2], place, max_length))
    twice = [name for name, count in Counter(each.name for each in found).items() if count > 1]
    if twice:
        raise LimbeckError(f"two models are called '{twice[0]}'", fix="Name them: NAME=FOLDER")
    return found


# Of a run.


def _of_run(folder: Path, seeds: int | None) -> Iterator[Probed]:
    """The teacher, where it is a model, then students and control."""
    run = Run.open(folder)
    if run.recipe.task == "translation":
        raise LimbeckError("only models that read are looked into, and this is a translator", where=folder)
    if run.recipe.student.kind == "forest":
        raise LimbeckError("a forest has no layers to probe", where=folder)
    teacher = run.teacher.members[0] if isinstance(run.teacher, EnsembleTeacher) else run.teacher
    if isinstance(teacher, ModelTeacher):
        encoder = ModelEncoder("teacher", teacher.model, teacher.tokeniser, teacher.max_length)
        yield Probed("teacher", "teacher", (encoder,), str(folder))
    else:
        progress.warn(f"{folder}: the teacher is a file of answers, which has no layers to probe")
    for title in run.methods:
        role: Role = "control" if title == run.control else "student"
        members = tuple(_student(run, title, seed) for seed in run.recipe.seeds[:seeds])
        yield Probed("control" if role == "control" else title, role, members, str(folder))


def _student(run: Run, title: str, seed: int) -> ModelEncoder:
    """A student with the tokeniser that lies beside it."""
    require(run.student_folder(title, seed), "train")
    tokeniser = load_tokeniser(run.student_folder(title, seed).path)
    return ModelEncoder(
        f"{title}, seed {seed}", run.load_student(title, seed), tokeniser, run.recipe.student.max_length
    )


# By itself.


def _of_model(name: str, reference: str, max_length: int) -> Probed:
    model = load_any(reference)
    longest = longest_input(model)
    length = max_length if longest is None else min(max_length, longest)
    return Probed(name, "model", (ModelEncoder(name, model, load_tokeniser(reference), length),), reference)


def load_any(reference: str) -> PreTrainedModel:
    """A model with whatever head it has, float32.

    Raises:
        LimbeckError: There is none, it is damaged, or of a kind that is not probed.
    """
    place = str(resources.resolve(reference))
    try:
        with quiet():
            config = AutoConfig.from_pretrained(place)
            auto = next((each for each in AUTO if type(config) in each._model_mapping), None)
            if auto is None:
                raise LimbeckError(
                    f"a model of the kind '{config.model_type}' is not looked into", where=reference
                )
            model: PreTrainedModel = auto.from_pretrained(place, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
        fix = "Name a run's folder, a model on the hub, or a folder as save_pretrained writes it"
        raise LimbeckError(f"no model can be loaded ({reason})", where=reference, fix=fix) from None
    return model


# What others are held against.


def fresh(model: Probed, seeds: int) -> Probed:
    """A model's twin with weights as they start, one a seed: what its shape alone makes of a sentence.

    Raises:
        LimbeckError: The model is none of layers.
    """
    pattern = model.members[0]
    if not isinstance(pattern, ModelEncoder):
        raise LimbeckError("only models have a twin with random weights", where=model.name)
    name = f"{model.name}, random weights"
    members = []
    for seed in range(1, seeds + 1):
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            twin = type(pattern.model)(copy.deepcopy(pattern.model.config)).float()
        members.append(ModelEncoder(f"{name}, seed {seed}", twin, pattern.tokeniser, pattern.max_length))
    return Probed(name, "random", tuple(members), model.folder)


def word_vectors(path: str, words: str | None) -> Probed:
    """Word vectors of a file.

    Raises:
        LimbeckError: It cannot be read.
    """
    listed = None if words is None else Path(resources.resolve(words))
    encoder = VectorEncoder(Path(resources.resolve(path)), listed)
    return Probed(encoder.name, "vectors", (encoder,), path)
