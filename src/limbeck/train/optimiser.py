"""AdamW over student and objective, and the one division of the gradient.

Objectives return sums. The gradients of the sums are added up over the micro-batches of a step and over all
processes; :func:`finish_gradient` then divides once by the number of items that they ran over, and clips.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from accelerate import Accelerator

FUSED = ("cpu", "cuda", "mps", "xpu")
"""Devices with a fused AdamW, on a CPU ten times as fast as the plain one."""


def adamw(
    modules: nn.Module, learning_rate: float, weight_decay: float, embedding_rate: float = 1.0
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
    """
    embeddings = {
        id(parameter)
        for module in modules.modules()
        if isinstance(module, nn.Embedding | nn.EmbeddingBag)
        for parameter in module.parameters(recurse=False)
    }
    trained = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    others = [parameter for parameter in trained if id(parameter) not in embeddings]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay, "rate": 1.0},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0, "rate": 1.0},
        {"params": [p for p in trained if id(p) in embeddings], "weight_decay": 0.0, "rate": embedding_rate},
    ]
    fused = bool(trained) and trained[0].device.type in FUSED
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate, fused=fused)


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
