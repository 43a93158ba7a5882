"""TranslationRun: a recipe of translators at work. Between teacher and student goes text, in pieces of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from limbeck import models
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import FineTune
from limbeck.core.tasks import shown
from limbeck.evaluate.translation_score import scorer
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.models.translators.export import export_translator
from limbeck.models.translators.loading import load_translator
from limbeck.pipeline import distilling
from limbeck.pipeline.folders import require
from limbeck.pipeline.inputs import lasting
from limbeck.pipeline.run import Run
from limbeck.pipeline.translation_checks import (
    AUTOREGRESSIVE,
    FLOWSEQ,
    check_decodings,
    check_engine,
    check_lengths,
    check_members,
    check_methods,
    check_pieces,
    stages_by_title,
)
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations
from limbeck.train.loop import train
from limbeck.transfer.ask import Answers, ask
from limbeck.transfer.decoded import Decoded, decode
from limbeck.transfer.prepare import Prepared
from limbeck.transfer.translation_teacher import TranslationTeacher, prefixed

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding
    from limbeck.core.example import Example
    from limbeck.core.files import StepFolder
    from limbeck.core.method import Stage
    from limbeck.core.schema import Settings as StudentSettings
    from limbeck.text.encode import Encoded
    from limbeck.train.run import Score
    from limbeck.transfer.decoded import Shard
    from limbeck.transfer.transfer_set import TransferSet

VOCABULARY = "vocabulary"
"""Folder of the pieces of words, in what ``prepare`` writes."""


class TranslationRun(Run):
    """A recipe whose task is translation."""

    @property
    def labels(self) -> tuple[str, ...]:
        """None: what a translator says is text."""
        return ()

    @property
    def language(self) -> str:
        """Code of the language that is translated into, where the recipe says one and the same everywhere."""
        said = {source.language or "" for source in self.recipe.data.train}
        return said.pop() if len(said) == 1 else ""

    # Pieces of words.

    @cached_property
    def tokeniser(self) -> Any:
        """The pieces that models trained here read and write.

        Raises:
            LimbeckError: ``prepare`` has not run.
        """
        require(self.prepared_folder, "prepare")
        return Subwords.load(self.prepared_folder.path / VOCABULARY)

    @property
    def tokeniser_fingerprint(self) -> str:
        """Digest of the pieces."""
        return str(self.tokeniser.fingerprint)

    @cached_property
    def teacher_tokeniser(self) -> Any:
        """The teacher's pieces: its own, or those learnt here."""
        if self.teacher_reference is None:
            return self.tokeniser
        return Subwords.load(self.teacher_reference, *(self.recipe.teacher.languages or ()))

    def write_prepared(self, prepared: Prepared, folder: Path) -> None:
        """The transfer set, dev and test, and the pieces of words."""
        super().write_prepared(prepared, folder)
        self._learnt(prepared).save_pretrained(folder / VOCABULARY)

    def use_prepared(self, prepared: Prepared) -> None:
        """Work with this instead of what ``prepare`` writes: for a plan."""
        super().use_prepared(prepared)
        self.__dict__["tokeniser"] = self._learnt(prepared)

    def _learnt(self, prepared: Prepared) -> Subwords:
        return Subwords.learn(prepared.train.examples, self.recipe.data.vocabulary)

    # Teachers.

    def check(self) -> None:
        """Insist on a teacher that translates, and on methods that suit it and the student.

        Raises:
            LimbeckError: It is a file of class probabilities, it cannot be built, or a method compares what differs.
        """
        if self.recipe.teacher.answers is not None:
            raise LimbeckError(
                "'teacher.answers' holds scores of classes, and a translator says text",
                where="teacher.answers",
                fix="Name what some model translated in data.train, and a teacher here",
            )
        if self.recipe.teacher.scratch is not None:
            _ = self.scratch_settings
        check_members(self.recipe)
        check_lengths(self.recipe)
        check_methods(self)
        check_decodings(self)

    def check_text(self) -> None:
        """Insist that a teacher whose next tokens a method compares guesses the student's, and on an engine that runs.

        Raises:
            LimbeckError: Their pieces of words differ, or the engine is not installed, or cannot decode so.
        """
        check_pieces(self)
        check_engine(self)

    @cached_property
    def scratch_settings(self) -> StudentSettings:
        """The settings of the teacher that is built here.

        Raises:
            LimbeckError: No such kind, or an unknown key.
        """
        scratch = self.recipe.teacher.scratch
        assert scratch is not None
        return models.settings_for(
            scratch.kind, scratch.settings, task="translation", prefix="teacher.scratch"
        )

    @property
    def teacher_name(self) -> str:
        """What a person calls the teacher."""
        choice = self.recipe.teacher
        if choice.scratch is None:
            return super().teacher_name
        many = f"{choice.members} of " if choice.members > 1 else ""
        return f"{many}{choice.scratch.kind}, from scratch"

    def untaught_teachers(self) -> Iterator[tuple[str, PreTrainedModel, int]]:
        """The teacher's members as they are before they are trained here: folder, model, seed."""
        choice = self.recipe.teacher
        assert choice.fine_tune is not None
        for number in range(choice.members):
            place = f"member-{number + 1}" if choice.members > 1 else "."
            seed = choice.fine_tune.seed + number
            yield place, self._untaught(seed), seed

    def _untaught(self, seed: int) -> PreTrainedModel:
        scratch = self.recipe.teacher.scratch
        if scratch is None:
            return self._load_given().model
        return models.build(
            scratch.kind,
            self.scratch_settings,
            labels=(),
            tokeniser=self.tokeniser,
            teacher=None,
            seed=seed,
            task="translation",
        )

    @property
    def untaught_inputs(self) -> dict[str, Any]:
        """What the teacher is before it is trained here."""
        choice = self.recipe.teacher
        if choice.scratch is None:
            return {**super().untaught_inputs, "prefix": choice.prefix, "languages": choice.languages}
        built = {"scratch": choice.scratch.model_dump(mode="json"), "members": choice.members}
        return {**built, "tokeniser": self.tokeniser_fingerprint}

    def _load_given(self) -> TranslationTeacher:
        """The teacher as the recipe names it."""
        choice = self.recipe.teacher
        assert self.teacher_reference is not None
        return TranslationTeacher.load(
            self.teacher_reference,
            choice.max_length,
            languages=choice.languages,
            engine=choice.engine,
            prefix=choice.prefix,
        )

    @cached_property
    def teacher(self) -> Any:
        """The teacher, ready to be asked.

        Raises:
            LimbeckError: ``teach`` has not run, or there is no such model.
        """
        if self.recipe.teacher.fine_tune is None:
            return self._load_given()
        require(self.teacher_folder, "teach")
        return self.as_teacher(self.teacher_folder)

    def as_teacher(self, step: StepFolder) -> TranslationTeacher:
        """The translator, or the several, that a step trained here, as a teacher."""
        members = sorted(step.path.glob("member-*")) or [step.path]
        name = f"{self.recipe.name}/{step.path.relative_to(self.folder).as_posix()}"
        return self._teacher_of([load_translator(folder) for folder in members], name)

    def _teacher_of(self, members: Sequence[PreTrainedModel], name: str) -> TranslationTeacher:
        choice = self.recipe.teacher
        return TranslationTeacher(
            members,
            self.teacher_tokeniser,
            choice.max_length,
            name,
            engine=choice.engine,
            prefix=choice.prefix,
        )

    def as_teacher_reads(self, examples: Sequence[Example]) -> Encoded:
        """Texts with their translations as a teacher that is trained here reads them."""
        choice = self.recipe.teacher
        return encode_translations(
            self.teacher_tokeniser, prefixed(examples, choice.prefix), (), choice.max_length
        )

    def use_untaught_teacher(self) -> None:
        """Let a teacher that is yet to be trained stand in for it: for a plan's estimates."""
        members = [model for _, model, _ in self.untaught_teachers()]
        self.__dict__["teacher"] = self._teacher_of(members, "untaught")

    @property
    def teacher_model(self) -> PreTrainedModel | None:
        """The teacher's model, the first of its members."""
        model: PreTrainedModel = self.teacher.models[0]
        return model

    # Text for students, and the successors that make some of it.

    def ask(self, shard: Shard | None = None) -> None:
        """Have the teacher translate what students train on, and the test set; of a part of it, into the store only."""
        if shard is not None:
            distilling.decode_shard(self, shard)
            return
        distilling.distil_all(self)
        for title, stage in stages_by_title(self):
            if stage.objective.needs:
                self.answers_on(self.text_of(title, stage), stage)
        _ = self.test_translations

    def text_of(self, title: str, stage: Stage) -> TransferSet:
        """The text that a stage trains on."""
        return distilling.text_of(self, title, stage)

    def text_inputs(self, title: str) -> dict[str, Any]:
        """What the translations that a method trains on depend on, beside transfer set and teacher."""
        stages = enumerate(self.stages_of(title))
        made = [distilling.text_inputs(self, title, number) for number, stage in stages if stage.distilled]
        return {"distilled": made} if made else {}

    def answers_on(self, text: TransferSet, stage: Stage) -> Answers:
        """The teacher's likeliest next tokens at every place of a stage's text.

        Raises:
            LimbeckError: Teacher and student do not guess the same tokens.
        """
        assert isinstance(stage.objective, TranslationObjective)
        teacher = self.teacher.giving(stage.objective.top_k)
        return ask(teacher, text.examples, stage.objective.needs, self.store)

    @property
    def successor_inputs(self) -> dict[str, Any]:
        """What a successor depends on, beside its text: it is built and trained as the teacher was."""
        choice = self.recipe.teacher
        assert choice.fine_tune is not None  # as ``check`` insists
        return {
            **self.untaught_inputs,
            "fine_tune": lasting(choice.fine_tune),
            "max_length": choice.max_length,
            "dev": self.prepared.dev.fingerprint,
        }

    def train_successor(self, title: str, number: int) -> None:
        """Train the successor of the teacher that a stage of a method asks for, on the stage's text."""
        stage = self.stages_of(title)[number]
        folder, choice = self.successor_folder(title, stage), self.recipe.teacher
        inputs = distilling.successor_inputs(self, title, number)
        what = f"ask       {title}, {stage.name}"
        if folder.is_done(inputs):
            progress.say(f"{what}: trained before, skipped", step="ask", skipped=True)
            return
        settings = self.picked(choice.fine_tune or FineTune())
        seed = settings.seed + number + 1
        if stage.epochs is not None:
            settings = settings.model_copy(update={"epochs": stage.epochs})
        with folder.writing(inputs) as partial:
            trained = train(
                self._untaught(seed),
                self.teacher_tokeniser,
                stage.objective,
                self.as_teacher_reads(self.text_of(title, stage).examples),
                None,
                self.as_teacher_reads(self.prepared.dev.examples),
                settings,
                partial,
                seed,
                score=self.teacher_score,
                stage=stage.name,
                keeps=stage.keeps,
                what=what,
            )
        told = f"{settings.metric} {shown(settings.metric, trained.dev_score)} on dev after {trained.steps:,} steps"
        progress.say(f"{what}: {told}")

    @property
    def score(self) -> Score:
        """What students are scored by on dev."""
        return scorer(self.tokeniser, self.prepared.dev.examples, self.language)

    @property
    def teacher_score(self) -> Score:
        """The same of the teacher and its successors, which may write other pieces of words."""
        return scorer(self.teacher_tokeniser, self.prepared.dev.examples, self.language)

    @property
    def teachers_kind(self) -> str:
        """What the teacher is; what was not built here writes one token after the other."""
        scratch = self.recipe.teacher.scratch
        return AUTOREGRESSIVE if scratch is None else scratch.kind

    @property
    def teachers_search(self) -> Decoding:
        """How the teacher translates test: as students do, as far as it can."""
        return _known_to(self.teachers_kind, self.recipe.evaluate.decoding)

    @property
    def students_search(self) -> Decoding:
        """How students do."""
        return _known_to(self.recipe.student.kind, self.recipe.evaluate.decoding)

    def write_bundle(self, folder: Path, method: str, seed: int, card: dict[str, Any]) -> dict[str, Any]:
        """Export a student; what its ``bundle.json`` says."""
        return export_translator(
            self.load_student(method, seed),
            self.tokeniser,
            folder,
            texts=[example.text for example in self.prepared.dev.examples],
            max_length=self.recipe.student.max_length,
            decoding=self.recipe.evaluate.decoding.without_draws,
            settings=self.recipe.export,
            card=card,
        )

    @cached_property
    def test_translations(self) -> Decoded:
        """The teacher's translations of the test set."""
        return decode(self.teacher, self.prepared.test.examples, self.teachers_search, self.store)


def _known_to(kind: str, decoding: Decoding) -> Decoding:
    """A search as a model of this kind does it."""
    return decoding if kind == FLOWSEQ else decoding.without_draws
