"""Who teaches in a transformers Trainer: a model that reads what the student reads, or answers that are stored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from transformers import AutoTokenizer, PreTrainedModel

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Batch
from limbeck.core.signals import SignalName, Signals
from limbeck.transfer.ask import Answers
from limbeck.transfer.label_map import LabelMap, arrange, listing
from limbeck.transfer.tokenwise import TokenAnswers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STORED: frozenset[SignalName] = frozenset({"logits", "potentials"})
"""Signals that do not depend on how a text was cut into tokens."""
IDS = "limbeck_ids"
"""Where a batch holds the ids of its examples."""


class TrainerTeacher(Protocol):
    """What :class:`limbeck.train.trainer.DistillationTrainer` asks.

    Attributes:
        reads: Names of the inputs that it takes beside the student's.
        by_id: Whether it must be told the examples' ids.
    """

    reads: frozenset[str]
    by_id: bool

    def answer(self, batch: Batch, inputs: Mapping[str, Tensor], device: torch.device) -> Signals:
        """What it says about a batch, without gradients; ``inputs`` are the student's and its own."""
        ...


class LiveTeacher:
    """A model that is asked at every step, on the student's inputs.

    Args:
        model: The teacher.
        student: Its labels are those that logits are put in the order of.
        needs: Signals that are asked for.
        tokenisers: The student's and the teacher's, where they are known.

    Raises:
        LimbeckError: It has other labels, or other tokens.
    """

    by_id = False

    def __init__(
        self,
        model: PreTrainedModel,
        student: PreTrainedModel,
        needs: frozenset[SignalName],
        tokenisers: tuple[PreTrainedTokenizerBase | None, PreTrainedTokenizerBase | None],
    ) -> None:
        self.reads = inputs_of(model)
        self.answers = TokenAnswers(model, needs, _label_map(model, student) if "logits" in needs else None)
        _check_tokens(student, model, tokenisers[0], tokenisers[1] or _own_tokeniser(model))

    def answer(self, batch: Batch, inputs: Mapping[str, Tensor], device: torch.device) -> Signals:
        """What the model says about these inputs, of which it is given those that it takes."""
        mine = {name: value for name, value in inputs.items() if name in self.reads}
        return self.answers.on(mine, directions=batch.directions)


class StoredTeacher:
    """Answers by example id.

    Args:
        answers: As :func:`limbeck.transfer.ask.ask` gives them, or :class:`RowAnswers`.
        needs: Signals that are asked for.

    Raises:
        LimbeckError: The objective reads what is not kept of a text.
    """

    by_id = True
    reads: frozenset[str] = frozenset()

    def __init__(self, answers: Answers, needs: frozenset[SignalName]) -> None:
        if others := sorted(needs - STORED):
            what = f"the objective reads the teacher's {', '.join(others)}, which stored answers do not have"
            raise LimbeckError(what, fix="Give the teacher itself, a PreTrainedModel")
        self.answers = answers

    def answer(self, batch: Batch, inputs: Mapping[str, Tensor], device: torch.device) -> Signals:
        """What is stored for the batch's ids."""
        return self.answers.signals(batch.ids, device)


class RowAnswers:
    """Logits by the number of the example in the training set.

    Args:
        logits: ``(examples, classes)``, in the order of the training set.
    """

    def __init__(self, logits: Tensor | NDArray[Any]) -> None:
        values: Tensor = torch.as_tensor(np.asarray(logits) if not isinstance(logits, Tensor) else logits)
        self.logits = values.detach().float().cpu()

    def check(self, examples: int, labels: int) -> None:
        """Insist that there is a row for each example, and a column for each class.

        Raises:
            LimbeckError: There is not.
        """
        wanted = (examples, labels)
        if tuple(self.logits.shape) != wanted:
            shapes = (
                f"{tuple(self.logits.shape)}, and the training set and the student's labels ask for {wanted}"
            )
            raise LimbeckError(f"the teacher's logits are of shape {shapes}")
        if not self.logits.isfinite().all():
            row = int((~self.logits.isfinite().all(1)).nonzero()[0, 0])
            raise LimbeckError(f"the teacher's logits for example {row} are not finite")

    def signals(self, ids: Sequence[str], device: torch.device) -> Signals:
        """The logits of these rows, ``(ids, classes)``."""
        return Signals(logits=self.logits[[int(row) for row in ids]].to(device))


# ------------------------------------------------------------ checks


def inputs_of(model: Any) -> frozenset[str]:
    """Names of the inputs that a model's forward takes."""
    return frozenset(inspect.signature(inside(model).forward).parameters)


def inside(model: Any) -> Any:
    """A model without the adapters that PEFT puts around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _label_map(teacher: PreTrainedModel, student: PreTrainedModel) -> LabelMap:
    """Where the student's labels stand among the teacher's."""
    theirs, ours = (_label_names(model) for model in (teacher, student))
    if len(theirs) != len(ours):
        what = f"the teacher has {len(theirs)} labels ({listing(theirs)}), the student {len(ours)} ({listing(ours)})"
        raise LimbeckError(what, fix="Take a teacher of the student's labels")
    if _unnamed(theirs) or _unnamed(ours):
        return LabelMap.of_columns(range(len(ours)))  # nothing but their order is known
    try:
        return arrange(theirs, ours, {})
    except LimbeckError as error:
        fix = "Set id2label and label2id in the configurations of both, or take a teacher of these labels"
        raise LimbeckError(error.what.replace("the data's", "the student's"), fix=fix) from None


def _label_names(model: PreTrainedModel) -> list[str]:
    return [str(name) for _, name in sorted((model.config.id2label or {}).items())]


def _unnamed(names: Sequence[str]) -> bool:
    """Whether these are the names that transformers gives where nobody gave any."""
    return list(names) == [f"LABEL_{number}" for number in range(len(names))]


def _check_tokens(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    ours: PreTrainedTokenizerBase | None,
    theirs: PreTrainedTokenizerBase | None,
) -> None:
    """Insist that an id is the same token to both; where a tokeniser is not known, that they have as many."""
    fix = "Ask the teacher beforehand with its own tokeniser, and give its logits: a tensor, or Answers"
    if ours is not None and theirs is not None:
        known = theirs.get_vocab()
        other = next((token for token, id in ours.get_vocab().items() if known.get(token) != id), None)
        if other is not None:
            number = known.get(other)
            to_teacher = "unknown to the teacher's" if number is None else f"{number} to the teacher's"
            ids = f"'{other}' is {ours.get_vocab()[other]} to the student's tokeniser, and {to_teacher}"
            raise LimbeckError(f"teacher and student do not read the same tokens: {ids}", fix=fix)
        return
    sizes = [getattr(model.get_input_embeddings(), "num_embeddings", None) for model in (student, teacher)]
    if None not in sizes and sizes[0] != sizes[1]:
        counts = f"the student has embeddings for {sizes[0]:,}, the teacher for {sizes[1]:,}"
        raise LimbeckError(f"teacher and student do not read the same tokens: {counts}", fix=fix)


def _own_tokeniser(model: PreTrainedModel) -> PreTrainedTokenizerBase | None:
    """The tokeniser beside a model's weights, where it is on this machine."""
    name = model.config.name_or_path
    try:
        found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError):
        return None
    return found


# ------------------------------------------------------------ ids


class Numbered(Dataset[dict[str, Any]]):
    """A training set whose examples say which they are.

    Args:
        inside: Any data set of dictionaries with a length.
        column: What the number is called.
    """

    def __init__(self, inside: Any, column: str) -> None:
        self.inside, self.column = inside, column

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.inside)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """An example, and its number."""
        return {**self.inside[row], self.column: row}


class WithIds:
    """A collator that keeps the examples' ids beside what another one makes of the rest.

    Args:
        collate: The other one.
        column: Where an example holds its id.
    """

    def __init__(self, collate: Callable[[list[Any]], Any], column: str) -> None:
        self.collate, self.column = collate, column

    def __call__(self, examples: list[Any]) -> Any:
        """A batch with ``IDS``.

        Raises:
            LimbeckError: An example has no id.
        """
        try:
            ids = [str(example[self.column]) for example in examples]
        except KeyError:
            fix = "Name the column that holds it: id_column='...'"
            what = f"the training examples have no '{self.column}', by which the teacher's answers are found"
            raise LimbeckError(what, fix=fix) from None
        rest = [{key: value for key, value in one.items() if key != self.column} for one in examples]
        batch = self.collate(rest)
        batch[IDS] = ids
        return batch
