"""What parallel students share: settings, encoder, embeddings, output layer, and what they start from.

The encoder is transformers' own Marian encoder, so that an autoregressive teacher trained here lends its weights. The
output layer is tied with the embeddings of the target side: with the encoder's where both sides share a vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from limbeck.core.errors import LimbeckError
from limbeck.models.configs import ParallelConfig
from limbeck.models.embeddings import vocabulary_size
from limbeck.models.starts import copy_layers, evenly
from limbeck.models.translators.layout import real_places
from limbeck.models.translators.shape import POSITIONS, ShapeSettings
from limbeck.models.translators.translator import ParallelTranslator

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.models.marian.modeling_marian import MarianEncoder

    from limbeck.text.subwords import Subwords


class CommonSettings(ShapeSettings):
    """Keys of a recipe's ``student`` that all parallel kinds have."""

    start: Literal["random", "embeddings", "encoder"] = "random"
    """What it takes over from a teacher with the same vocabulary: nothing; its embeddings; these and the encoder's
    layers, evenly spaced ones where the student has fewer. It must be as wide; for layers also of the same heads and
    feed-forward width."""
    deduplicate: bool = True
    """Of equal tokens in a row keep the first in decoding: parallel students stammer."""


class ParallelSettings(CommonSettings):
    """Keys of kinds that say how long a translation is before they write it."""

    longest_offset: int = Field(32, gt=0)
    """Most tokens that a translation is thought to be longer, or shorter, than its source."""
    length_weight: float = Field(1.0, ge=0)
    """How much the length counts in the loss, where a token counts one."""


Config = TypeVar("Config", bound=ParallelConfig)


def config_for(
    kind: type[Config], settings: CommonSettings, subwords: Subwords, teacher: PreTrainedModel | None
) -> Config:
    """The configuration of a kind of student.

    Args:
        kind: Its class.
        settings: The student's; what is no matter of shape goes to the configuration's key of the same name.
        subwords: What it reads and writes.
        teacher: What it may start from; None where there is none.

    Raises:
        LimbeckError: There is nothing to start from, or it does not fit.
    """
    pieces = subwords.target
    source = None if settings.start == "random" else _source(teacher, subwords)
    return kind(
        vocab_size=vocabulary_size(subwords.source),
        decoder_vocab_size=vocabulary_size(pieces),
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=subwords.joint,
        **settings.as_marian,
        activation_function="relu" if source is None else source.activation_function,
        scale_embedding=True if source is None else source.scale_embedding,
        pad_token_id=pieces.pad_token_id,
        bos_token_id=pieces.bos_token_id,
        eos_token_id=pieces.eos_token_id,
        mask_token_id=pieces.mask_token_id,
        **{
            name: value
            for name, value in settings
            if name not in ShapeSettings.model_fields and hasattr(kind, name)
        },
    )


Student = TypeVar("Student", bound="ParallelStudent")


def built(
    kind: type[Student], settings: CommonSettings, subwords: Subwords, teacher: PreTrainedModel | None
) -> Student:
    """An untrained student of a kind, with what it takes over from the teacher.

    The arguments and errors are those of :func:`config_for`, but for ``kind``, the student's class.
    """
    from limbeck.models.translators.start import start_layers  # not above: see _encoder

    student = kind(config_for(kind.config_class, settings, subwords, teacher))
    start_layers(student)
    if settings.start != "random":
        assert teacher is not None
        student.start_from(teacher, with_layers=settings.start == "encoder")
    return student


class ParallelStudent(ParallelTranslator):
    """Base of the parallel students: an encoder, an output layer, and the means to start from a teacher."""

    config: ParallelConfig
    config_class = ParallelConfig
    _supports_sdpa = True
    _tied_weights_keys = {"lm_head.weight": "encoder.embed_tokens.weight"}
    _keys_to_ignore_on_save = {"encoder.embed_positions.weight"}
    _keys_to_ignore_on_load_missing = {"encoder.embed_positions.weight"}

    def __init__(self, config: ParallelConfig) -> None:
        super().__init__(config)
        self.encoder = _encoder(config)
        self.lm_head: nn.Linear = nn.Linear(config.d_model, config.decoder_vocab_size, bias=False)
        never = (config.pad_token_id, config.bos_token_id, config.eos_token_id, config.mask_token_id)
        self.pad_id = config.pad_token_id or 0
        self.never_written = sorted({number for number in never if isinstance(number, int)})

    def special(self, number: int | None, name: str) -> int:
        """The id of a special token that this kind cannot do without.

        Args:
            number: As the configuration has it.
            name: What it is called.

        Raises:
            LimbeckError: The vocabulary has none.
        """
        if number is None:
            what = f"a {type(self).__name__} needs a {name} token, and the vocabulary has none"
            raise LimbeckError(
                what, fix="Let Limbeck learn the vocabulary, or add the token to the tokeniser"
            )
        return number

    @property
    def most_candidates(self) -> int:
        """As many lengths as there are differences to the source's."""
        return 2 * self.config.longest_offset + 1

    def get_input_embeddings(self) -> nn.Module:
        """The source side's."""
        return self.encoder.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the source side's."""
        assert isinstance(value, nn.Embedding)
        self.encoder.embed_tokens = value

    def get_output_embeddings(self) -> nn.Linear:
        """The output layer."""
        return self.lm_head

    def encode(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The encoder's states, ``(batch, tokens) -> (batch, tokens, width)``."""
        states: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states

    def embedded(self, input_ids: Tensor) -> Tensor:
        """Embeddings of source tokens as the encoder reads them, without their places: ``(..., width)``."""
        embedded: Tensor = self.encoder.embed_tokens(input_ids) * self.encoder.embed_scale
        return embedded

    def embedded_target(self, tokens: Tensor) -> Tensor:
        """Embeddings of tokens of translations, which are the output layer's, without their places."""
        scale: float = self.encoder.embed_scale
        return functional.embedding(tokens, self.lm_head.weight) * scale

    def positions(self, places: int) -> Tensor:
        """Sinusoidal encodings of the first places (Vaswani et al. 2017, section 3.5): ``(places, width)``."""
        encodings: Tensor = self.encoder.embed_positions((1, places))
        return encodings

    def likeliest(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest tokens, special ones apart, and their log-probabilities: ``(..., width) -> (...)`` each."""
        return self.best_tokens(self.lm_head(states).log_softmax(-1))

    def best_tokens(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens with the largest scores, special ones apart, and these: ``(..., vocabulary) -> (...)`` each."""
        never = torch.zeros(scores.shape[-1], device=scores.device)
        never[self.never_written] = float("-inf")
        tokens = (scores + never).argmax(-1)  # in a graph ``max`` would read all scores twice
        return tokens, scores.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)

    def best(self, tokens: Tensor, scores: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Of each text the translation with the largest score.

        Args:
            tokens: Of the candidates, ``(batch, candidates, places)``.
            scores: ``(batch, candidates)``.
            lengths: Tokens of each, ``(batch, candidates)``.

        Returns:
            Tokens, the padding token where there is none (also between others, where a repetition was dropped),
            ``(batch, places)``, and the score, ``(batch,)``.
        """
        best = scores.argmax(1, keepdim=True)  # (batch, 1)
        chosen = best.unsqueeze(2).expand(-1, -1, tokens.shape[2])
        written = tokens.masked_fill(~real_places(lengths), self.pad_id).gather(1, chosen).squeeze(1)
        if self.config.deduplicate:
            again = functional.pad(written[:, 1:] == written[:, :-1], (1, 0))
            written = written.masked_fill(again, self.pad_id)
        return written, scores.gather(1, best).squeeze(1)

    def start_from(self, teacher: PreTrainedModel, with_layers: bool) -> None:
        """Take over a teacher's embeddings of both sides, and with them perhaps the encoder's layers.

        Args:
            teacher: A Marian with the same vocabulary, and of the same shape.
            with_layers: Whether to.

        Raises:
            LimbeckError: The shapes are not the same.
        """
        encoder, output = teacher.get_encoder(), teacher.get_output_embeddings()
        _check_fits(encoder.config, self.config, with_layers)
        with torch.no_grad():
            self.encoder.embed_tokens.weight.copy_(encoder.embed_tokens.weight)
            self.lm_head.weight.copy_(output.weight)
        if with_layers:
            layers = evenly(self.config.encoder_layers, encoder.config.encoder_layers)
            copy_layers(encoder, self.encoder, layers)


def _encoder(config: Any) -> MarianEncoder:
    # Here and not above: loading this class registers the students, which are built on this module.
    from transformers.models.marian.modeling_marian import MarianEncoder

    return MarianEncoder(config)


def _source(teacher: PreTrainedModel | None, subwords: Subwords) -> Any:
    """The configuration of a teacher that can be started from.

    Raises:
        LimbeckError: It has other parts, or another vocabulary.
    """
    from transformers import MarianConfig

    fix = "Choose start: random"
    if teacher is None:
        raise LimbeckError("'student.start': there is no teacher model to start from", fix=fix)
    config: Any = teacher.config
    if not isinstance(config, MarianConfig):
        raise LimbeckError(
            f"'student.start': a {config.model_type} has other parts than the student", fix=fix
        )
    theirs = config.vocab_size, config.decoder_vocab_size
    mine = vocabulary_size(subwords.source), vocabulary_size(subwords.target)
    if theirs != mine or config.share_encoder_decoder_embeddings != subwords.joint:
        what = f"its pieces are {theirs[0]:,} and {theirs[1]:,}, the student's {mine[0]:,} and {mine[1]:,}"
        raise LimbeckError(f"'student.start': the teacher has another vocabulary: {what}", fix=fix)
    return config


def _check_fits(theirs: Any, mine: Any, with_layers: bool) -> None:
    """Refuse a start from another shape."""
    keys = {"width": "d_model"}
    if with_layers:
        keys |= {"feed_forward": "encoder_ffn_dim", "heads": "encoder_attention_heads"}
    for key, name in keys.items():
        if getattr(mine, name) != getattr(theirs, name):
            what = f"{getattr(mine, name)} is asked for, and the teacher to start from has {getattr(theirs, name)}"
            raise LimbeckError(
                f"'student.{key}': {what}", fix="Give it the teacher's size, or choose start: random"
            )
    if with_layers and mine.encoder_layers > theirs.encoder_layers:
        what = f"{mine.encoder_layers} to start from {theirs.encoder_layers} of the teacher's"
        raise LimbeckError(f"'student.layers': {what}", fix="Choose fewer, or start: embeddings")
