"""FlowSeq student: a latent sequence with a flow for its prior (Ma, Zhou, Li, Neubig and Hovy, EMNLP 2019).

    p(Y | X) = p_L(T | X) integral p(Y | z, X) p(z | X) dz,    p(Y | z, X) = prod_t p(y_t | z, X)

The latent sequence z has a vector for each place of the translation, and knows what tokens that are written at once
must agree on. Sections are the paper's.

- *Prior* ``p(z | X)`` (section 3.4): a flow, given the encoder's states (:mod:`limbeck.models.translators.flows`).
- *Posterior* ``q(z | Y, X)`` (3.2): a transformer on the translation and the source gives mean and variance of
  independent normal variables. What gives these starts at zero; of the translation's tokens some are hidden from it
  (token dropout), for else each z_t would but copy its y_t.
- *Decoder* ``p(y_t | z, X)`` (3.3): a transformer without causal mask that reads z and the source.
- *Length* (3.5): differences to the source's length (:mod:`limbeck.models.translators.lengths`).
- *Training* (2.2): the evidence lower bound, with one sample of z a translation, drawn so that gradients go through it:
  ``E_q [log p(Y | z, X)] - KL(q(z | Y, X) || p(z | X))``. The paper first trains posterior and decoder alone; here the
  weight of the divergence rises from nought. In evaluation z is drawn by each text's own numbers.
- *Decoding* (3.6), argmax: the flow makes z of noise zero, and at each place the likeliest token is taken, for the
  likeliest lengths side by side, of which that with the largest ``(log p(T | X) + log p(Y | z, X)) / T`` wins.
  Importance weighted: further z are made of random noise, ``temperature`` times a standard normal one; of all
  translations that come of them that wins whose ``(log p(T | X) + log 1/K sum_k w_k) / T`` is largest, with weights
  ``w_k = p(Y | z_k, X) p(z_k | X) / q(z_k | Y, X)`` of K samples ``z_k ~ q``. (The length's part and the division
  by T are as in the authors' own code.)

Latent sequences are as long as a multiple of what the flow's levels ask for: the last may reach a few places over the
translation's end. There the posterior reads end tokens, and the decoder looks at none of them.

Axes: ``batch``, ``tokens`` (of sources), ``candidates`` (lengths of each translation), ``rows`` (``batch`` times
``candidates``), ``places`` (of the longest), ``width``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from transformers import initialization as init

from limbeck.core.objective import NO_GOLD
from limbeck.core.signals import TOKENS, Guess, Penalty
from limbeck.models.configs import FlowseqConfig
from limbeck.models.translators.flows import FromZero, Given, InvertibleLinear, Level, unit
from limbeck.models.translators.layers import DecoderLayer
from limbeck.models.translators.layout import real_places
from limbeck.models.translators.lengths import LengthHead, length_classes, likely_lengths
from limbeck.models.translators.parallel import ParallelSettings, ParallelStudent, built
from limbeck.models.translators.sampling import normals
from limbeck.models.translators.translator import Hypothesis

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding
    from limbeck.text.subwords import Subwords


class Settings(ParallelSettings):
    """Keys of a recipe's ``student`` with ``kind: flowseq``."""

    flow_steps: list[Annotated[int, Field(gt=0)]] = Field([1, 1], min_length=1, max_length=5)
    """Steps of the prior's flow at each of its levels; from one to the next, two places become one. A step has four
    couplings, each with a decoder layer of half the width, and at all levels but the last two more of the whole width;
    the paper's flow has many more steps."""
    posterior_layers: int | None = Field(None, gt=0)
    """Layers of the posterior, which only training asks; null is as many as the decoder has."""
    token_dropout: float = Field(0.2, ge=0, lt=1)
    """Share of a translation's tokens that the posterior is not told, so that it learns what others say of them."""
    kl_warmup: float = Field(0.3, ge=0, le=1)
    """Share of the training over which the weight of the divergence between posterior and prior rises to one."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: Subwords,
    teacher: PreTrainedModel | None,
) -> FlowseqForSeq2SeqLM:
    """An untrained student; see :func:`limbeck.models.build`."""
    return built(FlowseqForSeq2SeqLM, settings, tokeniser, teacher)


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, width=16, feed_forward=32, heads=2, longest_offset=8, flow_steps=[1, 1])


class Posterior(nn.Module):
    """A transformer on a translation and its source; says mean and log-variance of each place's latent vector."""

    def __init__(self, config: FlowseqConfig) -> None:
        super().__init__()
        self.dropout, self.token_dropout = config.dropout, config.token_dropout
        count = config.posterior_layers or config.decoder_layers
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(count))
        self.mean = FromZero(config.d_model, config.d_model)
        self.log_variance = FromZero(config.d_model, config.d_model)

    def forward(self, embedded: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """Of the embeddings of the translations' tokens, ``(rows, places, width)``; so are both."""
        told = functional.dropout(torch.ones_like(embedded[:, :, :1]), self.token_dropout, self.training)
        states = functional.dropout(embedded * told + given.positions, self.dropout, self.training)
        for layer in self.layers:
            states = layer(states, given.real.unsqueeze(1), given.memory, given.source_mask)
        return self.mean(states).float(), self.log_variance(states).float()


class FlowseqForSeq2SeqLM(ParallelStudent):
    """Encoder, length head, posterior, prior, decoder, and an output layer tied with the embeddings."""

    config_class = FlowseqConfig
    config: FlowseqConfig
    searches = ParallelStudent.searches | {"importance"}
    started: Tensor

    def __init__(self, config: FlowseqConfig) -> None:
        super().__init__(config)
        self.length_head = LengthHead(config.d_model, config.longest_offset)
        self.posterior = Posterior(config)
        self.prior = Level(config, 0)
        self.reads_latents = nn.Linear(config.d_model, config.d_model)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        # Whether a first batch has given the flow's actnorms their values.
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        end: Any = config.eos_token_id
        self.end_id = self.special(end, "end")
        self.unit = unit(config.flow_steps)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, InvertibleLinear):
            init.orthogonal_(module.weight)
        elif isinstance(module, FromZero):
            init.zeros_(module.weight)

    def given(self, memory: Tensor, attention_mask: Tensor, lengths: Tensor) -> Given:
        """What flow and posterior are conditioned on.

        Args:
            memory: The encoder's states, ``(batch, tokens, width)``.
            attention_mask: One where a source's token is real, ``(batch, tokens)``.
            lengths: Of the translations, ``(batch, candidates)``.
        """
        whole = (lengths + self.unit - 1) // self.unit * self.unit
        real = real_places(whole).flatten(0, 1)  # (rows, places)
        return Given(memory, attention_mask.bool(), real, self.positions(real.shape[1]))

    def latents_of(self, tokens: Tensor, noise: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """A sample of the posterior, and how much likelier it is there than under the prior.

        Args:
            tokens: Of the translations, ``(rows, places)``; end tokens after each.
            noise: Standard normal, ``(rows, places, width)``.
            given: Of these translations.

        Returns:
            ``z``, ``(rows, places, width)``, and ``log q(z | Y, X) - log p(z | X)`` in nats, ``(rows,)``: in the mean
            over many samples the divergence of the two.
        """
        mean, log_variance = self.posterior(self.embedded_target(tokens), given)
        latents = mean + noise * torch.exp(log_variance / 2)
        normalised, determinant = self.prior.normalise(latents, given)
        # What both densities have to do with pi is the same.
        apart = (normalised.square() - noise.square() - log_variance).sum(2) / 2
        return latents, apart.masked_fill(~given.real, 0.0).sum(1) - determinant

    def decoder_states(self, latents: Tensor, given: Given, lengths: Tensor) -> Tensor:
        """The last layer's states, ``(rows, places, width)``, of translations of these lengths, ``(rows,)``."""
        real = real_places(lengths)
        places = real.shape[1]
        states: Tensor = self.reads_latents(latents[:, :places]) + given.positions[:places]
        states = functional.dropout(states, self.config.dropout, self.training)
        for layer in self.layers:
            states = layer(states, real.unsqueeze(1), given.memory, given.source_mask)
        return states

    # ------------------------------------------------------------ training

    def guesses(self, inputs: Mapping[str, Tensor]) -> tuple[Guess | Penalty, ...]:
        """Tokens, all of a row before the next row's, lengths, and the divergence from the prior, a value a row.

        Args:
            inputs: As :class:`limbeck.models.translators.translator.ParallelTranslator` says. End tokens are no guess;
                a row without a translation has no part in anything.
        """
        input_ids, mask, labels = (inputs[name] for name in ("input_ids", "attention_mask", "labels"))
        lengths = (labels != NO_GOLD).sum(1) - 1  # (batch,); the end token is dropped
        taught = lengths > 0
        lengths = lengths.clamp(min=1)
        memory = self.encode(input_ids, mask)
        given = self._given_in_training(memory, mask, lengths, taught)
        known = labels.masked_fill(labels == NO_GOLD, self.end_id)
        tokens = self._ended(known, lengths, given.real.shape[1])
        latents, apart = self.latents_of(tokens, self._noise(input_ids, mask, given), given)
        states = self.decoder_states(latents, given, lengths)
        real = real_places(lengths) & taught[:, None]
        classes = length_classes(lengths, mask, self.config.longest_offset)[taught]
        weights = torch.full_like(classes, self.config.length_weight, dtype=states.dtype)
        return (
            Guess(TOKENS, self.lm_head(states[real]), tokens[:, : real.shape[1]][real]),
            Guess("length", self.length_head(memory, mask)[taught], classes, weights),
            Penalty("divergence", apart[taught], self.config.kl_warmup),
        )

    def _given_in_training(self, memory: Tensor, mask: Tensor, lengths: Tensor, taught: Tensor) -> Given:
        """As :meth:`given`; the first batch that teaches anything starts the actnorms."""
        given = self.given(memory, mask, lengths[:, None])
        if self.training and not self.started and taught.any():
            self.started.fill_(True)
            return given._replace(starting=True)
        return given

    def _ended(self, labels: Tensor, lengths: Tensor, places: int) -> Tensor:
        """The translations' tokens with end tokens after each, ``(batch, places)``."""
        tokens = functional.pad(labels, (0, max(0, places - labels.shape[1])))[:, :places]
        place = torch.arange(places, device=labels.device)
        return tokens.masked_fill(place >= lengths[:, None], self.end_id)

    def _noise(self, input_ids: Tensor, mask: Tensor, given: Given) -> Tensor:
        """Standard normal, ``(batch, places, width)``; in evaluation the same for a text in any batch."""
        shape = (*given.real.shape, self.config.d_model)
        if self.training:
            return torch.randn(shape, device=given.memory.device)
        return self._drawn(input_ids, mask, 0, 1, shape[1])[:, 0]

    def _drawn(self, input_ids: Tensor, mask: Tensor, seed: int, draws: int, places: int) -> Tensor:
        """What each text draws by, standard normal, ``(batch, draws, places, width)``."""
        texts = zip(input_ids.cpu().numpy(), mask.sum(1).tolist(), strict=True)
        shape = (places, self.config.d_model)
        drawn = [normals(text[:real], seed, draws, shape) for text, real in texts]
        return torch.from_numpy(np.stack(drawn)).to(input_ids.device)

    # ------------------------------------------------------------ decoding

    def written(self, noise: Tensor, given: Given, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest tokens of the latent sequences that noise becomes, and their log-probabilities.

        Args:
            noise: ``(rows, places, width)``.
            given: Of the translations.
            lengths: Of the translations, ``(rows,)``.

        Returns:
            ``(rows, places)`` each; without meaning after a translation's end.
        """
        return self.likeliest(self.decoder_states(self.prior.generate(noise, given), given, lengths))

    def search(
        self, input_ids: Tensor, attention_mask: Tensor, candidates: int, longest: int
    ) -> tuple[Tensor, Tensor]:
        """The best translation of each source by argmax, on tensors alone, so that it can be exported whole.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: One where a token is real, ``(batch, tokens)``.
            candidates: Lengths that are tried.
            longest: Most tokens of a translation.

        Returns:
            As :meth:`limbeck.models.translators.parallel.ParallelStudent.best`.
        """
        memory, lengths, likely = self._lengths(input_ids, attention_mask, candidates, longest)
        given = self.given(memory, attention_mask, lengths)
        noise = given.real.unsqueeze(2) * given.positions.new_zeros(self.config.d_model)
        tokens, log_probabilities = self.written(noise, given, lengths.flatten())
        real = real_places(lengths)  # (batch, candidates, places)
        sums = log_probabilities.view(real.shape).masked_fill(~real, 0.0).sum(2)
        return self.best(tokens.view(real.shape), (likely + sums) / lengths, lengths)

    def _lengths(
        self, input_ids: Tensor, attention_mask: Tensor, candidates: int, longest: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The encoder's states, the likeliest lengths and their log-probabilities, ``(batch, candidates)`` each."""
        memory = self.encode(input_ids, attention_mask)
        scores = self.length_head(memory, attention_mask)
        likely = scores.log_softmax(1).topk(candidates, dim=1).values
        return memory, likely_lengths(scores, attention_mask, candidates, longest), likely

    @torch.inference_mode()
    def decode(self, inputs: Mapping[str, Tensor], decoding: Decoding) -> list[Hypothesis]:
        """The best translation of each row, by argmax or, where that is the search, importance weighted.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, ``(batch, tokens)``.
            decoding: Of which ``candidates``, ``max_length`` and ``search`` are read, and of importance weighted
                decoding ``latents``, ``samples``, ``temperature`` and ``seed``.

        Returns:
            Scores are, in nats, the log-probability of translation and length, over the length: by argmax of the
            translation given its latent sequence; importance weighted, an estimate of its own. Passes are 1, or one for
            each latent sequence and each sample of its estimate.
        """
        weighted = decoding.search == "importance"
        passes = decoding.latents * (1 + decoding.samples) if weighted else 1
        candidates = min(decoding.candidates, self.most_candidates)
        longest = min(decoding.max_length - 1, self.config.max_position_embeddings)
        texts = inputs["input_ids"], inputs["attention_mask"]
        tokens, scores = (
            self._weighted(*texts, candidates, longest, decoding)
            if weighted
            else self.search(*texts, candidates, longest)
        )
        return [
            Hypothesis(tuple(row[row != self.pad_id].tolist()), score, passes)
            for row, score in zip(tokens.cpu(), scores.tolist(), strict=True)
        ]

    def _weighted(
        self, input_ids: Tensor, attention_mask: Tensor, candidates: int, longest: int, decoding: Decoding
    ) -> tuple[Tensor, Tensor]:
        """Importance weighted decoding; what it gives is as of :meth:`search`."""
        memory, lengths, likely = self._lengths(input_ids, attention_mask, candidates, longest)
        given = self.given(memory, attention_mask, lengths)
        random, places = decoding.latents - 1, given.real.shape[1]
        drawn = self._drawn(input_ids, attention_mask, decoding.seed, random + decoding.samples, places)
        drawn = drawn.repeat_interleave(candidates, 0).transpose(0, 1)  # (draws, rows, places, width)
        tried, scores = [], []
        for noise in (torch.zeros_like(given.positions).expand_as(drawn[0]), *drawn[:random]):
            tokens, _ = self.written(decoding.temperature * noise, given, lengths.flatten())
            tried.append(tokens.view(*lengths.shape, -1))
            found = self.log_probability(tokens, drawn[random:], given, lengths.flatten())
            scores.append((likely + found.view_as(lengths)) / lengths)
        again = lengths.repeat(1, decoding.latents)  # (batch, latents * candidates)
        return self.best(torch.cat(tried, 1), torch.cat(scores, 1), again)

    def log_probability(self, tokens: Tensor, noise: Tensor, given: Given, lengths: Tensor) -> Tensor:
        """Estimate of ``log p(Y | T, X)`` by importance sampling from the posterior (section 3.6).

        Args:
            tokens: Of the translations, ``(rows, places)``.
            noise: Standard normal, ``(samples, rows, places, width)``.
            given: Of the translations.
            lengths: Of the translations, ``(rows,)``.

        Returns:
            In nats, ``(rows,)``; with more samples it rises, in the mean, to the true one.
        """
        ended = self._ended(tokens, lengths, noise.shape[2])
        real = real_places(lengths)
        weights = []
        for each in noise:
            latents, apart = self.latents_of(ended, each, given)
            scores = self.lm_head(self.decoder_states(latents, given, lengths)).float().log_softmax(2)
            right = scores.gather(2, ended[:, : real.shape[1], None]).squeeze(2)
            weights.append(right.masked_fill(~real, 0.0).sum(1) - apart)
        return torch.stack(weights).logsumexp(0) - math.log(len(noise))
