"""AdamW over student and objective, and the one division of the gradient.

Objectives return sums. The gradients of the sums are added up over the micro-batches of a step and over all
processes; :func:`finish_gradient` then divides once by the number of items that they ran over, and clips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from limbeck.models.taggers.head import TagHead

if TYPE_CHECKING:
    from accelerate import Accelerator

FUSED = ("cpu", "cuda", "mps", "xpu")
"""Devices with a fused AdamW, on a CPU ten times as fast as the plain one."""


def adamw(
    modules: nn.Module,
    learning_rate: float,
    weight_decay: float,
    embedding_rate: float = 1.0,
    chain_rate: float = 1.0,
) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; each group keeps its factor on the learning rate under ``rate``.

    Loshchilov and Hutter 2019, Decoupled weight decay regularization. Biases, the scales of norms and
    embeddings do not decay: decay would shrink an embedding at every step, whether or not its word is in the
    batch.

    Args:
        modules: Student and objective together.
        learning_rate: The first step's.
        weight_decay: Of all weights that decay.
        embedding_rate: Factor on the learning rate of embeddings.
        chain_rate: Factor on that of a chain's transitions, start and end, which do not decay either.
    """
    embeddings = _owned_by(modules, nn.Embedding, nn.EmbeddingBag)
    chains = _owned_by(modules, TagHead)
    trained = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    others = [parameter for parameter in trained if id(parameter) not in embeddings | chains]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay, "rate": 1.0},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0, "rate": 1.0},
        {"params": [p for p in trained if id(p) in embeddings], "weight_decay": 0.0, "rate": embedding_rate},
        {"params": [p for p in trained if id(p) in chains], "weight_decay": 0.0, "rate": chain_rate},
    ]
    fused = bool(trained) and trained[0].device.type in FUSED
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate, fused=fused)


def _owned_by(modules: nn.Module, *kinds: type[nn.Module]) -> set[int]:
    """Ids of the parameters that belong to modules of these kinds themselves."""
    return {
        id(parameter)
        for module in modules.modules()
        if isinstance(module, kinds)
        for parameter in module.parameters(recurse=False)
    }


class RowGradients:
    """Gradients of embeddings on a CPU, in buffers that outlive the step.

    The gradient of a table is nought but in the rows of the batch's tokens. PyTorch makes all of it anew at every
    step, 47 MB for 30,522 × 384, and for blocks of that size the allocator goes to the system, which clears them
    page by page and takes them back after the step. Here the backward pass gives the rows alone; they are added
    to a buffer in which only they are cleared again. The sums of a batch are the same bit for bit. On a GPU, where
    memory is kept anyway and picking out the rows would have to be waited for, nothing is changed.

    Args:
        modules: Student and objective together.
        device: Where they are.
        processes: That train together. Each has rows of its own, and what they add up is a whole table.
    """

    def __init__(self, modules: nn.Module, device: torch.device, processes: int = 1) -> None:
        self._tables = list(_tables(modules)) if device.type == "cpu" and processes == 1 else []
        self._buffers = [torch.zeros_like(table.weight) for table in self._tables]
        self._rows: list[list[Tensor]] = [[] for _ in self._tables]

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Around the forward and backward pass of a batch, whose gradients it adds to those there are."""
        for table in self._tables:
            table.sparse, table.weight.grad = True, None
        try:
            yield
        finally:
            for table in self._tables:
                table.sparse = False
        for table, buffer, rows in zip(self._tables, self._buffers, self._rows, strict=True):
            if (found := table.weight.grad) is not None:
                if found.is_sparse:
                    # Not coalesced: added up in the tokens' order, as PyTorch does it.
                    rows.append(found._indices()[0])
                else:  # the objective read the weights themselves
                    rows.append(torch.arange(len(buffer)))
                buffer.add_(found)
            table.weight.grad = buffer if rows else None

    def clear(self) -> None:
        """Forget the gradients, once the step is taken."""
        for table, buffer, rows in zip(self._tables, self._buffers, self._rows, strict=True):
            for some in rows:
                buffer.index_fill_(0, some, 0.0)
            rows.clear()
            table.weight.grad = None


def _tables(modules: nn.Module) -> Iterator[nn.Embedding]:
    """Embeddings that are trained, each the only owner of its weights."""
    owners = Counter(id(weight) for _, weight in modules.named_parameters(remove_duplicate=False))
    for module in modules.modules():
        if type(module) is nn.Embedding and module.weight.requires_grad:
            plain = not (module.sparse or module.scale_grad_by_freq)
            if plain and owners[id(module.weight)] == 1:
                yield module


def gradients(modules: nn.Module) -> list[Tensor]:
    """The gradients that there are, in the order of the parameters."""
    return [parameter.grad for parameter in modules.parameters() if parameter.grad is not None]


def finish_gradient(found: Iterable[Tensor], count: Tensor | float, clip: float) -> Tensor:
    """Divide summed gradients by the number of items, and clip; in place, and without waiting for a GPU.

    Args:
        found: Gradients of the sum of the loss over ``count`` items.
        count: Items.
        clip: Largest norm of the mean gradient.

    Returns:
        Norm of the mean gradient before clipping, a scalar.
    """
    found = list(found)
    items = torch.as_tensor(count, dtype=torch.float32, device=found[0].device).clamp(min=1)
    norm = nn.utils.get_total_norm(found) / items
    scale = (clip / (norm + 1e-6)).clamp(max=1) / items
    torch._foreach_mul_(found, scale)
    return norm


def sum_over_processes(modules: nn.Module, sums: Tensor, accelerator: Accelerator) -> Tensor:
    """Add up gradients (in place) and sums over all processes; nothing to do for one.

    A sum over processes and one division by the count of all of them is the gradient that one process would
    have had; averaging over processes (as DistributedDataParallel does) would be wrong where counts differ.

    Args:
        modules: Whose gradients.
        sums: Any values to add up with them, ``(values,)``.
        accelerator: Knows the processes.

    Returns:
        ``sums`` over all processes, ``(values,)``.
    """
    if accelerator.num_processes == 1:
        return sums
    trained = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    for parameter in trained:
        # A parameter that this process did not use may have been used by another.
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    found = gradients(modules)
    parts = [*found, sums]
    flat: Tensor = accelerator.reduce(torch.cat([part.flatten() for part in parts]), reduction="sum")
    pieces: tuple[Tensor, ...] = flat.split([part.numel() for part in parts])
    for gradient, piece in zip(found, pieces, strict=False):
        gradient.copy_(piece.view_as(gradient))
    return pieces[-1]
