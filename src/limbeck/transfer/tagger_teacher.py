"""A teacher that tags words: its answers are chains, over words, whatever tokens it reads them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SignalName, Signals
from limbeck.core.tasks import Task
from limbeck.models.heads import load_tagger
from limbeck.models.outputs import say
from limbeck.models.taggers.chains import predict_chain
from limbeck.models.taggers.tagger import Tagger
from limbeck.structure.chain import Chain
from limbeck.text.encode import collate
from limbeck.text.words import encode_words
from limbeck.transfer.teachers import ModelTeacher

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from limbeck.transfer.label_map import LabelMap

POTENTIALS: frozenset[SignalName] = frozenset({"potentials"})


class TaggerTeacher(ModelTeacher):
    """A tagger, fine-tuned here or elsewhere.

    Args:
        model: The tagger; it is put into evaluation mode.
        tokeniser: Its tokeniser.
        labels: Our tags, in the order of the answers.
        max_length: Tokens kept of a sentence, special tokens included; of a longer one it says nothing of the last
            words.
        label_map: Where our tags stand among the model's; None where they are the same.
        name: What a person calls it.
        device: Where it computes; by default a GPU where there is one.

    Raises:
        LimbeckError: The model cannot read sentences of ``max_length``.
    """

    model: Tagger

    def __init__(
        self,
        model: Tagger,
        tokeniser: PreTrainedTokenizerFast,
        labels: Sequence[str],
        max_length: int,
        *,
        label_map: LabelMap | None = None,
        name: str = "",
        device: torch.device | None = None,
    ) -> None:
        super().__init__(model, tokeniser, labels, max_length, label_map=label_map, name=name, device=device)
        self.offers = frozenset({"potentials", "hidden", "embeddings"})

    @staticmethod
    def loaded(reference: str | Path) -> Tagger:
        """The model of such a teacher: a tagger of Limbeck's own, or a token classifier of transformers."""
        return load_tagger(reference)

    @staticmethod
    def meaning(model: PreTrainedModel, task: Task) -> Task:
        """A softmax classifies each word."""
        assert isinstance(model, Tagger)
        return "tagging" if model.head.is_chain else "classification"

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        """What it says about the examples, in their order, without gradients; potentials are on the CPU."""
        if lacking := sorted(needs - self.offers):
            raise LimbeckError(f"a tagger does not give {', '.join(lacking)}", where=self.name)
        encoded = encode_words(self.tokeniser, examples, None, self.max_length)
        if needs == POTENTIALS:
            return Signals(potentials=self._over_ours(predict_chain(self.model, encoded, self.device)))
        batch = collate(encoded, np.arange(len(examples))).to(self.device)
        with torch.inference_mode():
            said = say(self.model, batch.inputs, needs)
        return said if said.potentials is None else replace(said, potentials=self._over_ours(said.potentials))

    def _over_ours(self, chain: Chain) -> Chain:
        """With our tags, on the CPU."""
        return self.label_map.chain_over_ours(chain.detach().to(torch.device("cpu")))
