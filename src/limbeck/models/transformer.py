"""Transformer student: an encoder of any size in the teacher's family, from scratch or from its layers.

The result is the family's own class (``BertForSequenceClassification``, say): nothing in it is Limbeck's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator
from transformers import AutoConfig

from limbeck.core.errors import LimbeckError
from limbeck.models.embeddings import TokeniserSettings, vocabulary_size
from limbeck.models.pretrained import check_vocabulary, load_pretrained
from limbeck.models.starts import copy_layers, evenly, feed_forward_of
from limbeck.models.student import class_names, encoder_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

ShapeName = Literal["tinybert4", "tinybert6", "bert_tiny", "bert_mini", "bert_small", "bert_medium"]
SHAPES: dict[ShapeName, dict[str, int]] = {
    "tinybert4": {"layers": 4, "hidden_size": 312, "heads": 12, "intermediate": 1200},
    "tinybert6": {"layers": 6, "hidden_size": 768, "heads": 12, "intermediate": 3072},
    "bert_tiny": {"layers": 2, "hidden_size": 128, "heads": 2, "intermediate": 512},
    "bert_mini": {"layers": 4, "hidden_size": 256, "heads": 4, "intermediate": 1024},
    "bert_small": {"layers": 4, "hidden_size": 512, "heads": 8, "intermediate": 2048},
    "bert_medium": {"layers": 8, "hidden_size": 512, "heads": 8, "intermediate": 2048},
}
"""Shapes with a name: TinyBERT's (Jiao et al. 2020, section 4.2), and the small BERTs of Turc et al. 2019 (Well-read
students learn better)."""

FACTORISED = ("bert", "electra")
"""The family of the same layers whose embeddings may be narrower than its states."""
SHARED = (
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
)
"""What both call the same."""
OF_SHAPE = (
    "embedding_size",
    "family",
    "from_teacher",
    "heads",
    "hidden_size",
    "intermediate",
    "layers",
    "shape",
    "start",
)
"""Keys that say how large a student is and what it starts from."""


class Settings(TokeniserSettings):
    """Keys of a recipe's ``student`` with ``kind: transformer``; null takes the teacher's value."""

    encoder: str | None = None
    """Start from this pretrained encoder, a general TinyBERT, say, and read with its tokeniser: a folder, a name on the
    hub, or ``package:NAME/FOLDER``. Its shape is its own."""
    start: Literal["random", "embeddings", "layers"] | None = None
    """What it takes over from the teacher: nothing; the embeddings; these, the pooler and layers. Where it is narrower,
    hidden states are reduced by PCA of the embeddings, heads and feed-forward units chosen by the norms of their
    weights. Null is layers with from_teacher, else random."""
    from_teacher: list[int] | None = None
    """Start from these of the teacher's layers, counted from 0, e.g. [0, 2, 4]; null with start: layers takes them
    evenly spaced, the last one among them (TinyBERT)."""
    shape: ShapeName | None = None
    """A shape with a name: tinybert4 (4 layers of 312), tinybert6 (6 of 768), bert_tiny (2 of 128), bert_mini (4 of
    256), bert_small (4 of 512) or bert_medium (8 of 512); the keys below change single values of it."""
    family: str | None = None
    """Model type, e.g. bert; null is the teacher's, or bert without a teacher model."""
    layers: int | None = Field(None, gt=0)
    """Encoder layers."""
    hidden_size: int | None = Field(None, gt=0)
    """Width of the hidden states."""
    embedding_size: int | None = Field(None, gt=0)
    """Width of the embeddings, where they are projected to that of the hidden states (ELECTRA's factorised embeddings:
    in a small model they hold most of the weights). A BERT's student is an ELECTRA then. Null is hidden_size, or the
    teacher's own where its embeddings are projected, too."""
    heads: int | None = Field(None, gt=0)
    """Attention heads; null with a new hidden_size keeps the width of a head."""
    intermediate: int | None = Field(None, gt=0)
    """Width of the feed-forward layers; null with a new hidden_size is four times that (with start: layers no
    more than the teacher's)."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Of hidden states and attention."""

    @property
    def starts(self) -> Literal["random", "embeddings", "layers"]:
        """What it takes over, said or not."""
        return self.start or ("random" if self.from_teacher is None else "layers")

    @property
    def dimensions(self) -> dict[str, int | None]:
        """Layers, hidden_size, heads and intermediate; None is the teacher's."""
        named: dict[str, int] = {} if self.shape is None else SHAPES[self.shape]
        asked = {
            key: named.get(key) if (own := getattr(self, key)) is None else own
            for key in ("layers", "hidden_size", "heads", "intermediate")
        }
        return asked if self.from_teacher is None else {**asked, "layers": len(self.from_teacher)}

    @model_validator(mode="after")
    def _one_start(self) -> Settings:
        given = [name for name in OF_SHAPE if getattr(self, name) is not None]
        if self.encoder is not None and given:
            raise ValueError(f"'encoder' has a shape of its own; leave out {', '.join(given)}")
        if self.encoder is not None and self.tokeniser != "auto":
            raise ValueError("'encoder' brings its tokeniser; leave out 'tokeniser'")
        return self

    @model_validator(mode="after")
    def _fit(self) -> Settings:
        if self.from_teacher == []:
            raise ValueError("'from_teacher' lists no layer")
        if self.from_teacher is not None and self.start in ("random", "embeddings"):
            raise ValueError(f"'from_teacher' lists layers to start from, and 'start' is {self.start}")
        if self.from_teacher is not None and self.layers not in (None, len(self.from_teacher)):
            raise ValueError(f"'from_teacher' lists {len(self.from_teacher)}, and 'layers' is {self.layers}")
        if self.tokeniser == "words" and self.starts != "random":
            key = "start" if self.from_teacher is None else "from_teacher"
            raise ValueError(f"'{key}' copies embeddings of the teacher's pieces; it needs its tokeniser")
        return self


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
) -> PreTrainedModel:
    """An untrained student; see :func:`limbeck.models.build`."""
    if settings.encoder is not None:
        return _of_encoder(settings, labels, tokeniser)
    student = _fresh(with_classes(encoder_config(settings, tokeniser, teacher), labels))
    start(settings, student, teacher)
    single: PreTrainedModel = student.float()
    return single


def _of_encoder(
    settings: Settings, labels: Sequence[str], tokeniser: PreTrainedTokenizerFast
) -> PreTrainedModel:
    """A pretrained encoder under a head that knows nothing yet."""
    from transformers import AutoModelForSequenceClassification

    def change(config: PreTrainedConfig) -> PreTrainedConfig:
        if settings.dropout is not None:
            set_dropout(config, settings.dropout)
        return with_classes(config, labels)

    assert settings.encoder is not None
    known = load_pretrained(settings.encoder, AutoModelForSequenceClassification, change)
    if encoder_of(known) is known:
        what = f"a {type(known).__name__} has no encoder inside"
        raise LimbeckError(what, where=settings.encoder)
    check_vocabulary(known, tokeniser)
    student = _fresh(known.config)
    encoder_of(student).load_state_dict(encoder_of(known).state_dict())
    return student


def _fresh(config: PreTrainedConfig) -> PreTrainedModel:
    # Here and not above: loading this class registers the taggers, which are built on this module.
    from transformers import AutoModelForSequenceClassification

    try:
        student: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise LimbeckError(f"'student': no {config.model_type} of this shape can be made: {reason}") from None
    return student


def with_classes(config: PreTrainedConfig, labels: Sequence[str]) -> PreTrainedConfig:
    """A configuration that names these classes; the same object."""
    for name, value in class_names(labels).items():
        setattr(config, name, value)
    return config


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, hidden_size=16, heads=2, intermediate=32)


def start(settings: Settings, student: PreTrainedModel, teacher: PreTrainedModel | None) -> None:
    """Give a student made to :func:`encoder_config` what it takes over from the teacher.

    Raises:
        LimbeckError: The student's shape does not fit into the teacher's.
    """
    if settings.starts == "random":
        return
    assert teacher is not None
    layers = None
    if settings.starts == "layers":
        count = encoder_of(student).config.num_hidden_layers
        layers = settings.from_teacher or evenly(count, encoder_of(teacher).config.num_hidden_layers)
    copy_layers(teacher, student, layers)


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
    if settings.starts != "random":
        _check_start(settings, teacher)
    theirs = None if teacher is None else encoder_of(teacher).config
    family = _family_name(settings, theirs)
    if theirs is not None and family == theirs.model_type:
        config = copy.deepcopy(theirs)
    elif theirs is not None and (theirs.model_type, family) == FACTORISED:
        config = _like(_family(family), theirs)
    else:
        config = _family(family)
    if settings.starts == "random":
        config.vocab_size = vocabulary_size(tokeniser)
    if tokeniser.pad_token_id is not None:
        config.pad_token_id = tokeniser.pad_token_id
    _reshape(config, settings)
    if theirs is not None and settings.starts == "layers" and settings.from_teacher is None:
        _check_number(config.num_hidden_layers, theirs.num_hidden_layers)
    return config


def _check_start(settings: Settings, teacher: PreTrainedModel | None) -> None:
    key, what = ("from_teacher", "layers") if settings.starts == "layers" else ("start", "embeddings")
    if teacher is None:
        fix = "Give layers, hidden_size and heads instead" if what == "layers" else "Choose start: random"
        raise LimbeckError(f"'student.{key}': a file of answers has no {what} to start from", fix=fix)
    config = encoder_of(teacher).config
    family = _family_name(settings, config)
    if family != config.model_type and (config.model_type, family) != FACTORISED:
        kept = f"a start from the teacher keeps its family, {config.model_type}"
        raise LimbeckError(f"'student.family': {kept}", fix="Leave out 'family', or choose start: random")
    count = config.num_hidden_layers
    absent = [number for number in settings.from_teacher or () if not 0 <= number < count]
    if absent:
        there = f"the teacher has layers 0 to {count - 1}"
        raise LimbeckError(f"'student.from_teacher': no layer {absent[0]}; {there}")


def _check_number(mine: int, theirs: int) -> None:
    if mine > theirs:
        fix = "Choose fewer, list them under from_teacher, or choose start: embeddings"
        raise LimbeckError(
            f"'student.layers': {mine} layers to start from {theirs} of the teacher's", fix=fix
        )


def _family_name(settings: Settings, theirs: PreTrainedConfig | None) -> str:
    """Model type of the student: the teacher's, but an ELECTRA for a BERT whose embeddings are to be projected."""
    if settings.family is not None:
        return settings.family
    own = FACTORISED[0] if theirs is None else theirs.model_type
    return FACTORISED[1] if settings.embedding_size is not None and own == FACTORISED[0] else own


def _like(config: PreTrainedConfig, theirs: PreTrainedConfig) -> PreTrainedConfig:
    """A configuration of another family with these values, as far as it has such keys."""
    values = theirs.to_dict()
    for name in ("vocab_size", "pad_token_id", *SHARED):
        setattr(config, name, values[name])
    config.embedding_size = config.hidden_size
    return config


def _family(name: str) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.for_model(name)
    except ValueError:
        raise LimbeckError(f"'student.family': transformers knows no '{name}'", fix="Try bert") from None
    return config


def _reshape(config: Any, settings: Settings) -> None:
    """Change the shape of a configuration in place.

    Raises:
        LimbeckError: The hidden size is no multiple of the heads, or the family has no such key.
    """
    asked = settings.dimensions
    hidden, heads, intermediate = asked["hidden_size"], asked["heads"], asked["intermediate"]
    if hidden is not None:
        of_head = config.hidden_size // config.num_attention_heads
        heads = heads or max(1, hidden // of_head)
        if intermediate is None:
            theirs = getattr(config, feed_forward_of(config), 4 * hidden)
            intermediate = min(4 * hidden, theirs) if settings.starts == "layers" else 4 * hidden
        if getattr(config, "embedding_size", None) == config.hidden_size:
            config.embedding_size = hidden  # ELECTRA's: as wide as before, in step with the layers
    shape = {
        "embedding_size": settings.embedding_size,
        "num_hidden_layers": asked["layers"],
        "hidden_size": hidden,
        "num_attention_heads": heads,
        feed_forward_of(config): intermediate,
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
