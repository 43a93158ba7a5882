"""Hints: the student's states guess the teacher's, by a regressor, before it learns its answers (FitNets, 2015)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Batch, Loss
from limbeck.core.signals import Signals
from limbeck.losses.hidden_objective import HiddenObjective
from limbeck.losses.layers import states_distance, states_mean
from limbeck.methods.soft_labels import SoftLabelObjective

CARD = Card(
    title="Hints (FitNets)",
    paper="Romero et al., 2015: FitNets: Hints for thin deep nets",
    equation="1. L_HT = 1/2 MSE(u_h(x), r(v_g(x))); 2. L_KD = (1 - w) T² KL(p_t || p_s) + w CE(gold)",
    what="First a hidden layer of the student, the guided one, learns to say through a regressor r what the teacher's "
    "hint layer says; then the whole student learns the answers. The regressor is learnt along and left behind.",
    when="Deep or narrow students that are hard to train; teacher and student share their tokeniser, their widths are "
    "free. A BiLSTM's states are those of another kind of model: compare them sentence by sentence ('states: "
    "sentence'). A siamese student reads other rows than its teacher, and is refused.",
    reads="The teacher's hidden states, asked once or at every step ('inner_states'); its logits; gold where w is "
    "above zero.",
)


class Settings(MethodSettings):
    """Which layers, how they are compared, and how the answers are learnt."""

    states: Literal["tokens", "sentence"] = "sentence"
    """``tokens`` compares states token by token, ``sentence`` their mean over a sentence's tokens."""
    layer: int | None = Field(None, gt=0)
    """The guided layer of the student, from 1; null is the middle one (of two layers the first)."""
    teacher_layer: int | None = Field(None, gt=0)
    """The hint layer of the teacher, from 1; null is the middle one."""
    regressor: Literal["linear", "mlp"] = "linear"
    """r: a linear layer, or an ``mlp`` with one hidden layer of ReLUs as wide as the teacher."""
    hint_epochs: float | None = Field(None, gt=0)
    """Passes for the hints; null is the recipe's ``train.epochs``, which are those for the answers."""
    temperature: float = Field(2.0, gt=0)
    """T of the answers."""
    gold_weight: float = Field(0.0, ge=0, le=1)
    """w: share of gold beside the answers."""

    def stages(self) -> tuple[Stage, ...]:
        """Hints, then answers."""
        hints = Stage("hints", HintObjective(self), epochs=self.hint_epochs, keeps="last")
        return hints, Stage("answers", SoftLabelObjective(self.temperature, self.gold_weight))


class HintObjective(HiddenObjective):
    """Distance between the teacher's states and what a regressor makes of the student's."""

    needs = reads = frozenset({"hidden"})
    middle = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.layer, settings.teacher_layer)
        self.settings = settings
        self.regressor: nn.Module = nn.Identity()

    def fit_widths(self, student: int, teacher: int) -> None:
        """Make the regressor."""
        if self.settings.regressor == "linear":
            self.regressor = nn.Linear(student, teacher)
        else:
            self.regressor = nn.Sequential(
                nn.Linear(student, teacher), nn.ReLU(), nn.Linear(teacher, teacher)
            )

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over sentences; a mean over the teacher's width (and a sentence's tokens) times a half."""
        assert student.mask is not None
        own, theirs = self.compared(student, teacher)
        if self.settings.states == "sentence":
            own, theirs = (states_mean(states, student.mask) for states in (own, theirs))
            apart: Tensor = (self.regressor(own) - theirs).square().mean(-1)
        else:
            apart = states_distance(self.regressor(own), theirs, student.mask)
        return Loss({"hints": 0.5 * apart.sum()}, len(batch.ids))


def tiny() -> Settings:
    """Settings for tests: one pass for the hints."""
    return Settings(hint_epochs=1)
