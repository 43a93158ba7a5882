"""Insertion student: the Insertion Transformer of Stern, Chan, Kiros and Uszkoreit (ICML 2019).

    p(c, l | X, Y_canvas)      content c, a token, into location l, a slot between two tokens of what is written so far

A transformer whose decoder sees the whole canvas at once, and says of every slot what to insert. No length is
predicted: a translation grows from an empty canvas until every slot says that it is complete.

- *Slots*: boundary tokens stand around the canvas; the last layer's states of two neighbours side by side, projected to
  one state's width, stand for the slot between them. There is no causal mask.
- *Content and location*: of the paper's two ways the factorised one, ``p(c, l) = p(c | l) p(l)``, with
  ``p(c | l) = softmax_c(h_l W)`` over the tokens and the end of a slot, and ``p(l)`` uniform, with no weights of its
  own. For slots that end one by one (slot finalisation), the loss is the mean over all slots whatever they lack, so the
  best ``p(l)`` is the uniform one; and parallel decoding reads ``p(c | l)`` alone. The paper's joint softmax over all
  slots, its contextual bias and its mixture of softmaxes are not built; nor is sequence finalisation, in which no slot
  says by itself that it is complete.
- *Training*: a random part of the translation is the canvas, and every slot is taught the tokens that it lacks, those
  in the middle most (balanced binary tree), or all alike (uniform); formulas and source in
  :mod:`limbeck.models.translators.insertion_targets`. The paper's loss is a mean over the slots of a canvas; a
  translation of ``n`` tokens counts ``n + 1`` times that, as it does with its end token for a translator that writes
  word by word, so that the sum over a batch is on the scale of sums over tokens.
- *Decoding*: an insertion into every slot in each pass, about ``log2 n`` passes and at most ``decoding.passes``, or one
  insertion in each pass (:mod:`limbeck.serve.loops.insertion`). Of two equal tokens in a row, a canvas with one
  does not say which it is; the slots on both sides are then as likely to lack the other, and insertions into both at
  once are none or one too many. One insertion in each pass has no such trouble.

Axes: ``batch``, ``tokens`` (of sources), ``rows`` (translations), ``places`` (of the longest canvas), ``slots``
(``places - 1``), ``width``, ``vocabulary``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limbeck.core.objective import NO_GOLD
from limbeck.core.signals import TOKENS, Guess
from limbeck.models.configs import InsertionConfig
from limbeck.models.translators.insertion_targets import canvases, lessons, random_subsets
from limbeck.models.translators.layout import real_places
from limbeck.models.translators.parallel import CommonSettings, built
from limbeck.models.translators.passes import PassGraph, PassStudent
from limbeck.serve.loops import insertion

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.text.subwords import Subwords


class Settings(CommonSettings):
    """Keys of a recipe's ``student`` with ``kind: insertion``."""

    order: Literal["binary_tree", "uniform"] = "binary_tree"
    """Which of the tokens that a slot lacks it is taught to insert: rather those in the middle, so that about log2 n
    passes write n tokens; or all alike."""
    tau: float = Field(1.0, gt=0)
    """Of the binary tree: the smaller, the more the middle counts (the paper's temperature)."""
    insertions: Literal["parallel", "greedy"] = "parallel"
    """Where a pass of decoding inserts: in all slots; or the likeliest token alone: then a translation takes as many
    passes as it has tokens, and one, whatever ``decoding.passes`` says."""
    end_penalty: float = Field(0.5, ge=0)
    """In decoding, a slot is complete where that is likelier than any token by so many nats: there is one end, and
    several tokens share what is left."""
    deduplicate: bool = False
    """Of equal tokens in a row keep the first in decoding."""


def build(
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: Subwords,
    teacher: PreTrainedModel | None,
) -> InsertionForSeq2SeqLM:
    """An untrained student; see :func:`limbeck.models.build`."""
    return built(InsertionForSeq2SeqLM, settings, tokeniser, teacher)


def tiny() -> Settings:
    """Settings that take seconds on a CPU."""
    return Settings(layers=1, width=16, feed_forward=32, heads=2)


class InsertionForSeq2SeqLM(PassStudent):
    """Encoder, decoder, slots, and an output layer tied with the embeddings."""

    config_class = InsertionConfig
    config: InsertionConfig

    def __init__(self, config: InsertionConfig) -> None:
        super().__init__(config)
        end: Any = config.eos_token_id
        self.start_id, self.end_id = self.special(config.bos_token_id, "start"), self.special(end, "end")
        self.slots = nn.Linear(2 * config.d_model, config.d_model)
        self.longest = config.max_position_embeddings - 2  # without the boundaries
        self.post_init()

    def slot_states(self, memory: Tensor, source_mask: Tensor, tokens: Tensor) -> Tensor:
        """What stands for each slot, ``(rows, slots, width)``; without meaning after a canvas's end.

        Args:
            memory: The encoder's states, ``(batch, tokens, width)``.
            source_mask: One where a source's token is real, ``(batch, tokens)``.
            tokens: The canvases with their boundaries, ``(rows, places)``; the padding token after them.
        """
        states = self.decoder_states(memory, source_mask, tokens)
        slots: Tensor = self.slots(torch.cat((states[:, :-1], states[:, 1:]), 2))
        return slots

    def insert(self, memory: Tensor, source_mask: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The likeliest token for each slot, its log-probability in nats, and that of the slot's end.

        The arguments are those of :meth:`slot_states`; what it gives is ``(rows, slots)`` each.
        """
        scores = self.lm_head(self.slot_states(memory, source_mask, tokens)).log_softmax(-1)
        return *self.best_tokens(scores), scores[..., self.end_id]

    def guesses(self, inputs: Mapping[str, Tensor]) -> tuple[Guess, ...]:
        """What random canvases lack: one item a missing token, then one a complete slot, whose truth is the end.

        Args:
            inputs: As :class:`limbeck.models.translators.translator.ParallelTranslator` says; a row without a
                translation teaches nothing. Which tokens are given, PyTorch's generator of random numbers says.
        """
        input_ids, mask, labels = (inputs[name] for name in ("input_ids", "attention_mask", "labels"))
        lengths = (labels != NO_GOLD).sum(1) - 1  # (batch,); the end token is dropped
        lengths = lengths.clamp(max=self.longest)  # what is longer is cut
        taught = lengths > 0
        real = real_places(lengths.clamp(min=1)) & taught[:, None]  # (batch, places)
        kept = random_subsets(real)
        canvas = canvases(labels, kept, self.start_id, self.end_id, self.pad_id)
        states = self.slot_states(self.encode(input_ids, mask), mask, canvas)
        told = lessons(real, kept, self.config.tau if self.config.order == "binary_tree" else math.inf)
        rows, slots, places, weights = (each[taught[told.rows]] for each in told)
        truth = torch.where(places < 0, self.end_id, labels[rows, places.clamp(min=0)])
        # Each slot is scored once, however many tokens it lacks.
        is_slot = canvas[:, 1:] != self.pad_id
        number = is_slot.flatten().cumsum(0).view_as(is_slot) - 1
        scores = self.lm_head(states[is_slot]).index_select(0, number[rows, slots])
        factor = (lengths + 1) / (kept.sum(1) + 1)  # of the mean over a canvas's slots
        return (Guess(TOKENS, scores, truth, (weights * factor[rows]).to(scores.dtype)),)

    def graphs(self) -> dict[str, PassGraph]:
        """One: what to insert into each slot."""
        tokens = torch.tensor([[self.start_id, self.end_id, self.end_id]] * 2)
        tokens[1, 2] = self.pad_id
        said = dict.fromkeys(("ids", "log_probabilities", "ends"), ("rows", "slots"))
        return {insertion.INSERT: PassGraph({"tokens": tokens}, {"tokens": ("rows", "places")}, said)}

    def loop(self) -> insertion.Loop:
        """How canvases grow."""
        return insertion.Loop(
            start=self.start_id,
            end=self.end_id,
            padding=self.pad_id,
            longest=self.longest,
            greedy=self.config.insertions == "greedy",
            end_penalty=self.config.end_penalty,
            deduplicate=self.config.deduplicate,
        )
