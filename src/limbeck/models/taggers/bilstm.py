"""BiLSTM tagger (Huang et al. 2015, Bidirectional LSTM-CRF Models for Sequence Tagging; Lample et al. 2016).

    h = BiLSTM(x_1 .. x_n),     x_t = [embedding of token t; feature of the spelling of its word]

Each word's feature is the state of its first token: with a tokeniser of words, of the word.

Axes: ``batch``, ``tokens``, ``words``, ``states`` (of both directions, side by side).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from transformers import initialization as init

from limbeck.core.errors import LimbeckError
from limbeck.models.configs import BiLSTMTaggerConfig
from limbeck.models.embeddings import EmbeddingSettings, start_embeddings, vocabulary_size
from limbeck.models.recurrent import both_ways, one_way_lstms, start_lstm, taken, turned_places
from limbeck.models.student import EmbeddingModel, class_names
from limbeck.models.taggers.head import HeadSettings, TagHead
from limbeck.models.taggers.spelling import Spelling
from limbeck.models.taggers.tagger import Inputs, Reading, Tagger, first_of_word, tag_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Settings(EmbeddingSettings, HeadSettings):
    """Keys of a recipe's ``student`` with ``task: tagging`` and ``kind: bilstm``."""

    hidden: int = Field(150, gt=0)
    """Units of each direction."""
    layers: int = Field(1, gt=0)
    """Bidirectional layers."""
    spelling: Literal["none", "cnn", "bilstm"] = "none"
    """How words' spelling (UTF-8 bytes) is read beside the embeddings."""
    spelling_size: int = Field(50, gt=0)
    """Width of what is read from the spelling; of a BiLSTM both directions together."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """On the words' features, and between layers."""
    embedding_dropout: float = Field(0.3, ge=0, lt=1)
    """On the input embeddings, and on what is read from the spelling."""
    word_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of tokens replaced in training by the mask token (by the unknown one where there is no mask)."""

    @model_validator(mode="after")
    def _even(self) -> Settings:
        if self.spelling == "bilstm" and self.spelling_size % 2:
            raise ValueError(
                f"'spelling_size' {self.spelling_size} is odd; a BiLSTM has two directions alike"
            )
        return self


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
) -> BiLSTMForTokenClassification:
    """An untrained tagger; see :func:`limbeck.models.build`."""
    start = start_embeddings(settings, tokeniser, teacher, BiLSTMTaggerConfig.initializer_range)
    hidden_ids = (tokeniser.mask_token_id, tokeniser.unk_token_id, tokeniser.pad_token_id, 0)
    config = BiLSTMTaggerConfig(
        vocab_size=vocabulary_size(tokeniser),
        embedding_size=start.shape[1],
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        spelling=settings.spelling,
        spelling_size=settings.spelling_size,
        dropout=settings.dropout,
        embedding_dropout=settings.embedding_dropout,
        word_dropout=settings.word_dropout,
        word_dropout_id=next(number for number in hidden_ids if number is not None),
        head=settings.head,
        constrain=settings.constrain,
        pad_token_id=tokeniser.pad_token_id,
        **class_names(labels),
    )
    tagger = BiLSTMForTokenClassification(config)
    tagger.embeddings.weight.data.copy_(start)
    return tagger


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(embeddings="random", dimension=8, hidden=6)


class BiLSTMForTokenClassification(Tagger, EmbeddingModel):
    """Embeddings, perhaps spelling, a bidirectional LSTM, the head."""

    config_class = BiLSTMTaggerConfig
    config: BiLSTMTaggerConfig

    def __init__(self, config: BiLSTMTaggerConfig) -> None:
        super().__init__(config)
        reads = config.spelling != "none"
        self.spelling = Spelling(config.spelling, config.byte_size, config.spelling_size) if reads else None
        both = 2 * config.hidden_size
        width = config.embedding_size + (config.spelling_size if reads else 0)
        sizes = [width] + [both] * (config.num_hidden_layers - 1)
        self.forward_lstms, self.backward_lstms = one_way_lstms(sizes, config.hidden_size)
        self.head = TagHead(both, tag_names(config), config.head, config.constrain)
        self.post_init()

    def read(self, inputs: Inputs, keep_states: bool, keep_attentions: bool) -> Reading:
        """States of words' first tokens; it has no attention."""
        ids, mask = self.padded(inputs.ids, inputs.mask)
        if self.training and self.config.word_dropout:
            dropped = torch.rand(ids.shape, device=ids.device) < self.config.word_dropout
            ids = ids.masked_fill(dropped, self.config.word_dropout_id)
        embedded = self.embeddings(ids)
        read = embedded if self.spelling is None else torch.cat((embedded, self._spelled(inputs)), -1)
        layers = self._layers(self.dropped(read, self.config.embedding_dropout), mask)
        features = self.dropped(first_of_word(layers[-1], inputs), self.config.dropout)
        return Reading(features, (embedded, *layers) if keep_states else None)

    def _spelled(self, inputs: Inputs) -> Tensor:
        """What is read from the spelling of each token's word, ``(batch, tokens, width)``; nought without one."""
        assert self.spelling is not None
        if inputs.spelling is None:
            raise LimbeckError(
                "this tagger reads words' spelling, and was given tokens alone",
                fix="Give it words, as encode_words and collate do",
            )
        spelled: Tensor = self.spelling(inputs.spelling)  # (batch, words, width)
        return torch.bmm(inputs.members().to(spelled.dtype).transpose(1, 2), spelled)

    def _layers(self, states: Tensor, mask: Tensor) -> list[Tensor]:
        """States of each layer, ``(batch, tokens, states)``."""
        turned = turned_places(mask.sum(1, keepdim=True), mask.shape[1])
        layers: list[Tensor] = []
        for forward, backward in zip(self.forward_lstms, self.backward_lstms, strict=True):
            if layers:
                states = self.dropped(states, self.config.dropout)
            ahead, back = both_ways(forward, backward, states, turned)
            states = torch.cat((ahead, taken(back, turned)), -1)
            layers.append(states)
        return layers

    def _init_weights(self, module: nn.Module) -> None:
        """As students; LSTMs with an open forget gate, the chain at nought."""
        if isinstance(module, nn.LSTM):
            start_lstm(module)
        elif isinstance(module, TagHead):
            module.start_parameters()
        elif isinstance(module, nn.Conv1d):
            bound = (module.in_channels * module.kernel_size[0]) ** -0.5
            for parameter in module.parameters():
                init.uniform_(parameter, -bound, bound)
        else:
            super()._init_weights(module)
