"""Ask: the teacher's answers about a transfer set, of which it is asked only what the store does not hold.

Whether answers come from the store or from the teacher as training goes is invisible to who reads them;
:func:`choose` picks by bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

import numpy as np
import torch

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SignalName, Signals
from limbeck.core.teacher import Teacher
from limbeck.transfer import filling
from limbeck.transfer.ensemble import EnsembleTeacher
from limbeck.transfer.said import asked, name_of, signals_of
from limbeck.transfer.shards import DIGEST, LAYOUTS, VALUE, Digests, Kept
from limbeck.transfer.store import AnswerStore
from limbeck.transfer.tables import AnswerTable, digest_texts
from limbeck.transfer.teachers import FileTeacher

STORE_LIMIT = 8 * 2**30
"""Bytes of answers that are stored without being asked for: above it the teacher answers live."""
IN_MEMORY = 256 * 2**20
"""Bytes of answers that are read from the store at once: the rows of a batch lie in many shards, and finding
them there takes longer than a table in memory."""
BYTES_A_TOKEN = 4
"""Of text in UTF-8, about, by which the tokens of a translation are told beforehand: pieces of words in Latin letters
and signs of Chinese are no shorter."""


class Answers(Protocol):
    """What a teacher says about examples, by id."""

    def signals(self, ids: Sequence[str], device: torch.device) -> Signals:
        """What it says about these examples, in this order.

        Raises:
            LimbeckError: It was not asked about one of them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Where answers come from.

    Attributes:
        stored: From the store; else from the teacher as training goes.
        bytes: What the store needs for them; None for signals whose size depends on the texts.
        why: The reason, as a phrase.
    """

    stored: bool
    bytes: int | None
    why: str


def plan_bytes(rows: int, examples: int, width: int, value: int = VALUE.itemsize) -> int:
    """Bytes that the store needs, 16 a text for its digest among them.

    Args:
        rows: Texts; of a tagger words, of a translator tokens.
        examples: Texts.
        width: Values of a row: classes, or likeliest tokens that are kept.
        value: Bytes of one: 4, or 8 of a token and its log-probability.
    """
    return rows * width * value + examples * DIGEST.itemsize


def choose(
    needs: frozenset[SignalName], examples: Sequence[Example], width: int, limit: int = STORE_LIMIT
) -> Choice:
    """Pick between stored and live answers, by bytes.

    Args:
        needs: Signals that are asked for.
        examples: The texts.
        width: Number of labels; of next tokens, how many are kept at each place.
        limit: Bytes above which answers are not stored.
    """
    if len(needs) != 1 or not needs <= set(LAYOUTS):
        others = ", ".join(sorted(needs - set(LAYOUTS)) or sorted(needs))
        return Choice(False, None, f"{others}: as large as the texts are long, so the teacher answers live")
    (signal,) = needs
    value = LAYOUTS[cast(Kept, signal)].value.itemsize
    size = plan_bytes(_rows(signal, examples), len(examples), width, value)
    shown = (f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB") + f" of {signal}"
    if size > limit:
        return Choice(False, size, f"{shown} are above {limit / 1e6:,.0f} MB, so the teacher answers live")
    return Choice(True, size, f"{shown}, stored")


def _rows(signal: SignalName, examples: Sequence[Example]) -> int:
    """Rows of the answers; those of next tokens, one a token and its end, are told by the translations' bytes."""
    if signal == "next_tokens":
        sizes = (len(target.encode()) for example in examples for target in example.targets[:1])
        return sum(size // BYTES_A_TOKEN + 1 for size in sizes)
    return sum(len(example.words) for example in examples) if signal == "potentials" else len(examples)


def ask(
    teacher: Teacher, examples: Sequence[Example], needs: frozenset[SignalName], store: AnswerStore
) -> Answers:
    """The teacher's answers; texts that the store holds no answer for are asked about now.

    Answers are stored shard by shard: what an interrupted run was told, the next one need not ask.

    Args:
        teacher: Who is asked. A file of answers is only read: it is a store already.
        examples: What it is asked about; equal ids must mean equal texts.
        needs: Signals that are asked for, at least one.
        store: Where answers are kept.

    Raises:
        LimbeckError: The teacher does not offer these signals, answers with NaN, or is a file that lacks
            answers; two texts have one id; the store is damaged or cannot be written.
    """
    if isinstance(teacher, EnsembleTeacher) and needs <= teacher.offers:
        return EnsembleAnswers(teacher, [ask(each, examples, needs, store) for each in teacher.members])
    if lacking := sorted(needs - teacher.offers):
        raise LimbeckError(f"this teacher does not give {', '.join(lacking)}", where=name_of(teacher))
    by_id = filling.by_id(examples)
    if isinstance(teacher, FileTeacher):
        teacher.require(examples)
        progress.say(f"ask       {len(by_id):,} answers found in {teacher.path}")
        return LiveAnswers(teacher, by_id, needs)
    distinct = list(by_id.values())
    choice = choose(needs, distinct, max(_width(teacher, signal) for signal in needs))
    if not choice.stored:
        progress.say(f"ask       {choice.why}")
        return LiveAnswers(teacher, by_id, needs)
    (signal,) = needs
    table, digests = _table(teacher, signal, store), _digests(distinct, signal)
    missing = filling.missing(table, digests)
    stored = len(np.unique(digests)) - len(missing)
    progress.say(f"ask       {stored:,} answers stored, {len(missing):,} to ask")
    answer = partial(asked, teacher, signal=signal)
    filling.fill(table, [distinct[row] for row in missing], digests[missing], answer, "ask the teacher")
    return StoredAnswers(table, [example.id for example in distinct], digests)


def count_missing(
    teacher: Teacher, examples: Sequence[Example], store: AnswerStore, signal: SignalName = "logits"
) -> int:
    """How many texts :func:`ask` would ask the teacher about: those that the store holds no answer for.

    Of an ensemble each member's count.
    """
    if isinstance(teacher, EnsembleTeacher):
        return sum(count_missing(each, examples, store, signal) for each in teacher.models)
    return len(filling.missing(_table(teacher, signal, store), _digests(examples, signal)))


class StoredAnswers:
    """Answers from the store: few logits are held in memory, all else is gathered from its memory maps.

    Args:
        table: The teacher's answers.
        ids: Example ids.
        digests: What their answers are found under, ``(examples,)``.

    Raises:
        LimbeckError: The table lacks an answer.
    """

    def __init__(self, table: AnswerTable, ids: Sequence[str], digests: Digests) -> None:
        rows = table.find(digests)
        if (rows < 0).any():
            what = f"the answer for '{ids[int(np.argmin(rows))]}' has gone from the store"
            raise LimbeckError(what, where=table.folder, fix="Did another process prune it? Ask again")
        self.signal, self._table, self._held = table.manifest.signal, table, None
        if self.signal == "logits" and len(ids) * len(table.manifest.labels) * VALUE.itemsize <= IN_MEMORY:
            self._held = table.gather(rows).rows
            rows = np.arange(len(ids))
        self._row_of_id = dict(zip(ids, rows.tolist(), strict=True))

    def signals(self, ids: Sequence[str], device: torch.device) -> Signals:
        """What it says about these examples, in their order: logits ``(ids, classes)``, potentials or next tokens."""
        try:
            rows = np.array([self._row_of_id[id] for id in ids], np.int64)
        except KeyError as error:
            raise _not_asked(error.args[0]) from None
        if self._held is not None:
            return Signals(logits=torch.from_numpy(self._held[rows]).to(device))
        return signals_of(self._table.gather(rows), self.signal, device)


class LiveAnswers:
    """The teacher, asked at every call.

    Args:
        teacher: Who is asked.
        examples: What it can be asked about, by id.
        needs: Signals that are asked for.
    """

    def __init__(self, teacher: Teacher, examples: dict[str, Example], needs: frozenset[SignalName]) -> None:
        self._teacher = teacher
        self._examples = examples
        self._needs = needs

    def signals(self, ids: Sequence[str], device: torch.device) -> Signals:
        """What the teacher says about these examples now."""
        try:
            asked = [self._examples[id] for id in ids]
        except KeyError as error:
            raise _not_asked(error.args[0]) from None
        said = self._teacher.answer(asked, self._needs)
        return said.mapped(lambda values: values.to(device), lambda chain: chain.to(device))


class EnsembleAnswers:
    """Answers of an ensemble, put together of its members' at every call.

    Args:
        teacher: The ensemble.
        members: The answers of each of its members.
    """

    def __init__(self, teacher: EnsembleTeacher, members: Sequence[Answers]) -> None:
        self._teacher = teacher
        self._members = members

    def signals(self, ids: Sequence[str], device: torch.device) -> Signals:
        """What the ensemble says about these examples, in their order: logits ``(ids, classes)``."""
        return self._teacher.combined([each.signals(ids, device) for each in self._members])


def _digests(examples: Iterable[Example], signal: SignalName) -> Digests:
    """What answers are found under: the digest of the text; of next tokens, of the text and what it becomes."""
    if signal == "next_tokens":
        return digest_texts("\x1c".join((example.content, *example.targets[:1])) for example in examples)
    return digest_texts(example.content for example in examples)


def _table(teacher: Teacher, signal: SignalName, store: AnswerStore) -> AnswerTable:
    settings = {"top_k": _width(teacher, signal)} if signal == "next_tokens" else {}
    kept = cast(Kept, signal)
    return store.open(teacher.fingerprint, kept, teacher.labels, name_of(teacher), settings=settings)


def _width(teacher: Teacher, signal: SignalName) -> int:
    """Values of a row: its classes, or the tokens that it keeps at each place of a translation."""
    return int(getattr(teacher, "top_k", 1)) if signal == "next_tokens" else len(teacher.labels)


def _not_asked(id: str) -> LimbeckError:
    return LimbeckError(f"the teacher was not asked about '{id}'", fix="Run 'limbeck ask' again")
