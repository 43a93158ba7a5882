"""Card, Stage and MethodSettings: the three things that a method's file defines beside its objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from limbeck.core.tasks import Task

if TYPE_CHECKING:
    from limbeck.core.decoding import Decoding
    from limbeck.core.objective import Objective
    from limbeck.core.tasks import Task

Size: TypeAlias = Mapping[str, Any] | float


@dataclass(frozen=True, slots=True)
class Card:
    """What a person should know before choosing a method.

    Attributes:
        title: The method's name as the field says it.
        paper: Authors, year, title.
        equation: The loss as the paper writes it, with the equation's number where it has one.
        what: What it does, in two sentences.
        when: When to choose it, and when not.
        reads: What it needs, in words: gold labels, teacher logits, unlabelled text.
        tasks: What it can teach; None for whatever says the signals that it reads.
    """

    title: str
    paper: str
    equation: str
    what: str
    when: str
    reads: str
    tasks: tuple[Task, ...] | None = None


@dataclass(frozen=True, slots=True)
class Distilled:
    """The translations that a stage trains on, where they are not gold's: a model's own.

    Attributes:
        decoding: How they are searched for; None where they are gold's.
        nearest: Of those kept of each text, take the one nearest to gold by sentence BLEU, not the likeliest.
        gold: Share of the texts, drawn at random, that keep gold's translation.
        by: Whose: the teacher's, those of the model that the stage before trained, or gold's: of the translations that
            the data has of each text, one drawn at random.
    """

    decoding: Decoding | None
    nearest: bool = False
    gold: float = 0.0
    by: Literal["teacher", "previous", "gold"] = "teacher"


@dataclass(frozen=True, slots=True)
class Stage:
    """One training run of a method.

    Attributes:
        name: Names the stage's folder and journal.
        objective: What the student is taught.
        hears: ``labelled`` trains on examples with gold only; ``given`` on the data's own text, without what rewriters
            made of it; ``all`` on the whole transfer set; ``raw`` on the raw text of ``data.raw``, in blocks of tokens
            without gold.
        epochs: Overrides the recipe's number of epochs.
        keeps: The weights that it ends with: the ``best`` on dev, or the ``last``, where the objective does not
            teach what dev is scored by, as one of hidden states does not.
        teacher: ``tuned``, the one that knows the labels; its encoder before it was fine-tuned, ``pretrained``; of
            classifiers also the successor that the stage before trained, ``previous``, or the mean of the
            probabilities of all ``successors`` before.
        masked: Share of the tokens that are guessed: masked for student and teacher, otherwise at every step.
        distilled: The translations that it trains on; None for gold's, or where nothing is translated.
        trains: The ``student``, or a ``successor`` of the teacher, whom the next stage may hear: of translators a new
            model like the teacher, of classifiers one like the student, in its own size.
        size: Of a classifier's successor: keys of the student that are other ones, or how far it is from teacher (0)
            to student (1); None is the student's.
    """

    name: str
    objective: Objective
    hears: Literal["labelled", "given", "all", "raw"] = "all"
    epochs: float | None = None
    keeps: Literal["best", "last"] = "best"
    teacher: Literal["tuned", "pretrained", "previous", "successors"] = "tuned"
    masked: float = 0.0
    distilled: Distilled | None = None
    trains: Literal["student", "successor"] = "student"
    size: Size | None = None


class MethodSettings(BaseModel):
    """Base of every method's settings; the fields are the recipe's keys under ``method``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    only_for: ClassVar[Mapping[str, frozenset[Task]]] = {}
    """Keys that mean something to some tasks only, of a method for more."""

    def stages(self) -> tuple[Stage, ...]:
        """The training runs that make up the method, in order."""
        raise NotImplementedError

    def stages_for(self, task: Task) -> tuple[Stage, ...]:
        """The same, of a method that goes otherwise about each task."""
        return self.stages()
