"""Transformer tagger: any encoder that transformers has, words' features from its last states, the head.

It is the student, from scratch, from the teacher's layers or from an encoder of its own, and the teacher
(:func:`limbeck.models.heads.encoder_with_tag_head`). Axes: ``batch``, ``tokens``, ``words``, ``width``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from limbeck.core.errors import LimbeckError
from limbeck.models import transformer
from limbeck.models.configs import TransformerTaggerConfig
from limbeck.models.pretrained import check_vocabulary, load_pretrained
from limbeck.models.student import class_names, encoder_of
from limbeck.models.taggers.head import HeadSettings, TagHead
from limbeck.models.taggers.tagger import Inputs, Reading, Tagger, first_of_word, mean_of_word, tag_names

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

INCIDENTAL = (
    "architectures",
    "id2label",
    "label2id",
    "problem_type",
    "transformers_version",
    "_name_or_path",
)
"""What an encoder's configuration says of the model that it once was part of."""


class Settings(transformer.Settings, HeadSettings):
    """Keys of a recipe's ``student`` with ``task: tagging`` and ``kind: transformer``; null is the teacher's value."""

    pooling: Literal["first", "mean"] = "first"
    """A word's feature: the state of its first token, or the mean over its tokens."""
    head_dropout: float = Field(0.1, ge=0, lt=1)
    """On the words' features."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
) -> TransformerForTokenClassification:
    """An untrained tagger; see :func:`limbeck.models.build`."""
    if settings.encoder is not None:
        encoder = load_encoder(settings.encoder, settings.dropout)
        check_vocabulary(encoder, tokeniser)
        return on_encoder(encoder, labels, **_of_head(settings))
    shape = transformer.encoder_config(settings, tokeniser, teacher)
    config = TransformerTaggerConfig(encoder=_plain(shape), **_of_head(settings), **class_names(labels))
    try:
        tagger = TransformerForTokenClassification(config)
    except ValueError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise LimbeckError(f"'student': no {shape.model_type} of this shape can be made: {reason}") from None
    transformer.start(settings, tagger, teacher)
    single: TransformerForTokenClassification = tagger.float()
    return single


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, hidden_size=16, heads=2, intermediate=32)


def load_encoder(reference: str | Path, dropout: float | None = None) -> PreTrainedModel:
    """A pretrained encoder without anything on top, float32.

    Args:
        reference: A folder, a name on the hub, or ``package:NAME/FOLDER``.
        dropout: Of hidden states and attention; None leaves the encoder's own.

    Raises:
        LimbeckError: There is no such model, it is damaged, or no model of its family tags words.
    """
    from transformers import AutoModelForTokenClassification

    # The class for tagging has the encoder without a pooler, which would read the first token.
    model = load_pretrained(
        reference, AutoModelForTokenClassification, lambda config: _with_dropout(config, dropout)
    )
    encoder = encoder_of(model)
    if isinstance(encoder, Tagger):
        raise LimbeckError(f"a {type(encoder).__name__} has no encoder inside", where=reference)
    return encoder


def on_encoder(
    encoder: PreTrainedModel,
    labels: Sequence[str],
    *,
    head: str = "chain",
    pooling: str = "first",
    dropout: float = 0.1,
    constrain: bool = False,
) -> TransformerForTokenClassification:
    """A tagger around an encoder, which it takes as it is; only the head is new.

    Args:
        encoder: As :func:`load_encoder` gives it.
        labels: Names of the tags.
        head: ``chain`` or ``softmax``.
        pooling: ``first`` or ``mean``.
        dropout: On the words' features.
        constrain: Whether only valid IOB2 is decoded.
    """
    config = TransformerTaggerConfig(
        encoder=_plain(encoder.config),
        pooling=pooling,
        dropout=dropout,
        head=head,
        constrain=constrain,
        **class_names(labels),
    )
    tagger = TransformerForTokenClassification(config)
    tagger.backbone = encoder
    return tagger


def of_token_classifier(model: PreTrainedModel) -> TransformerForTokenClassification:
    """A token classifier of transformers as a tagger of words: a word has the scores of its first token.

    Args:
        model: It scores tokens by one linear layer on the encoder's last states, as BERT and its kin do; its weights
            are shared, and both are in evaluation mode afterwards.

    Raises:
        LimbeckError: It scores them otherwise.
    """
    tagger = on_encoder(encoder_of(model), tag_names(model.config), head="softmax")
    linear = next((layer for _, layer in model.named_children() if isinstance(layer, nn.Linear)), None)
    if linear is not None and linear.weight.shape == tagger.head.emissions.weight.shape:
        tagger.head.emissions = linear
        tokens = torch.tensor([[0, 1]], device=model.device)
        with torch.inference_mode():
            if torch.allclose(model.eval()(tokens).logits, tagger.eval()(tokens).logits, atol=1e-5):
                return tagger
    raise LimbeckError(f"a {type(model).__name__} does not score tokens by one linear layer on its encoder")


class TransformerForTokenClassification(Tagger):
    """An encoder, words' features, dropout, the head."""

    config_class = TransformerTaggerConfig
    config: TransformerTaggerConfig
    base_model_prefix = "backbone"
    # What the encoder supports is the encoder's own affair.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: TransformerTaggerConfig) -> None:
        super().__init__(config)
        self.backbone = _fresh_encoder(config)
        width = self.backbone.config.hidden_size
        self.head = TagHead(width, tag_names(config), config.head, config.constrain)
        self.post_init()

    def read(self, inputs: Inputs, keep_states: bool, keep_attentions: bool) -> Reading:
        """Features of words from the encoder's last states."""
        wanted = {"output_hidden_states": True} if keep_states else {}
        wanted |= {"output_attentions": True} if keep_attentions else {}
        output = self.backbone(input_ids=inputs.ids, attention_mask=inputs.mask, **wanted)
        of_word = first_of_word if self.config.pooling == "first" else mean_of_word
        features = functional.dropout(of_word(output[0], inputs), self.config.dropout, self.training)
        return Reading(
            features,
            tuple(output.hidden_states) if keep_states else None,
            tuple(output.attentions) if keep_attentions else None,
        )

    def get_input_embeddings(self) -> nn.Module:
        """The encoder's."""
        embeddings: nn.Module = self.backbone.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the encoder's."""
        self.backbone.set_input_embeddings(value)

    def set_attn_implementation(self, *args: Any, **options: Any) -> None:
        """How the encoder computes attention."""
        self.backbone.set_attn_implementation(*args, **options)

    def _init_weights(self, module: nn.Module) -> None:
        """The head's; the encoder starts itself."""
        if isinstance(module, TagHead):
            module.start_parameters()


def _fresh_encoder(config: TransformerTaggerConfig) -> PreTrainedModel:
    # Here and not above: loading this class registers the tagger of this module, which must be whole by then.
    from transformers import AutoModelForTokenClassification

    encoder: PreTrainedModel = AutoModelForTokenClassification.from_config(_shape(config)).base_model
    return encoder


def _shape(config: TransformerTaggerConfig) -> PreTrainedConfig:
    """The encoder's configuration in a tagger's."""
    values = config.encoder or {"model_type": "bert"}
    return type(AutoConfig.for_model(values["model_type"])).from_dict(values)


def _with_dropout(config: PreTrainedConfig, share: float | None) -> PreTrainedConfig:
    """A configuration with this dropout of the encoder; None leaves it as it is."""
    if share is None:
        return config
    if isinstance(config, TransformerTaggerConfig):
        shape = _shape(config)
        transformer.set_dropout(shape, share)
        config.encoder = _plain(shape)
    else:
        transformer.set_dropout(config, share)
    return config


def _plain(config: PreTrainedConfig) -> dict[str, Any]:
    return {name: value for name, value in config.to_dict().items() if name not in INCIDENTAL}


def _of_head(settings: Settings) -> dict[str, Any]:
    return {
        "pooling": settings.pooling,
        "dropout": settings.head_dropout,
        "head": settings.head,
        "constrain": settings.constrain,
    }
