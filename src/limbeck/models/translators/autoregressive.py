"""Autoregressive translator: the Transformer of Vaswani et al. (2017), as transformers' ``MarianMTModel``.

``p(y | x) = prod_t p(y_t | y_<t, x)``. Sinusoidal positions, layer normalisation after each sub-layer, ReLU, and one
matrix for the decoder's embeddings and its output layer (section 3.4), with a joint vocabulary the encoder's, too.
Being of a class that other tools know, it can be exported, converted to CTranslate2, and called without Limbeck.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn
from transformers import MarianConfig, MarianMTModel
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

from limbeck.models.embeddings import vocabulary_size
from limbeck.models.translators.shape import POSITIONS, ShapeSettings
from limbeck.models.translators.start import start_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from limbeck.text.subwords import Subwords


class Settings(ShapeSettings):
    """Keys of a recipe's ``student`` with ``task: translation`` and ``kind: autoregressive``."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: Subwords,
    teacher: PreTrainedModel | None,
) -> MarianMTModel:
    """An untrained translator; see :func:`limbeck.models.build`. Labels and teacher do not matter to it."""
    model = MarianMTModel(config_for(settings, tokeniser))
    _start(model)
    _may_write(model, tokeniser.target)
    return model


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, width=16, heads=2, feed_forward=32)


def config_for(settings: Settings, subwords: Subwords) -> MarianConfig:
    """The configuration of these settings for a vocabulary."""
    target = subwords.target
    return MarianConfig(
        vocab_size=vocabulary_size(subwords.source),
        decoder_vocab_size=vocabulary_size(target),
        share_encoder_decoder_embeddings=subwords.joint,
        max_position_embeddings=POSITIONS,
        **settings.as_marian,
        activation_function="relu",
        scale_embedding=True,
        pad_token_id=target.pad_token_id,
        bos_token_id=target.bos_token_id,
        eos_token_id=target.eos_token_id,
        decoder_start_token_id=target.bos_token_id,
        forced_eos_token_id=None,
    )


def _start(model: MarianMTModel) -> None:
    """Embeddings as in the paper's code, of standard deviation ``width^-0.5``; layers as all translators'."""
    for module in model.modules():
        if isinstance(module, nn.Embedding) and not isinstance(module, MarianSinusoidalPositionalEmbedding):
            nn.init.normal_(module.weight, std=model.config.d_model**-0.5)
            nn.init.zeros_(module.weight[module.padding_idx])
    start_layers(model)


def _may_write(model: MarianMTModel, target: PreTrainedTokenizerBase) -> None:
    """Say how it is decoded where nobody says more: greedily, and never padding, start or mask."""
    config = model.generation_config
    assert config is not None
    never = (target.pad_token_id, target.bos_token_id, target.mask_token_id)
    config.suppress_tokens = sorted({token for token in never if token is not None})
