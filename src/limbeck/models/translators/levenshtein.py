"""Levenshtein student: the Levenshtein transformer of Gu, Wang and Zhao (NeurIPS 2019).

One iteration turns a translation ``y`` into another by three policies, one after the other (section 2.2 of the paper):

    p(d, p, t | X, y) = prod_i p_del(d_i | i, y)  prod_i p_plh(p_i | i, y')  prod_i p_tok(t_i | i, y'')

tokens are deleted, which leaves ``y'``; placeholders are put between neighbours, which makes ``y''``; tokens are put
for them. A start and an end token stand around the translation, and are never deleted. No length is predicted.

- *Policies* (section 3.1): with ``h`` the last layer's states of one decoder that all three share, and no biases,

      p_del = softmax(A h_i),    p_plh = softmax(B [h_i; h_i+1]),    p_tok = softmax(C h_i) at placeholders

  where ``C`` is tied with the embeddings, and a slot gets 0 to ``most_placeholders`` placeholders. The paper's
  separate decoders and exits from earlier layers are not built.
- *Training* (dual-policy learning, section 3.2): each policy maximises the log-likelihood of what an expert does, which
  takes the fewest deletions and insertions (:mod:`limbeck.structure.edits`), on states that roll-ins make.

  *Insertion* is learnt on gold of which ``n ~ Uniform{0, ..., T}`` random tokens of ``T`` are left: the expert's
  placeholders, then, with these inserted, gold's tokens. With probability ``own_deletions`` (the paper's beta), the
  state is instead the output of a deletion: the model fills such a translation's placeholders, without gradient, and
  the expert deletes what it got wrong.
  *Deletion* is learnt on the model's own insertions: where insertion was learnt, its tokens, the likeliest or drawn
  (``sampled``), stand for placeholders. The paper mixes in the initial state with probability alpha. In translation
  it is empty, and there is nothing to delete from it: alpha is nought here.
- *Weights*: losses are summed over items and divided by the number of inserted tokens. Of these there are ``T / 2`` in
  a translation of ``T`` tokens, of slots as many and one, and ``T`` tokens are kept or deleted: with weights of 1 and a
  half every policy's loss is on the scale of a mean over its own items, as the authors' code adds them up.
- *Decoding*: iterations until one changes nothing, at most ``decoding.passes``; up to three passes of the decoder in
  each, and those are what is counted (:mod:`limbeck.serve.loops.levenshtein`).

Axes: ``batch``, ``tokens`` (of sources), ``rows`` (translations), ``places`` (of the longest), ``slots`` (between
neighbours), ``width``, ``vocabulary``. Translations are kept, without their frame, as
:class:`limbeck.structure.edits.Rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from limbeck.core.objective import NO_GOLD
from limbeck.core.signals import TOKENS, Guess
from limbeck.models.configs import LevenshteinConfig
from limbeck.models.translators.layers import DecoderLayer
from limbeck.models.translators.parallel import CommonSettings, built
from limbeck.models.translators.passes import PassGraph, PassStudent
from limbeck.serve.loops import levenshtein
from limbeck.structure.edits import NOT_KEPT, Rows, alignment, placeholders, targets, without

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from limbeck.text.subwords import Subwords

    Bools = NDArray[np.bool_]


class Settings(CommonSettings):
    """Keys of a recipe's ``student`` with ``kind: levenshtein``."""

    most_placeholders: int = Field(255, gt=0)
    """Most tokens that are inserted into one slot in one iteration."""
    placeholder_weight: float = Field(1.0, ge=0)
    """How much the number of a slot's placeholders counts in the loss, where a token that is inserted counts one."""
    deletion_weight: float = Field(0.5, ge=0)
    """How much the decision whether a token must go counts in the loss. It is taken for every token of a translation,
    and half of them are inserted: at 0.5 both policies count the same."""
    own_deletions: float = Field(0.0, ge=0, le=1)
    """Share of translations on which insertion is learnt after deletions among the student's own tokens, and not after
    random ones among gold's; each takes another pass."""
    sampled: bool = False
    """Whether the tokens among which deletion is learnt are drawn from the student; else they are its likeliest."""
    empty_penalty: float = Field(0.0, ge=0)
    """In decoding, a slot stays empty where that is likelier than any number of placeholders by so many nats; more
    than 0 makes for longer translations."""
    deduplicate: bool = False
    """Of equal tokens in a row keep the first in decoding."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: Subwords,
    teacher: PreTrainedModel | None,
) -> LevenshteinForSeq2SeqLM:
    """An untrained student; see :func:`limbeck.models.build`."""
    return built(LevenshteinForSeq2SeqLM, settings, tokeniser, teacher)


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, width=16, feed_forward=32, heads=2)


class LevenshteinForSeq2SeqLM(PassStudent):
    """Encoder, decoder, three policies; that of tokens is the output layer, tied with the embeddings."""

    config_class = LevenshteinConfig
    config: LevenshteinConfig

    def __init__(self, config: LevenshteinConfig) -> None:
        super().__init__(config)
        end: Any = config.eos_token_id
        self.start_id, self.end_id = self.special(config.bos_token_id, "start"), self.special(end, "end")
        self.mask_id = self.special(config.mask_token_id, "mask")
        self.longest = config.max_position_embeddings - 2  # without the frame
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.deletion_head = nn.Linear(config.d_model, 2, bias=False)
        self.placeholder_head = nn.Linear(2 * config.d_model, config.most_placeholders + 1, bias=False)
        self.post_init()

    def decoder_states(self, memory: Tensor, source_mask: Tensor, tokens: Tensor) -> Tensor:
        """The last layer's states, ``(rows, places, width)``.

        Args:
            memory: The encoder's states, ``(batch, tokens, width)``.
            source_mask: One where a source's token is real, ``(batch, tokens)``.
            tokens: Of the translations with their frame, ``(rows, places)``; the padding token after them.
        """
        states = self.embedded_target(tokens) + self.positions(tokens.shape[1])
        states = functional.dropout(states, self.config.dropout, self.training)
        may_see, seen = (tokens != self.pad_id).unsqueeze(1), source_mask.bool()
        for layer in self.layers:
            states = layer(states, may_see, memory, seen)
        return states

    def slot_scores(self, states: Tensor) -> Tensor:
        """Unnormalised scores of placeholders between neighbours: ``(..., places, width) -> (..., slots, numbers)``."""
        pairs = torch.cat((states[..., :-1, :], states[..., 1:, :]), -1)
        scores: Tensor = self.placeholder_head(pairs)
        return scores

    # ------------------------------------------------------------ passes

    def delete(self, memory: Tensor, source_mask: Tensor, tokens: Tensor) -> tuple[Tensor]:
        """One where a token must go, ``(rows, places)``; without meaning for the frame and after it."""
        states = self.decoder_states(memory, source_mask, tokens)
        return (self.deletion_head(states).argmax(-1),)

    def insert(self, memory: Tensor, source_mask: Tensor, tokens: Tensor) -> tuple[Tensor]:
        """Placeholders for each slot, ``(rows, slots)``; without meaning after a translation's last."""
        scores = self.slot_scores(self.decoder_states(memory, source_mask, tokens))
        penalty = torch.zeros(scores.shape[-1], device=scores.device)
        penalty[0] = self.config.empty_penalty
        return ((scores - penalty).argmax(-1),)

    def fill(self, memory: Tensor, source_mask: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest token for each placeholder, row by row, and its log-probability in nats: ``(items,)`` each."""
        states = self.decoder_states(memory, source_mask, tokens)
        return self.likeliest(states[tokens == self.mask_id])

    def graphs(self) -> dict[str, PassGraph]:
        """One a policy."""
        start, end, mask = self.start_id, self.end_id, self.mask_id
        read = {"tokens": torch.tensor([[start, mask, mask, end], [start, mask, end, self.pad_id]])}
        axes = {"tokens": ("rows", "places")}
        filled = dict.fromkeys(("ids", "log_probabilities"), ("items",))
        return {
            levenshtein.DELETE: PassGraph(read, axes, {"deleted": ("rows", "places")}),
            levenshtein.INSERT: PassGraph(read, axes, {"placeholders": ("rows", "slots")}),
            levenshtein.FILL: PassGraph(read, axes, filled),
        }

    def loop(self) -> levenshtein.Loop:
        """Refinement by deletions and insertions."""
        return levenshtein.Loop(
            start=self.start_id,
            end=self.end_id,
            placeholder=self.mask_id,
            padding=self.pad_id,
            longest=self.longest,
            deduplicate=self.config.deduplicate,
        )

    # ------------------------------------------------------------ training

    def guesses(self, inputs: Mapping[str, Tensor]) -> tuple[Guess, ...]:
        """What the policies should do: ``tokens`` for placeholders, then ``placeholders`` of slots, then ``deletions``.

        Items stand row by row; a row without a translation has none.

        Args:
            inputs: As :class:`limbeck.models.translators.translator.ParallelTranslator` says. End tokens are no guess;
                which tokens are dropped, PyTorch's generator of random numbers on the CPU says.
        """
        mask = inputs["attention_mask"]
        memory = self.encode(inputs["input_ids"], mask)
        gold = gold_rows(inputs["labels"], self.longest)
        missing = dropped_at_random(gold)
        chosen = torch.rand(len(gold.lengths)).numpy() < self.config.own_deletions
        if chosen.any():
            missing[chosen] = self._missing_after_deletion(memory, mask, gold, missing, chosen)
        tokens, written = self._insertions(memory, mask, gold, missing)
        slots = self._placeholders(memory, mask, gold, missing)
        return tokens, slots, self._deletions(memory, mask, gold, written)

    def _placeholders(self, memory: Tensor, mask: Tensor, gold: Rows, missing: Bools) -> Guess:
        """How many tokens each slot of gold lacks, of which these are missing."""
        left = without(gold, missing, self.pad_id)
        scores = self.slot_scores(self._states(memory, mask, left))
        is_slot = np.arange(scores.shape[1]) <= left.lengths[:, None]
        is_slot &= gold.lengths[:, None] > 0
        counts = placeholders(gold, missing)[is_slot].clip(max=self.config.most_placeholders)
        place = memory.device
        return _weighed(
            "placeholders", scores[_on(place, is_slot)], _on(place, counts), self.config.placeholder_weight
        )

    def _insertions(self, memory: Tensor, mask: Tensor, gold: Rows, missing: Bools) -> tuple[Guess, Rows]:
        """Which tokens are missing, and gold with the model's own tokens where they are."""
        hidden = Rows(np.where(missing, self.mask_id, gold.tokens), gold.lengths)
        states = self._states(memory, mask, hidden)[:, 1:-1]  # (rows, places, width), as gold
        scores = self.lm_head(states[_on(memory.device, missing)])
        written = gold.tokens.copy()
        written[missing] = self._chosen(scores.detach()).cpu().numpy()
        truth = _on(memory.device, gold.tokens[missing])
        return Guess(TOKENS, scores, truth), Rows(written, gold.lengths)

    def _deletions(self, memory: Tensor, mask: Tensor, gold: Rows, written: Rows) -> Guess:
        """Which tokens of what is written must go."""
        states = self._states(memory, mask, written)[:, 1:-1]
        real = gold.real
        deleted = (alignment(written, gold) == NOT_KEPT)[real]
        scores = self.deletion_head(states[_on(memory.device, real)])
        truth = _on(memory.device, deleted.astype(np.int64))
        return _weighed("deletions", scores, truth, self.config.deletion_weight)

    @torch.no_grad()
    def _missing_after_deletion(
        self, memory: Tensor, mask: Tensor, gold: Rows, missing: Bools, chosen: Bools
    ) -> Bools:
        """What of gold some rows lack, once the model has filled what is missing, and the expert deleted from that."""
        rows, some = _on(memory.device, chosen), Rows(gold.tokens[chosen], gold.lengths[chosen])
        _, written = self._insertions(memory[rows], mask[rows], some, missing[chosen])
        return targets(written, some).inserted

    def _states(self, memory: Tensor, mask: Tensor, rows: Rows) -> Tensor:
        """The decoder's of translations with their frame, ``(rows, places + 2, width)``."""
        tokens = levenshtein.framed(rows, self.start_id, self.end_id, self.pad_id)
        return self.decoder_states(memory, mask, _on(memory.device, tokens))

    def _chosen(self, scores: Tensor) -> Tensor:
        """Tokens by their scores, the likeliest or drawn, special ones apart: ``(items, vocabulary) -> (items,)``."""
        never = torch.tensor(self.never_written, device=scores.device)
        scores = scores.float().index_fill(1, never, float("-inf"))
        if self.config.sampled and len(scores):
            return scores.softmax(1).multinomial(1).squeeze(1)
        return scores.argmax(1)


def gold_rows(labels: Tensor, longest: int) -> Rows:
    """Translations without their end tokens; one that is not there has no tokens.

    Args:
        labels: ``NO_GOLD`` after a row's end, ``(batch, target tokens)``.
        longest: What is longer is cut.
    """
    tokens = labels.cpu().numpy()
    lengths = ((tokens != NO_GOLD).sum(1) - 1).clip(0, longest)
    return Rows(tokens[:, : lengths.max(initial=0)], lengths)


def dropped_at_random(gold: Rows) -> Bools:
    """True at the tokens that are left out: any number of each translation's is left, all equally likely.

    Args:
        gold: The translations.

    Returns:
        ``(batch, places)``.
    """
    left = (torch.rand(len(gold.lengths)).numpy() * (gold.lengths + 1)).astype(np.int64)  # from 0 to all
    order = np.where(gold.real, torch.rand(gold.tokens.shape).numpy(), 2.0)
    dropped: Bools = (order.argsort(1).argsort(1) >= left[:, None]) & gold.real
    return dropped


def _on(device: torch.device, array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)


def _weighed(name: str, scores: Tensor, truth: Tensor, weight: float) -> Guess:
    return Guess(name, scores, truth, torch.full_like(truth, weight, dtype=scores.dtype))
