"""Inner states: what a teacher says of every token of a text, asked once and read from files while students train.

States and attention are as large as texts are long, times the layers: too much for the answer store. Here a file holds
one signal of one layer. Its rows lie by length, the shortest first, so that those of a length are one array
``(rows, ...)``: the teacher is asked for them without padding, and a batch takes its rows of each length at once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.files import StepFolder, read_json
from limbeck.core.signals import OF_ATTENTION, OF_LAYERS, SIGNAL_NAMES, SignalName, Signals
from limbeck.models.outputs import tokens_at_a_time
from limbeck.text.ragged import offsets_of
from limbeck.transfer.inner_writing import SIZES, TYPE, VALUES, write

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limbeck.core.objective import Batch, Shape
    from limbeck.text.encode import Encoded
    from limbeck.transfer.label_map import LabelMap
    from limbeck.transfer.tokenwise import TokenAnswers

LASTING: frozenset[SignalName] = OF_ATTENTION | {"logits", "embeddings", "hidden"}
"""Signals that are the same whenever a text is read; others depend on what a step draws."""
UNREAD = torch.empty(0)
"""Stands in the place of a layer that was not kept; it fits to no tensor of states."""


@dataclass(frozen=True, order=True, slots=True)
class Part:
    """One signal, of one layer.

    Attributes:
        signal: Which.
        layer: From 1; 0 for a signal that no layer says.
    """

    signal: SignalName
    layer: int = 0

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.signal}-{self.layer}" if self.layer else self.signal

    def of(self, said: Signals) -> Tensor:
        """Its tensor, ``(batch, ...)``."""
        value = said.named(self.signal)
        return value[self.layer - 1] if self.layer else value  # type: ignore[no-any-return]

    def bytes(self, lengths: NDArray[np.int64], shape: Shape, classes: int) -> int:
        """What it takes on disk.

        Args:
            lengths: Tokens of each text, ``(texts,)``.
            shape: The teacher's.
            classes: The width of logits.
        """
        if self.signal == "logits":
            values = classes * len(lengths)
        elif self.signal == "attention":
            values = shape.heads * int(np.square(lengths, dtype=np.int64).sum())
        else:
            values = shape.width * int(lengths.sum())
        return values * TYPE.itemsize


def parts_of(needs: frozenset[SignalName], layers: frozenset[int] | None, depth: int) -> frozenset[Part]:
    """The parts that an objective reads.

    Args:
        needs: Its signals.
        layers: The teacher's layers that it reads, from 1; None for all.
        depth: Layers of the teacher.
    """
    read = frozenset(range(1, depth + 1)) if layers is None else layers
    of_layers = {Part(signal, layer) for signal in needs & OF_LAYERS for layer in read}
    return frozenset(of_layers | {Part(signal) for signal in needs - OF_LAYERS})


class ByLength:
    """Texts in the order of their lengths, the shortest first, equal ones as they were.

    Attributes:
        lengths: Tokens of each text, ``(texts,)``.
        order: Which text stands at each place, ``(texts,)``.
        distinct: The lengths that there are, rising, ``(lengths,)``.
        starts: Where the texts of each length begin in ``order``, and the end, ``(lengths + 1,)``.
    """

    def __init__(self, lengths: NDArray[np.int64]) -> None:
        self.lengths = lengths
        self.order = np.argsort(lengths, kind="stable")
        self.distinct, counts = np.unique(lengths, return_counts=True)
        self.starts = offsets_of(counts)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Where each text stands among those of its length, ``(texts,)``."""
        places = np.empty_like(self.order)
        places[self.order] = np.arange(len(self.order))
        return places - self.starts[np.searchsorted(self.distinct, self.lengths)]

    def batches(self, tokens: int) -> Iterator[NDArray[np.int64]]:
        """All texts in their order, so many tokens at a time at most, each time of one length."""
        for number, length in enumerate(self.distinct):
            texts = self.order[self.starts[number] : self.starts[number + 1]]
            most = max(1, tokens // int(length))
            yield from (texts[start : start + most] for start in range(0, len(texts), most))

    def picked(self, rows: NDArray[np.int64]) -> list[Picked]:
        """Rows of a batch, by length."""
        lengths, places = self.lengths[rows], self.places[rows]
        return [
            Picked(int(length), at, places[at])
            for length in np.unique(lengths)
            for at in (np.flatnonzero(lengths == length),)
        ]


@dataclass(frozen=True, slots=True)
class Picked:
    """Those rows of a batch that are of one length.

    Attributes:
        length: In tokens.
        rows: Where they stand in the batch.
        places: Where they stand among all texts of that length.
    """

    length: int
    rows: NDArray[np.int64]
    places: NDArray[np.int64]


class InnerFolder:
    """What one teacher says inside, of one text, part by part.

    Args:
        folder: Holds one such folder for each teacher and text.
        teacher: Its fingerprint.
        data: The text as teacher and student read it.
    """

    def __init__(self, folder: Path, teacher: str, data: Encoded) -> None:
        self.made_of = {"teacher": teacher, "tokens": fingerprint_tokens(data)}
        self.path = folder / fingerprint.of_value(self.made_of)
        self.data, self.rows = data, ByLength(data.lengths)

    def lacking(self, parts: frozenset[Part], label_map: LabelMap | None) -> list[Part]:
        """Those that are not whole yet."""
        return [part for part in sorted(parts) if not self._of(part).is_done(self._inputs(part, label_map))]

    def fill(self, live: TokenAnswers, parts: frozenset[Part], device: torch.device, what: str) -> None:
        """Ask a teacher for the parts that are lacking; goes on where an earlier call was killed.

        Args:
            live: The teacher, who is asked for the signals of these parts.
            parts: What is wanted.
            device: Where it computes.
            what: Named in the progress bar.

        Raises:
            LimbeckError: The disk is full.
        """
        with ExitStack() as stack:
            folders = {
                part: stack.enter_context(self._of(part).writing(self._inputs(part, live.label_map)))
                for part in self.lacking(parts, live.label_map)
            }
            if folders:
                batches = list(self.rows.batches(tokens_at_a_time(device)))
                write(live, self.data, batches, folders, device, what)

    def _of(self, part: Part) -> StepFolder:
        return StepFolder(self.path / part.name)

    def _inputs(self, part: Part, label_map: LabelMap | None) -> dict[str, Any]:
        of_logits = {"columns": label_map.key} if part.signal == "logits" and label_map is not None else {}
        return {**self.made_of, "part": part.name, **of_logits}


class InnerAnswers:
    """What a teacher said of the texts of a training, read from files.

    Args:
        folder: All parts are whole there.
        parts: What is read.
        depth: Layers of the teacher.

    Raises:
        LimbeckError: A file is damaged.
    """

    def __init__(self, folder: InnerFolder, parts: frozenset[Part], depth: int) -> None:
        self.rows, self.depth = folder.rows, depth
        self.files = {part: KeptPart(folder.path / part.name, folder.rows) for part in parts}

    def on(self, rows: NDArray[np.int64], batch: Batch) -> Signals:
        """What it said about rows of the text, padded as their batch is, on its device; noughts in the padding.

        Layers that were not asked for are empty tensors.
        """
        mask = batch.inputs["attention_mask"]
        picked = self.rows.picked(rows)
        found = {
            part: file.taken(picked, len(rows), mask.shape[1]).to(mask.device, non_blocking=True)
            for part, file in self.files.items()
        }
        return signals_of(found, self.depth, mask)


class KeptPart:
    """A file of one part.

    Args:
        folder: Its folder.
        rows: The texts that it is about.

    Raises:
        LimbeckError: It is not as long as these texts want.
    """

    def __init__(self, folder: Path, rows: ByLength) -> None:
        self.sizes: list[int | None] = read_json(folder / SIZES)
        counts = np.diff(rows.starts)
        shapes = [(int(count), *self._shape(int(n))) for count, n in zip(counts, rows.distinct, strict=True)]
        ends = offsets_of([math.prod(shape) for shape in shapes])
        path = folder / VALUES
        if path.stat().st_size != ends[-1] * TYPE.itemsize:
            what = f"{path.stat().st_size:,} bytes, not the {ends[-1] * TYPE.itemsize:,} of all texts"
            raise LimbeckError(what, where=path, fix="Delete its folder, and train again")
        flat = np.asarray(np.memmap(path, dtype=TYPE, mode="r"))
        self.by_length: Mapping[int, NDArray[np.float32]] = {
            int(length): flat[ends[number] : ends[number + 1]].reshape(shapes[number])
            for number, length in enumerate(rows.distinct)
        }

    def taken(self, picked: Sequence[Picked], count: int, tokens: int) -> Tensor:
        """Rows of a batch, ``(count, ...)``, padded to so many tokens."""
        if len(picked) == 1 and picked[0].length == tokens:
            return torch.from_numpy(self.by_length[tokens].take(picked[0].places, axis=0))
        values = np.zeros((count, *self._shape(tokens)), dtype=TYPE)
        for each in picked:
            within = tuple(slice(each.length if size is None else None) for size in self.sizes)
            values[(each.rows, *within)] = self.by_length[each.length].take(each.places, axis=0)
        return torch.from_numpy(values)

    def _shape(self, tokens: int) -> tuple[int, ...]:
        """Of a text of so many tokens."""
        return tuple(tokens if size is None else size for size in self.sizes)


def signals_of(found: Mapping[Part, Tensor], depth: int, mask: Tensor) -> Signals:
    """Parts as signals; layers that are not there are empty."""
    values: dict[str, Any] = {part.signal: tensor for part, tensor in found.items() if not part.layer}
    for signal in (name for name in SIGNAL_NAMES if name in OF_LAYERS):
        layers = {part.layer: tensor for part, tensor in found.items() if part.signal == signal}
        if layers:
            values[signal] = tuple(layers.get(layer, UNREAD) for layer in range(1, depth + 1))
    return Signals(**values, mask=mask)


def fingerprint_tokens(data: Encoded) -> str:
    """Digest of what a model reads of encoded texts."""
    arrays = [data.offsets, data.tokens, *([] if data.types is None else [data.types])]
    return fingerprint.of_value(
        [hashlib.sha256(np.ascontiguousarray(one).data).hexdigest() for one in arrays]
    )
