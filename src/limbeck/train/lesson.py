"""Lesson: rows of the data in, the objective's loss out; student, answers and objective meet here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.models.outputs import say
from limbeck.models.student import classes
from limbeck.structure.chain import Chain
from limbeck.text.encode import Encoded, collate
from limbeck.train.masking import Masker
from limbeck.transfer.ask import Answers, StoredAnswers
from limbeck.transfer.inner import InnerAnswers
from limbeck.transfer.tokenwise import TokenAnswers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

AT_HAND = 2**30
"""Bytes of teacher logits that are gathered once, in the order of the rows, instead of at every step."""

Heard: TypeAlias = Answers | TokenAnswers | InnerAnswers
"""Who answers for the teacher: a store, the teacher itself at every step, or files of its inner states."""
TeacherSignals = Callable[[NDArray[np.int64], Batch], Signals]
"""The teacher's, for rows of the data and the batch that was made of them."""


class Lesson:
    """What one step learns from.

    Args:
        model: The student, already on ``device``.
        objective: What it is taught, already on ``device``.
        data: The examples.
        answers: The teacher's; may be None where the objective needs none.
        device: Where to compute.
        precision: See :class:`limbeck.core.recipe.Training`.
        masker: Masks what student and teacher read; None leaves it as it is.

    Raises:
        LimbeckError: The objective needs answers and there are none, or not for all examples.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        objective: Objective,
        data: Encoded,
        answers: Heard | None,
        device: torch.device,
        precision: Literal["auto", "fp32", "bf16"],
        masker: Masker | None = None,
    ) -> None:
        self.masker = masker
        self.model, self.objective, self.data, self.device = model, objective, data, device
        self.modules = nn.ModuleDict({"student": model, "objective": objective})
        self.bf16 = uses_bf16(precision, device, model)
        self._teacher = _teacher_signals(objective, data, answers, device)

    def loss(self, rows: NDArray[np.int64], done: float = 0.0, last_epoch: bool = False) -> Loss:
        """The loss of a batch, with its graph.

        Args:
            rows: Row numbers, ``(batch,)``.
            done: Share of the training that lies behind.
            last_epoch: Whether this is the last pass over the data.
        """
        batch = replace(collate(self.data, rows), done=done, last_epoch=last_epoch)
        batch = (batch if self.masker is None else self.masker.masked(batch)).to(self.device)
        directions = self.objective.directions(batch, classes(self.model.config))
        batch = replace(batch, directions=directions)
        with self.autocast():
            student = say(self.model, batch.inputs, self.objective.reads, directions=directions)
        # Outside autocast: a loss in bfloat16 would keep three digits.
        loss: Loss = self.objective(full_precision(student), self._teacher(rows, batch), batch)
        return loss

    def autocast(self) -> AbstractContextManager[None]:
        """The precision that the student computes in."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)


def uses_bf16(precision: Literal["auto", "fp32", "bf16"], device: torch.device, model: nn.Module) -> bool:
    """Whether the student computes in bfloat16.

    Under autocast cuDNN runs recurrent layers in float16, whatever was asked for, and float16 gradients need
    a loss scale; so students with recurrent layers stay in float32 on a GPU.
    """
    if device.type == "cuda" and any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return False
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bf16"


def full_precision(said: Signals) -> Signals:
    """In float32: a loss in bfloat16 would keep three digits."""
    return said.mapped(lambda values: values.float() if values.is_floating_point() else values, Chain.wide)


def _teacher_signals(
    objective: Objective, data: Encoded, answers: Heard | None, device: torch.device
) -> TeacherSignals:
    """How to get the teacher's signals for rows of the data."""
    if not objective.needs:
        return lambda rows, batch: Signals()
    if answers is None:
        needed = ", ".join(sorted(objective.needs))
        raise LimbeckError(
            f"{type(objective).__name__} needs the teacher's {needed}, and no answers were given",
            fix="Ask the teacher first (limbeck ask)",
        )
    given = answers
    if isinstance(given, TokenAnswers):
        return lambda rows, batch: given.on(batch.inputs, objective.asked(batch), batch.directions)
    if isinstance(given, InnerAnswers):
        return given.on
    if isinstance(given, StoredAnswers) and objective.needs == {"logits"}:
        first = given.signals(data.ids[:1], torch.device("cpu")).logits
        if first is not None and first.shape[-1] * 4 * len(data) <= AT_HAND:
            return _at_hand(given, data, device)
    return lambda rows, batch: given.signals([data.ids[row] for row in rows], device)


def _at_hand(answers: Answers, data: Encoded, device: torch.device) -> TeacherSignals:
    """All logits in the order of the rows, gathered once; each step only indexes."""
    logits = answers.signals(data.ids, torch.device("cpu")).named("logits")
    assert isinstance(logits, torch.Tensor)
    logits = logits.float()
    sound = torch.isfinite(logits).all(-1)
    if not sound.all():
        broken = data.ids[int((~sound).nonzero()[0, 0])]
        raise LimbeckError(f"the teacher's answer for example '{broken}' is not finite")
    logits = logits.to(device)
    return lambda rows, batch: Signals(logits=logits[torch.from_numpy(rows).to(device)])
