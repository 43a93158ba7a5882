"""Transformer student: an encoder of any size in the teacher's family, from scratch or from its layers.

The result is the family's own class (``BertForSequenceClassification``, say): nothing in it is Limbeck's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator
from torch import Tensor, nn
from transformers import AutoConfig

from limbeck.core.errors import LimbeckError
from limbeck.models.embeddings import TokeniserSettings, vocabulary_size
from limbeck.models.student import class_names, encoder_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

FEED_FORWARD = ("intermediate_size", "hidden_dim", "ffn_dim", "d_ff")
"""What families call the width of the feed-forward layer."""


class Settings(TokeniserSettings):
    """Keys of a recipe's ``student`` with ``kind: transformer``; null takes the teacher's value."""

    from_teacher: list[int] | None = None
    """Start from the teacher's embeddings, pooler and these of its layers, counted from 0, e.g. [0, 2, 4]."""
    family: str | None = None
    """Model type, e.g. bert; null is the teacher's, or bert without a teacher model."""
    layers: int | None = Field(None, gt=0)
    """Encoder layers."""
    hidden_size: int | None = Field(None, gt=0)
    """Width of the hidden states."""
    heads: int | None = Field(None, gt=0)
    """Attention heads; null with a new hidden_size keeps the width of a head."""
    intermediate: int | None = Field(None, gt=0)
    """Width of the feed-forward layers; null with a new hidden_size is four times that."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Of hidden states and attention."""

    @model_validator(mode="after")
    def _fit(self) -> Settings:
        shape = {"layers", "hidden_size", "heads", "intermediate", "family"}
        given = [name for name in sorted(shape) if getattr(self, name) is not None]
        if self.from_teacher is not None and given:
            raise ValueError(f"'from_teacher' keeps the teacher's shape; leave out {', '.join(given)}")
        if self.from_teacher == []:
            raise ValueError("'from_teacher' lists no layer")
        if self.tokeniser == "words" and self.from_teacher is not None:
            raise ValueError(
                "'from_teacher' copies embeddings of the teacher's pieces; it needs its tokeniser"
            )
        return self


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
) -> PreTrainedModel:
    """An untrained student; see :func:`limbeck.models.build`."""
    # Here and not above: loading this class registers the taggers, which are built on this module.
    from transformers import AutoModelForSequenceClassification

    config = encoder_config(settings, tokeniser, teacher)
    for name, value in class_names(labels).items():
        setattr(config, name, value)
    try:
        student: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise LimbeckError(f"'student': no {config.model_type} of this shape can be made: {reason}") from None
    if settings.from_teacher is not None:
        assert teacher is not None
        copy_layers(teacher, student, settings.from_teacher)
    single: PreTrainedModel = student.float()
    return single


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, hidden_size=16, heads=2, intermediate=32)


def copy_layers(teacher: PreTrainedModel, student: PreTrainedModel, layers: Sequence[int]) -> None:
    """Copy all of the teacher's encoder but its layers, and of these the given ones, in their order.

    Args:
        teacher: Where from.
        student: Where to: a model with the same kind of encoder and ``len(layers)`` layers.
        layers: Numbers of the teacher's layers, from 0.

    Raises:
        LimbeckError: The encoder has no list of layers to choose from.
    """
    source, target = encoder_of(teacher), encoder_of(student)
    name = _layer_list(source, source.config.num_hidden_layers)
    weights: dict[str, Tensor] = source.state_dict()
    mine: dict[str, Tensor] = target.state_dict()
    for key, value in mine.items():
        wanted = key
        if key.startswith(f"{name}."):
            number, rest = key.removeprefix(f"{name}.").split(".", 1)
            wanted = f"{name}.{layers[int(number)]}.{rest}"
        # A teacher without a pooler (say) leaves the student's as it is.
        if wanted in weights:
            value.copy_(weights[wanted])


def _layer_list(encoder: nn.Module, count: int) -> str:
    """Name of the list that holds the encoder's layers."""
    for name, module in encoder.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return str(name)
    kind = type(encoder).__name__
    fix = "Train one from scratch: give layers instead"
    raise LimbeckError(f"'student.from_teacher': {kind} has no list of layers to choose from", fix=fix)


def encoder_config(
    settings: Settings, tokeniser: PreTrainedTokenizerFast, teacher: PreTrainedModel | None
) -> PreTrainedConfig:
    """The student's configuration but for its classes: that of the teacher's encoder, with what the settings change.

    Args:
        settings: The student's.
        tokeniser: The student's.
        teacher: None where it is a file of answers.

    Raises:
        LimbeckError: The settings ask for something that the teacher does not have, or for no possible shape.
    """
    if settings.from_teacher is not None:
        _check_layers(settings.from_teacher, teacher)
    theirs = None if teacher is None else encoder_of(teacher).config
    if theirs is not None and settings.family in (None, theirs.model_type):
        config = copy.deepcopy(theirs)
    else:
        config = _family(settings.family or "bert")
    if settings.from_teacher is None:
        config.vocab_size = vocabulary_size(tokeniser)
    if tokeniser.pad_token_id is not None:
        config.pad_token_id = tokeniser.pad_token_id
    layers = settings.layers if settings.from_teacher is None else len(settings.from_teacher)
    _reshape(config, layers, settings)
    return config


def _check_layers(layers: Sequence[int], teacher: PreTrainedModel | None) -> None:
    if teacher is None:
        fix = "Give layers, hidden_size and heads instead"
        raise LimbeckError("'student.from_teacher': a file of answers has no layers to start from", fix=fix)
    count = encoder_of(teacher).config.num_hidden_layers
    absent = [number for number in layers if not 0 <= number < count]
    if absent:
        there = f"the teacher has layers 0 to {count - 1}"
        raise LimbeckError(f"'student.from_teacher': no layer {absent[0]}; {there}")


def _family(name: str) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.for_model(name)
    except ValueError:
        raise LimbeckError(f"'student.family': transformers knows no '{name}'", fix="Try bert") from None
    return config


def _reshape(config: Any, layers: int | None, settings: Settings) -> None:
    """Change the shape of a configuration in place.

    Raises:
        LimbeckError: The hidden size is no multiple of the heads, or the family has no such key.
    """
    hidden, heads, intermediate = settings.hidden_size, settings.heads, settings.intermediate
    if hidden is not None:
        of_head = config.hidden_size // config.num_attention_heads
        heads = heads or max(1, hidden // of_head)
        intermediate = intermediate or 4 * hidden
    shape = {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        next((name for name in FEED_FORWARD if hasattr(config, name)), FEED_FORWARD[0]): intermediate,
    }
    for name, value in shape.items():
        if value is not None:
            if not hasattr(config, name):
                raise LimbeckError(f"'student': a {config.model_type} has no '{name}' to set")
            setattr(config, name, value)
    if config.hidden_size % config.num_attention_heads:
        sizes = f"{config.hidden_size} is no multiple of {config.num_attention_heads} heads"
        raise LimbeckError(f"'student.hidden_size': {sizes}", fix="Choose 'heads' that divide it")
    if settings.dropout is not None:
        set_dropout(config, settings.dropout)


def set_dropout(config: Any, share: float) -> None:
    """Set an encoder's dropout of hidden states and attention in its configuration."""
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"):
        if hasattr(config, name):
            setattr(config, name, share)
