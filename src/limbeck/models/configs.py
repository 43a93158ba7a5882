"""Configurations of Limbeck's own students, apart from the models, for AutoConfig is loaded before these."""

from __future__ import annotations

from transformers.configuration_utils import PreTrainedConfig


class StudentConfig(PreTrainedConfig):
    """What the students have in common.

    Attributes:
        vocab_size: Tokens that the tokeniser knows.
        embedding_size: Width of the input embeddings.
        relu_size: Units of the hidden ReLU layer before the logits.
        dropout: Before and after the ReLU layer.
        embedding_dropout: On the input embeddings.
        word_dropout: Share of tokens that are hidden from the student in training.
        initializer_range: Standard deviation of random embeddings.
    """

    vocab_size: int = 30522
    embedding_size: int = 128
    relu_size: int = 200
    dropout: float = 0.3
    embedding_dropout: float = 0.3
    word_dropout: float = 0.0
    initializer_range: float = 0.1
    pad_token_id: int | None = 0


class BiLSTMConfig(StudentConfig):
    """Configuration of :class:`limbeck.models.bilstm.BiLSTMForSequenceClassification`.

    Attributes:
        hidden_size: Units of each direction.
        num_hidden_layers: Bidirectional layers.
        pooling: How the states of a sentence become one: ``last``, ``max`` or ``attention``.
        word_dropout_id: The token that stands for a hidden one.
    """

    model_type = "limbeck-bilstm"

    hidden_size: int = 150
    num_hidden_layers: int = 1
    pooling: str = "last"
    word_dropout_id: int = 0


class StaticConfig(StudentConfig):
    """Configuration of :class:`limbeck.models.static.StaticForSequenceClassification`.

    Attributes:
        token_weights: Whether each token has a learned weight in the mean.
    """

    model_type = "limbeck-static"

    token_weights: bool = False
