"""DistilBERT: some of a masked LM's layers, taught on raw text by all of it, then on the task (Sanh et al. 2019).

The paper names the losses (section 2) and leaves out their weights. These, the temperature and the share of guessed
tokens are those of the training command, and of the defaults, in the authors' code (``examples/research_projects/
distillation`` of transformers): ``alpha_ce 5 alpha_mlm 2 alpha_cos 1``, temperature 2, 15 % guessed, three passes.
Two things differ: there, soft targets are compared at all tokens unless ``restrict_ce_to_mask`` is set, which the
command does not do (here ``soft_at: all``); and rare tokens are guessed more often, where here all are alike.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import NO_GOLD, Batch, Loss, Shape
from limbeck.core.signals import Signals
from limbeck.losses.classification import gold_cross_entropy, softened_divergence
from limbeck.losses.layer_objective import LayerObjective
from limbeck.losses.layers import cosine_distance
from limbeck.methods.soft_labels import SoftLabelObjective

CARD = Card(
    title="DistilBERT",
    paper="Sanh et al., 2019: DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter",
    equation="L = a_ce T² KL(softmax(z_t / T) || softmax(z_s / T)) - a_mlm log softmax(z_s)[token] + a_cos (1 - "
    "cos(h_t, h_s)) on masked text (section 2; z over the vocabulary, h last states); then soft labels on the task",
    what="A student with some of the teacher's layers first goes on as a masked language model on raw text, beside the "
    "teacher before it was fine-tuned; then it learns the task from the fine-tuned teacher's answers.",
    when="Much raw text, and a teacher that is a masked language model; the student is as wide as its teacher: "
    "'student: {kind: transformer, from_teacher: [0, 2, 4]}' takes every other layer of six. One general student "
    "serves many tasks: make it with 'prediction: null', and name its folder as 'student.encoder' with "
    "'general_epochs: 0'.",
    reads="Raw text (data.raw); the teacher's masked-LM scores and last states, asked again at every step; its logits; "
    "gold where gold_weight is above zero.",
)


class Settings(MethodSettings):
    """How long and how the masked language model is taught, and how the task."""

    general_epochs: float = Field(3, ge=0)
    """Passes over ``data.raw``; those over the transfer set are ``train.epochs``. 0 leaves the general stage out: for
    a student that has had it (``student.encoder``)."""
    prediction: Literal["teacher"] | None = "teacher"
    """Whose answers are learnt on the task; null leaves that stage out, and the classifier as it started."""
    soft_weight: float = Field(5.0, ge=0)
    """a_ce: of the teacher's soft targets."""
    masked_lm_weight: float = Field(2.0, ge=0)
    """a_mlm: of the true tokens."""
    cosine_weight: float = Field(1.0, ge=0)
    """a_cos: of the direction of last states, at all tokens."""
    general_temperature: float = Field(2.0, gt=0)
    """T of the soft targets."""
    soft_at: Literal["masked", "all"] = "masked"
    """Where soft targets are compared: at the guessed tokens, or at ``all``, as the authors did, which takes the memory
    of (tokens, vocabulary) scores several times."""
    masked_share: float = Field(0.15, gt=0, lt=1)
    """Of the tokens, that are guessed: 80 % of them masked, 10 % replaced, 10 % left; drawn anew at every step."""
    temperature: float = Field(2.0, gt=0)
    """T of the answers on the task."""
    gold_weight: float = Field(0.0, ge=0, le=1)
    """Share of the gold term on the task; 1 is the paper's plain fine-tuning."""

    @model_validator(mode="after")
    def _some_term(self) -> Settings:
        if not self.soft_weight + self.masked_lm_weight + self.cosine_weight:
            raise ValueError("soft_weight, masked_lm_weight and cosine_weight are all 0")
        return self

    def stages(self) -> tuple[Stage, ...]:
        """General and task, those that are asked for."""
        general = Stage(
            "general",
            MaskedLMObjective(self),
            hears="raw",
            epochs=self.general_epochs,
            keeps="last",
            teacher="pretrained",
            masked=self.masked_share,
        )
        task = Stage("task", SoftLabelObjective(self.temperature, self.gold_weight))
        stages = *([general] if self.general_epochs else []), *([task] if self.prediction else [])
        if not stages:
            raise LimbeckError("every stage of 'distilbert' is switched off", where="method")
        return stages


class MaskedLMObjective(LayerObjective):
    """Soft targets, true tokens and last states on masked text; the student's masked-LM head is learnt along."""

    needs = frozenset({"vocabulary", "hidden"})
    reads = frozenset({"hidden"})

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def fit_shapes(self, student: Shape, teacher: Shape) -> None:
        """The teacher's head reads states of its own width."""
        if student.width != teacher.width:
            what = f"hidden states are {student.width} wide here and {teacher.width} in the teacher"
            fix = "Take layers of the teacher (student.from_teacher), or set student.hidden_size to its width"
            raise LimbeckError(what, where="method", fix=fix)

    def take_head(self, head: nn.Module) -> None:
        """The student's, trained and saved along."""
        self.head = head

    def asked(self, batch: Batch) -> Tensor:
        """Where scores of the vocabulary are compared, ``(batch, tokens)``."""
        assert batch.truth is not None
        if self.settings.soft_at == "all":
            return batch.inputs["attention_mask"].bool()
        return batch.truth != NO_GOLD

    def told(self) -> str:
        """The share of masked tokens."""
        return f"{self.settings.masked_share:.0%} of raw text masked"

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over guessed tokens, which are the items.

        What is compared at other tokens, too, counts as its mean over a block times the block's guessed tokens.
        """
        assert student.hidden is not None and teacher.hidden is not None and teacher.vocabulary is not None
        assert batch.truth is not None and student.mask is not None
        settings, states, places = self.settings, student.hidden[-1], self.asked(batch)
        guessed = (batch.truth != NO_GOLD).sum(1)  # (batch,)
        scores = self.head(states[places])  # (asked, vocabulary)
        parts = {}
        if settings.soft_weight:
            soft = softened_divergence(scores, teacher.vocabulary, settings.general_temperature)
            shares = (guessed / places.sum(1).clamp(min=1))[:, None].expand_as(places)[places]
            parts["soft"] = settings.soft_weight * (shares * soft).sum()
        if settings.masked_lm_weight:
            truth = gold_cross_entropy(scores, batch.truth[places])
            parts["masked_lm"] = settings.masked_lm_weight * truth.sum()
        if settings.cosine_weight:
            apart = cosine_distance(states, teacher.hidden[-1], student.mask)
            parts["cosine"] = settings.cosine_weight * (guessed * apart).sum()
        return Loss(parts, int(guessed.sum()))


def tiny() -> Settings:
    """Settings for tests: all terms on."""
    return Settings(general_epochs=1, gold_weight=0.3)
