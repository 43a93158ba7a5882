"""Tokenwise: a teacher that reads the very tokens that its student reads, at every batch.

States and attention are as large as the texts are long, times the layers; they are computed anew,
unless :mod:`limbeck.transfer.inner` keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.signals import SignalName, Signals
from limbeck.models.outputs import say
from limbeck.models.student import longest_input
from limbeck.text.tokeniser import fingerprint_tokeniser

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from limbeck.transfer.label_map import LabelMap


class TokenAnswers:
    """What a model says about batches that were made for another.

    Args:
        model: The teacher; it is put into evaluation mode.
        needs: Signals that are asked for.
        label_map: Where our labels stand among the model's; None where they are the same.
    """

    def __init__(
        self, model: PreTrainedModel, needs: frozenset[SignalName], label_map: LabelMap | None = None
    ) -> None:
        self.model, self.needs, self.label_map = model.eval(), needs, label_map

    def on(
        self, inputs: Mapping[str, Tensor], places: Tensor | None = None, directions: Tensor | None = None
    ) -> Signals:
        """What it says about a batch, without gradients.

        Args:
            inputs: As the student reads them.
            places: As of :func:`limbeck.models.outputs.say`.
            directions: Likewise, over our labels.
        """
        self.model.to(inputs["input_ids"].device)
        over = None if self.label_map is None else self.label_map.over_ours
        with (
            torch.no_grad()
        ):  # and not inference mode: what a loss keeps for its gradient must be plain tensors
            return say(self.model, inputs, self.needs, places=places, directions=directions, over=over)


def check_same_tokens(
    student: PreTrainedTokenizerFast,
    teacher: PreTrainedTokenizerFast | None,
    model: PreTrainedModel,
    max_length: int,
) -> None:
    """Insist that a teacher can read a student's tokens.

    Args:
        student: Its tokeniser.
        teacher: The teacher's.
        model: The teacher.
        max_length: The most tokens that the student reads at once.

    Raises:
        LimbeckError: Their tokens differ, or the teacher reads fewer.
    """
    if teacher is None or fingerprint_tokeniser(student) != fingerprint_tokeniser(teacher):
        raise LimbeckError(
            "this method compares teacher and student token by token, and they have different tokenisers",
            where="method",
            fix="Give the student the teacher's tokeniser, or choose a method that compares answers",
        )
    longest = longest_input(model)
    if longest is not None and max_length > longest:
        what = f"the student reads {max_length} tokens, and the teacher, who reads along, has {longest} positions"
        raise LimbeckError(what, fix=f"Set student.max_length (or data.raw_length) to {longest} or less")
