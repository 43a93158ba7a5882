"""Static student: a mean of embeddings and a small perceptron (a deep averaging network, Iyyer et al. 2015).

    z = W2 relu(W1 sum_t a(t) x(t) + b1) + b2,      a(t) = 1/n,  or  exp w(token t) / sum_u exp w(token u)

It reads no order of words, and answers in the time that tokenising takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from limbeck.models.configs import StaticConfig
from limbeck.models.embeddings import EmbeddingSettings, start_embeddings, vocabulary_size
from limbeck.models.student import Student, class_names, classes

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Settings(EmbeddingSettings):
    """Keys of a recipe's ``student`` with ``kind: static``."""

    token_weights: bool = False
    """Whether each token has a learned weight in the mean; they start equal."""
    relu: int = Field(200, gt=0)
    """Units of the layer between mean and logits."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Before and after that layer."""
    embedding_dropout: float = Field(0.0, ge=0, lt=1)
    """On the input embeddings."""
    word_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of tokens left out of the mean in training."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
) -> StaticForSequenceClassification:
    """An untrained student; see :func:`limbeck.models.build`."""
    start = start_embeddings(settings, tokeniser, teacher, StaticConfig.initializer_range)
    config = StaticConfig(
        vocab_size=vocabulary_size(tokeniser),
        embedding_size=start.shape[1],
        token_weights=settings.token_weights,
        relu_size=settings.relu,
        dropout=settings.dropout,
        embedding_dropout=settings.embedding_dropout,
        word_dropout=settings.word_dropout,
        pad_token_id=tokeniser.pad_token_id,
        **class_names(labels),
    )
    student = StaticForSequenceClassification(config)
    student.embeddings.weight.data.copy_(start)
    return student


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(embeddings="random", dimension=8, relu=5)


class StaticForSequenceClassification(Student):
    """Embeddings, their (weighted) mean, a ReLU layer, logits."""

    config_class = StaticConfig
    config: StaticConfig

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.token_weights = nn.Embedding(config.vocab_size, 1) if config.token_weights else None
        self.hidden = nn.Linear(config.embedding_size, config.relu_size)
        self.classifier = nn.Linear(config.relu_size, classes(config))
        self.post_init()

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
            attention_mask: One where a token is real, ``(batch, tokens)``.
            token_type_ids: Not read; teachers' tokenisers give them.
            labels: Gold as :meth:`loss` takes it; with it the output has a loss.
            output_hidden_states: Whether to give the embeddings, ``(batch, tokens, width)``.
        """
        input_ids, mask = self.padded(input_ids, attention_mask)
        if self.training and self.config.word_dropout:
            mask = mask * (torch.rand(mask.shape, device=mask.device) >= self.config.word_dropout)
        embedded = self.dropped(self.embeddings(input_ids), self.config.embedding_dropout)
        mean = torch.bmm(self._weights(input_ids, mask, embedded.dtype).unsqueeze(1), embedded).squeeze(1)
        logits = self.classify(mean)
        return SequenceClassifierOutput(
            loss=self.loss(logits, labels),
            logits=logits,
            hidden_states=(embedded,) if output_hidden_states else None,
        )

    def _weights(self, input_ids: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
        """Each token's share of the mean, ``(batch, tokens)``; all zero for a sentence without tokens."""
        real = mask.to(dtype)
        if self.token_weights is None:
            return real / real.sum(1, keepdim=True).clamp(min=1)
        scores = self.token_weights(input_ids).squeeze(-1).masked_fill(mask == 0, torch.finfo(dtype).min)
        shares: Tensor = scores.softmax(1).to(dtype) * real
        return shares

    def _init_weights(self, module: nn.Module) -> None:
        """As other students; tokens' weights start equal."""
        if isinstance(module, nn.Embedding) and module.embedding_dim == 1 and self.config.token_weights:
            init.zeros_(module.weight)
        else:
            super()._init_weights(module)
