"""Representations: the states of all layers of a model, for all probes at once, kept in the answer store.

A sentence is read once, whichever tasks it comes in: of the union of their sentences those are read that the store does
not hold, under digests of the model (weights, tokeniser, length) and of the sentence. What a killed process had read is
kept but for the last shard. States are kept as float16, whose rounding (one in two thousand) is far below what probes
tell apart; they are computed in float32.

A row of the store holds all poolings, one after the other, of each all layers, one after the other; a row of words all
layers of a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.analyse.probes.task import Spans
from limbeck.analyse.states import POOLINGS, Encoder, Pooling, States, Words
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.text.ragged import offsets_of
from limbeck.transfer.shards import HALF, Block
from limbeck.transfer.tables import AnswerTable, digest_texts

if TYPE_CHECKING:
    from limbeck.transfer.store import AnswerStore

Floats = NDArray[np.float32]


class Representations:
    """All states of a model that probes ask for.

    Args:
        encoder: The model.
        store: Where states are kept.
        poolings: Ways to sum up a sentence; those that mean nothing for the model are left out.

    Raises:
        LimbeckError: No way is left, or the store is damaged.
    """

    def __init__(self, encoder: Encoder, store: AnswerStore, poolings: Iterable[Pooling] = POOLINGS) -> None:
        self.encoder = encoder
        wanted = set(poolings)
        self.poolings = tuple(how for how in encoder.poolings if how in wanted)
        if not self.poolings:
            fix = f"Add one of {', '.join(encoder.poolings)} to 'poolings'"
            raise LimbeckError(
                "none of these poolings means anything for this model", where=encoder.name, fix=fix
            )
        self.widths = encoder.widths
        self._ends = offsets_of(self.widths)
        total = int(self._ends[-1])
        self.pooled = self._open(
            store, "pooled", total * len(self.poolings), {"poolings": list(self.poolings)}
        )
        self.words = self._open(store, "words", total, {})

    def _open(self, store: AnswerStore, kind: str, width: int, more: Mapping[str, list[str]]) -> AnswerTable:
        settings = {"width": width, "layers": list(self.widths), **more}
        name, digest = self.encoder.name, self.encoder.fingerprint
        return store.open(digest, kind, (), name, settings=settings)  # type: ignore[arg-type]

    @property
    def layers(self) -> range:
        """Numbers of the layers, from 0: the embeddings."""
        return range(len(self.widths))

    def fill(self, sentences: Iterable[Words], with_words: Iterable[Words] = ()) -> int:
        """Read what the store lacks, in one pass.

        Args:
            sentences: Of which pooled states are wanted.
            with_words: Of which every word's states are.

        Returns:
            How many sentences were read.

        Raises:
            LimbeckError: A state is not finite as float16, or the disk is full.
        """
        wanted, detailed = _lacking(self.pooled, sentences), _lacking(self.words, with_words)
        todo = list(dict.fromkeys([*wanted, *detailed]))
        growing = _Growing(self.pooled), _Growing(self.words)
        with progress.task(f"states of {self.encoder.name}", sum(map(len, todo))) as task:
            for rows, states in self.encoder.read(todo):
                batch = [todo[row] for row in rows]
                growing[0].add(batch, self._sums(states), wanted)
                if any(words in detailed for words in batch):
                    growing[1].add(batch, self._by_word(states, batch), detailed)
                task.advance(sum(map(len, batch)))
        for each in growing:
            each.close()
        return len(todo)

    def _sums(self, states: States) -> list[NDArray[np.float16]]:
        parts = [states.pooled(layer, how) for how in self.poolings for layer in self.layers]
        return list(self._half(torch.cat(parts, -1))[:, None])

    def _by_word(self, states: States, batch: Sequence[Words]) -> list[NDArray[np.float16]]:
        """Of each sentence ``(words, width)``; words that were cut off have noughts."""
        found = self._half(torch.cat([states.of_words(layer) for layer in self.layers], -1))
        rows = []
        for row, words in enumerate(batch):
            whole = np.zeros((len(words), found.shape[-1]), HALF)
            read = found[row, : len(words)]
            whole[: len(read)] = read
            rows.append(whole)
        return rows

    def _half(self, values: torch.Tensor) -> NDArray[np.float16]:
        found: NDArray[np.float16] = values.to(torch.float16).cpu().numpy()
        if not np.isfinite(found).all():
            raise LimbeckError("a state is not finite, or too large for float16", where=self.encoder.name)
        return found

    def of(self, sentences: Sequence[Words]) -> Pooled:
        """Pooled states of sentences that were filled in, in their order."""
        block = _gathered(self.pooled, sentences, self.encoder.name)
        return Pooled(block.rows, self.poolings, self._ends)

    def of_spans(self, sentences: Sequence[Words], spans: Sequence[tuple[int, Spans]]) -> Spanned:
        """States of spans of words: means over each span's words.

        Args:
            sentences: That were filled in with their words.
            spans: The number of a sentence, and where in it; all of one span, or all of two.
        """
        block = _gathered(self.words, sentences, self.encoder.name)
        assert block.offsets is not None
        kinds = len(spans[0][1])
        found = np.empty((kinds, len(spans), int(self._ends[-1])), np.float32)
        for row, (sentence, places) in enumerate(spans):
            first = block.offsets[sentence]
            for kind, (start, end) in enumerate(places):
                found[kind, row] = block.rows[first + start : first + end].mean(0, dtype=np.float32)
        return Spanned(found, self._ends)


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Pooled states of sentences.

    Attributes:
        rows: ``(sentences, width)``, all poolings and layers.
        poolings: In their order.
        ends: Where each layer starts, and the end.
    """

    rows: NDArray[np.float16]
    poolings: tuple[Pooling, ...]
    ends: NDArray[np.int64]

    def layer(self, number: int, how: Pooling) -> Floats:
        """``(sentences, width of the layer)``."""
        start = self.poolings.index(how) * self.ends[-1]
        return self.rows[:, start + self.ends[number] : start + self.ends[number + 1]].astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Spanned:
    """States of spans, or of pairs of spans side by side.

    Attributes:
        rows: ``(1 or 2, examples, width)``, all layers.
        ends: Where each layer starts, and the end.
    """

    rows: Floats
    ends: NDArray[np.int64]

    def layer(self, number: int) -> Floats:
        """``(examples, width)``, of pairs twice the layer's width."""
        return np.concatenate(list(self.rows[:, :, self.ends[number] : self.ends[number + 1]]), axis=-1)


class _Growing:
    """Rows on their way to a table, shard by shard."""

    def __init__(self, table: AnswerTable) -> None:
        self.table = table
        self.sentences: list[Words] = []
        self.rows: list[NDArray[np.float16]] = []

    def add(
        self, batch: Sequence[Words], rows: Sequence[NDArray[np.float16]], wanted: Mapping[Words, None]
    ) -> None:
        """Take those of a batch that are wanted; a full shard is written."""
        for words, found in zip(batch, rows, strict=True):
            if words in wanted:
                self.sentences.append(words)
                self.rows.append(found)
        if len(self.sentences) >= self.table.shard_rows:
            self._write()

    def close(self) -> None:
        """Write the rest, and have it found."""
        self._write()
        self.table.refresh()

    def _write(self) -> None:
        if self.sentences:
            ragged = self.table.manifest.ragged
            offsets = offsets_of([len(each) for each in self.rows]) if ragged else None
            self.table.add(_digests(self.sentences), Block(np.concatenate(self.rows), offsets))
        self.sentences, self.rows = [], []


def _lacking(table: AnswerTable, sentences: Iterable[Words]) -> dict[Words, None]:
    """Those that the table has nothing of, each once, in their order."""
    distinct = list(dict.fromkeys(sentences))
    rows = table.find(_digests(distinct))
    return {words: None for words, row in zip(distinct, rows, strict=True) if row < 0}


def _gathered(table: AnswerTable, sentences: Sequence[Words], name: str) -> Block:
    rows = table.find(_digests(sentences))
    if (rows < 0).any():
        raise LimbeckError("these sentences were not read yet", where=name)
    return table.gather(rows)


def _digests(sentences: Sequence[Words]) -> NDArray[np.bytes_]:
    return digest_texts("\x1f".join(("", *words)) for words in sentences)
