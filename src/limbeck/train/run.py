"""Run: one training run under way: a step, and what is due after it (journal, evaluation, checkpoint)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Loss
from limbeck.core.recipe import Training
from limbeck.core.tasks import shown
from limbeck.models.outputs import answered
from limbeck.text.encode import Encoded
from limbeck.train import checkpoint, doctor
from limbeck.train.averaging import LastWeights
from limbeck.train.journal import Journal
from limbeck.train.lesson import Lesson
from limbeck.train.optimiser import RowGradients, adamw, finish_gradient, gradients, sum_over_processes
from limbeck.train.schedule import Group, evaluation_steps, journal_interval, learning_rate, total_steps
from limbeck.train.settled import seed_step

if TYPE_CHECKING:
    from accelerate import Accelerator

Score = Callable[[NDArray[Any], Any], Mapping[str, float]]
"""From gold and what was predicted, as :func:`limbeck.models.outputs.answered` gives them, to scores by name."""


@dataclass
class Best:
    """The evaluation whose weights are kept."""

    step: int
    score: float
    loss: float


@dataclass
class State:
    """What a checkpoint keeps beside tensors.

    Attributes:
        step: Optimiser steps taken.
        epoch: Passes over the data.
        examples: Examples seen.
        seconds: Wall clock, over all sittings.
        aside: Of these, for evaluations and checkpoints.
        terms: Names of the objective's parts.
        best: The best evaluation so far.
        stale: Evaluations since the dev score last rose.
        waiting: Steps not yet in the journal: the sum of each term, the count, the gradient's norm.
    """

    step: int = 0
    epoch: float = 0.0
    examples: int = 0
    seconds: float = 0.0
    aside: float = 0.0
    terms: list[str] = field(default_factory=list)
    best: Best | None = None
    stale: int = 0
    waiting: list[list[float]] = field(default_factory=list)


class Run:
    """One training run.

    Args:
        lesson: Student, objective and data.
        dev: Examples with gold that pick the best weights.
        settings: As in the recipe.
        folder: Where journal and checkpoint go.
        steps: Optimiser steps to take.
        seed: Of batch order and random numbers.
        score: Scores dev.
        stage: Named in the journal.
        keeps: Which weights count as the best: those of the best evaluation, or of the last one.
        accelerator: Processes and trackers.
        key: Digest of all that the run depends on; a checkpoint with another one is not taken up.
    """

    def __init__(
        self,
        lesson: Lesson,
        dev: Encoded,
        settings: Training,
        folder: Path,
        *,
        steps: int,
        seed: int,
        score: Score,
        stage: str,
        keeps: Literal["best", "last"],
        accelerator: Accelerator,
        key: str,
    ) -> None:
        self.lesson, self.dev, self.settings, self.folder = lesson, dev, settings, folder
        self.steps, self.seed, self.score, self.keeps, self.stage = steps, seed, score, keeps, stage
        self.accelerator, self.key = accelerator, key
        rates = settings.embedding_rate, settings.chain_rate
        self.optimiser = adamw(lesson.modules, settings.learning_rate, settings.weight_decay, *rates)
        self.row_gradients = RowGradients(lesson.modules, lesson.device, accelerator.num_processes)
        self.evaluated = evaluation_steps(steps, settings.evaluate)
        self.interval = journal_interval(steps)
        an_epoch = settings.model_copy(update={"epochs": 1.0})
        a_pass = total_steps(lesson.data.sizes, an_epoch, processes=accelerator.num_processes)
        self.last_epoch = steps - a_pass  # the step at which it begins
        self.path = folder / "checkpoint" / "checkpoint.safetensors"
        self.state = State()
        self.best_weights: dict[str, Tensor] = {}
        self.last_weights = LastWeights(settings.average)
        self.unread: list[Tensor] = []
        self.notes: dict[str, str] = {}
        self.started = self.saved = time.monotonic()
        kept = self._resume()
        self.earlier = self.state.seconds
        self.journal = Journal(folder / "journal.jsonl", kept) if accelerator.is_main_process else None

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken, or patience is at an end."""
        patience = self.settings.patience
        return self.state.step >= self.steps or (patience is not None and self.state.stale >= patience)

    @property
    def seconds(self) -> float:
        """Wall clock of the run, over all sittings."""
        return self.earlier + time.monotonic() - self.started

    def examine(self, group: Group, what: str) -> None:
        """Measure each term on the first batch, leaving no trace in weights, buffers or random numbers."""
        buffers = dict(self.lesson.modules.named_buffers())
        before = checkpoint.clone(buffers)
        seed_step(self.seed, self.state.step, self.accelerator.process_index, self.lesson.device)
        terms = doctor.examine(self.lesson.model, self._loss(group.rows[0]))
        checkpoint.put_back(buffers, before)
        if self.accelerator.is_main_process:
            doctor.report(terms, self.folder, what)

    def step(self, group: Group) -> None:
        """One optimiser step, and whatever is due after it."""
        state, settings = self.state, self.settings
        rate = learning_rate(state.step, self.steps, settings)
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate * parameters["rate"]
        seed_step(self.seed, state.step, self.accelerator.process_index, self.lesson.device)
        sums = self._gradient(group)
        norm = finish_gradient(gradients(self.lesson.modules), sums[-1], settings.clip)
        self.optimiser.step()
        self.row_gradients.clear()
        self.optimiser.zero_grad(set_to_none=True)
        self.unread.append(torch.cat([sums, norm.reshape(1)]))
        state.step += 1
        state.epoch = group.epoch
        state.examples += sum(map(len, group.rows))
        self._do_what_is_due(rate)

    def keep_best(self) -> None:
        """Give the student the weights of its best evaluation."""
        checkpoint.put_back(checkpoint.tensors_of(self.lesson.model), self.best_weights)

    # ------------------------------------------------------------ a step

    def _gradient(self, group: Group) -> Tensor:
        """Add up the gradients of the group; gives the sum of each term and the count, ``(terms + 1,)``."""
        found = []
        for rows in group.rows[self.accelerator.process_index :: self.accelerator.num_processes]:
            with self.row_gradients.collected():
                loss = self._loss(rows)
                loss.total.backward()
            found.append(self._values(loss))
        sums = torch.stack(found).sum(0)
        return sum_over_processes(self.lesson.modules, sums, self.accelerator)

    def _loss(self, rows: NDArray[np.int64]) -> Loss:
        """Of a batch, as it counts at this step."""
        step = self.state.step
        return self.lesson.loss(rows, step / self.steps, step >= self.last_epoch)

    def _values(self, loss: Loss) -> Tensor:
        """The sum of each term and the count, ``(terms + 1,)`` float32, without graph."""
        names = self.state.terms = self.state.terms or list(loss.parts)
        if loss.parts.keys() != set(names):
            who = type(self.lesson.objective).__name__
            raise ValueError(f"{who} must name the same terms for every batch: {names}, not {[*loss.parts]}")
        terms = [loss.parts[name].detach().float() for name in names]
        return torch.stack([*terms, torch.full_like(terms[0], loss.count)])

    def _do_what_is_due(self, rate: float) -> None:
        state = self.state
        if state.step % self.interval == 0 or state.step in self.evaluated:
            self._write_step(rate)
        started = time.monotonic()
        if state.step in self.evaluated:
            with self.last_weights.averaged(self.lesson.model):
                self._evaluate()
        due = time.monotonic() - self.saved >= self.settings.checkpoint_seconds
        if not self.is_over and self._from_main(float(due)):
            self._save()
        state.aside += time.monotonic() - started

    # ------------------------------------------------------------ journal

    def _write_step(self, rate: float) -> None:
        """The journal's line on the steps since the last one."""
        self._read()
        values = np.array(self.state.waiting)  # (steps, terms + 2)
        self.state.waiting = []
        count = max(float(values[:, -2].sum()), 1.0)
        parts = dict(zip(self.state.terms, (values[:, :-2].sum(0) / count).tolist(), strict=True))
        facts = {"loss": sum(parts.values()), "learning_rate": rate, "grad_norm": float(values[:, -1].mean())}
        self._write("step", {**facts, "parts": parts})
        self.accelerator.log(facts, step=self.state.step)
        self.notes["loss"] = f"loss {facts['loss']:.4g}"

    def _read(self) -> None:
        """Take over the values of the steps since the last look; the one place that waits for a GPU.

        Raises:
            LimbeckError: A loss or a gradient is not finite.
        """
        if not self.unread:
            return
        values = torch.stack(self.unread).cpu()  # (steps, terms + 2)
        before = self.state.step - len(self.unread)
        self.unread = []
        broken = (~torch.isfinite(values)).nonzero().tolist()
        if broken:
            row, column = broken[0]
            names = [*(f"the loss (term '{name}')" for name in self.state.terms), "the count", "the gradient"]
            raise LimbeckError(
                f"{names[column]} is not finite at step {before + row + 1} of {self.steps}",
                where=self.folder,
                fix=f"Try a smaller learning_rate (it is {self.settings.learning_rate:g}), a longer warmup "
                "or precision fp32; doctor.json tells how large each term was at the start",
            )
        self.state.waiting += values.tolist()

    def _write(self, kind: str, facts: Mapping[str, Any]) -> None:
        if self.journal is not None:
            state = self.state
            place = {"kind": kind, "stage": self.stage, "step": state.step, "epoch": round(state.epoch, 4)}
            self.journal.write({**place, **facts, "seconds": round(self.seconds, 3)})

    # ------------------------------------------------------------ evaluation

    def _evaluate(self) -> None:
        """Score dev, and keep the weights if they are the best so far: by score, then by the lower loss.

        Where the last ones are to be kept, every evaluation's are, until the next.
        """
        scores, loss = self._scores() if self.accelerator.is_main_process else ({}, 0.0)
        state, metric = self.state, self.settings.metric
        score, loss = self._from_main(scores.get(metric, 0.0)), self._from_main(loss)
        if math.isnan(score):
            score = -math.inf
        best = state.best
        if self.keeps == "last":
            best = None
        state.stale = 0 if best is None or score > best.score else state.stale + 1
        is_best = best is None or (score, -loss) > (best.score, -best.loss)
        if is_best:
            state.best = Best(state.step, score, loss)
            self.best_weights = checkpoint.clone(checkpoint.tensors_of(self.lesson.model))
        self._write("dev", {"scores": scores, "loss": loss, "best": is_best})
        self.accelerator.log({f"dev_{name}": value for name, value in scores.items()}, step=state.step)
        self.notes["dev"] = f"dev {metric} {shown(metric, score)}"

    def _scores(self) -> tuple[dict[str, float], float]:
        """Scores of dev by name, and the loss of its gold in nats."""
        with self.lesson.autocast():
            gold, predicted, loss = answered(self.lesson.model, self.dev, self.lesson.device)
        return dict(self.score(gold, predicted)), loss

    def _from_main(self, value: float) -> float:
        """The main process's value, on every process: clocks and GPUs differ, decisions must not."""
        if self.accelerator.num_processes == 1:
            return value
        from accelerate.utils import broadcast

        found = broadcast(torch.tensor(value, dtype=torch.float64, device=self.lesson.device))
        return float(found)

    # ------------------------------------------------------------ checkpoint

    def _save(self) -> None:
        """Write the checkpoint."""
        self._read()
        self.saved = time.monotonic()
        if self.journal is None:
            return
        tensors = {
            "modules": checkpoint.tensors_of(self.lesson.modules),
            "optimiser": checkpoint.optimiser_tensors(self.optimiser, self.lesson.modules),
            "best": self.best_weights,
            **self.last_weights.kept,
        }
        run = {**asdict(self.state), "seconds": self.seconds}
        checkpoint.write(self.path, tensors, {"key": self.key, "journal": self.journal.length, "run": run})

    def _resume(self) -> int:
        """Take up the checkpoint if there is one of the same run; gives the journal's length, in bytes."""
        if not self.path.is_file():
            return 0
        tensors, kept = checkpoint.read(self.path)
        if kept["key"] != self.key:
            return 0
        modules = self.lesson.modules
        checkpoint.put_back(checkpoint.tensors_of(modules), tensors["modules"])
        checkpoint.put_back_optimiser(self.optimiser, modules, tensors.get("optimiser", {}))
        self.best_weights = {name: t.to(self.lesson.device) for name, t in tensors.get("best", {}).items()}
        self.last_weights.take_up(tensors, self.lesson.device)
        best = kept["run"].pop("best")
        self.state = State(**kept["run"], best=best and Best(**best))
        return int(kept["journal"])
