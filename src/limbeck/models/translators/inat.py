"""INAT student: iterative refinement, of Lee, Mansimov and Cho (EMNLP 2018).

    p(Y | X) = sum over Y^0 .. Y^{L-1} of p(Y | Y^{L-1}, X) .. p(Y^1 | Y^0, X) p(Y^0 | X),
    p(Y^l | Y^{l-1}, X) = prod_t p(y^l_t | Y^{l-1}, X, T)

A parallel translator whose decoder reads a whole translation and writes a better one. Those before the last are latent
variables. With the likeliest token at each of their places, ``Y^l`` is one term of the sum, and so a lower bound; in
training every pass is then asked for the right translation:

    J = - sum_l sum_t log p(y_t | Y^{l-1}, X, T)

- *Length*: a softmax over differences to the source's length, as of the vanilla student.
- *Passes*: the first reads the source, its tokens copied evenly to the places (see
  :func:`limbeck.models.translators.layout.uniform_copy`), the others what the pass before wrote. The paper has two
  decoders, one for the first pass, and one for all others, which in its authors' code also reads the states of
  the pass before. Here one decoder, of half the weights, does both, and reads tokens alone, as in fairseq's
  ``iterative_nonautoregressive_transformer``; it is a plain transformer's without a causal mask.
- *Training*: J over ``training_passes`` passes; and so that a pass does not learn to copy, some of the later passes of
  some translations read a corrupted gold translation, and not what the pass before wrote (denoising,
  :func:`corrupted`). J sums over passes; here it is their mean, so that the sum over a batch is on the scale of sums
  over tokens, and a length counts against it as it does elsewhere.
- *Decoding*: until nothing changes, or for ``decoding.passes`` passes (:mod:`limbeck.serve.loops.inat`).

Axes: ``batch``, ``tokens`` (of sources), ``rows`` (translations), ``places`` (of the longest), ``width``,
``vocabulary``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from limbeck.core.objective import NO_GOLD
from limbeck.core.signals import TOKENS, Guess
from limbeck.models.configs import InatConfig
from limbeck.models.translators.layers import DecoderLayer
from limbeck.models.translators.layout import real_places, source_lengths, uniform_copy
from limbeck.models.translators.lengths import LengthHead, length_classes
from limbeck.models.translators.parallel import ParallelSettings, built
from limbeck.models.translators.passes import TEXT, PassGraph, PassStudent
from limbeck.serve.loops import inat

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.text.subwords import Subwords


class Settings(ParallelSettings):
    """Keys of a recipe's ``student`` with ``kind: inat``."""

    training_passes: int = Field(4, gt=0)
    """Passes that are learnt of each translation, in each step of training."""
    denoising: float = Field(0.5, ge=0, le=1)
    """Share of the translations that a pass after the first learns to mend from corrupted gold, and not from what the
    pass before wrote."""
    corruption: float = Field(0.33, ge=0, le=1)
    """Share of the tokens of corrupted gold at which something is wrong: in equal parts a random token, a token said
    again in the next one's place, and two tokens that changed places."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: Subwords,
    teacher: PreTrainedModel | None,
) -> InatForSeq2SeqLM:
    """An untrained student; see :func:`limbeck.models.build`."""
    return built(InatForSeq2SeqLM, settings, tokeniser, teacher)


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, width=16, feed_forward=32, heads=2, longest_offset=8, training_passes=2)


class InatForSeq2SeqLM(PassStudent):
    """Encoder, length head, decoder, and an output layer tied with the embeddings."""

    config_class = InatConfig
    config: InatConfig
    says = {"lengths": ("batch", None), "copied_ids": TEXT}

    def __init__(self, config: InatConfig) -> None:
        super().__init__(config)
        self.length_head = LengthHead(config.d_model, config.longest_offset)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.post_init()

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """The encoder's states, scores of lengths ``(batch, classes)``, and the sources themselves."""
        memory = self.encode(input_ids, attention_mask)
        return memory, self.length_head(memory, attention_mask), input_ids

    def decoder_states(self, memory: Tensor, source_mask: Tensor, embedded: Tensor, real: Tensor) -> Tensor:
        """The last layer's states, ``(rows, places, width)``.

        Args:
            memory: The encoder's states, ``(batch, tokens, width)``.
            source_mask: One where a source's token is real, ``(batch, tokens)``.
            embedded: What the pass reads, ``(rows, places, width)``.
            real: True where a translation has a token, one at least, ``(rows, places)``.
        """
        states = embedded + self.positions(embedded.shape[1])
        states = functional.dropout(states, self.config.dropout, self.training)
        may_see, seen = real.unsqueeze(1), source_mask.bool()
        for layer in self.layers:
            states = layer(states, may_see, memory, seen)
        return states

    def write(
        self, memory: Tensor, source_mask: Tensor, tokens: Tensor, lengths: Tensor, copied: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One pass: the likeliest token of each place, and its log-probability in nats, ``(rows, places)`` each.

        Args:
            memory: The encoder's states, ``(batch, tokens, width)``.
            source_mask: One where a source's token is real, ``(batch, tokens)``.
            tokens: What the pass reads, ``(rows, places)``.
            lengths: Tokens of each translation, ``(rows,)``.
            copied: Whether they are tokens of the source, ``()``.
        """
        # A graph has both ways in it; a number that one vocabulary does not have is looked up in the other alone.
        sources, targets = self.config.vocab_size - 1, self.config.decoder_vocab_size - 1
        embedded = torch.where(
            copied, self.embedded(tokens.clamp(max=sources)), self.embedded_target(tokens.clamp(max=targets))
        )
        return self.likeliest(self.decoder_states(memory, source_mask, embedded, real_places(lengths)))

    def guesses(self, inputs: Mapping[str, Tensor]) -> tuple[Guess, ...]:
        """Tokens, those of the first pass before those of the next, and lengths; of rows with a translation only.

        Args:
            inputs: As :class:`limbeck.models.translators.translator.ParallelTranslator` says. End tokens are no guess;
                what is corrupted, PyTorch's generator of random numbers says.
        """
        input_ids, mask, labels = (inputs[name] for name in ("input_ids", "attention_mask", "labels"))
        lengths = (labels != NO_GOLD).sum(1) - 1  # (batch,); the end token is dropped
        memory, length_scores, _ = self.read(input_ids, mask)
        taught, lengths = lengths > 0, lengths.clamp(min=1)
        real = real_places(lengths)
        scored, truth = real & taught[:, None], labels[:, : real.shape[1]]
        copied = uniform_copy(source_lengths(mask), lengths[:, None])[:, 0]  # (batch, places)
        embedded = self.embedded(input_ids.gather(1, copied))
        passes = [self.lm_head(self.decoder_states(memory, mask, embedded, real)[scored])]
        for _ in range(1, self.config.training_passes):
            embedded = self.embedded_target(self._read_next(passes[-1].detach(), scored, truth))
            passes.append(self.lm_head(self.decoder_states(memory, mask, embedded, real)[scored]))
        classes = length_classes(lengths, mask, self.config.longest_offset)[taught]
        # Tokens are counted once a pass; a length shall count as if they were counted once.
        weight = self.config.length_weight * self.config.training_passes
        weights = torch.full_like(classes, weight, dtype=embedded.dtype)
        return (
            Guess(TOKENS, torch.cat(passes), truth[scored].repeat(len(passes))),
            Guess("length", length_scores[taught], classes, weights),
        )

    def _read_next(self, scores: Tensor, scored: Tensor, truth: Tensor) -> Tensor:
        """What the next pass of training reads, ``(batch, places)``: what this one wrote, or corrupted gold."""
        may_be_written = torch.ones(scores.shape[1], dtype=torch.bool, device=scores.device)
        may_be_written[self.never_written] = False
        tokens = torch.full_like(truth, self.pad_id)
        tokens[scored] = scores.masked_fill(~may_be_written, float("-inf")).argmax(1)
        choices = may_be_written.nonzero()[:, 0]
        mended = torch.rand(len(truth), 1, device=truth.device) < self.config.denoising
        noisy = corrupted(truth, scored, self.config.corruption, choices)
        return torch.where(mended & scored, noisy, tokens)

    def graphs(self) -> dict[str, PassGraph]:
        """One: a pass."""
        axes = ("rows", "places")
        example = {
            "tokens": torch.zeros(2, 3, dtype=torch.long),
            "lengths": torch.tensor([3, 2]),
            "copied": torch.tensor(True),
        }
        inputs = {"tokens": axes, "lengths": ("rows",), "copied": ()}
        return {inat.WRITE: PassGraph(example, inputs, {"ids": axes, "log_probabilities": axes})}

    def loop(self) -> inat.Loop:
        """Refinement until nothing changes."""
        return inat.Loop(self.config.max_position_embeddings, self.config.deduplicate)


def corrupted(tokens: Tensor, real: Tensor, share: float, choices: Tensor) -> Tensor:
    """Translations with faults (the corruption process of the paper's denoising autoencoder).

    From the first token to the last, each is left alone, or with a probability of ``share / 3`` each

    - replaced by a random one of the vocabulary,
    - said again in the next one's place,
    - swapped with the next, which is then looked at in its turn: a token may so be carried far;

    the last token has no next one, and can only be replaced.

    Args:
        tokens: ``(batch, places)``.
        real: True where a translation has a token, ``(batch, places)``.
        share: Of the tokens at which something is done.
        choices: The tokens that one may be replaced by, ``(some,)``.

    Returns:
        ``(batch, places)``; without meaning where there is no token.
    """
    place = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    drawn = torch.rand(tokens.shape, device=tokens.device) * 3
    others = choices[torch.randint(len(choices), tokens.shape, device=tokens.device)]
    return with_faults(tokens, real, (drawn / share).long() if share else torch.full_like(place, 3), others)


def with_faults(tokens: Tensor, real: Tensor, faults: Tensor, others: Tensor) -> Tensor:
    """Translations with these faults, as :func:`corrupted` says.

    Args:
        tokens: ``(batch, places)``.
        real: True where a translation has a token, ``(batch, places)``.
        faults: What is done at each: 0 replaces it, 1 says it again, 2 swaps it, all else leaves it alone.
        others: What it would be replaced by.
    """
    last = ~functional.pad(real[:, 1:], (0, 1))
    carried = ((faults == 1) | (faults == 2)) & ~last  # the next place starts from the same token
    place = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    came_from = place.masked_fill(functional.pad(carried[:, :-1], (1, 0)), 0).cummax(1).values
    there = tokens.gather(1, came_from)
    swapped = torch.where(carried & (faults == 2), tokens.roll(-1, 1), there)
    return torch.where(faults == 0, others, swapped)
