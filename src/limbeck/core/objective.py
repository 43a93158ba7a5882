"""Batch, Loss and Objective: what the training loop passes to a method, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from limbeck.core.errors import LimbeckError
from limbeck.core.signals import OF_LAYERS, SignalName, Signals
from limbeck.core.tasks import Task

NO_GOLD = -100
"""The gold index of an example without gold (PyTorch's ``ignore_index``)."""

Alignment = Literal["sentence", "word", "token"]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the student reads it.

    Attributes:
        ids: Example ids, one a row.
        inputs: The student's inputs, e.g. ``input_ids`` and ``attention_mask``, each ``(batch, tokens)``.
        gold: Label indices, ``(batch,)``, or ``(batch, words)`` for taggers; ``NO_GOLD`` where there is none. Scores
            ``(batch, 1)``, or ones where an example has a label ``(batch, labels)``, float32, for regression and
            multilabel; NaN where there is none.
        done: Share of the training that lies behind, from 0 to 1.
        last_epoch: Whether this is the last pass over the data.
        truth: Where tokens were masked in ``inputs``, what they are, ``NO_GOLD`` elsewhere, ``(batch, tokens)``; None
            where nothing is masked.
        directions: On which logits are projected where their derivatives are asked for, the same for student and
            teacher, ``(batch, directions, classes)``.
    """

    ids: tuple[str, ...]
    inputs: Mapping[str, Tensor]
    gold: Tensor
    done: float = 0.0
    last_epoch: bool = False
    truth: Tensor | None = None
    directions: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        moved = {name: value.to(device, non_blocking=True) for name, value in self.inputs.items()}
        gold = self.gold.to(device, non_blocking=True)
        truth = None if self.truth is None else self.truth.to(device, non_blocking=True)
        directions = None if self.directions is None else self.directions.to(device, non_blocking=True)
        return replace(self, inputs=moved, gold=gold, truth=truth, directions=directions)


@dataclass(frozen=True, slots=True)
class Loss:
    """A sum and the number of items it runs over; only the training loop divides.

    Attributes:
        parts: Weighted sum of each term over the batch's items, scalars with their graph.
        count: Number of items (sentences, words or tokens) that the sums run over.
    """

    parts: Mapping[str, Tensor]
    count: int

    @property
    def total(self) -> Tensor:
        """Sum of all parts, a scalar."""
        return torch.stack(tuple(self.parts.values())).sum()


@dataclass(frozen=True, slots=True)
class Shape:
    """What an objective on inner states needs to know of an encoder.

    Attributes:
        layers: Their number.
        width: Of hidden states.
        heads: Attention heads of a layer; nought where the layers are recurrent.
    """

    layers: int
    width: int
    heads: int


@dataclass(frozen=True, slots=True)
class Targets:
    """What a student that is grown, and not trained by gradients, should say of each example.

    Of all constants, the weighted mean of the values is the one that minimises the objective over a set of examples.

    Attributes:
        values: ``(examples, classes)``.
        weights: How much each example counts, ``(examples,)``; None for one each.
        temperature: The values are ``softmax(z / temperature)`` for logits z; None where they are logits themselves.
    """

    values: Tensor
    weights: Tensor | None = None
    temperature: float | None = 1.0


class Objective(nn.Module):
    """What a student is taught from a batch. It never calls a model: it is given what the models said.

    Attributes:
        needs: The teacher's signals that it reads; empty for one that reads gold only.
        reads: The student's signals that it reads.
        aligned_by: What teacher and student must share for the comparison to make sense.
        pairs: Layers that are compared, the student's and the teacher's, from 1; known once it is fitted.
        task: What logits mean; see :mod:`limbeck.losses.link`.
        last_apart: Whether the last pass over the data is another lesson than those before, which there must then be.
    """

    needs: frozenset[SignalName] = frozenset({"logits"})
    reads: frozenset[SignalName] = frozenset({"logits"})
    aligned_by: Alignment = "sentence"
    pairs: tuple[tuple[int, int], ...] = ()
    task: Task = "classification"
    last_apart: bool = False

    def for_task(self, task: Task) -> Self:
        """The same objective, told what logits mean; called before anything else."""
        self.task = task
        return self

    def fit(self, student: Shape | None, teacher: Shape | None) -> None:
        """Make what depends on the shapes of the models, such as projections; called once, before training.

        Args:
            student: None for one without layers of states.
            teacher: Likewise; also where the teacher is a file of answers.

        Raises:
            LimbeckError: It cannot compare such models.
        """

    def take_head(self, head: nn.Module) -> None:
        """Take a masked-LM head for the student; called after :meth:`fit` where ``needs`` has ``vocabulary``.

        Args:
            head: A copy of the teacher's: states ``(tokens, width)`` to scores ``(tokens, vocabulary)``. It may end in
                the student's own embeddings.
        """

    def asked(self, batch: Batch) -> Tensor | None:
        """Where the teacher is asked for its scores of the ``vocabulary``: True there, ``(batch, tokens)``."""
        return None if batch.truth is None else batch.truth != NO_GOLD

    def directions(self, batch: Batch, classes: int) -> Tensor | None:
        """On what logits are projected to take their derivatives, ``(batch, directions, classes)``; None for nothing.

        Args:
            batch: On the device where it is wanted.
            classes: Of the student.
        """
        return None

    def targets(self, teacher: Signals, gold: Tensor, classes: int) -> Targets:
        """The objective for a student that is grown from data in one go, such as a forest.

        Args:
            teacher: What it says of the examples, logits ``(examples, classes)``.
            gold: Label indices, ``(examples,)``.
            classes: Of the student.

        Raises:
            LimbeckError: The objective has no such form.
        """
        raise LimbeckError(f"{type(self).__name__} is followed by gradients only")

    def layers_read(self) -> frozenset[int] | None:
        """The teacher's layers that are read, from 1, once it is fitted: those of ``pairs``; None for all of them.

        One that reads layers which are not in ``pairs`` says so here: others may be left out of what it is given.
        """
        if not self.needs & OF_LAYERS:
            return frozenset()
        return frozenset(theirs for _, theirs in self.pairs) or None

    def told(self) -> str:
        """What a plan says of it once it is fitted, such as which layers it compares; empty for nothing."""
        return ""

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """The loss of a batch, differentiable in the student's signals."""
        raise NotImplementedError
