"""MaskT student: the conditional masked language model of Ghazvininejad, Levy, Liu and Zettlemoyer (EMNLP 2019).

    p(Y_mask | X, Y_obs) = prod over masked places t of p(y_t | X, Y_obs, T)

A transformer whose decoder sees all places of a translation at once, some of which are masked, and says what stands
there. Started from masks alone it writes a whole translation in one pass, and may mask again what it doubts.

- *Training* (section 3.2 of the paper): of each translation's ``T`` tokens ``n ~ Uniform{1, ..., T}`` random ones are
  masked; the loss is the cross-entropy of these alone. The length is a guess beside them (section 3.3, by a head on
  the mean of the encoder's states in place of a token of its own, see :mod:`limbeck.models.translators.lengths`).
- *Decoding*: mask-predict, with ``decoding.passes`` passes and ``decoding.candidates`` lengths
  (:mod:`limbeck.serve.loops.maskt`).

Axes: ``batch``, ``tokens`` (of sources), ``rows`` (translations), ``places`` (of the longest), ``vocabulary``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from limbeck.core.objective import NO_GOLD
from limbeck.core.signals import TOKENS, Guess
from limbeck.models.configs import MasktConfig
from limbeck.models.translators.layers import DecoderLayer
from limbeck.models.translators.layout import real_places
from limbeck.models.translators.lengths import LengthHead, length_classes
from limbeck.models.translators.parallel import ParallelSettings, built
from limbeck.models.translators.passes import PassGraph, PassStudent
from limbeck.serve.loops import maskt

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.text.subwords import Subwords


class Settings(ParallelSettings):
    """Keys of a recipe's ``student`` with ``kind: maskt``."""

    deduplicate: bool = False
    """Of equal tokens in a row keep the first in decoding: worth it where there is one pass only."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: Subwords,
    teacher: PreTrainedModel | None,
) -> MasktForSeq2SeqLM:
    """An untrained student; see :func:`limbeck.models.build`."""
    return built(MasktForSeq2SeqLM, settings, tokeniser, teacher)


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, width=16, feed_forward=32, heads=2, longest_offset=8)


class MasktForSeq2SeqLM(PassStudent):
    """Encoder, length head, decoder, and an output layer tied with the embeddings."""

    config_class = MasktConfig
    config: MasktConfig
    says = {"lengths": ("batch", None)}

    def __init__(self, config: MasktConfig) -> None:
        super().__init__(config)
        self.length_head = LengthHead(config.d_model, config.longest_offset)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.mask_id = self.special(config.mask_token_id, "mask")
        self.post_init()

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """The encoder's states, and scores of lengths ``(batch, classes)``."""
        memory = self.encode(input_ids, attention_mask)
        return memory, self.length_head(memory, attention_mask)

    def decoder_states(self, memory: Tensor, source_mask: Tensor, tokens: Tensor) -> Tensor:
        """The last layer's states, ``(rows, places, width)``.

        Args:
            memory: The encoder's states, ``(batch, tokens, width)``.
            source_mask: One where a source's token is real, ``(batch, tokens)``.
            tokens: Of the translations as far as they are known, ``(rows, places)``; the padding token after them.
        """
        states = self.embedded_target(tokens) + self.positions(tokens.shape[1])
        states = functional.dropout(states, self.config.dropout, self.training)
        may_see, seen = (tokens != self.pad_id).unsqueeze(1), source_mask.bool()
        for layer in self.layers:
            states = layer(states, may_see, memory, seen)
        return states

    def fill(self, memory: Tensor, source_mask: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest token of each place, and its log-probability in nats, ``(rows, places)`` each."""
        return self.likeliest(self.decoder_states(memory, source_mask, tokens))

    def guesses(self, inputs: Mapping[str, Tensor]) -> tuple[Guess, ...]:
        """The masked tokens, row by row, and lengths; a row without a translation has neither.

        Args:
            inputs: As :class:`limbeck.models.translators.translator.ParallelTranslator` says. End tokens are no guess;
                which tokens are masked, PyTorch's generator of random numbers says.
        """
        input_ids, mask, labels = (inputs[name] for name in ("input_ids", "attention_mask", "labels"))
        lengths = (labels != NO_GOLD).sum(1) - 1  # (batch,); the end token is dropped
        memory, scores = self.read(input_ids, mask)
        taught = lengths > 0
        real = real_places(lengths.clamp(min=1)) & taught[:, None]  # (batch, places)
        hidden = hide(real, lengths)
        truth = labels[:, : real.shape[1]]
        known = torch.where(hidden, self.mask_id, torch.where(real, truth, self.pad_id))
        known[~taught, 0] = self.mask_id  # attention needs something to look at
        states = self.decoder_states(memory, mask, known)
        classes = length_classes(lengths.clamp(min=1), mask, self.config.longest_offset)[taught]
        weights = torch.full_like(classes, self.config.length_weight, dtype=states.dtype)
        return (
            Guess(TOKENS, self.lm_head(states[hidden]), truth[hidden]),
            Guess("length", scores[taught], classes, weights),
        )

    def graphs(self) -> dict[str, PassGraph]:
        """One: what stands at each place."""
        axes = ("rows", "places")
        tokens = torch.tensor([[self.mask_id] * 3, [self.mask_id, self.mask_id, self.pad_id]])
        return {
            maskt.FILL: PassGraph(
                {"tokens": tokens}, {"tokens": axes}, {"ids": axes, "log_probabilities": axes}
            )
        }

    def loop(self) -> maskt.Loop:
        """Mask-predict."""
        return maskt.Loop(
            self.mask_id, self.pad_id, self.config.max_position_embeddings, self.config.deduplicate
        )


def hide(real: Tensor, lengths: Tensor) -> Tensor:
    """True at a uniformly random number of each translation's tokens, at least one, drawn without replacement.

    Args:
        real: True where a translation has a token, ``(batch, places)``.
        lengths: Tokens of each, ``(batch,)``.

    Returns:
        ``(batch, places)``; nowhere in a row without tokens.
    """
    drawn = torch.rand(len(lengths), device=real.device)
    count = (drawn * lengths).long() + 1  # uniform on 1 to T, for rand is below one
    order = torch.rand(real.shape, device=real.device).masked_fill(~real, 2.0)
    ranks = order.argsort(1).argsort(1)
    return (ranks < count[:, None]) & real
