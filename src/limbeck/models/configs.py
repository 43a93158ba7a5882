"""Configurations of Limbeck's own models, apart from the models, for AutoConfig is loaded before these."""

from __future__ import annotations

from typing import Any, Literal

from transformers.configuration_utils import PreTrainedConfig


class EmbeddingConfig(PreTrainedConfig):
    """What models that begin with embeddings have in common.

    Attributes:
        vocab_size: Tokens that the tokeniser knows.
        embedding_size: Width of the input embeddings.
        dropout: Of classifiers before and after the ReLU layer, of taggers on the words' features; between layers.
        embedding_dropout: On the input embeddings.
        word_dropout: Share of tokens that are hidden from the model in training.
        initializer_range: Standard deviation of random embeddings.
    """

    vocab_size: int = 30522
    embedding_size: int = 128
    dropout: float = 0.3
    embedding_dropout: float = 0.3
    word_dropout: float = 0.0
    initializer_range: float = 0.1
    pad_token_id: int | None = 0


class StudentConfig(EmbeddingConfig):
    """What the students that classify have in common.

    Attributes:
        relu_size: Units of the hidden ReLU layer before the logits.
    """

    relu_size: int = 200


class BiLSTMConfig(StudentConfig):
    """Configuration of :class:`limbeck.models.bilstm.BiLSTMForSequenceClassification`.

    Attributes:
        hidden_size: Units of each direction.
        num_hidden_layers: Bidirectional layers.
        pooling: How the states of a sentence become one: ``last``, ``max``, ``mean`` or ``attention``.
        word_dropout_id: The token that stands for a hidden one.
    """

    model_type = "limbeck-bilstm"

    hidden_size: int = 150
    num_hidden_layers: int = 1
    pooling: str = "last"
    word_dropout_id: int = 0


class SiameseConfig(BiLSTMConfig):
    """Configuration of :class:`limbeck.models.siamese.SiameseForSequenceClassification`.

    Attributes:
        num_hidden_layers: Bidirectional layers; without any, the embeddings themselves are pooled.
        reads_types: Whether ``token_type_ids`` tell which of a pair's texts a token is of.
        separator_id: Else, what stands between the texts.
        special_ids: What the tokeniser adds to texts; neither side has it.
    """

    model_type = "limbeck-siamese"

    reads_types: bool = True
    separator_id: int | None = None
    special_ids: list[int] | None = None


class StaticConfig(StudentConfig):
    """Configuration of :class:`limbeck.models.static.StaticForSequenceClassification`.

    Attributes:
        token_weights: Whether each token has a learned weight in the mean.
    """

    model_type = "limbeck-static"

    token_weights: bool = False


class ForestConfig(PreTrainedConfig):
    """Configuration of :class:`limbeck.models.forest.ForestForSequenceClassification`.

    Attributes:
        vocab_size: Tokens that the tokeniser knows.
        features: What the trees split on: ``ngrams`` or ``embeddings``.
        shortest: Tokens of the shortest n-gram.
        longest: Tokens of the longest.
        values: What is told of an n-gram: ``presence``, ``counts`` or ``tfidf``.
        columns: How many n-grams there are.
        embedding_size: Width of the embeddings.
        trees: Their number.
        nodes: Of all trees together.
        leaves: Of all trees together.
        depth: Splits on the longest way from a root to a leaf.
        temperature: The trees say ``softmax(z / temperature)`` of the logits z; None where they say logits.
    """

    model_type = "limbeck-forest"

    vocab_size: int = 30522
    features: str = "ngrams"
    shortest: int = 1
    longest: int = 1
    values: str = "presence"
    columns: int = 0
    embedding_size: int = 0
    trees: int = 1
    nodes: int = 1
    leaves: int = 1
    depth: int = 0
    temperature: float | None = 1.0
    pad_token_id: int | None = 0


class BiLSTMTaggerConfig(EmbeddingConfig):
    """Configuration of :class:`limbeck.models.taggers.bilstm.BiLSTMForTokenClassification`.

    Attributes:
        hidden_size: Units of each direction.
        num_hidden_layers: Bidirectional layers.
        word_dropout_id: The token that stands for a hidden one.
        spelling: How a word's bytes are read: ``none``, ``cnn`` or ``bilstm``.
        spelling_size: Width of what is read from them.
        byte_size: Width of a byte's embedding.
        head: ``chain`` or ``softmax``.
        constrain: Whether only valid IOB2 is decoded.
    """

    model_type = "limbeck-bilstm-tagger"

    hidden_size: int = 150
    num_hidden_layers: int = 1
    word_dropout_id: int = 0
    spelling: str = "none"
    spelling_size: int = 50
    byte_size: int = 25
    head: str = "chain"
    constrain: bool = False


class TransformerTaggerConfig(PreTrainedConfig):
    """Configuration of :class:`limbeck.models.taggers.transformer.TransformerForTokenClassification`.

    Attributes:
        encoder: The encoder's configuration, as its ``to_dict`` gives it.
        pooling: A word's feature: the state of its ``first`` token, or the ``mean`` over its tokens.
        dropout: On the words' features.
        head: ``chain`` or ``softmax``.
        constrain: Whether only valid IOB2 is decoded.
    """

    model_type = "limbeck-transformer-tagger"

    encoder: dict[str, Any] | None = None
    pooling: str = "first"
    dropout: float = 0.1
    head: str = "chain"
    constrain: bool = False

    @property
    def max_position_embeddings(self) -> int | None:
        """The encoder's, where it has such."""
        return (self.encoder or {}).get("max_position_embeddings")


class ParallelConfig(PreTrainedConfig):
    """What translators that write many tokens at once have in common, under Marian's names, for its encoder reads them.

    Attributes:
        vocab_size: Tokens of sources.
        decoder_vocab_size: Tokens of translations.
        tie_word_embeddings: Whether both are the same, and share their embeddings.
        max_position_embeddings: Most tokens of a text or a translation.
        d_model: Width of embeddings and states.
        encoder_layers: Their number; and so on.
        scale_embedding: Whether embeddings are multiplied by the root of their width.
        init_std: Standard deviation of random weights.
        mask_token_id: What stands where a token is not known yet.
        longest_offset: Most tokens that a translation is thought to be longer, or shorter, than its source.
        length_weight: How much the length counts in the loss, where a token counts one.
        deduplicate: Whether of equal tokens in a row only the first is kept in decoding.
    """

    attribute_map = {
        "hidden_size": "d_model",
        "num_attention_heads": "encoder_attention_heads",
        "num_hidden_layers": "encoder_layers",
    }

    vocab_size: int = 8000
    decoder_vocab_size: int = 8000
    tie_word_embeddings: bool = True
    max_position_embeddings: int = 1024
    d_model: int = 256
    encoder_layers: int = 3
    encoder_ffn_dim: int = 1024
    encoder_attention_heads: int = 4
    encoder_layerdrop: float = 0.0
    decoder_layers: int = 3
    decoder_ffn_dim: int = 1024
    decoder_attention_heads: int = 4
    activation_function: str = "relu"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    scale_embedding: bool = True
    init_std: float = 0.0625
    is_encoder_decoder: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    mask_token_id: int | None = None
    longest_offset: int = 32
    length_weight: float = 1.0
    deduplicate: bool = True


class VanillaConfig(ParallelConfig):
    """Configuration of :class:`limbeck.models.translators.vanilla.VanillaForSeq2SeqLM`."""

    model_type = "limbeck-vanilla"
    inputs: Literal["uniform", "fertility"] = "uniform"
    largest_fertility: int = 50
    fertilities: Literal["argmax", "average"] = "argmax"


class MasktConfig(ParallelConfig):
    """Configuration of :class:`limbeck.models.translators.maskt.MasktForSeq2SeqLM`."""

    model_type = "limbeck-maskt"


class InatConfig(ParallelConfig):
    """Configuration of :class:`limbeck.models.translators.inat.InatForSeq2SeqLM`.

    Attributes:
        training_passes: Passes that are learnt of each translation.
        denoising: Share of the translations that a later pass of training reads as corrupted gold.
        corruption: Share of the tokens of corrupted gold at which something is wrong.
    """

    model_type = "limbeck-inat"

    training_passes: int = 4
    denoising: float = 0.5
    corruption: float = 0.33


class InsertionConfig(ParallelConfig):
    """Configuration of :class:`limbeck.models.translators.insertion.InsertionForSeq2SeqLM`.

    Attributes:
        order: How the missing tokens of a slot are weighed in training: as a ``binary_tree``, or ``uniform``.
        tau: Temperature of the binary tree.
        insertions: Where a pass of decoding inserts: in all slots (``parallel``), or one token (``greedy``).
        end_penalty: By so many nats the end of a slot must be likelier than a token.
    """

    model_type = "limbeck-insertion"

    order: str = "binary_tree"
    tau: float = 1.0
    insertions: str = "parallel"
    end_penalty: float = 0.5


class LevenshteinConfig(ParallelConfig):
    """Configuration of :class:`limbeck.models.translators.levenshtein.LevenshteinForSeq2SeqLM`.

    Attributes:
        most_placeholders: That one slot is given in a pass.
        placeholder_weight: How much a slot counts in the loss, where a token that is inserted counts one.
        deletion_weight: How much a token that is kept or deleted counts there.
        own_deletions: Share of translations on which insertion is learnt after deletions among the model's own tokens.
        sampled: Whether the tokens among which deletion is learnt are drawn; else they are the likeliest.
        empty_penalty: By so many nats a slot without placeholders must be likelier than one with some, in decoding.
    """

    model_type = "limbeck-levenshtein"

    most_placeholders: int = 255
    placeholder_weight: float = 1.0
    deletion_weight: float = 0.5
    own_deletions: float = 0.0
    sampled: bool = False
    empty_penalty: float = 0.0
