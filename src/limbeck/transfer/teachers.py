"""Teachers: a model that is asked, and a file of answers that somebody else's model gave."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SIGNAL_NAMES, SignalName, Signals
from limbeck.core.tasks import Task
from limbeck.models.heads import load_with_head
from limbeck.models.outputs import predict, say
from limbeck.models.student import longest_input
from limbeck.text.encode import collate, encode
from limbeck.text.tokeniser import fingerprint_tokeniser, load_tokeniser
from limbeck.transfer.answer_files import FileAnswers, Form, read_answers
from limbeck.transfer.label_map import LabelMap, Renamed, arrange

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LOGITS: frozenset[SignalName] = frozenset({"logits"})
NO_NAMES: Renamed = MappingProxyType({})
INCIDENTAL = (
    "_name_or_path",
    "architectures",
    "dtype",
    "id2label",
    "label2id",
    "problem_type",
    "torch_dtype",
    "transformers_version",
)
"""Keys of a model's configuration on which its logits do not depend."""
AGREE = 1e-4
"""Logits of two answers for the same example that differ by less are the same answer."""


class ModelTeacher:
    """Any sequence classifier of transformers.

    Args:
        model: The classifier; it is put into evaluation mode.
        tokeniser: Its tokeniser.
        labels: Our labels, in the order of the answers.
        max_length: Tokens kept of a text, special tokens included.
        label_map: Where our labels stand among the model's; None where they are the same.
        name: What a person calls it.
        tokens_per_batch: How much it is asked at a time, padding included; None is what suits the device.
        device: Where it computes; by default a GPU where there is one.

    Raises:
        LimbeckError: The model cannot read texts of ``max_length``.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokeniser: PreTrainedTokenizerFast,
        labels: Sequence[str],
        max_length: int,
        *,
        label_map: LabelMap | None = None,
        name: str = "",
        tokens_per_batch: int | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.eval().to(self.device)
        self.tokeniser = tokeniser
        self.labels = tuple(labels)
        self.max_length = max_length
        self.label_map = LabelMap.of_columns(range(len(labels))) if label_map is None else label_map
        self.name = name or str(model.config.name_or_path)
        self.tokens_per_batch = tokens_per_batch
        self.offers: frozenset[SignalName] = frozenset(SIGNAL_NAMES)
        check_length(model, max_length, self.name)
        # The labels and their places count, too: under another mapping the same weights answer otherwise.
        self.fingerprint = fingerprint.of_value(
            [
                fingerprint_model(model),
                fingerprint_tokeniser(tokeniser),
                max_length,
                list(self.labels),
                self.label_map.key,
            ]
        )

    @staticmethod
    def loaded(reference: str | Path) -> PreTrainedModel:
        """The model of such a teacher, with its head."""
        return load_with_head(reference, "classification")

    @staticmethod
    def meaning(model: PreTrainedModel, task: Task) -> Task:
        """What its numbers mean, where labels are merged."""
        return task

    @classmethod
    def load(
        cls,
        reference: str | Path,
        labels: Sequence[str],
        max_length: int,
        renamed: Renamed = NO_NAMES,
        task: Task = "classification",
    ) -> Self:
        """A fine-tuned model, whose labels may stand in another order than ours, and be more.

        Args:
            reference: A folder, ``package:NAME/FOLDER``, or a name on the hub.
            labels: Our labels (or tags), in the order that the answers shall have.
            max_length: Tokens kept of a text, special tokens included.
            renamed: The model's label names to ours, where they differ; None leaves a label out.
            task: What it is asked for; a model does not always tell what its numbers mean.

        Raises:
            LimbeckError: There is no such model, it lacks its head, or it has other labels.
        """
        model = cls.loaded(reference)
        theirs = [name for _, name in sorted((model.config.id2label or {}).items())]
        # Of models with one output each there is nothing to arrange, whatever either calls it.
        label_map = (
            None
            if len(theirs) == len(labels) == 1
            else arrange(theirs, labels, renamed, cls.meaning(model, task), where=reference)
        )
        tokeniser = load_tokeniser(reference)
        return cls(model, tokeniser, labels, max_length, label_map=label_map, name=str(reference))

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        """What it says about the examples, in their order, without gradients.

        Logits come in batches of like length; what is as long as the longest text comes in one batch.

        Returns:
            Signals on the teacher's device; logits on the CPU where nothing else is asked for.
        """
        encoded = encode(self.tokeniser, examples, None, self.max_length)
        if needs == LOGITS:
            try:
                logits = predict(self.model, encoded, self.tokens_per_batch, self.device)
            except ValueError as error:  # of a model that reads itself what stands in a text
                raise self._unreadable(examples, error) from None
            return Signals(logits=self.label_map.over_ours(torch.from_numpy(logits)))
        batch = collate(encoded, np.arange(len(examples))).to(self.device)
        with torch.no_grad():  # a loss may keep what it says for its gradient
            return say(self.model, batch.inputs, needs, over=self.label_map.over_ours)

    def _unreadable(self, examples: Sequence[Example], error: ValueError) -> LimbeckError:
        special = self.tokeniser.all_special_tokens
        spelt = next(
            (each for each in examples for text in each.texts for one in special if one in text), None
        )
        if spelt is None:
            return LimbeckError(f"the teacher cannot answer ({error})", where=self.name)
        what = f"the teacher cannot answer: {error} The example '{spelt.id}' spells one of its special tokens"
        return LimbeckError(what.rstrip("."), where=self.name, fix="Leave that text out, or the token in it")


class FileTeacher:
    """Answers that somebody else's model gave, kept in a file; read once, held in memory.

    An example's answer is found under its id, else under its text (spaces apart).

    Args:
        answers: What the file says.
        labels: Our labels, in the order of the logits.
        fingerprint: Digest of the file, and of how it was read.

    Raises:
        LimbeckError: Two rows answer the same example otherwise.
    """

    def __init__(self, answers: FileAnswers, labels: Sequence[str], fingerprint: str) -> None:
        self.labels = tuple(labels)
        self.offers: frozenset[SignalName] = LOGITS
        self.fingerprint = fingerprint
        self.path = answers.path
        self.name = str(answers.path)
        self._answers = answers
        self._texts = [None if text is None else _spaced(text) for text in answers.texts]
        self._logits = torch.from_numpy(answers.logits)
        self._row_of_id = _index(answers, answers.ids, "id")
        # Rows with ids may share a text and differ; then that text by itself has no answer.
        anonymous = [
            None if id is not None else text for id, text in zip(answers.ids, self._texts, strict=True)
        ]
        self._row_of_text = _index(answers, self._texts, None) | _index(answers, anonymous, "text")

    @classmethod
    def load(
        cls,
        path: Path,
        labels: Sequence[str],
        form: Form = "probabilities",
        renamed: Renamed = NO_NAMES,
        task: Task = "classification",
    ) -> FileTeacher:
        """A file of answers.

        Args:
            path: JSON Lines, CSV, TSV or Parquet with a column ``id`` or ``text``, and one column a label or
                one called ``probabilities`` (or ``logits``) that holds ``{label: value}`` or a list.
            labels: Our labels, in the order that the answers shall have.
            form: What the numbers are; probabilities become logits as ``log(max(p, 1e-6))``.
            renamed: The file's label names to ours, where they differ; None leaves a label out.
            task: What the numbers are about: probabilities of several labels need not sum to one, and scores are taken
                as they are.

        Raises:
            LimbeckError: The file does not parse, has other labels, contradicts itself, or holds numbers that
                are not what ``form`` says.
        """
        answers = read_answers(path, labels, form, renamed, task)
        read_as = [fingerprint.sha256(path), form, list(labels), dict(renamed)]
        read_as += [] if task == "classification" else [task]
        return cls(answers, labels, fingerprint.of_value(read_as))

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        """The answers of the file, in the order of the examples."""
        return Signals(logits=self._logits[torch.from_numpy(self.require(examples))])

    def require(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """The row of each example's answer, ``(examples,)``.

        Raises:
            LimbeckError: An example has no answer, or its id is answered for another text.
        """
        rows = np.fromiter((self._row(example) for example in examples), np.int64, len(examples))
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            first = next(filter(None, self._answers.ids), None) or next(filter(None, self._answers.texts), "")
            raise LimbeckError(
                f"{len(missing):,} of the {len(examples):,} examples asked have no answer here, "
                f"the first is '{examples[missing[0]].id}'",
                where=self.path,
                fix=f"Answers are found by 'id' or by 'text'; the first answer here is for '{first[:80]}'",
            )
        for row, example in zip(rows.tolist(), examples, strict=True):
            if self._texts[row] is not None and self._texts[row] != _spaced(example.text):
                raise LimbeckError(
                    f"the answer for '{example.id}' is for another text",
                    where=self.path,
                    line=self._answers.lines[row],
                    fix=f"It says '{(self._texts[row] or '')[:40]}', and we ask '{example.text[:40]}'",
                )
        return rows

    def holds(self, examples: Sequence[Example]) -> bool:
        """Whether it has an answer for every one of these examples."""
        return all(self._row(example) >= 0 for example in examples)

    def _row(self, example: Example) -> int:
        row = self._row_of_id.get(example.id)
        if row is None:
            # Of pairs, the first text alone tells nothing.
            row = -1 if example.second is not None else self._row_of_text.get(_spaced(example.text), -1)
        return row


def fingerprint_model(model: PreTrainedModel) -> str:
    """Digest of a model's weights and configuration, wherever and by which version it was saved."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    config = {key: value for key, value in model.config.to_dict().items() if key not in INCIDENTAL}
    return fingerprint.of_value([digest.hexdigest(), config])


def check_length(model: PreTrainedModel, max_length: int, name: str) -> None:
    """Insist that a teacher can read texts of a length.

    Raises:
        LimbeckError: It has fewer positions.
    """
    longest = longest_input(model)
    if longest is not None and max_length > longest:
        raise LimbeckError(
            f"'teacher.max_length' is {max_length}, and this model reads at most {longest} tokens",
            where=name,
            fix=f"Set teacher.max_length={longest}",
        )


def _index(answers: FileAnswers, keys: Sequence[str | None], role: str | None) -> dict[str, int]:
    """First row of each key. Where answers differ: an error if the keys have a role, else no answer."""
    index: dict[str, int] = {}
    contested: set[str] = set()
    for row, key in enumerate(keys):
        if key is None or (first := index.setdefault(key, row)) == row:
            continue
        if np.abs(answers.logits[first] - answers.logits[row]).max() <= AGREE:
            continue
        if role is not None:
            what = f"another answer for the {role} '{key[:80]}' than on line {answers.lines[first]}"
            raise LimbeckError(what, where=answers.path, line=answers.lines[row])
        contested.add(key)
    return {key: row for key, row in index.items() if key not in contested}


def _spaced(text: str) -> str:
    """The text with single spaces, and none at its ends."""
    return " ".join(text.split())
