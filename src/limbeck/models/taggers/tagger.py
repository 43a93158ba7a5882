"""What taggers share: words' features from tokens' states, the head on top, and what goes in and out.

Axes: ``batch``, ``tokens``, ``words``, ``tags``, ``width``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from limbeck.core.errors import LimbeckError
from limbeck.models.recurrent import taken
from limbeck.models.taggers.head import TagHead

if TYPE_CHECKING:
    from limbeck.structure.chain import Chain


@dataclass(frozen=True, slots=True)
class Inputs:
    """A batch of sentences.

    Attributes:
        ids: ``(batch, tokens)``.
        mask: One where a token is real, ``(batch, tokens)``.
        starts: Position of each word's first token, -1 after the last word: ``(batch, words)``; None where
            every token is a word.
        ends: Position of each word's last token, likewise.
        spelling: The words' UTF-8 bytes, 0 after the last: ``(batch, words, bytes)``.
    """

    ids: Tensor
    mask: Tensor
    starts: Tensor | None
    ends: Tensor | None
    spelling: Tensor | None

    def lengths(self) -> Tensor:
        """Words of each sentence, ``(batch,)``."""
        return self.mask.sum(1) if self.starts is None else (self.starts >= 0).sum(1)

    def members(self) -> Tensor:
        """True where a token is of a word, ``(batch, words, tokens)``.

        Raises:
            LimbeckError: It is not known where words end.
        """
        if self.starts is None or self.ends is None:
            raise LimbeckError("this tagger needs 'word_starts' and 'word_ends', as encode_words gives them")
        place = torch.arange(self.ids.shape[1], device=self.ids.device)
        return (place >= self.starts.clamp(min=0)[..., None]) & (place <= self.ends[..., None])


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tagger makes of tokens.

    Attributes:
        features: Of words, ``(batch, words, width)``.
        hidden_states: Embeddings and each layer's states, each ``(batch, tokens, width)``, where asked for.
        attentions: Each layer's maps ``(batch, heads, tokens, tokens)``, where asked for.
    """

    features: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class Tagger(PreTrainedModel):
    """Base of the taggers: tokens to words' features (:meth:`read`), then the head."""

    head: TagHead
    main_input_name = "input_ids"

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        word_starts: Tensor | None = None,
        word_ends: Tensor | None = None,
        word_bytes: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
    ) -> TokenClassifierOutput:
        """Emissions of words; the best tags are those of the chain (:meth:`potentials`), not of each word.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``; padding is on the right.
            token_type_ids: Not read; tokenisers give them.
            word_starts: Position of each word's first token, -1 after the last word: ``(batch, words)``.
                Without it every token is a word, special ones too: that is what transformers' pipeline asks.
            word_ends: Position of each word's last token, likewise.
            word_bytes: The words' UTF-8 bytes, 0 after the last: ``(batch, words, bytes)``.
            labels: Tag indices, ``(batch, words)``, -100 after the last word; with them the output has the mean
                negative log-likelihood of a sentence's tags as loss.
            output_hidden_states: Whether to give embeddings and each layer's states.
            output_attentions: Whether to give attention maps, of models that have such.

        Returns:
            ``logits`` are emissions, ``(batch, words, tags)``.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        inputs = Inputs(input_ids, mask, word_starts, word_ends, word_bytes)
        reading = self.read(inputs, bool(output_hidden_states), bool(output_attentions))
        emissions = self.head(reading.features)
        return TokenClassifierOutput(
            loss=None if labels is None else self.head.loss(emissions, inputs.lengths(), labels),
            logits=emissions,
            hidden_states=reading.hidden_states,
            attentions=reading.attentions,
        )

    def read(self, inputs: Inputs, keep_states: bool, keep_attentions: bool) -> Reading:
        """Words' features, and what else is asked for."""
        raise NotImplementedError

    def potentials(self, emissions: Tensor, inputs: Mapping[str, Tensor], decoding: bool = False) -> Chain:
        """The chain over the words of a batch.

        Args:
            emissions: The output's ``logits``, ``(batch, words, tags)``.
            inputs: What :meth:`forward` was given.
            decoding: Whether to hold the chain to valid IOB2, where the configuration says ``constrain``.
        """
        ids = inputs["input_ids"]
        mask = inputs.get("attention_mask", torch.ones_like(ids))
        lengths = Inputs(ids, mask, inputs.get("word_starts"), None, None).lengths()
        return self.head.potentials(emissions, lengths, decoding)


def first_of_word(states: Tensor, inputs: Inputs) -> Tensor:
    """The state of each word's first token, nought after the last word.

    Args:
        states: ``(batch, tokens, width)``.
        inputs: Where words stand.

    Returns:
        ``(batch, words, width)``.
    """
    if inputs.starts is None:
        return states
    return taken(states, inputs.starts.clamp(min=0)).masked_fill(inputs.starts[..., None] < 0, 0.0)


def mean_of_word(states: Tensor, inputs: Inputs) -> Tensor:
    """The mean over each word's tokens; shapes as of :func:`first_of_word`."""
    if inputs.starts is None:
        return states
    members = inputs.members().to(states.dtype)  # (batch, words, tokens)
    return torch.bmm(members / members.sum(-1, keepdim=True).clamp(min=1), states)


def tag_names(config: PreTrainedConfig) -> list[str]:
    """Names of the tags, in the order of their indices."""
    return [name for _, name in sorted((config.id2label or {}).items())]
