"""Sizes between those of a student and of its teacher, for models that stand between the two.

Sizes are spaced evenly on a logarithmic scale: at a share ``t`` of the way from teacher to student,

    size(t) = teacher^(1 - t) student^t,

so that one between is the geometric mean. For a *transformer* these are layers, width, heads and feed-forward units,
each by itself. A *BiLSTM* shares none of them with its teacher: its size is the number of its parameters, the table of
embeddings aside, and its widths are multiplied by the root of what the parameters are to be, for these grow about with
their squares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limbeck.core.errors import LimbeckError
from limbeck.models.student import encoder_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.schema import Settings

WIDTHS = ("hidden", "relu")
"""Keys of a BiLSTM that grow."""


def keys(
    kind: str, settings: Settings, student: PreTrainedModel, teacher: PreTrainedModel, share: float
) -> dict[str, Any]:
    """The settings of a model of the student's kind between student and teacher.

    Args:
        kind: Of student.
        settings: The student's.
        student: A model made to them.
        teacher: The teacher's model.
        share: How far it is from the teacher (0) to the student (1).

    Raises:
        LimbeckError: This kind has no sizes between, or the teacher is no larger than the student.
    """
    own, theirs = _parameters(student), _parameters(teacher)
    if kind not in ("bilstm", "transformer"):
        what, fix = (
            f"no sizes between a teacher and a student of the kind '{kind}' are known",
            "bilstm, hidden: 300",
        )
        raise LimbeckError(what, where="method.sizes", fix=f"Give them: method.sizes=[{{kind: {fix}}}], say")
    if theirs <= own:
        what = f"the teacher has {theirs:,} parameters beside its embeddings, and the student {own:,}"
        raise LimbeckError(what, where="method.sizes", fix="Give sizes, or choose soft_labels")
    if kind == "bilstm":
        factor = (theirs / own) ** ((1 - share) / 2)
        return {**settings.model_dump(), **{key: round(getattr(settings, key) * factor) for key in WIDTHS}}
    return {
        **settings.model_dump(exclude={"shape", "from_teacher"}),
        **_of_transformer(settings, student, teacher, share),
    }


def _of_transformer(
    settings: Any, student: PreTrainedModel, teacher: PreTrainedModel, share: float
) -> dict[str, Any]:
    from limbeck.models.starts import feed_forward_of

    mine, its = encoder_of(student).config, encoder_of(teacher).config

    def size(own: int, theirs: int) -> int:
        return max(1, round(float(theirs ** (1 - share) * own**share)))

    heads = size(mine.num_attention_heads, its.num_attention_heads)
    width = size(mine.hidden_size, its.hidden_size)
    units = (getattr(each, feed_forward_of(each)) for each in (mine, its))
    return {
        "layers": size(mine.num_hidden_layers, its.num_hidden_layers),
        "hidden_size": max(1, round(width / heads)) * heads,
        "heads": heads,
        "intermediate": size(*units),
        "start": settings.starts,
    }


def _parameters(model: PreTrainedModel) -> int:
    """Of a model, but for its table of token embeddings."""
    table = encoder_of(model).get_input_embeddings()
    aside = {id(parameter) for parameter in table.parameters()}
    return sum(each.numel() for each in model.parameters() if id(each) not in aside)
