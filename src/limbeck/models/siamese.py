"""Siamese BiLSTM student of pairs (Tang et al. 2019, Distilling Task-Specific Knowledge from BERT, section 3.1).

    z = W2 relu(W1 [u; v; u*v; |u - v|] + b1) + b2

where u and v sum up the two texts, each read by itself by the same BiLSTM (:mod:`limbeck.models.bilstm`); the
"concatenate-compare" layer is that of Wang et al. (2018, GLUE). A pair comes as one row of tokens, as tokenisers make
it for cross-encoders; :mod:`limbeck.models.sides` finds the texts in it, so that batches, bundles and pipelines treat
a pair as they do for any other model.

Axes: ``batch``, ``tokens``, ``states`` (of both directions, side by side).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from limbeck.models import bilstm
from limbeck.models.bilstm import LSTMStudent, configured
from limbeck.models.configs import SiameseConfig
from limbeck.models.embeddings import start_embeddings
from limbeck.models.sides import Marks, apart, places_of_sides

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

FEATURES = 4
"""What classifiers see of a pair: u, v, u*v and |u - v|."""


class Settings(bilstm.Settings):
    """Keys of a recipe's ``student`` with ``kind: siamese``."""

    of_pairs: ClassVar[bool] = True
    tells_sides: ClassVar[bool] = True

    layers: int = Field(1, ge=0)
    """Bidirectional layers; 0 pools the embeddings themselves, which is fastest and reads no order of words."""

    @model_validator(mode="after")
    def _something_is_read(self) -> Settings:
        if not self.layers and self.pooling == "last":
            raise ValueError(
                "without 'layers' there are no states to take the last of: set 'pooling' to mean"
            )
        return self


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
) -> SiameseForSequenceClassification:
    """An untrained student; see :func:`limbeck.models.build`."""
    start = start_embeddings(settings, tokeniser, teacher, SiameseConfig.initializer_range)
    config = SiameseConfig(
        **configured(settings, labels, tokeniser),
        **Marks.of(tokeniser).keys(),
        embedding_size=start.shape[1],
    )
    student = SiameseForSequenceClassification(config)
    student.embeddings.weight.data.copy_(start)
    return student


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(embeddings="random", dimension=8, hidden=6, relu=5)


class SiameseForSequenceClassification(LSTMStudent):
    """Embeddings, one BiLSTM for both texts of a pair, pooling, what they have in common, a ReLU layer, logits."""

    config_class = SiameseConfig
    config: SiameseConfig

    def __init__(self, config: SiameseConfig) -> None:
        super().__init__(config, summaries=FEATURES)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Class scores of pairs; a text without tokens is summed up as zeros.

        Args:
            input_ids: Both texts in a row, with the tokeniser's special tokens: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``.
            token_type_ids: Which of the texts a token is of, 0 or 1, ``(batch, tokens)``; not read where the
                configuration says that separators tell.
            labels: Gold as :meth:`loss` takes it; with it the output has a loss.
            output_hidden_states: Whether to give the embeddings, ``(batch, tokens, width)``.
        """
        input_ids, mask = self.padded(input_ids, attention_mask)
        types = token_type_ids if self.config.reads_types else None
        if types is not None:
            types = functional.pad(types, (0, input_ids.shape[1] - types.shape[1]))
        starts, lengths = places_of_sides(
            input_ids, mask, types, self.config.separator_id, self.config.special_ids or []
        )
        embedded = self.embedded(input_ids)
        summaries, _ = self.read(*apart(embedded, starts, lengths))  # (batch * 2, states)
        logits = self.classify(compared(summaries.reshape(len(input_ids), 2, -1)))
        return SequenceClassifierOutput(
            loss=self.loss(logits, labels),
            logits=logits,
            hidden_states=(embedded,) if output_hidden_states else None,
        )


def compared(summaries: Tensor) -> Tensor:
    """``[u; v; u*v; |u - v|]``, ``(batch, 2, states) -> (batch, 4 * states)``."""
    first, second = summaries.unbind(1)
    return torch.cat((first, second, first * second, (first - second).abs()), -1)
