"""Sensitivity: derivatives of a model's logits with respect to its input embeddings, in given directions.

The Jacobian of a sentence has classes x tokens x width numbers. Of the logits projected on a direction v, the
derivative ``d(v.z)/dE = v J`` costs one backward pass, whatever the number of classes; with v drawn from a standard
normal distribution, the mean of ``||v J||²`` is the squared Frobenius norm of J.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from limbeck.core.errors import LimbeckError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def embeddings_kept(model: PreTrainedModel) -> Iterator[list[Tensor]]:
    """The model, inside, keeps what its token embeddings give it, ``(batch, tokens, width)``, with a graph from there.

    Inside, graphs are made in any case, of operations that have second derivatives: cuDNN's recurrent layers and the
    fused kernels of attention have none.
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, given: Any, embedded: Tensor) -> Tensor:
        kept.append(embedded if embedded.requires_grad else embedded.requires_grad_())
        return kept[-1]

    table = model.get_input_embeddings()
    assert isinstance(table, nn.Module)
    handle = table.register_forward_hook(keep)
    try:
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
            yield kept
    finally:
        handle.remove()


def derivatives(logits: Tensor, embedded: list[Tensor], directions: Tensor | None) -> Tensor:
    """``d(v.z)/dE`` of every sentence and direction; differentiable itself where graphs are made.

    Args:
        logits: z, ``(batch, classes)``.
        embedded: E, as :func:`embeddings_kept` kept it: one, ``(batch, tokens, width)``.
        directions: v, ``(batch, directions, classes)``.

    Returns:
        ``(batch, directions, tokens, width)``.

    Raises:
        LimbeckError: No direction was given, or the model reads no token embeddings, or not once.
    """
    if directions is None:
        what = "derivatives of logits are taken in a direction, and the training loop gave none"
        raise LimbeckError(what, fix="Train with 'limbeck distill'")
    if len(embedded) != 1:
        what = f"the model looked up its token embeddings {len(embedded)} times"
        raise LimbeckError(what, fix="Derivatives are taken of models that look them up once a batch")
    further = torch.is_grad_enabled()
    with torch.enable_grad():
        projected = [(logits * one).sum() for one in directions.to(logits.dtype).unbind(1)]
    found = [
        torch.autograd.grad(one, embedded, create_graph=further, retain_graph=True)[0] for one in projected
    ]
    return torch.stack(found, 1)
