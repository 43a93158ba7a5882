"""The head of a masked language model: asked about chosen positions alone, or taken for another encoder.

A head (a transform, and a product with all embeddings) takes as long as a small encoder does, and its scores are as
many as the vocabulary; so it is given the states of the positions that are asked about, and no others.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from limbeck.core.errors import LimbeckError
from limbeck.models.student import encoder_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def asked_at(model: PreTrainedModel, places: Tensor) -> Iterator[None]:
    """Inside, the model's head sees the states at some positions only, as if they were one text.

    Args:
        model: A masked language model.
        places: True where scores are wanted, ``(batch, tokens)``.
    """

    def picked(module: nn.Module, given: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[places][None]  # (1, wanted, width)
        return output

    handle = model.base_model.register_forward_hook(picked)
    try:
        yield
    finally:
        handle.remove()


def scores_there(model: PreTrainedModel, logits: Tensor, places: Tensor | None) -> Tensor:
    """What a model said inside of :func:`asked_at`, ``(wanted, vocabulary)``.

    Raises:
        LimbeckError: Its head does not look at each position by itself.
    """
    if places is None or logits.ndim != 3 or logits.shape[:2] != (1, int(places.sum())):
        raise LimbeckError(f"the head of a {type(model).__name__} does not look at positions one by one")
    return logits[0]


class MaskedLMHead(nn.Module):
    """A masked language model without its encoder: states ``(tokens, width)`` to scores ``(tokens, vocabulary)``.

    Args:
        model: Whose head is copied.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        # Families call the parts of their heads by names of their own; what they share is the encoder that they begin
        # with. In the copy a passage for states stands in its place.
        self.model: PreTrainedModel = copy.deepcopy(model, {id(encoder_of(model)): _Passage()})
        self.model.requires_grad_(True)

    def forward(self, states: Tensor) -> Tensor:
        """Scores of all tokens, position by position."""
        scores: Tensor = self.model(inputs_embeds=states[None]).logits[0]
        return scores


class _Passage(nn.Module):
    """Stands in for an encoder: what goes in as embeddings comes out as its last states."""

    def forward(self, input_ids: Tensor | None = None, **others: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=others["inputs_embeds"])


def head_for(student: PreTrainedModel, teacher: PreTrainedModel) -> MaskedLMHead:
    """A masked-LM head for a student, a copy of its teacher's; it ends in the student's embeddings if theirs does so.

    Args:
        student: Any encoder of the teacher's width, whatever is on top of it.
        teacher: A masked language model.

    Raises:
        LimbeckError: Their embeddings differ in shape, or the teacher's head cannot be told from its encoder.
    """
    head = MaskedLMHead(teacher)
    _check(head, teacher)
    own, theirs = (each.get_input_embeddings().weight for each in (student, teacher))
    assert isinstance(own, nn.Parameter) and isinstance(theirs, nn.Parameter)
    if own.shape != theirs.shape:
        sizes = " and ".join(f"{tokens:,} × {width}" for tokens, width in (own.shape, theirs.shape))
        fix = "Start the student from layers of the teacher (student.from_teacher)"
        raise LimbeckError(
            f"the embeddings of student and teacher are {sizes}: it cannot take the teacher's masked-LM head",
            where="student",
            fix=fix,
        )
    if teacher.get_output_embeddings().weight is theirs:
        head.model.get_output_embeddings().weight = own
    return head


@torch.no_grad()
def _check(head: MaskedLMHead, teacher: PreTrainedModel) -> None:
    """Insist that the head alone says what the whole model does."""
    inputs = {"input_ids": torch.zeros((1, 2), dtype=torch.long, device=teacher.device)}
    try:
        said = teacher(**inputs, output_hidden_states=True)
        if torch.allclose(head.eval()(said.hidden_states[-1][0]), said.logits[0], atol=1e-4):
            return
    except (AttributeError, TypeError):
        pass
    raise LimbeckError(
        f"the head of a {type(teacher).__name__} cannot be told from its encoder", where="teacher.model"
    )
