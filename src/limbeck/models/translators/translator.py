"""What all translators share: the ids of special tokens, what they find, and what a parallel one must be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from transformers import PreTrainedModel

from limbeck.core.decoding import Decoding

if TYPE_CHECKING:
    from torch import Tensor

    from limbeck.core.signals import Guess, Penalty
    from limbeck.text.encode import Encoded


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A translation that a model found.

    Attributes:
        tokens: Token ids, without start and end.
        score: What the search ranks by: of beam search the log-probability over length to the penalty's power, in nats.
        passes: How often the decoder (all of the model but its encoder) ran for it.
    """

    tokens: tuple[int, ...]
    score: float
    passes: int


class ParallelTranslator(PreTrainedModel):
    """Base of translators that write all tokens of a translation at once, or several at a time."""

    main_input_name = "input_ids"
    searches: ClassVar[frozenset[str]] = frozenset({"beam", "greedy"})
    """Values of ``decoding.search`` that it knows; it tells these two not apart."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, fertilities: Tensor | None = None
    ) -> tuple[Guess | Penalty, ...]:
        """The guesses, as arguments by name, so that a wrapper for several devices can stand between."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
        return self.guesses(inputs if fertilities is None else {**inputs, "fertilities": fertilities})

    def prepared(self, data: Encoded, dev: Encoded) -> tuple[Encoded, Encoded]:
        """Texts to learn from and to be scored on, with all that this kind reads of them; most read nothing more.

        Args:
            data: Texts with translations.
            dev: Others; of them nothing is learnt.
        """
        return data, dev

    @property
    def most_candidates(self) -> int:
        """How many translations of a text can be tried side by side."""
        raise NotImplementedError

    def guesses(self, inputs: Mapping[str, Tensor]) -> tuple[Guess | Penalty, ...]:
        """What it is scored on for a batch, with the graph for gradients.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, ``(batch, tokens)``, and ``labels``: the translations' tokens,
                each with its end token and ``NO_GOLD`` after it, ``(batch, target tokens)``; of some kinds what
                ``prepared`` adds.
        """
        raise NotImplementedError

    def decode(self, inputs: Mapping[str, Tensor], decoding: Decoding) -> list[Hypothesis]:
        """The best translation of each row, the same whatever other rows the batch has.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, ``(batch, tokens)``.
            decoding: How to search.
        """
        raise NotImplementedError
