"""Ask: the teacher's answers about a transfer set, of which it is asked only what the store does not hold.

Whether answers come from the store or from the teacher as training goes is invisible to who reads them;
:func:`choose` picks by bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SignalName, Signals
from limbeck.core.teacher import Teacher
from limbeck.structure.chain import Chain
from limbeck.transfer.shards import DIGEST, VALUE, Block, Digests, Values
from limbeck.transfer.store import KEPT, AnswerStore, AnswerTable, digest_texts
from limbeck.transfer.teachers import FileTeacher

STORE_LIMIT = 8 * 2**30
"""Bytes of answers that are stored without being asked for: above it the teacher answers live."""
IN_MEMORY = 256 * 2**20
"""Bytes of answers that are read from the store at once: the rows of a batch lie in many shards, and finding
them there takes longer than a table in memory."""
CHUNK = 256
"""Texts that the teacher is asked about at a time: few enough for the bar to move."""


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


def plan_bytes(rows: int, examples: int, classes: int) -> int:
    """Bytes that the store needs: 4 a class and row (a text, or a word of a tagger's), and 16 a text for its digest."""
    return rows * classes * VALUE.itemsize + examples * DIGEST.itemsize


def choose(
    needs: frozenset[SignalName], examples: Sequence[Example], classes: int, limit: int = STORE_LIMIT
) -> Choice:
    """Pick between stored and live answers, by bytes.

    Args:
        needs: Signals that are asked for.
        examples: The texts.
        classes: Number of labels.
        limit: Bytes above which answers are not stored.
    """
    if len(needs) != 1 or not needs <= set(KEPT):
        others = ", ".join(sorted(needs - set(KEPT)) or sorted(needs))
        return Choice(False, None, f"{others}: as large as the texts are long, so the teacher answers live")
    (signal,) = needs
    rows = sum(len(example.words) for example in examples) if signal == "potentials" else len(examples)
    size = plan_bytes(rows, len(examples), classes)
    shown = (f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB") + f" of {signal}"
    if size > limit:
        return Choice(False, size, f"{shown} are above {limit / 1e6:,.0f} MB, so the teacher answers live")
    return Choice(True, size, f"{shown}, stored")


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
    if lacking := sorted(needs - teacher.offers):
        raise LimbeckError(f"this teacher does not give {', '.join(lacking)}", where=_name(teacher))
    by_id = _by_id(examples)
    if isinstance(teacher, FileTeacher):
        teacher.require(examples)
        progress.say(f"ask       {len(by_id):,} answers found in {teacher.path}")
        return LiveAnswers(teacher, by_id, needs)
    distinct = list(by_id.values())
    choice = choose(needs, distinct, len(teacher.labels))
    if not choice.stored:
        progress.say(f"ask       {choice.why}")
        return LiveAnswers(teacher, by_id, needs)
    (signal,) = needs
    table = store.open(teacher.fingerprint, signal, teacher.labels, _name(teacher))
    digests = digest_texts(example.content for example in distinct)
    missing = _missing(table, digests)
    stored = len(np.unique(digests)) - len(missing)
    progress.say(f"ask       {stored:,} answers stored, {len(missing):,} to ask")
    if len(missing):
        _ask_missing(teacher, table, [distinct[row] for row in missing], digests[missing])
        table.refresh()
    return StoredAnswers(table, [example.id for example in distinct], digests)


def count_missing(
    teacher: Teacher, examples: Sequence[Example], store: AnswerStore, signal: SignalName = "logits"
) -> int:
    """How many texts :func:`ask` would ask the teacher about: those that the store holds no answer for."""
    table = store.open(teacher.fingerprint, signal, teacher.labels)
    return len(_missing(table, digest_texts(example.content for example in examples)))


class StoredAnswers:
    """Logits or potentials from the store: few are held in memory, many are gathered from its memory maps.

    Args:
        table: The teacher's answers.
        ids: Example ids.
        digests: Digests of their texts, ``(examples,)``.

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
        """Logits of these examples, ``(ids, classes)``, or their potentials."""
        try:
            rows = np.array([self._row_of_id[id] for id in ids], np.int64)
        except KeyError as error:
            raise _not_asked(error.args[0]) from None
        if self._held is not None:
            return Signals(logits=torch.from_numpy(self._held[rows]).to(device))
        block = self._table.gather(rows)
        if self.signal == "logits":
            return Signals(logits=torch.from_numpy(block.rows).to(device))
        return Signals(potentials=_chain(block).to(device))


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


def _by_id(examples: Sequence[Example]) -> dict[str, Example]:
    by_id: dict[str, Example] = {}
    for example in examples:
        if by_id.setdefault(example.id, example).content != example.content:
            raise LimbeckError(
                f"two texts have the id '{example.id}'",
                where=example.origin or None,
                fix="Give every example its own id",
            )
    return by_id


def _missing(table: AnswerTable, digests: Digests) -> NDArray[np.int64]:
    """Places of the texts without an answer, each text once, in their order."""
    _, first = np.unique(digests, return_index=True)
    return np.sort(first[table.find(digests[first]) < 0])


def _ask_missing(teacher: Teacher, table: AnswerTable, examples: Sequence[Example], digests: Digests) -> None:
    """Ask about all examples, and store the answers shard by shard."""
    start = 0
    with progress.task("ask the teacher", len(examples)) as task:
        while start < len(examples):
            shard = examples[start : start + table.shard_rows]
            # Like lengths together need little padding; inside a shard only, so that the time left is true.
            order = sorted(range(len(shard)), key=lambda row: len(shard[row].shown))
            blocks = []
            for rows in _pieces(order, CHUNK):
                blocks.append(_answered(teacher, [shard[row] for row in rows], table.manifest.signal))
                task.advance(len(rows))
            table.add(digests[start : start + len(shard)][order], _on_end(blocks))
            start += len(shard)


def _answered(teacher: Teacher, examples: Sequence[Example], signal: SignalName) -> Block:
    """The teacher's answers, checked."""
    said = teacher.answer(examples, frozenset({signal}))
    block = _logits(said, examples, teacher) if signal == "logits" else _potentials(said)
    rows = np.flatnonzero(~np.isfinite(block.rows).all(axis=1))
    if len(rows) or (block.common is not None and not np.isfinite(block.common).all()):
        row = rows[0] if len(rows) else 0
        number = row if block.offsets is None else int(np.searchsorted(block.offsets, row, side="right")) - 1
        example = examples[number]
        raise LimbeckError(
            f"the teacher's answer for '{example.id}' holds NaN or infinity ('{example.text[:60]}')",
            where=_name(teacher),
            fix="Its weights are broken, or overflow; nothing of this answer was stored",
        )
    return block


def _logits(said: Signals, examples: Sequence[Example], teacher: Teacher) -> Block:
    """One row of logits an example."""
    logits = said.named("logits")
    assert isinstance(logits, torch.Tensor)
    values: Values = logits.detach().float().cpu().numpy()
    expected = (len(examples), len(teacher.labels))
    if values.shape != expected:
        raise LimbeckError(
            f"it gave logits of shape {values.shape} instead of {expected}", where=_name(teacher)
        )
    return Block(values)


def _potentials(said: Signals) -> Block:
    """A row of emissions a word; transitions, start and end, ``(tags + 2, tags)``, in common."""
    chain = said.named("potentials")
    assert isinstance(chain, Chain) and chain.shared
    chain = chain.detach().to(torch.device("cpu")).wide()
    none = chain.transitions.new_zeros(chain.transitions.shape[1])
    ends = [none if part is None else part for part in (chain.start, chain.end)]
    common = torch.cat([chain.transitions, torch.stack(ends)])
    offsets = np.concatenate([[0], np.cumsum(chain.lengths.numpy())])
    return Block(chain.emissions[chain.mask].float().numpy(), offsets, common.float().numpy())


def _chain(block: Block) -> Chain:
    """The other way round."""
    assert block.offsets is not None and block.common is not None
    lengths = torch.from_numpy(np.diff(block.offsets))
    common = torch.from_numpy(block.common)
    emissions = torch.zeros(len(lengths), int(lengths.max()) if len(lengths) else 0, block.rows.shape[1])
    chain = Chain(emissions, common[:-2], lengths, common[-2], common[-1])
    emissions[chain.mask] = torch.from_numpy(block.rows)
    return chain


def _on_end(blocks: Sequence[Block]) -> Block:
    """Several blocks as one."""
    rows = np.concatenate([block.rows for block in blocks])
    if blocks[0].offsets is None:
        return Block(rows)
    lengths = np.concatenate([np.diff(block.offsets) for block in blocks if block.offsets is not None])
    return Block(rows, np.concatenate([[0], np.cumsum(lengths)]), blocks[0].common)


Item = TypeVar("Item")


def _pieces(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _name(teacher: Teacher) -> str:
    """What a person calls a teacher; one without a name goes by its fingerprint."""
    return str(getattr(teacher, "name", teacher.fingerprint))


def _not_asked(id: str) -> LimbeckError:
    return LimbeckError(f"the teacher was not asked about '{id}'", fix="Run 'limbeck ask' again")
