"""A teacher that tags words: its answers are chains, over words, whatever tokens it reads them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SignalName, Signals
from limbeck.models.heads import load_tagger
from limbeck.models.outputs import predict_emissions, say
from limbeck.models.taggers.tagger import Tagger, tag_names
from limbeck.structure.chain import Chain
from limbeck.text.encode import collate
from limbeck.text.tokeniser import load_tokeniser
from limbeck.text.words import encode_words
from limbeck.transfer.answer_files import arrange
from limbeck.transfer.teachers import NO_NAMES, ModelTeacher

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

POTENTIALS: frozenset[SignalName] = frozenset({"potentials"})


class TaggerTeacher(ModelTeacher):
    """A tagger, fine-tuned here or elsewhere.

    Args:
        model: The tagger; it is put into evaluation mode.
        tokeniser: Its tokeniser.
        labels: Our tags, in the order of the answers.
        max_length: Tokens kept of a sentence, special tokens included; of a longer one it says nothing of the last
            words.
        columns: For each of our tags its place in the model's emissions; None where the order is the same.
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
        columns: Sequence[int] | None = None,
        name: str = "",
        device: torch.device | None = None,
    ) -> None:
        super().__init__(model, tokeniser, labels, max_length, columns=columns, name=name, device=device)
        self.offers = frozenset({"potentials", "hidden", "embeddings"})

    @classmethod
    def load(
        cls,
        reference: str | Path,
        labels: Sequence[str],
        max_length: int,
        renamed: Mapping[str, str] = NO_NAMES,
    ) -> TaggerTeacher:
        """A fine-tuned tagger, whose tags may stand in another order than ours.

        Args:
            reference: A folder, ``package:NAME/FOLDER``, or a name on the hub.
            labels: Our tags, in the order that the answers shall have.
            max_length: Tokens kept of a sentence, special tokens included.
            renamed: The model's tags to ours, where they differ.

        Raises:
            LimbeckError: There is no such model, it cannot score the tags of words, or it has other tags.
        """
        model = load_tagger(reference)
        columns = arrange(tag_names(model.config), labels, renamed, where=reference)
        tokeniser = load_tokeniser(reference)
        return cls(model, tokeniser, labels, max_length, columns=columns, name=str(reference))

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        """What it says about the examples, in their order, without gradients; potentials are on the CPU."""
        if lacking := sorted(needs - self.offers):
            raise LimbeckError(f"a tagger does not give {', '.join(lacking)}", where=self.name)
        encoded = encode_words(self.tokeniser, examples, None, self.max_length)
        if needs == POTENTIALS:
            return Signals(
                potentials=self._chain(*predict_emissions(self.model, encoded, device=self.device))
            )
        batch = collate(encoded, np.arange(len(examples))).to(self.device)
        with torch.inference_mode():
            said = say(self.model, batch.inputs, needs)
        return said if said.potentials is None else replace(said, potentials=self._ordered(said.potentials))

    def _chain(self, flat: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
               offsets: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Chain:  # fmt: skip
        """The chain of emissions on end, ``(words, tags)``."""
        lengths = torch.from_numpy(np.diff(offsets))
        longest = int(lengths.max()) if len(lengths) else 0
        emissions = torch.zeros(len(lengths), longest, flat.shape[1])
        emissions[torch.arange(longest) < lengths[:, None]] = torch.from_numpy(flat)
        with torch.inference_mode():
            return self._ordered(self.model.head.potentials(emissions, lengths))

    def _ordered(self, chain: Chain) -> Chain:
        """With our tags' order, on the CPU."""
        chain = chain.detach().to(torch.device("cpu"))
        places = torch.tensor(self.columns)
        return Chain(
            chain.emissions[..., places],
            chain.transitions[places][:, places],
            chain.lengths,
            None if chain.start is None else chain.start[places],
            None if chain.end is None else chain.end[places],
        )
