"""Run: one recipe, its folder, and what its steps share, each thing loaded once and only when asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from limbeck import methods, models
from limbeck.core import progress, recipe
from limbeck.core.errors import LimbeckError
from limbeck.core.files import StepFolder, read_json
from limbeck.core.recipe import Training, main_metric
from limbeck.core.signals import OF_TOKENS
from limbeck.models.embeddings import TokeniserSettings
from limbeck.models.masked_lm import load_masked_lm, mask_id
from limbeck.models.taggers.transformer import load_encoder
from limbeck.pipeline.folders import Folders
from limbeck.pipeline.hearing import model_heard
from limbeck.pipeline.tasks import Task, task_of
from limbeck.text import resources
from limbeck.text.encode import Encoded
from limbeck.text.packed import load as load_packed
from limbeck.text.tags import mark_spans
from limbeck.text.tokeniser import fingerprint_tokeniser, load_tokeniser
from limbeck.transfer import rewrites
from limbeck.transfer.ask import Answers, ask
from limbeck.transfer.prepare import Prepared
from limbeck.transfer.teachers import FileTeacher, ModelTeacher
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from limbeck.core.example import Example
    from limbeck.core.method import Stage
    from limbeck.core.schema import Settings as StudentSettings
    from limbeck.core.signals import SignalName
    from limbeck.methods import Method
    from limbeck.train.run import Score
    from limbeck.transfer.rewrites import RewriteSettings

CONTROL = "gold"
TEACHER = "teacher"
LIBRARIES = ("limbeck", "torch", "transformers", "tokenizers", "accelerate", "numpy", "onnx", "onnxruntime")


Settings = TypeVar("Settings", bound=Training)


class Run(Folders):
    """A recipe at work.

    Args:
        recipe: The resolved recipe.
    """

    @staticmethod
    def of(recipe: recipe.Recipe) -> Run:
        """The run of a recipe, whatever its task."""
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

    # What the recipe names, checked before any work.

    def check(self) -> None:
        """Insist on what this task wants of a recipe, beside what all do.

        Raises:
            LimbeckError: It is not there.
        """
        if self.recipe.teacher.scratch is not None:
            what = "'teacher.scratch' builds a translator, and this recipe's task is another"
            raise LimbeckError(
                what, where="teacher.scratch", fix="Name a 'model', or set 'task: translation'"
            )

    @cached_property
    def task(self) -> Task:
        """What teacher and student do."""
        return task_of(self.recipe)

    @property
    def needs(self) -> frozenset[SignalName]:
        """What the teacher is asked for."""
        return frozenset({self.task.signal})

    @cached_property
    def student_settings(self) -> StudentSettings:
        """The student's own settings."""
        choice = self.recipe.student
        return models.settings_for(choice.kind, choice.settings, task=self.recipe.task)

    @cached_property
    def rewriters(self) -> list[RewriteSettings]:
        """Settings of the ways to make more text."""
        return [rewrites.settings_for(choice.name, choice.settings) for choice in self.recipe.rewrite]

    @cached_property
    def methods(self) -> dict[str, tuple[Method, dict[str, Any]]]:
        """Every method to train, with its recipe's keys, by the name of its folder; the control comes last."""
        found: dict[str, tuple[Method, dict[str, Any]]] = {}
        for choice in self.recipe.method:
            if choice.title in found:
                fix = "Give each a 'label' of its own"
                raise LimbeckError(f"the recipe lists '{choice.title}' twice", where="method", fix=fix)
            found[choice.title] = (methods.get(choice.name), choice.settings)
        if self.recipe.control:
            found.setdefault(CONTROL, (methods.get(self.task.control), {}))
        for title, (method, settings) in found.items():
            self._check_method(title, method.stages(settings))
        return found

    @property
    def control(self) -> str | None:
        """The name of the control, where there is one."""
        return CONTROL if self.recipe.control else None

    def stages(self) -> Iterator[Stage]:
        """The stages of all methods."""
        for method, settings in self.methods.values():
            yield from method.stages(settings)

    @cached_property
    def hears_raw(self) -> bool:
        """Whether some method has a stage on raw text."""
        return any(stage.hears == "raw" for stage in self.stages())

    def _check_method(self, title: str, stages: Sequence[Stage]) -> None:
        """Insist that a method reads what this task's students say."""
        for stage in stages:
            compared = stage.objective.reads | stage.objective.needs
            strange = sorted(compared - {self.task.signal} - OF_TOKENS)
            if strange:
                suited = [name for name in methods.names() if _suits(methods.get(name), self.task.signal)]
                raise LimbeckError(
                    f"'{title}' compares {', '.join(strange)}, and in {self.recipe.task} there are {self.task.signal}",
                    where="method",
                    fix=f"Methods for {self.recipe.task}: {', '.join(suited)}",
                )

    # What finished steps left, for the steps that read it.

    @cached_property
    def prepared(self) -> Prepared:
        """The transfer set, dev and test.

        Raises:
            LimbeckError: ``prepare`` has not run.
        """
        require(self.prepared_folder, "prepare")
        return Prepared.load(self.prepared_folder.path)

    @cached_property
    def transfer_set(self) -> TransferSet:
        """The text on which students hear the teacher: the training set, rewritten where the recipe asks for it.

        Raises:
            LimbeckError: ``prepare`` or ``rewrite`` has not run.
        """
        if not self.rewriters:
            return self.prepared.train
        require(self.rewritten_folder, "rewrite")
        return TransferSet.load(self.rewritten_folder.path, "transfer")

    def text_of(self, title: str, stage: Stage) -> TransferSet:
        """The text that a stage of a method trains on; raw text aside."""
        return self.transfer_set.labelled if stage.hears == "labelled" else self.transfer_set

    def write_prepared(self, prepared: Prepared, folder: Path) -> None:
        """What ``prepare`` writes."""
        prepared.save(folder)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of every model's logits."""
        return self.prepared.train.labels

    @cached_property
    def teacher_reference(self) -> Path | str | None:
        """Folder or hub name of the teacher's weights as the recipe names them; None for a file of answers."""
        model = self.recipe.teacher.model
        return None if model is None else resources.resolve(model)

    @cached_property
    def teacher(self) -> ModelTeacher | FileTeacher:
        """The teacher, ready to be asked.

        Raises:
            LimbeckError: ``teach`` has not run, or the teacher's labels are not ours.
        """
        choice, labels = self.recipe.teacher, self.labels
        if choice.answers is not None:
            path = Path(resources.resolve(choice.answers))
            return FileTeacher.load(path, labels, choice.answers_are, choice.labels)
        reference = self.teacher_reference
        if choice.fine_tune is not None:
            require(self.teacher_folder, "teach")
            reference = self.teacher_folder.path
        assert reference is not None
        return self.task.load_teacher(reference, labels, choice.max_length, choice.labels)

    def use_prepared(self, prepared: Prepared) -> None:
        """Work with this instead of what ``prepare`` writes: for a plan, which writes nothing."""
        self.__dict__["prepared"] = prepared

    def use_transfer_set(self, transfer_set: TransferSet) -> None:
        """Work with this instead of what ``rewrite`` writes: for a plan."""
        self.__dict__["transfer_set"] = transfer_set

    def use_raw_blocks(self, count: int) -> None:
        """Count with as many blocks of raw text instead of what ``pack`` writes: for a plan."""
        self.__dict__["raw_lengths"] = np.full(count, self.recipe.data.raw_length)

    def use_untaught_teacher(self) -> None:
        """Let the encoder that is yet to be fine-tuned stand in for the teacher: for a plan's estimates."""
        choice = self.recipe.teacher
        assert choice.fine_tune is not None and self.teacher_reference is not None
        assert self.teacher_tokeniser is not None
        model = self.task.untaught(self.teacher_reference, self.labels, choice.fine_tune.seed)
        tokeniser = self.teacher_tokeniser
        self.__dict__["teacher"] = self.task.teacher(model, tokeniser, self.labels, choice.max_length)

    @cached_property
    def teacher_tokeniser(self) -> PreTrainedTokenizerFast | None:
        """The teacher's tokeniser; None for a file of answers."""
        return None if self.teacher_reference is None else load_tokeniser(self.teacher_reference)

    @cached_property
    def tokeniser(self) -> PreTrainedTokenizerFast:
        """The student's tokeniser; where a person has it truncate, it does so where the recipe says."""
        texts = [example.text for example in self.transfer_set.examples]
        settings = self.student_settings
        assert isinstance(settings, TokeniserSettings)
        chosen = models.tokeniser_for(
            settings,
            teacher_tokeniser=self.teacher_tokeniser,
            texts=texts,
            task=self.recipe.task,
        )
        tokeniser = copy.deepcopy(chosen)  # it may be the teacher's own
        tokeniser.model_max_length = self.recipe.student.max_length
        return tokeniser

    @property
    def tokeniser_fingerprint(self) -> str:
        """Digest of the student's tokeniser."""
        return fingerprint_tokeniser(self.tokeniser)

    @cached_property
    def encoded_train(self) -> Encoded:
        """The whole transfer set as the student reads it."""
        return self.encoded(self.transfer_set.examples)

    @cached_property
    def encoded_labelled(self) -> Encoded:
        """The part of the transfer set that has gold."""
        return self.encoded(self.transfer_set.labelled.examples)

    @cached_property
    def encoded_raw(self) -> Encoded:
        """Raw text in blocks, as the student reads it; it has no gold.

        Raises:
            LimbeckError: ``pack`` has not run.
        """
        require(self.packed_folder, "pack")
        return load_packed(self.packed_folder.path)

    @cached_property
    def raw_lengths(self) -> NDArray[np.int64]:
        """Tokens of each block of raw text, ``(blocks,)``."""
        return self.encoded_raw.lengths

    @cached_property
    def encoded_dev(self) -> Encoded:
        """Dev as the student reads it."""
        return self.encoded(self.prepared.dev.examples)

    @cached_property
    def encoded_test(self) -> Encoded:
        """Test as the student reads it."""
        return self.encoded(self.prepared.test.examples)

    def encoded(self, examples: Sequence[Example]) -> Encoded:
        """Examples as the student reads them."""
        alone = [example.alone for example in examples]
        return self.task.encode(self.tokeniser, alone, self.labels, self.recipe.student.max_length)

    @cached_property
    def answers(self) -> Answers:
        """The teacher's answers for the transfer set; what the store lacks is asked now."""
        return ask(self.teacher, self.transfer_set.examples, self.needs, self.store)

    def answers_on(self, text: TransferSet, stage: Stage) -> Answers:
        """What a stage hears of the teacher on its text."""
        return self.answers

    def ask(self) -> None:
        """Ask the teacher whatever students and evaluation will read."""
        _ = self.answers, self.test_answers

    @property
    def untaught_inputs(self) -> dict[str, Any]:
        """What the teacher is before it is fine-tuned here."""
        assert self.recipe.teacher.model is not None
        return {"model": resources.contents(self.recipe.teacher.model)}

    def text_inputs(self, title: str) -> dict[str, Any]:
        """What a method's text depends on, beside transfer set and teacher."""
        return {}

    def untaught_teachers(self) -> Iterator[tuple[str, PreTrainedModel, int]]:
        """The teacher before it is fine-tuned here: its place in the teacher's folder, the model, the seed."""
        choice = self.recipe.teacher
        assert choice.fine_tune is not None and self.teacher_reference is not None
        yield (
            ".",
            self.task.untaught(self.teacher_reference, self.labels, choice.fine_tune.seed),
            choice.fine_tune.seed,
        )

    @property
    def teacher_model(self) -> PreTrainedModel | None:
        """The teacher's model; None for a file of answers."""
        return self.teacher.model if isinstance(self.teacher, ModelTeacher) else None

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
        if isinstance(self.teacher, FileTeacher) and not self.teacher.holds(examples):
            progress.warn("The file of answers does not cover the test set: the teacher itself is not scored")
            return None
        return ask(self.teacher, examples, self.needs, self.store)

    @property
    def score(self) -> Score:
        """What the training loop scores dev by."""
        return self.task.scorer(self.labels, self.prepared.dev.examples)

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
        return models.build(
            self.recipe.student.kind,
            self.student_settings,
            labels=self.labels,
            tokeniser=self.tokeniser,
            teacher=self.teacher_model if first is None else model_heard(self, first),
            seed=seed,
            task=self.recipe.task,
        )

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
            texts=[example.asked for example in self.prepared.dev.examples],
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


def require(folder: StepFolder, step: str) -> None:
    """Insist that a step is finished.

    Raises:
        LimbeckError: It is not.
    """
    if not (folder.path / "done.json").is_file():
        raise LimbeckError("this step is not finished", where=folder.path, fix=f"Run 'limbeck {step}' first")


def _suits(method: Method, signal: SignalName) -> bool:
    return all(stage.objective.reads <= {signal} for stage in method.tiny.stages())


def versions() -> dict[str, str]:
    """Versions of Limbeck and of the libraries that results depend on."""
    return {name: metadata.version(name) for name in LIBRARIES}
