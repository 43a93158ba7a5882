"""BERT-PKD: patient distillation of [CLS] states beside soft labels (Sun et al. 2019)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss, Shape
from limbeck.core.signals import Signals
from limbeck.losses.layer_objective import LayerObjective
from limbeck.losses.layers import direction_distance
from limbeck.losses.link import LINKS
from limbeck.losses.mapping import Strategy, drawn, mapped_layers

CARD = Card(
    title="Patient knowledge distillation (BERT-PKD)",
    paper="Sun, Cheng, Gan and Liu, 2019: Patient knowledge distillation for BERT model compression",
    equation="L = (1 - a) CE(gold) + a T² KL(p_t || p_s) + b sum_m ||h_m/|h_m| - h_g(m)/|h_g(m)|||²   "
    "(equations 4, 7 and 8)",
    what="Beside gold and soft labels, the [CLS] states of the student's layers, but for the last, point where those "
    "of the teacher's do: every k-th layer (skip) or the last ones (last).",
    when="A student of the teacher's width, usually its first layers (from_teacher), with gold.",
    reads="The teacher's logits and hidden states, asked once or at every step ('inner_states'); gold where there is "
    "some.",
)


class Settings(MethodSettings):
    """Which layers, and how much each term weighs."""

    strategy: Literal["skip", "last"] = "skip"
    """``skip`` learns from every k-th layer, ``last`` from those before the teacher's last."""
    soft_weight: float = Field(0.5, ge=0, le=1)
    """a: share of the soft labels; gold has what is left of one. The paper tries 0.2, 0.5 and 0.7."""
    patience_weight: float = Field(0.03, ge=0)
    """b: of the states, whose distances are sums over layers and width. The authors' code takes means, and tries 10 to
    1000, which for 5 layers of 768 is 0.003 to 0.3 here."""
    temperature: float = Field(5.0, gt=0)
    """T of the soft labels. The paper tries 5, 10 and 20."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the whole transfer set."""
        return (Stage("bert_pkd", PatientObjective(self)),)


class PatientObjective(LayerObjective):
    """Gold, soft labels, and the direction of [CLS] states."""

    needs = reads = frozenset({"logits", "hidden"})

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.layers: tuple[int, ...] = ()

    def fit_shapes(self, student: Shape, teacher: Shape) -> None:
        """Map all of the student's layers but the last (section 3.2)."""
        if student.width != teacher.width:
            what = f"[CLS] states are {student.width} wide here and {teacher.width} in the teacher"
            raise LimbeckError(what, where="method", fix="Give the student the teacher's hidden_size")
        strategy: Strategy = "uniform" if self.settings.strategy == "skip" else "top"
        self.layers = mapped_layers(strategy, student.layers, teacher.layers)[:-1]
        self.pairs = tuple(enumerate(self.layers, 1))

    def told(self) -> str:
        """The mapping of layers."""
        return f"[CLS] of layers {drawn(self.layers)}"

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences; gold has no term where there is none."""
        assert student.logits is not None and teacher.logits is not None
        assert student.hidden is not None and teacher.hidden is not None
        settings, link = self.settings, LINKS[self.task]
        gold = link.gold(student.logits, batch.gold)
        soft = link.soft(student.logits, teacher.logits, settings.temperature)
        patient = self._patient(student.hidden, teacher.hidden)
        parts = {
            "gold": (1 - settings.soft_weight) * gold.sum(),
            "soft": settings.soft_weight * soft.sum(),
            "patient": settings.patience_weight * patient.sum(),
        }
        return Loss(parts, len(batch.ids))

    def _patient(self, own: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> Tensor:
        """Over the mapped layers, ``(batch,)``; nought for a student of one layer."""
        if not self.layers:
            return own[0].new_zeros(len(own[0]))
        mine = torch.stack([states[:, 0] for states in own[:-1]], 1)
        other = torch.stack([theirs[layer - 1][:, 0] for layer in self.layers], 1)
        return direction_distance(mine, other)


def tiny() -> Settings:
    """Settings for tests: all terms on."""
    return Settings(patience_weight=1.0)
