"""Run: one recipe, its folder, and what its steps share, each thing loaded once and only when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from limbeck import models
from limbeck.core import progress, recipe
from limbeck.core.errors import LimbeckError
from limbeck.core.files import StepFolder, read_json
from limbeck.core.recipe import TeacherChoice, Training, main_metric
from limbeck.core.tasks import OF_SENTENCES, Task
from limbeck.models.masked_lm import load_masked_lm, mask_id
from limbeck.models.student import start_at
from limbeck.models.taggers.transformer import load_encoder
from limbeck.pipeline import chain, ensembles
from limbeck.pipeline.chosen import CONTROL, with_own_keys
from limbeck.pipeline.folders import require
from limbeck.pipeline.hearing import model_heard
from limbeck.pipeline.texts import Texts
from limbeck.text import resources
from limbeck.text.tags import mark_spans
from limbeck.transfer.ask import Answers, ask
from limbeck.transfer.ensemble import EnsembleTeacher
from limbeck.transfer.teachers import FileTeacher, ModelTeacher

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from limbeck.core.method import Stage
    from limbeck.train.run import Score
    from limbeck.transfer.decoded import Shard
    from limbeck.transfer.transfer_set import TransferSet

TEACHER = "teacher"
LIBRARIES = ("limbeck", "torch", "transformers", "tokenizers", "accelerate", "numpy", "onnx", "onnxruntime")

Settings = TypeVar("Settings", bound=Training)


class Run(Texts):
    """A recipe at work.

    Args:
        recipe: The resolved recipe.
    """

    @staticmethod
    def of(recipe: recipe.Recipe, changes: Sequence[str] = ()) -> Run:
        """The run of a recipe, whatever its task.

        Args:
            recipe: The resolved recipe.
            changes: What of it was changed for this run, each ``key=value``: another kind of student has other keys.
        """
        recipe = with_own_keys(recipe, changes)
        if recipe.task != "translation":
            return Run(recipe)
        from limbeck.pipeline.translation import TranslationRun

        return TranslationRun(recipe)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run whose folder this is.

        Raises:
            LimbeckError: It is no run folder.
        """
        if not (folder / "recipe.yaml").is_file():
            raise LimbeckError("not a run folder (it holds no recipe.yaml)", where=folder)
        run = cls.of(recipe.load(folder / "recipe.yaml"))
        run.folder = folder
        return run

    @cached_property
    def members(self) -> list[Member]:
        """Of an ensemble of teachers, a run for each of them alone; none where there is one teacher."""
        several = self.recipe.teacher.each
        return [Member(self, *each) for each in enumerate(several, 1)] if len(several) > 1 else []

    @cached_property
    def teacher(self) -> ModelTeacher | FileTeacher | EnsembleTeacher:
        """The teacher, ready to be asked.

        Raises:
            LimbeckError: ``teach`` has not run, or the teacher's labels are not ours.
        """
        if self.members:
            return ensembles.assembled(self)
        choice, labels = self.recipe.teacher, self.labels
        if choice.answers is not None:
            path = Path(resources.resolve(choice.answers))
            return FileTeacher.load(path, labels, choice.answers_are, choice.labels, task=self.recipe.task)
        reference = self.teacher_reference
        if choice.fine_tune is not None:
            require(self.teacher_folder, "teach")
            reference = self.teacher_folder.path
        assert reference is not None
        return self.task.load_teacher(reference, labels, choice.max_length, choice.labels)

    @property
    def is_taught_here(self) -> bool:
        """Whether ``teach`` has something to do: a model to fine-tune, or weights to fit."""
        return ensembles.is_fitted(self) or any(each.fine_tune for each in self.recipe.teacher.each)

    def use_untaught_teacher(self) -> None:
        """Let the encoder that is yet to be fine-tuned stand in for the teacher: for a plan's estimates."""
        self.__dict__.pop("members", None)  # those of a run that this is a copy of
        if self.members:
            self.__dict__["teacher"] = ensembles.untaught(self)
            return
        choice = self.recipe.teacher
        if choice.fine_tune is None:
            return
        assert self.teacher_reference is not None and self.teacher_tokeniser is not None
        model = self._fresh_encoder(self.teacher_reference, choice.fine_tune.seed)
        tokeniser = self.teacher_tokeniser
        self.__dict__["teacher"] = self.task.teacher(model, tokeniser, self.labels, choice.max_length)

    @cached_property
    def answers(self) -> Answers:
        """The teacher's answers for the transfer set; what the store lacks is asked now."""
        return ask(self.teacher, self.transfer_set.examples, self.needs, self.store)

    def answers_on(self, text: TransferSet, stage: Stage) -> Answers:
        """What a stage hears of the teacher on its text."""
        return self.answers

    def ask(self, shard: Shard | None = None) -> None:
        """Ask the teacher whatever students and evaluation will read.

        Args:
            shard: Ask about this part of the texts only, and store the answers: for several machines with one store.

        Raises:
            LimbeckError: This teacher is not asked in parts.
        """
        if shard is not None:
            fix = "Leave the shard out: what the store holds is not asked again"
            raise LimbeckError(
                f"only translations are made in parts, and this is {self.recipe.task}", fix=fix
            )
        _ = self.answers, self.test_answers
        chain.train_all(self)

    @property
    def untaught_inputs(self) -> dict[str, Any]:
        """What the teacher is before it is fine-tuned here."""
        assert self.recipe.teacher.model is not None
        return {"model": resources.contents(self.recipe.teacher.model)}

    def text_inputs(self, title: str) -> dict[str, Any]:
        """What a method's text, and who teaches on it, depend on, beside transfer set and teacher."""
        heard = chain.inputs_heard(self, title)
        return {"successors": heard} if heard else {}

    @property
    def teacher_name(self) -> str:
        """What a person calls the teacher."""
        if self.members:
            return ensembles.name_of(self)
        return self.recipe.teacher.answers or self.recipe.teacher.model or TEACHER

    @property
    def teacher_called(self) -> str:
        """The teacher's name, and which of several it is."""
        return self.teacher_name

    def untaught_teachers(self) -> Iterator[tuple[str, PreTrainedModel, int]]:
        """The teacher before it is fine-tuned here: its place in the teacher's folder, the model, the seed."""
        choice = self.recipe.teacher
        assert choice.fine_tune is not None and self.teacher_reference is not None
        yield (
            ".",
            self._fresh_encoder(self.teacher_reference, choice.fine_tune.seed),
            choice.fine_tune.seed,
        )

    def _fresh_encoder(self, reference: Path | str, seed: int) -> PreTrainedModel:
        """An encoder with a fresh head."""
        return self.started(self.task.untaught(reference, self.labels, seed))

    def started(self, model: PreTrainedModel) -> PreTrainedModel:
        """A fresh model; one of scores starts at the mean of gold, where train has none of that of dev."""
        if self.recipe.task == "regression":
            scored = self.prepared.train.labelled or self.prepared.dev
            gold = [example.score for example in scored if example.score is not None]
            start_at(model, float(np.mean(gold)))
        return model

    @property
    def teacher_model(self) -> PreTrainedModel | None:
        """The teacher's model, of an ensemble the first one; None for files of answers."""
        found = self.teacher.models if isinstance(self.teacher, EnsembleTeacher) else [self.teacher]
        return next((each.model for each in found if isinstance(each, ModelTeacher)), None)

    @cached_property
    def pretrained(self) -> PreTrainedModel:
        """The teacher's encoder before it was fine-tuned.

        Raises:
            LimbeckError: The teacher is a file of answers, or its encoder cannot be loaded.
        """
        if self.teacher_reference is None:
            raise LimbeckError("a file of answers has no encoder to learn from", where="teacher")
        return load_encoder(self.teacher_reference)

    @cached_property
    def masked_lm(self) -> PreTrainedModel:
        """The teacher's encoder before it was fine-tuned, with its masked-LM head.

        Raises:
            LimbeckError: The teacher is a file of answers, or comes without such a head.
        """
        if self.teacher_reference is None:
            raise LimbeckError("a file of answers has no masked-LM head to learn from", where="teacher")
        mask_id(self.tokeniser, self.teacher_reference)
        return load_masked_lm(self.teacher_reference)

    @cached_property
    def test_answers(self) -> Answers | None:
        """The teacher's answers for the test set; None for a file of answers that lacks some of them."""
        examples = self.prepared.test.examples
        if isinstance(self.teacher, FileTeacher | EnsembleTeacher) and not self.teacher.holds(examples):
            progress.warn("The file of answers does not cover the test set: the teacher itself is not scored")
            return None
        return ask(self.teacher, examples, self.needs, self.store)

    @property
    def score(self) -> Score:
        """What the training loop scores dev by."""
        if self.recipe.task in OF_SENTENCES:
            by = self.yardstick
            return lambda gold, said: by.scores(*_compared(self.recipe.task, gold, said))
        return self.task.scorer(self.labels, self.prepared.dev.examples)

    @property
    def teacher_score(self) -> Score:
        """What it scores dev by where a teacher is trained."""
        return self.score

    @cached_property
    def training(self) -> Training:
        """How students are trained, picked by a score that these labels have."""
        return self.picked(self.recipe.train)

    def picked(self, settings: Settings) -> Settings:
        """The settings with a metric that these labels have: plain tags mark no spans, and so have no F1."""
        if self.recipe.task != "tagging":
            return settings
        metric = main_metric("tagging", settings.metric, spans=mark_spans(self.labels))
        return settings.model_copy(update={"metric": metric})

    def new_student(self, seed: int, first: Stage | None = None) -> PreTrainedModel:
        """An untrained student; what it takes of a teacher is that of the one whom its first stage hears."""
        return self.started(
            models.build(
                self.recipe.student.kind,
                self.student_settings,
                labels=self.labels,
                tokeniser=self.tokeniser,
                teacher=self.teacher_model if first is None else model_heard(self, first),
                seed=seed,
                task=self.recipe.task,
            )
        )

    @cached_property
    def pattern(self) -> PreTrainedModel:
        """A student, to take sizes from."""
        return self.new_student(self.recipe.seeds[0])

    def load_student(self, method: str, seed: int) -> PreTrainedModel:
        """A trained student."""
        model = self.task.load(self.student_folder(method, seed).path)
        model.eval()
        return model

    def write_bundle(self, folder: Path, method: str, seed: int, card: dict[str, Any]) -> dict[str, Any]:
        """Export a student; what its ``bundle.json`` says."""
        from limbeck.models.export import export

        return export(
            self.load_student(method, seed),
            self.tokeniser,
            folder,
            texts=self.prepared.dev.asked,
            max_length=self.recipe.student.max_length,
            settings=self.recipe.export,
            card=card,
        )

    @property
    def evaluation(self) -> dict[str, Any]:
        """What ``evaluate`` found.

        Raises:
            LimbeckError: It has not run.
        """
        require(self.evaluation_folder, "evaluate")
        content: dict[str, Any] = read_json(self.evaluation_folder.path / "evaluation.json")
        return content

    def dev_score(self, method: str, seed: int) -> float:
        """A trained student's score on dev, by the recipe's metric."""
        require(self.student_folder(method, seed), "train")
        return float(read_json(self.student_folder(method, seed).path / "trained.json")["dev_score"])

    @property
    def best(self) -> tuple[str, int]:
        """Method and seed of the student to deploy: the best on dev, the first of equals; never the control."""
        students = [title for title in self.methods if title != CONTROL] or [CONTROL]
        pairs = [(title, seed) for title in students for seed in self.recipe.seeds]
        return max(pairs, key=lambda pair: self.dev_score(*pair))


class Member(Run):
    """One of several teachers: the run of a recipe that names it alone, on the same data.

    Args:
        whole: The run of them all.
        number: Which one, from 1.
        choice: What the recipe says of it.
    """

    def __init__(self, whole: Run, number: int, choice: TeacherChoice) -> None:
        super().__init__(whole.recipe.model_copy(update={"teacher": choice}))
        self.whole, self.folder, self.number = whole, whole.folder, number
        self.use_prepared(whole.prepared)

    @property
    def teacher_folder(self) -> StepFolder:
        """What ``teach`` writes, for a teacher that is fine-tuned here."""
        return StepFolder(super().teacher_folder.path / self.title)

    @property
    def teacher_called(self) -> str:
        """The teacher's name, and which of several it is."""
        return f"{self.teacher_name}, {self.title}"

    @property
    def alone(self) -> ModelTeacher | FileTeacher:
        """The teacher, which is no ensemble."""
        assert not isinstance(self.teacher, EnsembleTeacher)
        return self.teacher

    @property
    def title(self) -> str:
        """What it is called among the members."""
        return f"member-{self.number}"


def _compared(task: Task, gold: NDArray[Any], said: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gold as it is encoded and what was predicted, both as a yardstick compares them."""
    if task == "regression":
        return gold[:, 0], said[:, 0]
    return (gold > 0.5, said > 0) if task == "multilabel" else (gold, said)


def versions() -> dict[str, str]:
    """Versions of Limbeck and of the libraries that results depend on."""
    return {name: metadata.version(name) for name in LIBRARIES}
