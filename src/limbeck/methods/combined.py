"""Combined: objectives of several methods at once, each with a weight that may move while the student is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from torch import Tensor, nn

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import Alignment, Batch, Loss, Objective, Shape
from limbeck.core.signals import Signals
from limbeck.core.sources import named
from limbeck.core.tasks import Task
from limbeck.losses.ramp import Shape as RampShape, ramp

CARD = Card(
    title="Combined objectives",
    paper="No paper of its own; weights that move as in Clark et al., 2019: BAM! Born-again multi-task networks for "
    "natural language understanding",
    equation="L = sum_i w_i(t) L_i,   w_i from 'weight' to 'to' while the training t goes from 'begins' to 'ends'",
    what="Several methods teach the student at every step, and their losses are added up, each with a weight that "
    "stays or moves on a ramp. Only methods of one training run can be combined.",
    when="One method alone leaves something out: derivatives beside soft labels, neurons' selectivity at first and "
    "gold at last. Start with what helps alone, and look at the loss doctor: it tells how large each term is.",
    reads="What its methods read; gold of the sentences that have some.",
)

ALIGNMENTS: tuple[Alignment, ...] = ("sentence", "word", "token")
"""From the loosest on: who compares tokens can compare sentences, too."""


class Part(BaseModel):
    """One of the methods; the keys that are not listed here are its own."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    name: str
    """A method of one stage, e.g. ``soft_labels``, or the dotted path of a module of your own."""
    label: str | None = None
    """What its terms are called in the journal; null is its name. Needed where one method is listed twice."""
    weight: float = Field(1.0, ge=0)
    """Weight of its loss, at the start."""
    to: float | None = Field(None, ge=0)
    """Weight at the end; null leaves it as it is."""
    begins: float = Field(0.0, ge=0, le=1)
    """Share of the training after which the weight begins to move."""
    ends: float = Field(1.0, ge=0, le=1)
    """Share of the training after which it has arrived; as much as ``begins`` is a jump."""
    shape: RampShape = "linear"
    """Of the way between: ``linear``, or ``cosine``, which is slow at both ends."""

    @model_validator(mode="after")
    def _in_order(self) -> Part:
        if self.ends < self.begins:
            raise ValueError("'ends' comes before 'begins'")
        return self

    @property
    def title(self) -> str:
        """What its terms are called."""
        return self.label or self.name.rpartition(".")[2]

    @property
    def settings(self) -> dict[str, Any]:
        """The method's own keys."""
        return dict(self.model_extra or {})

    def weight_at(self, done: float) -> float:
        """Its weight when a share of the training is done."""
        end = self.weight if self.to is None else self.to
        return ramp(done, self.weight, end, self.begins, self.ends, self.shape)


Parts = Annotated[tuple[Part, ...], BeforeValidator(named)]


class Settings(MethodSettings):
    """Which methods."""

    objectives: Parts = Field(min_length=1)
    """A list of methods: ``name``, the method's own keys, and ``weight``, ``to``, ``begins``, ``ends`` and ``shape``:
    the weight of its loss at the start and at the end, the shares of the training at which it begins to move and has
    arrived, and ``linear`` or ``cosine``. A ``label`` names its terms, where one method is listed twice."""

    def stages(self) -> tuple[Stage, ...]:
        """One, on the text that all its methods train on; on the whole transfer set if they differ."""
        return (combined_stage(self.objectives),)


def combined_stage(parts: tuple[Part, ...]) -> Stage:
    """The stage that teaches what several methods teach, added up.

    Raises:
        LimbeckError: One is listed twice, or cannot be combined.
    """
    stages = [_only_stage(part) for part in parts]
    titles = [part.title for part in parts]
    if twice := sorted({title for title in titles if titles.count(title) > 1}):
        fix = "Give each a 'label' of its own"
        raise LimbeckError(f"it lists '{twice[0]}' twice", where="method.objectives", fix=fix)
    taught = CombinedObjective(parts, [stage.objective for stage in stages])
    if not any(part.weight or part.to for part in parts):
        raise LimbeckError("the weights of all objectives are nought", where="method.objectives")
    kinds = {title: type(stage.objective) for title, stage in zip(titles, stages, strict=True)}
    drawing = [title for title, kind in kinds.items() if kind.directions is not Objective.directions]
    if len(drawing) > 1:
        what = f"{' and '.join(drawing)} draw directions of their own"
        raise LimbeckError(what, where="method.objectives", fix="List 'jacobian' once")
    heard = {stage.hears for stage in stages}
    return Stage("combined", taught, hears=heard.pop() if len(heard) == 1 else "all")


def _only_stage(part: Part) -> Stage:
    """The stage of a method that can be combined.

    Raises:
        LimbeckError: It has several, or its stage trains on other text, keeps other weights or hears another teacher.
    """
    where = "method.objectives"
    try:
        stages = methods.get(part.name).stages(part.settings)
    except LimbeckError as error:
        raise LimbeckError(
            f"of the objective '{part.title}', {error.what}", where=where, fix=error.fix
        ) from None
    if len(stages) > 1:
        what = f"'{part.name}' has several stages ({', '.join(stage.name for stage in stages)})"
        raise LimbeckError(what, where=where, fix="Combine methods of one training run, and list it apart")
    (stage,) = stages
    plain = Stage(stage.name, stage.objective, hears=stage.hears)
    if stage.hears == "raw" or stage != plain:
        what = f"'{part.name}' trains in a way of its own ('{stage.name}')"
        raise LimbeckError(what, where=where, fix="Combine methods that train on the transfer set")
    return stage


class CombinedObjective(Objective):
    """The weighted sum of objectives, whose terms are called ``method.term``.

    Args:
        parts: Weights and titles.
        objectives: What each teaches, in the same order.
    """

    def __init__(self, parts: tuple[Part, ...], objectives: list[Objective]) -> None:
        super().__init__()
        self.parts = parts
        self.objectives = nn.ModuleList(objectives)
        self.needs = frozenset().union(*(one.needs for one in objectives))
        self.reads = frozenset().union(*(one.reads for one in objectives))
        self.aligned_by = max((one.aligned_by for one in objectives), key=ALIGNMENTS.index)

    def for_task(self, task: Task) -> Self:
        """Tell each.

        Raises:
            LimbeckError: One cannot teach that.
        """
        for part in self.parts:
            methods.require(methods.get(part.name), task, part.title)
        self._each(lambda one: one.for_task(task))
        return super().for_task(task)

    def fit(self, student: Shape | None, teacher: Shape | None) -> None:
        """Fit each."""
        self._each(lambda one: one.fit(student, teacher))
        self.pairs = tuple(sorted({pair for pairs in self._each(lambda one: one.pairs) for pair in pairs}))

    def take_head(self, head: nn.Module) -> None:
        """Pass it on to those that ask for one."""
        self._each(lambda one: one.take_head(head) if "vocabulary" in one.needs else None)

    def directions(self, batch: Batch, classes: int) -> Tensor | None:
        """Those of the one that wants some."""
        found = self._each(lambda one: one.directions(batch, classes))
        return next((each for each in found if each is not None), None)

    def layers_read(self) -> frozenset[int] | None:
        """Those that one of them reads."""
        each = self._each(lambda one: one.layers_read())
        return None if None in each else frozenset().union(*each)

    def told(self) -> str:
        """What each says."""
        return "; ".join(filter(None, self._each(lambda one: one.told())))

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over the same items, weighted."""
        losses = self._each(lambda one: one(student, teacher, batch))
        counts = {loss.count for loss in losses}
        if len(counts) > 1:
            what = f"the methods count other items each: {', '.join(map(str, sorted(counts)))} of a batch"
            raise LimbeckError(what, where="method.objectives", fix="Combine methods that count sentences")
        weighted = {
            f"{part.title}.{name}": part.weight_at(batch.done) * value
            for part, loss in zip(self.parts, losses, strict=True)
            for name, value in loss.parts.items()
        }
        return Loss(weighted, counts.pop())

    def _each(self, what: Callable[[Any], Any]) -> list[Any]:
        return [what(one) for one in self.objectives]


def tiny() -> Settings:
    """Settings for tests: two methods, one of which gives way to the other."""
    parts = {"name": "soft_labels", "temperature": 2.0, "to": 0.5}, {"name": "gold", "weight": 0.5}
    return Settings(objectives=tuple(Part.model_validate(part) for part in parts))
