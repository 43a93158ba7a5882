"""Students that translate in several passes: what each must say, and how PyTorch runs their loops.

Such a student reads its sources once (:meth:`PassStudent.read`); a pass is one of its graphs, a method of the same name
that reads token ids and says token ids and log-probabilities; and its loop (:mod:`limbeck.serve.loops`) goes from pass
to pass in NumPy. Training knows nothing of the loop; export writes the graphs, and the loop goes into the card.

Axes: ``batch``, ``tokens`` (of sources), ``rows`` (translations: those of a source stand side by side), ``width``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from limbeck.models.tracing import trace
from limbeck.models.translators.parallel import ParallelStudent
from limbeck.models.translators.translator import Hypothesis
from limbeck.serve.passes import MEMORY, READER, SOURCE_MASK, Passes, source_lengths

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from limbeck.core.decoding import Decoding
    from limbeck.serve.passes import Loop

Axes = tuple[str | None, ...]
"""Names of the axes whose sizes may change; None for one that may not."""
TEXT: Axes = ("batch", "tokens")


@dataclass(frozen=True)
class PassGraph:
    """A graph of a pass, as the exporter needs to know it.

    Attributes:
        example: Inputs for two sources of some tokens, by name, in the order of the method's arguments.
        inputs: Axes of each.
        outputs: Axes of what it says, by name, in order.
    """

    example: Mapping[str, Tensor]
    inputs: Mapping[str, Axes]
    outputs: Mapping[str, Axes]


class PassStudent(ParallelStudent):
    """Base of students that translate in several passes.

    Attributes:
        says: Axes of what :meth:`read` says beside the encoder's states, by name.
    """

    says: ClassVar[Mapping[str, Axes]] = {}

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """What is made of the sources once: the encoder's states ``(batch, tokens, width)``, then what ``says`` names.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``.
        """
        return (self.encode(input_ids, attention_mask),)

    def graphs(self) -> dict[str, PassGraph]:
        """Its graphs, each a method of that name, ``(memory, source_mask, **inputs) -> tuple of tensors``."""
        raise NotImplementedError

    def loop(self) -> Loop:
        """How it goes from pass to pass."""
        raise NotImplementedError

    @torch.inference_mode()
    def decode(self, inputs: Mapping[str, Tensor], decoding: Decoding) -> list[Hypothesis]:
        """The best translation of each row; see the loop for what its score is.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, ``(batch, tokens)``.
            decoding: How to search.
        """
        mask = inputs["attention_mask"]
        passes = TorchPasses(self, inputs["input_ids"], mask)
        found = self.loop()(passes, source_lengths(mask.cpu().numpy()), decoding)
        return [Hypothesis(*each) for each in found]


class TorchPasses(Passes):
    """Graphs that PyTorch computes, on whatever device the model is.

    Args:
        model: The student.
        input_ids: ``(texts, tokens)``.
        attention_mask: One where a token is real, ``(texts, tokens)``.
    """

    def __init__(self, model: PassStudent, input_ids: Tensor, attention_mask: Tensor) -> None:
        self.model, self.source_mask = model, attention_mask
        self.memory, *first = model.read(input_ids, attention_mask)
        self.first = tuple(map(_array, first))

    def run(self, graph: str, **inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """See :class:`limbeck.serve.passes.Passes`."""
        place = self.memory.device
        read = {name: torch.from_numpy(value).to(place) for name, value in inputs.items()}
        said: Sequence[Tensor] = getattr(self.model, graph)(self.memory, self.source_mask, **read)
        return tuple(map(_array, said))

    def keep(self, texts: NDArray[np.int64]) -> None:
        """See :class:`limbeck.serve.passes.Passes`."""
        chosen = torch.from_numpy(texts).to(self.memory.device)
        self.memory, self.source_mask = self.memory[chosen], self.source_mask[chosen]


def _array(value: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = value.float().cpu().numpy() if value.is_floating_point() else value.cpu().numpy()
    return array


def save_passes(model: PassStudent, folder: Path) -> None:
    """Write the graphs of a student, ``encoder.onnx`` and one a pass; see :mod:`limbeck.serve.passes`.

    Args:
        model: The student, in evaluation mode.
        folder: Where to.

    Raises:
        LimbeckError: ONNX cannot express one of them.
    """
    end: Any = model.config.eos_token_id
    ids = torch.full((2, 4), end, device=model.device)
    mask = torch.ones_like(ids)
    mask[1, 3] = 0
    axes = {"input_ids": TEXT, "attention_mask": TEXT, MEMORY: (*TEXT, None), **model.says}
    texts = {"input_ids": ids, "attention_mask": mask}
    trace(model, _Method(model, "read"), texts, [MEMORY, *model.says], axes, folder / f"{READER}.onnx")
    with torch.no_grad():
        memory, *_ = model.read(ids, mask)
    source, theirs = {MEMORY: memory, SOURCE_MASK: mask}, {MEMORY: (*TEXT, None), SOURCE_MASK: TEXT}
    for name, graph in model.graphs().items():
        axes = {**theirs, **graph.inputs, **graph.outputs}
        inputs = {**source, **graph.example}
        trace(model, _Method(model, name), inputs, list(graph.outputs), axes, folder / f"{name}.onnx")


class _Method(nn.Module):
    """One of a model's methods, as a module."""

    def __init__(self, model: PassStudent, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the method says."""
        said: tuple[Tensor, ...] = getattr(self.model, self.name)(*inputs)
        return said
