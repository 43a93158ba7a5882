"""BiLSTM student (Tang et al. 2019, Distilling Task-Specific Knowledge from BERT, section 3.1).

    z = W2 relu(W1 [h_forward(n); h_backward(1)] + b1) + b2

where h are the LSTM's states over the sentence's embeddings x(1..n), so that h_forward(n) and h_backward(1)
are those that have read all of it. Max, mean and attention pooling put another summary of all states in their
place. Of a pair of texts it reads one after the other; :mod:`limbeck.models.siamese` reads each by itself.

Axes: ``batch``, ``tokens``, ``states`` (of both directions, side by side).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from limbeck.models.configs import BiLSTMConfig
from limbeck.models.embeddings import EmbeddingSettings, start_embeddings, vocabulary_size
from limbeck.models.recurrent import both_ways, one_way_lstms, start_lstm, taken, turned_places
from limbeck.models.student import Student, class_names, classes

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Settings(EmbeddingSettings):
    """Keys of a recipe's ``student`` with ``kind: bilstm``."""

    hidden: int = Field(150, gt=0)
    """Units of each direction."""
    layers: int = Field(1, gt=0)
    """Bidirectional layers."""
    pooling: Literal["last", "max", "mean", "attention"] = "last"
    """The states that have read the whole sentence (Tang et al.), each unit's largest, their mean, or a learned one."""
    relu: int = Field(200, gt=0)
    """Units of the layer between states and logits."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Before and after that layer."""
    embedding_dropout: float = Field(0.3, ge=0, lt=1)
    """On the input embeddings."""
    word_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of tokens replaced in training by the mask token (by the unknown one where there is no mask)."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
) -> BiLSTMForSequenceClassification:
    """An untrained student; see :func:`limbeck.models.build`."""
    start = start_embeddings(settings, tokeniser, teacher, BiLSTMConfig.initializer_range)
    config = BiLSTMConfig(**configured(settings, labels, tokeniser), embedding_size=start.shape[1])
    student = BiLSTMForSequenceClassification(config)
    student.embeddings.weight.data.copy_(start)
    return student


def configured(
    settings: Settings, labels: Sequence[str], tokeniser: PreTrainedTokenizerFast
) -> dict[str, Any]:
    """What a configuration says of settings, labels and tokeniser."""
    hidden_ids = (tokeniser.mask_token_id, tokeniser.unk_token_id, tokeniser.pad_token_id, 0)
    return {
        "vocab_size": vocabulary_size(tokeniser),
        "hidden_size": settings.hidden,
        "num_hidden_layers": settings.layers,
        "pooling": settings.pooling,
        "relu_size": settings.relu,
        "dropout": settings.dropout,
        "embedding_dropout": settings.embedding_dropout,
        "word_dropout": settings.word_dropout,
        "word_dropout_id": next(number for number in hidden_ids if number is not None),
        "pad_token_id": tokeniser.pad_token_id,
        **class_names(labels),
    }


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(embeddings="random", dimension=8, hidden=6, relu=5)


class LSTMStudent(Student):
    """Base of students that sum up texts by bidirectional LSTMs and pooling."""

    config: BiLSTMConfig

    def __init__(self, config: BiLSTMConfig, summaries: int = 1) -> None:
        super().__init__(config)
        both = 2 * config.hidden_size
        sizes = ([config.embedding_size] + [both] * config.num_hidden_layers)[: config.num_hidden_layers]
        self.forward_lstms, self.backward_lstms = one_way_lstms(sizes, config.hidden_size)
        states = both if sizes else config.embedding_size
        self.attention = nn.Linear(states, 1, bias=False) if config.pooling == "attention" else None
        self.hidden = nn.Linear(summaries * states, config.relu_size)
        self.classifier = nn.Linear(config.relu_size, classes(config))
        self.post_init()

    def embedded(self, input_ids: Tensor) -> Tensor:
        """``(batch, tokens) -> (batch, tokens, width)``; in training some tokens are hidden."""
        if self.training and self.config.word_dropout:
            dropped = torch.rand(input_ids.shape, device=input_ids.device) < self.config.word_dropout
            input_ids = input_ids.masked_fill(dropped, self.config.word_dropout_id)
        return self.dropped(self.embeddings(input_ids), self.config.embedding_dropout)

    def read(self, embedded: Tensor, mask: Tensor, keep: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Run the LSTMs and pool their states.

        A sentence without tokens is pooled to zeros.

        Args:
            embedded: ``(batch, tokens, embedding)``.
            mask: ``(batch, tokens)``.
            keep: Whether to return the states of all layers.

        Returns:
            Summary ``(batch, states)``, and the states of each layer ``(batch, tokens, states)`` (or no
            layer).
        """
        lengths = mask.sum(1, keepdim=True)  # (batch, 1)
        turned = turned_places(lengths, mask.shape[1])
        last_place = (lengths - 1).clamp(min=0)
        kept: list[Tensor] = []
        states, summary = embedded, embedded
        for number, (forward, backward) in enumerate(
            zip(self.forward_lstms, self.backward_lstms, strict=True), 1
        ):
            ahead, back = both_ways(forward, backward, states, turned)
            is_last = number == len(self.forward_lstms)
            if is_last and self.config.pooling == "last":
                summary = torch.cat((taken(ahead, last_place), taken(back, last_place)), -1).squeeze(1)
                if not keep:
                    break
            states = torch.cat((ahead, taken(back, turned)), -1)
            kept.append(states)
            if not is_last:
                states = self.dropped(states, self.config.dropout)
        if self.config.pooling != "last":
            summary = self._pool(states, mask)
        return summary.masked_fill(lengths == 0, 0.0), kept if keep else []

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """``(batch, tokens, states) -> (batch, states)``, by maximum, mean or attention."""
        is_padding = (mask == 0).unsqueeze(-1)
        if self.config.pooling == "mean":
            return states.masked_fill(is_padding, 0.0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        lowest = torch.finfo(states.dtype).min
        if self.attention is None:
            return states.masked_fill(is_padding, lowest).amax(1)
        weights = self.attention(states).masked_fill(is_padding, lowest).softmax(1)  # (batch, tokens, 1)
        summed: Tensor = (weights * states).sum(1)
        return summed

    def _init_weights(self, module: nn.Module) -> None:
        """As other students; LSTMs with an open forget gate."""
        if isinstance(module, nn.LSTM):
            start_lstm(module)
        else:
            super()._init_weights(module)


class BiLSTMForSequenceClassification(LSTMStudent):
    """Embeddings, bidirectional LSTM, pooling, a ReLU layer, logits."""

    config_class = BiLSTMConfig

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Class scores of sentences.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``; padding is on the right.
            token_type_ids: Not read: of a pair, the texts are read as one.
            labels: Gold as :meth:`loss` takes it; with it the output has a loss.
            output_hidden_states: Whether to give embeddings and each layer's states, ``(batch, tokens,
                width)``.
        """
        input_ids, mask = self.padded(input_ids, attention_mask)
        embedded = self.embedded(input_ids)
        pooled, layers = self.read(embedded, mask, keep=bool(output_hidden_states))
        logits = self.classify(pooled)
        return SequenceClassifierOutput(
            loss=self.loss(logits, labels),
            logits=logits,
            hidden_states=(embedded, *layers) if output_hidden_states else None,
        )
