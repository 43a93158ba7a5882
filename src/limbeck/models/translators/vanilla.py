"""Vanilla student: the non-autoregressive transformer of Gu, Bradbury, Xiong, Li and Socher (ICLR 2018).

    p(Y | X) = p_L(T | X) prod_t p(y_t | X, T)

All tokens are written at once, each without knowing the others: one pass of the decoder.

- *Length*: ``p_L`` is a softmax over differences to the source's length (:mod:`limbeck.models.translators.lengths`),
  so that no end token is needed; the one that targets come with is dropped.
- *Decoder inputs* (the uniform copy): place ``t`` starts from the embedding of source token ``round(T' t / T)``.
- *Decoder*: no causal mask; in self-attention a place sees all others and not itself; in positional
  attention sinusoidal encodings are queries and keys, the states values; attention to the source.
- *Training*: ``log p(Y | X)`` itself, the length a guess like any token.
- *Decoding* (argmax): the likeliest token at each place, for the likeliest lengths side by side. Of these the one
  is taken whose tokens have the largest mean log-probability (as of Ghazvininejad et al. 2019); the paper has
  an autoregressive teacher choose.

Fertilities, another way to lengths and decoder inputs, would stand in place of the length head and of
:func:`limbeck.models.translators.layout.uniform_copy`.

Axes: ``batch``, ``tokens`` (of sources), ``candidates`` (lengths of each translation), ``places`` (of the longest
translation), ``width``, ``vocabulary``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from limbeck.core.objective import NO_GOLD
from limbeck.core.signals import TOKENS, Guess
from limbeck.models.configs import VanillaConfig
from limbeck.models.translators.layers import DecoderLayer, others
from limbeck.models.translators.layout import real_places, source_lengths, uniform_copy
from limbeck.models.translators.lengths import LengthHead, length_classes, likely_lengths
from limbeck.models.translators.parallel import ParallelSettings, ParallelStudent, built
from limbeck.models.translators.translator import Hypothesis

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding
    from limbeck.text.subwords import Subwords


class Settings(ParallelSettings):
    """Keys of a recipe's ``student`` with ``kind: vanilla``."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: Subwords,
    teacher: PreTrainedModel | None,
) -> VanillaForSeq2SeqLM:
    """An untrained student; see :func:`limbeck.models.build`."""
    return built(VanillaForSeq2SeqLM, settings, tokeniser, teacher)


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, width=16, feed_forward=32, heads=2, longest_offset=8)


class VanillaForSeq2SeqLM(ParallelStudent):
    """Encoder, length head, decoder, and an output layer tied with the embeddings."""

    config_class = VanillaConfig
    config: VanillaConfig

    def __init__(self, config: VanillaConfig) -> None:
        super().__init__(config)
        self.length_head = LengthHead(config.d_model, config.longest_offset)
        self.layers = nn.ModuleList(
            DecoderLayer(config, positional=True) for _ in range(config.decoder_layers)
        )
        self.post_init()

    def token_scores(self, input_ids: Tensor, attention_mask: Tensor, lengths: Tensor) -> Tensor:
        """Scores of the tokens of translations of given lengths.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``; padding is on the right.
            lengths: Tokens of the translations of each source, at least one, ``(batch, candidates)``.

        Returns:
            Unnormalised, ``(batch, candidates, places, vocabulary)``; without meaning after a translation's end.
        """
        memory = self.encode(input_ids, attention_mask)
        scores: Tensor = self.lm_head(self.decoder_states(memory, input_ids, attention_mask, lengths))
        return scores

    def length_scores(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unnormalised scores of ``T - T'``, from ``-longest_offset``: ``(batch, tokens) -> (batch, classes)``."""
        scores: Tensor = self.length_head(self.encode(input_ids, attention_mask), attention_mask)
        return scores

    def decoder_states(
        self, memory: Tensor, input_ids: Tensor, attention_mask: Tensor, lengths: Tensor
    ) -> Tensor:
        """The last layer's states, ``(batch, candidates, places, width)``; ``memory`` is what ``encode`` gives."""
        copied = uniform_copy(source_lengths(attention_mask), lengths)  # (batch, candidates, places)
        tokens = input_ids.gather(1, copied.flatten(1))  # (batch, candidates * places)
        places = copied.shape[2]
        positions = self.positions(places)
        states = self.embedded(tokens).view(-1, places, self.config.d_model) + positions
        states = functional.dropout(states, self.config.dropout, self.training)
        real = real_places(lengths).flatten(0, 1)  # (rows, places)
        may_see, source_mask = others(real), attention_mask.bool()
        for layer in self.layers:
            states = layer(states, may_see, memory, source_mask, positions, real)
        return states.view(*copied.shape, -1)

    def guesses(self, inputs: Mapping[str, Tensor]) -> tuple[Guess, ...]:
        """Tokens, all of a row before the next row's, and lengths; a row without a translation has neither.

        Args:
            inputs: As :class:`limbeck.models.translators.translator.ParallelTranslator` says. End tokens are no guess.
        """
        input_ids, mask, labels = (inputs[name] for name in ("input_ids", "attention_mask", "labels"))
        lengths = (labels != NO_GOLD).sum(1) - 1  # (batch,); the end token is dropped
        memory = self.encode(input_ids, mask)
        taught = lengths > 0
        lengths = lengths.clamp(min=1)
        states = self.decoder_states(memory, input_ids, mask, lengths[:, None])[:, 0]
        real = real_places(lengths) & taught[:, None]
        classes = length_classes(lengths, mask, self.config.longest_offset)[taught]
        weights = torch.full_like(classes, self.config.length_weight, dtype=states.dtype)
        return (
            Guess(TOKENS, self.lm_head(states[real]), labels[:, : states.shape[1]][real]),
            Guess("length", self.length_head(memory, mask)[taught], classes, weights),
        )

    def search(
        self, input_ids: Tensor, attention_mask: Tensor, candidates: int, longest: int
    ) -> tuple[Tensor, Tensor]:
        """The best translation of each source, on tensors alone, so that it can be exported whole.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``.
            candidates: Lengths that are tried.
            longest: Most tokens of a translation.

        Returns:
            As :meth:`limbeck.models.translators.parallel.ParallelStudent.best`; a score is the mean log-probability of
            the tokens before any was dropped.
        """
        memory = self.encode(input_ids, attention_mask)
        scores = self.length_head(memory, attention_mask)
        lengths = likely_lengths(scores, attention_mask, candidates, longest)  # (batch, candidates)
        tokens, log_probabilities = self.likeliest(
            self.decoder_states(memory, input_ids, attention_mask, lengths)
        )  # (batch, candidates, places)
        real = real_places(lengths)
        means = log_probabilities.masked_fill(~real, 0.0).sum(2) / lengths  # (batch, candidates)
        return self.best(tokens, means, lengths)

    @torch.inference_mode()
    def decode(self, inputs: Mapping[str, Tensor], decoding: Decoding) -> list[Hypothesis]:
        """The best translation of each row, in one pass; its score is the mean log-probability of a token, in nats.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, ``(batch, tokens)``.
            decoding: Of which ``candidates`` and ``max_length`` are read.
        """
        candidates = min(decoding.candidates, 2 * self.config.longest_offset + 1)
        longest = min(decoding.max_length - 1, self.config.max_position_embeddings)
        tokens, scores = self.search(inputs["input_ids"], inputs["attention_mask"], candidates, longest)
        return [
            Hypothesis(tuple(row[row != self.pad_id].tolist()), score, passes=1)
            for row, score in zip(tokens.cpu(), scores.tolist(), strict=True)
        ]
