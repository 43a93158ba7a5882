"""DistillationTrainer: transformers' Trainer for scripts that have one already, taught by our objectives.

Everything is the Trainer's own but the loss of a training step. An objective gives sums and a count: the gradients of
the sums are added up over the batches of a step (and over processes), and divided once, by all items that they run
over. So the gradient is that of the mean over items, however a step is cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel, Trainer

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.models.outputs import say
from limbeck.models.shapes import shape_of
from limbeck.models.student import classes, task_of
from limbeck.train import checkpoint
from limbeck.train.lesson import full_precision
from limbeck.train.optimiser import gradients
from limbeck.train.tally import Tally
from limbeck.train.trainer_teacher import (
    IDS,
    LiveTeacher,
    Numbered,
    RowAnswers,
    StoredTeacher,
    TrainerTeacher,
    WithIds,
    inputs_of,
    inside,
)

if TYPE_CHECKING:
    from collections.abc import Sized

    from torch.utils.data import DataLoader
    from transformers import PreTrainedTokenizerBase

    from limbeck.transfer.ask import Answers

OBJECTIVE = "objective.safetensors"
"""What a checkpoint keeps of the objective: projections, say."""
ROW = "limbeck_row"


class DistillationTrainer(Trainer):
    """A Trainer that teaches the model what an objective says; evaluation and prediction are as ever.

    Each part of the loss is logged beside the loss, as ``loss_PART``. The objective's own parameters are trained along
    with the student's, without clipping, and kept in the checkpoints.

    Args:
        *args: As of :class:`transformers.Trainer`.
        teacher: A model, which reads what the student reads; its logits for the training set, ``(examples, classes)``;
            or answers by example id (:func:`limbeck.transfer.ask.ask`). None for an objective that needs none.
        objective: What the student is taught, e.g. ``limbeck.objective("soft_labels", temperature=4)``.
        teacher_tokeniser: To be compared with the student's (``processing_class``); by default the one that lies
            beside the teacher's weights.
        id_column: Where an example of the training set holds the id by which answers are found.
        **options: As of :class:`transformers.Trainer`.

    Raises:
        LimbeckError: The teacher has other labels or other tokens, or lacks what the objective needs.
    """

    # The Trainer shall not divide by the batches of a step.
    loss_is_scaled_for_ga = True
    _signature_columns: Any

    def __init__(
        self,
        *args: Any,
        teacher: PreTrainedModel | Answers | Tensor | NDArray[Any] | None,
        objective: Objective,
        teacher_tokeniser: PreTrainedTokenizerBase | None = None,
        id_column: str = "id",
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        if self.is_deepspeed_enabled:
            raise LimbeckError(
                "DeepSpeed keeps gradients to itself, and DistillationTrainer has to divide them"
            )
        self.loss_objective = objective
        self._tally, self._begins = Tally(), True
        self._more_columns: frozenset[str] = frozenset()
        self._not_students: frozenset[str] = frozenset()
        self._id_column = ROW if isinstance(teacher, Tensor | np.ndarray) else id_column
        self._teacher = self._engage(teacher, teacher_tokeniser)
        theirs = shape_of(teacher) if isinstance(teacher, PreTrainedModel) else None
        objective.for_task(task_of(inside(self._student).config))
        objective.fit(shape_of(inside(self._student)), theirs)
        objective.to(self.args.device)

    def _engage(self, teacher: Any, tokeniser: PreTrainedTokenizerBase | None) -> TrainerTeacher | None:
        """The teacher, checked against student, data and objective."""
        needs = self.loss_objective.needs
        if not needs:
            return None
        who = type(self.loss_objective).__name__
        if "vocabulary" in needs:
            raise LimbeckError(
                f"{who} compares masked language models, whose tokens a Trainer does not hide",
                fix="Train that stage with 'limbeck distill'",
            )
        if teacher is None:
            raise LimbeckError(
                f"{who} needs the teacher's {', '.join(sorted(needs))}, and there is no teacher"
            )
        if isinstance(teacher, PreTrainedModel):
            ours = cast("PreTrainedTokenizerBase | None", self.processing_class)
            return LiveTeacher(teacher, self._student, needs, (ours, tokeniser))
        if isinstance(teacher, Tensor | np.ndarray):
            if not hasattr(self.train_dataset, "__len__"):
                fix = "Give every example an id, and the teacher as Answers"
                raise LimbeckError("logits by row need a training set with a length", fix=fix)
            teacher = RowAnswers(teacher)
            teacher.check(len(cast("Sized", self.train_dataset)), classes(self._student.config))
        if not hasattr(teacher, "signals"):
            fix = "Give a PreTrainedModel (of PEFT's, merge_and_unload() makes one), logits, or Answers"
            raise LimbeckError(f"a {type(teacher).__name__} cannot teach", fix=fix)
        return StoredTeacher(teacher, needs)

    @property
    def _student(self) -> PreTrainedModel:
        return cast("PreTrainedModel", self.model)

    # ------------------------------------------------------------ data

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The Trainer's own; batches also hold the ids and inputs that the teacher asks for."""
        self._tally, self._begins = Tally(), True
        if self._teacher is None:
            return super().get_train_dataloader()
        with self._reading_for(self._teacher):
            loader: DataLoader[Any] = super().get_train_dataloader()
        return loader

    @contextmanager
    def _reading_for(self, teacher: TrainerTeacher) -> Iterator[None]:
        kept = self.data_collator, self.train_dataset
        self._not_students = teacher.reads - inputs_of(self.model)
        self._more_columns, self._signature_columns = teacher.reads, None
        if teacher.by_id:
            self.data_collator = WithIds(self.data_collator, self._id_column)
            self._more_columns |= {self._id_column}
            if self._id_column == ROW:
                self.train_dataset = Numbered(self.train_dataset, ROW)
        try:
            yield
        finally:
            self.data_collator, self.train_dataset = kept
            self._more_columns, self._signature_columns = frozenset(), None

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        named: list[str] = self._signature_columns or []
        self._signature_columns = list(dict.fromkeys([*named, *self._more_columns]))

    # ------------------------------------------------------------ a step

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """In training the sum of the objective over the batch, with its graph; else the Trainer's own loss."""
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        given = {name: value for name, value in inputs.items() if name not in (IDS, *self.label_names)}
        batch = self._batch(inputs, given)
        directions = self.loss_objective.directions(batch, classes(self._student.config))
        batch = replace(batch, directions=directions)
        reads = self.loss_objective.reads
        student = full_precision(
            say(self._student, batch.inputs, reads, through=model, directions=directions)
        )
        _check_sentences(self.loss_objective, student)
        loss: Loss = self.loss_objective(student, self._said(batch, given), batch)
        self._tally.add(loss)
        total = loss.total * self._divided_by(num_items_in_batch)
        return (total, {"logits": student.logits}) if return_outputs else total

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """The Trainer's own; after the last batch of a step gradients are divided by the step's items.

        Returns:
            The mean loss of the step after its last batch, nought before: the Trainer adds them up.
        """
        self.loss_objective.train()
        if self._begins:
            self.loss_objective.zero_grad()  # the Trainer clears the student's only
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._begins = self.accelerator.sync_gradients
        if not self._begins:
            return torch.zeros_like(loss)
        return self._finish_step(model)

    def _gold(self, labels: Tensor | None, size: int) -> Tensor:
        """Label indices ``(batch,)``; scores or sets of labels ``(batch, labels)``."""
        if self.loss_objective.task == "classification":
            return torch.full((size,), NO_GOLD, device=self.args.device) if labels is None else labels
        wide = (size, classes(self._student.config))
        return (
            torch.full(wide, torch.nan, device=self.args.device) if labels is None else labels.reshape(wide)
        )

    def _batch(self, inputs: Mapping[str, Any], given: Mapping[str, Any]) -> Batch:
        """What the student reads, and where training stands."""
        size = len(next(iter(given.values())))
        read = {name: value for name, value in given.items() if name not in self._not_students}
        ids = tuple(inputs.get(IDS) or map(str, range(size)))
        state = self.state
        last_epoch = int((state.epoch or 0.0) + 1e-6) >= state.num_train_epochs - 1
        return Batch(
            ids,
            read,
            self._gold(inputs.get("labels"), size),
            state.global_step / max(state.max_steps, 1),
            last_epoch,
        )

    def _said(self, batch: Batch, given: Mapping[str, Tensor]) -> Signals:
        """What the teacher says, in the precision of the student."""
        if self._teacher is None:
            return Signals()
        with self.accelerator.autocast():
            return full_precision(self._teacher.answer(batch, given, self.args.device))

    def _divided_by(self, num_items_in_batch: Tensor | int | None) -> int:
        """What the Trainer divides by although it is told not to: versions before ``loss_is_scaled_for_ga`` do."""
        knows = hasattr(Trainer, "loss_is_scaled_for_ga") or self.compute_loss_func is not None
        if knows or (self.model_accepts_loss_kwargs and num_items_in_batch is not None):
            return 1
        return int(self.current_gradient_accumulation_steps)

    @torch.no_grad()
    def _finish_step(self, model: nn.Module) -> Tensor:
        """Divide the gradients by the items of the step, over all processes; gives the mean loss."""
        processes = self.accelerator.num_processes

        def over_all(values: Tensor, how: str) -> Tensor:
            return values if processes == 1 else self.accelerator.reduce(values, how)

        means, count = self._tally.finish(lambda sums: over_all(sums, "sum"))
        for parameter in self.loss_objective.parameters():
            # The student's are averaged over processes by its wrapper; these by hand, likewise.
            if parameter.requires_grad and processes > 1:
                own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = over_all(own, "mean")
        found = [*gradients(model), *gradients(self.loss_objective)]
        if found:
            torch._foreach_mul_(found, processes / count)
        return means.sum()

    # ------------------------------------------------------------ the objective's parameters

    def create_optimizer(self, *args: Any, **options: Any) -> torch.optim.Optimizer:
        """The Trainer's own, with the objective's parameters in it; matrices decay, others do not.

        Raises:
            LimbeckError: They are not in an optimiser that was given with a schedule of its own.
        """
        optimiser: torch.optim.Optimizer = super().create_optimizer(*args, **options)
        there = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
        own = [one for one in self.loss_objective.parameters() if one.requires_grad and id(one) not in there]
        if own and self.lr_scheduler is not None:
            what = "the optimiser that was given lacks the objective's parameters"
            raise LimbeckError(what, fix="Add objective.parameters() to it, or give no optimiser")
        for parameters, decay in (
            ([one for one in own if one.ndim > 1], self.args.weight_decay),
            ([one for one in own if one.ndim < 2], 0.0),
        ):
            if parameters:
                optimiser.add_param_group({"params": parameters, "weight_decay": decay})
        return optimiser

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        tensors = checkpoint.tensors_of(self.loss_objective)
        if tensors and self.args.should_save:
            checkpoint.write(Path(output_dir) / OBJECTIVE, {"objective": tensors}, {})

    def _load_optimizer_and_scheduler(self, folder: str | None) -> None:
        super()._load_optimizer_and_scheduler(folder)
        tensors = checkpoint.tensors_of(self.loss_objective)
        if folder is None or not tensors:
            return
        path = Path(folder) / OBJECTIVE
        if not path.is_file():
            fix = "Was it saved with save_only_model, or by another Trainer? Begin anew"
            raise LimbeckError(f"the checkpoint holds no {OBJECTIVE}", where=folder, fix=fix)
        kept, _ = checkpoint.read(path)
        checkpoint.put_back(tensors, kept["objective"])

    # ------------------------------------------------------------ log

    def log(self, logs: dict[str, float], *args: Any, **options: Any) -> None:
        """The Trainer's own, with each part of the loss."""
        if "loss" in logs:
            logs = {**logs, **{f"loss_{name}": value for name, value in self._tally.read().items()}}
        super().log(logs, *args, **options)


def _check_sentences(objective: Objective, student: Signals) -> None:
    """Refuse scores of tokens: objectives on sentences would count padding in."""
    if student.logits is not None and objective.aligned_by == "sentence" and student.logits.ndim != 2:
        shape = tuple(student.logits.shape)
        what = f"{type(objective).__name__} compares one row of logits a text, and the student gives {shape}"
        raise LimbeckError(what, fix="Take a sequence classifier")
