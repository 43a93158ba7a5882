"""Texts: the data of a run, and how teacher and student read it; each thing loaded once and only when asked for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.tasks import OF_SENTENCES
from limbeck.evaluate.yardstick import Yardstick, yardstick
from limbeck.models.embeddings import TokeniserSettings
from limbeck.pipeline.chosen import Chosen
from limbeck.pipeline.folders import require
from limbeck.text import resources
from limbeck.text.encode import Encoded
from limbeck.text.packed import load as load_packed
from limbeck.text.tokeniser import fingerprint_tokeniser, load_tokeniser
from limbeck.transfer.prepare import Prepared
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from limbeck.core.example import Example
    from limbeck.core.method import Stage


class Texts(Chosen):
    """A recipe's data, as finished steps left it."""

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

    def part_for(self, stage: Stage) -> TransferSet:
        """The part of the transfer set that a stage hears; raw text aside."""
        if stage.hears == "given":
            return self.prepared.train
        return self.transfer_set.labelled if stage.hears == "labelled" else self.transfer_set

    def text_of(self, title: str, stage: Stage) -> TransferSet:
        """The text that a stage of a method trains on; raw text aside."""
        return self.part_for(stage)

    def write_prepared(self, prepared: Prepared, folder: Path) -> None:
        """What ``prepare`` writes."""
        prepared.save(folder)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of every model's logits."""
        return self.prepared.train.labels

    @property
    def yardstick(self) -> Yardstick:
        """How answers are scored, where they are logits of whole texts."""
        recipe = self.recipe
        return yardstick(recipe.task, self.labels, recipe.train.metric, recipe.positive)

    def check_text(self) -> None:
        """Insist on what student and methods want of data and teacher, before any model is trained.

        Raises:
            LimbeckError: It is not there.
        """
        theirs = None if self.teacher_tokeniser is None else self.teacher_tokeniser.mask_token
        for rewriter in self.rewriters:
            if theirs is not None and rewriter.marks and theirs not in rewriter.marks:
                said = rewriter.marks[0]
                what = (
                    f"'{rewriter.name}' writes '{said}' for a masked word, which the teacher takes for text"
                )
                raise LimbeckError(
                    what, where=f"rewrite.{rewriter.name}", fix=f"Set its 'mask' to '{theirs}'"
                )
        positive = self.recipe.positive
        if positive is not None and positive not in self.labels:
            what = f"no class is called '{positive}'; there are {' and '.join(self.labels)}"
            raise LimbeckError(what, where="positive")
        if self.recipe.task in OF_SENTENCES:
            _ = self.yardstick  # making it is its check
        settings = self.student_settings
        if not (isinstance(settings, TokeniserSettings) and settings.of_pairs):
            return
        for name in ("train", "dev", "test"):
            if not getattr(self.prepared, name).has_pairs:
                raise LimbeckError(
                    f"a {self.recipe.student.kind} student reads pairs of texts, and '{name}' has single texts",
                    where="student.kind",
                    fix="Name the column of the second text in 'second' of the data, or choose 'student.kind: bilstm'",
                )

    def use_prepared(self, prepared: Prepared) -> None:
        """Work with this instead of what ``prepare`` writes: for a plan, which writes nothing."""
        self.__dict__["prepared"] = prepared

    def use_transfer_set(self, transfer_set: TransferSet) -> None:
        """Work with this instead of what ``rewrite`` writes: for a plan."""
        self.__dict__["transfer_set"] = transfer_set

    def use_raw_blocks(self, count: int) -> None:
        """Count with as many blocks of raw text instead of what ``pack`` writes: for a plan."""
        self.__dict__["raw_lengths"] = np.full(count, self.recipe.data.raw_length)

    @cached_property
    def teacher_reference(self) -> Path | str | None:
        """Folder or hub name of the teacher's weights as the recipe names them; None for a file of answers.

        Of an ensemble, the first model's.
        """
        model = next((each.model for each in self.recipe.teacher.each if each.model), None)
        return None if model is None else resources.resolve(model)

    @cached_property
    def teacher_tokeniser(self) -> PreTrainedTokenizerFast | None:
        """The teacher's tokeniser; None for a file of answers."""
        return None if self.teacher_reference is None else load_tokeniser(self.teacher_reference)

    @cached_property
    def tokeniser(self) -> PreTrainedTokenizerFast:
        """The student's tokeniser; where a person has it truncate, it does so where the recipe says."""
        texts = [text for one in self.transfer_set.examples for text in one.texts if text]
        settings = self.student_settings
        assert isinstance(settings, TokeniserSettings)
        chosen = models.tokeniser_for(
            settings,
            teacher_tokeniser=self.teacher_tokeniser,
            texts=texts,
            task=self.recipe.task,
            mask=next((mark for one in self.rewriters for mark in one.marks), None),
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
    def encoded_given(self) -> Encoded:
        """The part of the transfer set that rewriters did not make."""
        return self.encoded(self.prepared.train.examples)

    def encoded_part_for(self, stage: Stage) -> Encoded:
        """The part of the transfer set that a stage hears, as the student reads it; raw text aside."""
        if stage.hears == "given":
            return self.encoded_given
        return self.encoded_labelled if stage.hears == "labelled" else self.encoded_train

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
    def encoded_for_teacher(self) -> Encoded:
        """The part of the training set that has gold, as a teacher that is trained here reads it."""
        return self.as_teacher_reads(self.prepared.train.labelled.examples)

    def as_teacher_reads(self, examples: Sequence[Example]) -> Encoded:
        """Examples with gold as a teacher that is trained here reads them."""
        return self.task.encode(self.teacher_tokeniser, examples, self.labels, self.recipe.teacher.max_length)
