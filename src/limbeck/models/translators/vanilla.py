"""Vanilla student: the non-autoregressive transformer of Gu, Bradbury, Xiong, Li and Socher (ICLR 2018).

    p(Y | X) = p_L(T | X) prod_t p(y_t | X, T)        (equation 3)

All tokens are written at once, each without knowing the others: one pass of the decoder. Equations and sections are the
paper's.

- *Length*: ``p_L`` is a softmax over differences to the source's length (:mod:`limbeck.models.translators.lengths`),
  so that no end token is needed; the one that targets come with is dropped.
- *Decoder inputs* (3.2, the uniform copy): place ``t`` starts from the embedding of source token ``round(T' t / T)``.
- *Decoder* (3.2): no causal mask; in self-attention a place sees all others and not itself; in positional attention
  (equation 4) sinusoidal encodings are queries and keys, the states values; attention to the source.
- *Training*: ``log p(Y | X)`` itself, the length a guess like any token.
- *Decoding* (argmax): the likeliest token at each place, for the likeliest lengths side by side. Of these the one
  is taken whose tokens have the largest mean log-probability (as of Ghazvininejad et al. 2019); the paper has
  an autoregressive teacher choose (equation 8).
- *Fertilities* (``inputs: fertility``), the paper's own way, stand in place of length and uniform copy: the decoder
  starts from source tokens, each as often as its fertility says, so that their sum is the length (equation 5). In
  training (section 4) an aligner says them (:mod:`limbeck.text.fertilities`): with so fixed a ``q(f | X, Y)`` the
  lower bound of the likelihood (equation 9) is ``log p(Y | X, f) + log p_F(f | X)``. In decoding they are predicted
  (:mod:`limbeck.models.translators.fertility`). The paper's fine-tuning by reinforcement is left out.

Axes: ``batch``, ``tokens`` (of sources), ``candidates`` (lengths of each translation), ``places`` (of the longest
translation), ``width``, ``vocabulary``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from limbeck.core.objective import NO_GOLD
from limbeck.core.signals import TOKENS, Guess
from limbeck.models.configs import VanillaConfig
from limbeck.models.translators.fertility import (
    FertilityHead,
    likely_fertilities,
    real_sources,
    shared_out,
)
from limbeck.models.translators.layers import DecoderLayer, others
from limbeck.models.translators.layout import fertile_copy, real_places, source_lengths, uniform_copy
from limbeck.models.translators.lengths import LengthHead, length_classes, likely_lengths
from limbeck.models.translators.parallel import ParallelSettings, ParallelStudent, built
from limbeck.models.translators.translator import Hypothesis
from limbeck.text.fertilities import Aligner

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding
    from limbeck.text.encode import Encoded
    from limbeck.text.subwords import Subwords


class Settings(ParallelSettings):
    """Keys of a recipe's ``student`` with ``kind: vanilla``."""

    inputs: Literal["uniform", "fertility"] = "uniform"
    """What the decoder starts from: source tokens spread evenly over a predicted length, or each source token as often
    as its predicted fertility says, which is learnt from an alignment of the text. Then ``length_weight`` is of
    fertilities, and ``candidates`` of a decoding are sequences of them."""
    largest_fertility: int = Field(50, gt=0)
    """Most places that a source token may stand for."""
    fertilities: Literal["argmax", "average"] = "argmax"
    """In decoding: the likeliest fertility of each token, or the mean of what is predicted, rounded."""


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
    """Encoder, a head for lengths or fertilities, decoder, and an output layer tied with the embeddings."""

    config_class = VanillaConfig
    config: VanillaConfig

    def __init__(self, config: VanillaConfig) -> None:
        super().__init__(config)
        if config.inputs == "fertility":
            self.fertility_head = FertilityHead(config.d_model, config.largest_fertility)
        else:
            self.length_head = LengthHead(config.d_model, config.longest_offset)
        self.layers = nn.ModuleList(
            DecoderLayer(config, positional=True) for _ in range(config.decoder_layers)
        )
        self.post_init()

    def token_scores(self, input_ids: Tensor, attention_mask: Tensor, lengths: Tensor) -> Tensor:
        """Scores of the tokens of translations of given lengths, for the uniform copy.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``; padding is on the right.
            lengths: Tokens of the translations of each source, at least one, ``(batch, candidates)``.

        Returns:
            Unnormalised, ``(batch, candidates, places, vocabulary)``; without meaning after a translation's end.
        """
        memory = self.encode(input_ids, attention_mask)
        copied = uniform_copy(source_lengths(attention_mask), lengths)
        scores: Tensor = self.lm_head(self.decoder_states(memory, input_ids, attention_mask, lengths, copied))
        return scores

    def length_scores(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unnormalised scores of ``T - T'``, from ``-longest_offset``: ``(batch, tokens) -> (batch, classes)``."""
        scores: Tensor = self.length_head(self.encode(input_ids, attention_mask), attention_mask)
        return scores

    def prepared(self, data: Encoded, dev: Encoded) -> tuple[Encoded, Encoded]:
        """With fertilities, where they are wanted: those of an aligner that has learnt from ``data``."""
        if self.config.inputs == "uniform":
            return data, dev
        aligner = Aligner.learn(data)
        aligned, dev_aligned = (replace(each, fertilities=aligner.fertilities(each)) for each in (data, dev))
        return aligned, dev_aligned

    @property
    def most_candidates(self) -> int:
        """As many lengths as there are differences to the source's, or sequences as a token has fertilities."""
        if self.config.inputs == "fertility":
            return self.config.largest_fertility + 1
        return super().most_candidates

    def decoder_states(
        self, memory: Tensor, input_ids: Tensor, attention_mask: Tensor, lengths: Tensor, copied: Tensor
    ) -> Tensor:
        """The last layer's states.

        Args:
            memory: What ``encode`` gives.
            input_ids: ``(batch, tokens)``.
            attention_mask: ``(batch, tokens)``.
            lengths: Tokens of the translations, ``(batch, candidates)``.
            copied: The source token that each place starts from, ``(batch, candidates, places)``.

        Returns:
            ``(batch, candidates, places, width)``.
        """
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
        """Tokens, all of a row before the next row's, and lengths or fertilities; without a translation none of them.

        Args:
            inputs: As :class:`limbeck.models.translators.translator.ParallelTranslator` says. End tokens are no guess.
        """
        input_ids, mask, labels = (inputs[name] for name in ("input_ids", "attention_mask", "labels"))
        lengths = (labels != NO_GOLD).sum(1) - 1  # (batch,); the end token is dropped
        memory = self.encode(input_ids, mask)
        taught = lengths > 0
        lengths = lengths.clamp(min=1)
        copied, planned = self._taught_plan(memory, mask, lengths, taught, inputs.get("fertilities"))
        states = self.decoder_states(memory, input_ids, mask, lengths[:, None], copied)[:, 0]
        real = real_places(lengths) & taught[:, None]
        return Guess(TOKENS, self.lm_head(states[real]), labels[:, : states.shape[1]][real]), planned

    def _taught_plan(
        self, memory: Tensor, mask: Tensor, lengths: Tensor, taught: Tensor, fertilities: Tensor | None
    ) -> tuple[Tensor, Guess]:
        """What the places of gold start from, ``(batch, 1, places)``, and the guess that plans it in decoding."""
        if self.config.inputs == "uniform":
            copied = uniform_copy(source_lengths(mask), lengths[:, None])
            scores = self.length_head(memory, mask)[taught]
            classes = length_classes(lengths, mask, self.config.longest_offset)[taught]
            return copied, self._weighed("length", scores, classes)
        if fertilities is None:
            fertilities = shared_out(lengths, mask)
        copied = fertile_copy(fertilities[:, None], lengths[:, None])
        guessed = real_sources(mask) & taught[:, None]
        truth = fertilities.clamp(max=self.config.largest_fertility)[guessed]
        return copied, self._weighed("fertility", self.fertility_head(memory[guessed]), truth)

    def _weighed(self, name: str, scores: Tensor, truth: Tensor) -> Guess:
        weights = torch.full_like(truth, self.config.length_weight, dtype=scores.dtype)
        return Guess(name, scores, truth, weights)

    def search(
        self, input_ids: Tensor, attention_mask: Tensor, candidates: int, longest: int
    ) -> tuple[Tensor, Tensor]:
        """The best translation of each source, on tensors alone, so that it can be exported whole.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``.
            candidates: Lengths, or sequences of fertilities, that are tried.
            longest: Most tokens of a translation.

        Returns:
            As :meth:`limbeck.models.translators.parallel.ParallelStudent.best`; a score is the mean log-probability of
            the tokens before any was dropped.
        """
        memory = self.encode(input_ids, attention_mask)
        lengths, copied = self._plans(memory, attention_mask, candidates, longest)
        tokens, log_probabilities = self.likeliest(
            self.decoder_states(memory, input_ids, attention_mask, lengths, copied)
        )  # (batch, candidates, places)
        real = real_places(lengths)
        means = log_probabilities.masked_fill(~real, 0.0).sum(2) / lengths  # (batch, candidates)
        return self.best(tokens, means, lengths)

    def _plans(self, memory: Tensor, mask: Tensor, candidates: int, longest: int) -> tuple[Tensor, Tensor]:
        """Lengths that are tried ``(batch, candidates)``, and what their places start from, ``(..., places)``."""
        if self.config.inputs == "uniform":
            lengths = likely_lengths(self.length_head(memory, mask), mask, candidates, longest)
            return lengths, uniform_copy(source_lengths(mask), lengths)
        scores = self.fertility_head(memory)
        fertilities = likely_fertilities(scores, mask, candidates, self.config.fertilities)
        lengths = fertilities.sum(2).clamp(1, longest)
        return lengths, fertile_copy(fertilities, lengths)

    @torch.inference_mode()
    def decode(self, inputs: Mapping[str, Tensor], decoding: Decoding) -> list[Hypothesis]:
        """The best translation of each row, in one pass; its score is the mean log-probability of a token, in nats.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, ``(batch, tokens)``.
            decoding: Of which ``candidates`` and ``max_length`` are read.
        """
        candidates = min(decoding.candidates, self.most_candidates)
        longest = min(decoding.max_length - 1, self.config.max_position_embeddings)
        tokens, scores = self.search(inputs["input_ids"], inputs["attention_mask"], candidates, longest)
        return [
            Hypothesis(tuple(row[row != self.pad_id].tolist()), score, passes=1)
            for row, score in zip(tokens.cpu(), scores.tolist(), strict=True)
        ]
