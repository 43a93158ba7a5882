"""Forest student: decision trees over n-grams or mean embeddings, to be read (Breiman 2001).

    s(x) = 1/N sum_i v_i(leaf of tree i that x falls into),      z = s,  or  z = T log s

The trees are scikit-learn's, grown on what the teacher says of each text (:mod:`limbeck.models.growing`). Here they are
flat arrays that PyTorch walks, saved as safetensors and never pickled. Axes: ``batch, trees, nodes, leaves, columns``
(of features).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from limbeck.models.configs import ForestConfig
from limbeck.models.embeddings import EmbeddingSettings, start_embeddings, vocabulary_size
from limbeck.models.ngrams import LONGEST, digits_of, keys_in
from limbeck.models.student import class_names, classes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from limbeck.models.growing import Grown

LEAST = 1e-6
"""Probabilities below this count as this: the logarithm of nought is no logit."""
OF_EMBEDDINGS = ("embeddings", "words", "dimension", "embedding_scale")
"""Keys that mean nothing to n-grams."""


class Settings(EmbeddingSettings):
    """Keys of a recipe's ``student`` with ``kind: forest``."""

    tells_sides: ClassVar[bool] = True

    tokeniser: Literal["auto", "teacher", "words"] = "auto"
    """``auto`` is words for n-grams (pieces of words are hard to read) and for a word-vector file; for other embeddings
    the teacher's pieces."""
    trees: int = Field(100, gt=0)
    """1 is a single decision tree, which can be read as a whole; more are a random forest, each tree grown on a
    bootstrap sample of the texts, their answers averaged."""
    depth: int | None = Field(None, gt=0)
    """Most splits on the way to a leaf; null has no limit."""
    leaves: int | None = Field(None, gt=1)
    """Most leaves of a tree, which then grows where it gains most first; null has no limit."""
    min_leaf: int = Field(2, gt=0)
    """Texts in a leaf at least."""
    split_features: float | None = Field(None, gt=0, le=1)
    """Share of the features that are tried at each split, drawn anew; null is all of them for a single tree, and a
    third for a forest."""
    features: Literal["ngrams", "embeddings"] = "ngrams"
    """What trees split on: which ``ngrams`` a text has, or the dimensions of its mean embedding (those of
    ``embeddings``), which no person can read."""
    ngrams: Annotated[list[int], Field(min_length=2, max_length=2)] = [1, 2]
    """Tokens of the shortest n-gram and of the longest, 3 at most."""
    values: Literal["presence", "counts", "tfidf"] = "presence"
    """What is told of an n-gram: whether it is there, how often, or its TF-IDF (scikit-learn's, of length one)."""
    min_df: int = Field(2, gt=0)
    """N-grams of fewer texts are left out."""
    max_features: int = Field(5000, gt=0)
    """Most n-grams, the most frequent ones."""

    @model_validator(mode="before")
    @classmethod
    def _read_words(cls, values: Any) -> Any:
        """N-grams are of words, unless the recipe says otherwise."""
        if not isinstance(values, Mapping) or values.get("features", "ngrams") != "ngrams":
            return values
        stray = next((key for key in OF_EMBEDDINGS if values.get(key) not in (None, "auto")), None)
        if stray is not None:
            raise ValueError(f"'{stray}' is of features 'embeddings', and these are n-grams")
        return {**values, "tokeniser": "words"} if values.get("tokeniser", "auto") == "auto" else values

    @model_validator(mode="after")
    def _ngrams_fit(self) -> Settings:
        if not 1 <= self.ngrams[0] <= self.ngrams[1] <= LONGEST:
            raise ValueError(f"'ngrams' is the shortest and the longest, from 1 to {LONGEST}")
        return self


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
) -> ForestForSequenceClassification:
    """A forest of one leaf, in which all classes are alike; see :func:`limbeck.models.build`."""
    start = None
    if settings.features == "embeddings":
        start = start_embeddings(settings, tokeniser, teacher, spread=1.0)
    config = ForestConfig(
        vocab_size=vocabulary_size(tokeniser),
        features=settings.features,
        shortest=settings.ngrams[0],
        longest=settings.ngrams[1],
        values=settings.values,
        embedding_size=0 if start is None else start.shape[1],
        pad_token_id=tokeniser.pad_token_id,
        **class_names(labels),
    )
    student = ForestForSequenceClassification(config)
    if start is not None and student.embeddings is not None:
        student.embeddings.weight.data.copy_(start)
    return student


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(trees=3, min_df=1)


class ForestForSequenceClassification(PreTrainedModel):
    """Features of a text, the leaf of each tree that it falls into, and the mean of what these say."""

    config_class = ForestConfig
    config: ForestConfig
    base_model_prefix = "student"
    main_input_name = "input_ids"

    def __init__(self, config: ForestConfig) -> None:
        super().__init__(config)
        counted = config.features == "ngrams"
        wide = config.embedding_size
        self.embeddings = None if counted else nn.Embedding(config.vocab_size, wide)
        keys = torch.zeros(config.columns, dtype=torch.int64) if counted else None
        self.register_buffer("keys", keys)  # of the n-grams, rising
        rarity = torch.ones(config.columns) if counted and config.values == "tfidf" else None
        self.register_buffer("rarity", rarity)  # of the n-grams, inverse document frequencies
        self.register_buffer("roots", torch.zeros(config.trees, dtype=torch.int32))
        self.register_buffer("features", torch.full((config.nodes,), -1, dtype=torch.int32))  # -1 at a leaf
        self.thresholds = nn.Parameter(torch.zeros(config.nodes), requires_grad=False)
        # Where a value goes that is not above the threshold, and one that is; at a leaf, its row in ``said``.
        self.register_buffer("below", torch.zeros(config.nodes, 2, dtype=torch.int32))
        self.register_buffer("said", torch.full((config.leaves, classes(config)), 1 / classes(config)))
        self.post_init()

    keys: Tensor | None
    rarity: Tensor | None
    roots: Tensor
    features: Tensor
    below: Tensor
    said: Tensor

    def get_input_embeddings(self) -> nn.Module | None:  # type: ignore[override]
        """The token embeddings; None of a forest over n-grams."""
        return self.embeddings

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Class scores of texts.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``.
            token_type_ids: One where a token is of a pair's second text, ``(batch, tokens)``.
            labels: Label indices ``(batch,)``; with them the output has the mean cross-entropy as loss.
        """
        said = self.walk(self.featurise(input_ids, attention_mask, token_type_ids))
        temperature = self.config.temperature
        logits = said if temperature is None else temperature * said.clamp(min=LEAST).log()
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def featurise(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """What trees split on, ``(batch, columns)`` float32; arguments as of :meth:`forward`.

        Sums are in double precision: in single precision a value near a threshold would fall to either side of it, as
        the order of a sum goes.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        if self.embeddings is not None:
            real = mask.double().unsqueeze(-1)
            embedded: Tensor = self.embeddings(input_ids)
            return ((embedded.double() * real).sum(1) / real.sum(1).clamp(min=1)).float()
        counts = self._counts(digits_of(input_ids, mask > 0, token_type_ids, self.config.vocab_size))
        if self.config.values == "presence":
            return counts.clamp(max=1).float()
        if self.rarity is None:
            return counts.float()
        weighed = counts * self.rarity.double()
        shares: Tensor = weighed / weighed.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return shares.float()

    def walk(self, features: Tensor) -> Tensor:
        """What the trees say: ``(batch, columns) -> (batch, classes)``, probabilities or logits."""
        at = self.roots.long().expand(len(features), -1)  # (batch, trees)
        for _ in range(self.config.depth):
            feature = self.features[at].long()
            above = features.gather(1, feature.clamp(min=0)) > self.thresholds[at]
            at = torch.where(feature < 0, at, self.below[at, above.long()].long())
        said: Tensor = self.said[self.below[at, 0].long()].sum(
            1
        )  # a leaf's is divided by the number of trees
        return said

    def take(self, grown: Grown) -> None:
        """Become the forest that was grown."""
        config, trees = self.config, grown.trees
        config.trees, config.nodes, config.leaves = len(trees.roots), len(trees.features), len(trees.said)
        config.depth, config.temperature = trees.depth, grown.temperature
        self.roots, self.features, self.below, self.said = (
            trees.roots,
            trees.features,
            trees.below,
            trees.said,
        )
        self.thresholds = nn.Parameter(trees.thresholds, requires_grad=False)

    def take_ngrams(self, keys: Tensor, rarity: Tensor | None) -> None:
        """Read these n-grams: their keys, rising, and inverse document frequencies, each ``(columns,)``."""
        self.config.columns = len(keys)
        self.keys, self.rarity = keys, rarity

    def _counts(self, digits: Tensor) -> Tensor:
        """How often each n-gram is there, ``(batch, columns)`` float64."""
        assert self.keys is not None
        config = self.config
        counts = torch.zeros(len(digits), config.columns, dtype=torch.float64, device=digits.device)
        for keys in (
            keys_in(digits, config.vocab_size, config.shortest, config.longest) if config.columns else ()
        ):
            place = torch.searchsorted(self.keys, keys).clamp(max=config.columns - 1)
            counts.scatter_add_(1, place, (self.keys[place] == keys).double())
        return counts

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: trees are grown."""
