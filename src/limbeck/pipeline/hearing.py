"""Hearing: what a stage of a method trains on, whom it hears, and its objective, fitted to both models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from limbeck.core.errors import LimbeckError
from limbeck.models.masked_head import head_for
from limbeck.models.shapes import shape_of
from limbeck.pipeline import chain
from limbeck.transfer.teachers import ModelTeacher
from limbeck.transfer.tokenwise import TokenAnswers, check_same_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.method import Stage
    from limbeck.pipeline.run import Run
    from limbeck.text.encode import Encoded
    from limbeck.transfer.ask import Answers


def heard(run: Run, title: str, stage: Stage) -> Encoded:
    """What a stage of a method trains on."""
    if stage.hears == "raw":
        return run.encoded_raw
    if stage.distilled is not None:
        return run.encoded(run.text_of(title, stage).examples)
    return run.encoded_part_for(stage)


def answers_for(run: Run, title: str, stage: Stage) -> Answers | TokenAnswers | None:
    """What a stage hears of the teacher: stored answers, or the teacher itself where tokens are compared.

    Raises:
        LimbeckError: The teacher does not read the student's tokens.
    """
    needs = stage.objective.needs
    if not needs:
        return None
    if stage.teacher in chain.OF_SUCCESSORS:
        return chain.answers_of(run, title, stage)
    if stage.objective.aligned_by != "token" or run.recipe.task == "translation":
        return run.answers_on(run.text_of(title, stage), stage)
    if run.members and stage.teacher == "tuned":
        what = (
            f"'{title}' compares tokens or derivatives, and an ensemble of teachers gives probabilities only"
        )
        raise LimbeckError(what, where="method", fix="Name one teacher, or choose a method that reads logits")
    model = model_heard(run, stage)
    assert model is not None  # the objective was fitted to it
    data, student = run.recipe.data, run.recipe.student
    longest = data.raw_length if stage.hears == "raw" else student.max_length
    check_same_tokens(run.tokeniser, run.teacher_tokeniser, model, longest)
    label_map = run.teacher.label_map if isinstance(run.teacher, ModelTeacher) else None
    return TokenAnswers(model, needs, label_map if "logits" in needs else None)


def model_heard(run: Run, stage: Stage) -> PreTrainedModel | None:
    """Whose tokens a stage compares with the student's; None for a file of answers.

    Raises:
        LimbeckError: It was to be the teacher before it was fine-tuned, and that cannot be loaded.
    """
    if stage.teacher != "pretrained":
        return run.teacher_model
    return run.masked_lm if "vocabulary" in stage.objective.needs else run.pretrained


def fitted(run: Run, stage: Stage, student: PreTrainedModel, seed: int) -> Stage:
    """A stage whose objective knows the models; what it draws at random is drawn from the seed.

    Raises:
        LimbeckError: The objective cannot compare these models.
    """
    teacher = run.teacher_model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stage.objective.fit(shape_of(student), None if teacher is None else shape_of(teacher))
        if "vocabulary" in stage.objective.needs:
            stage.objective.take_head(head_for(student, run.masked_lm))
    return stage
