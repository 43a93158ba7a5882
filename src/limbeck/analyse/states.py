"""States: what every layer of a model says of the words of sentences, whatever kind of model it is.

Layer 0 is what goes into the first layer: embeddings. Axes: ``batch``, ``tokens``, ``words``, ``width``.

Encoders of transformers say all their hidden states, under whatever head; students of Limbeck's own are read at their
embeddings and at every LSTM layer (the siamese one reads a sentence as one side of a pair); taggers as they tag. Word
vectors are a model of one layer, in which every word is a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.models.bilstm import LSTMStudent
from limbeck.models.outputs import evaluating, tokens_at_a_time
from limbeck.models.recurrent import taken
from limbeck.models.siamese import SiameseForSequenceClassification
from limbeck.models.sides import apart, places_of_sides
from limbeck.models.static import StaticForSequenceClassification
from limbeck.models.student import encoder_of
from limbeck.models.taggers.bilstm import BiLSTMForTokenClassification
from limbeck.models.taggers.tagger import Inputs, Tagger, mean_of_word
from limbeck.models.vectors import open_vectors
from limbeck.text.batching import batches
from limbeck.text.encode import collate
from limbeck.text.tokeniser import fingerprint_tokeniser
from limbeck.text.words import encode_words
from limbeck.transfer.teachers import fingerprint_model

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from limbeck.models.vectors import WordVectors

Pooling = Literal["mean", "max", "first", "last"]
POOLINGS: tuple[Pooling, ...] = ("mean", "max", "first", "last")
Words = tuple[str, ...]
RECURRENT = (LSTMStudent, BiLSTMForTokenClassification)


@dataclass(frozen=True, slots=True)
class States:
    """What a model says of a batch of sentences.

    Attributes:
        layers: Of each layer, from the embeddings on, ``(batch, tokens, width)``.
        inputs: Which tokens are real, and whose they are.
        two_ways: Whether a state's first half has read what is before it, the second what is after.
    """

    layers: Sequence[Tensor]
    inputs: Inputs
    two_ways: bool = False

    def pooled(self, layer: int, how: Pooling) -> Tensor:
        """One state a sentence, ``(batch, width)``; special tokens count, as they do for who uses such states.

        ``last`` is the state that has read all of a sentence: of two ways, of either the one that has.
        """
        states, mask = self.layers[layer], self.inputs.mask.bool().unsqueeze(-1)
        if how == "mean":
            return states.masked_fill(~mask, 0).sum(1) / mask.sum(1).clamp(min=1)
        if how == "max":
            return states.masked_fill(~mask, torch.finfo(states.dtype).min).amax(1)
        if how == "first":
            return states[:, 0]
        last = taken(states, mask.sum(1).clamp(min=1) - 1).squeeze(1)
        if not (self.two_ways and layer):
            return last
        half = states.shape[-1] // 2
        return torch.cat((last[:, :half], states[:, 0, half:]), -1)

    def of_words(self, layer: int) -> Tensor:
        """The mean over each word's tokens, ``(batch, words, width)``; noughts after the last word that was read."""
        return mean_of_word(self.layers[layer], self.inputs)


class Encoder(Protocol):
    """What can be probed.

    Attributes:
        name: What pages call it.
        fingerprint: Digest of all that its states depend on.
        widths: Of each layer's states, from the embeddings on.
        poolings: Those that mean something for it.
    """

    name: str

    @property
    def fingerprint(self) -> str:
        """Digest of all that states depend on."""
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Of each layer."""
        ...

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """Those that mean something."""
        ...

    def read(self, sentences: Sequence[Words]) -> Iterator[tuple[NDArray[np.int64], States]]:
        """All sentences, a batch at a time: their numbers, and what is said of them."""
        ...


class ModelEncoder:
    """A model with its tokeniser.

    Args:
        name: What pages call it.
        model: Any encoder of transformers, with or without a head, or a classifier or tagger of Limbeck's own.
        tokeniser: Its tokeniser.
        max_length: Tokens kept of a sentence, special tokens included.
        device: Where it computes; by default a GPU where there is one.

    Raises:
        LimbeckError: It is a translator.
    """

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        tokeniser: PreTrainedTokenizerFast,
        max_length: int = 128,
        device: torch.device | None = None,
    ) -> None:
        if getattr(model.config, "is_encoder_decoder", False):
            raise LimbeckError("only models that read are looked into, and this is a translator", where=name)
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.name, self.tokeniser, self.max_length = name, tokeniser, max_length
        torch.nn.Module.to(model, self.device)  # transformers' own is typed otherwise
        self.model = model

    @cached_property
    def fingerprint(self) -> str:
        """Digest of weights, tokeniser and length."""
        return fingerprint.of_value(
            [fingerprint_model(self.model), fingerprint_tokeniser(self.tokeniser), self.max_length]
        )

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """As the model shows them when it is asked."""
        _, states = next(self.read([("a",)]))
        return tuple(layer.shape[-1] for layer in states.layers)

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """The first token sums up a sentence where it sees the others, the last one where models read one way."""
        if isinstance(self.model, RECURRENT) or _reads_one_way(self.model):
            return ("mean", "max", "last")
        return (
            ("mean", "max")
            if isinstance(self.model, StaticForSequenceClassification)
            else ("mean", "max", "first")
        )

    def read(self, sentences: Sequence[Words]) -> Iterator[tuple[NDArray[np.int64], States]]:
        """All sentences, those of like length together, the longest first."""
        examples = [Example(str(row), " ".join(words), words=words) for row, words in enumerate(sentences)]
        encoded = encode_words(self.tokeniser, examples, None, self.max_length)
        for rows in batches(encoded.lengths, tokens_at_a_time(self.device)):
            given = collate(encoded, rows).to(self.device).inputs
            inputs = Inputs(
                *(
                    given[key]
                    for key in ("input_ids", "attention_mask", "word_starts", "word_ends", "word_bytes")
                )
            )
            with torch.inference_mode(), evaluating(self.model):
                yield rows, states_of(self.model, inputs)


def states_of(model: PreTrainedModel, inputs: Inputs) -> States:
    """What every layer of a model says of a batch."""
    if isinstance(model, Tagger):
        read = model.read(inputs, keep_states=True, keep_attentions=False)
        return States(read.hidden_states or (), inputs, isinstance(model, RECURRENT))
    if isinstance(model, SiameseForSequenceClassification):
        return _of_one_side(model, inputs)
    if isinstance(model, LSTMStudent):
        embedded = model.embedded(inputs.ids)
        _, layers = model.read(embedded, inputs.mask, keep=True)
        return States((embedded, *layers), inputs, two_ways=True)
    if isinstance(model, StaticForSequenceClassification):
        return States((model.embeddings(inputs.ids),), inputs)
    output = encoder_of(model)(inputs.ids, attention_mask=inputs.mask, output_hidden_states=True)
    return States(output.hidden_states, inputs)


def _of_one_side(model: SiameseForSequenceClassification, inputs: Inputs) -> States:
    """The sentence as the first text of a pair whose second one is empty: without special tokens."""
    config = model.config
    starts, lengths = places_of_sides(
        inputs.ids, inputs.mask, torch.zeros_like(inputs.ids), None, config.special_ids or []
    )
    embedded, mask = apart(model.embedded(inputs.ids), starts, lengths)
    embedded, mask = embedded[::2], mask[::2]
    _, layers = model.read(embedded, mask, keep=True)
    assert inputs.starts is not None and inputs.ends is not None

    def moved(places: Tensor) -> Tensor:
        return torch.where(places >= 0, places - starts[:, :1], places)

    return States(
        (embedded, *layers),
        Inputs(mask, mask, moved(inputs.starts), moved(inputs.ends), inputs.spelling),
        two_ways=True,
    )


def _reads_one_way(model: PreTrainedModel) -> bool:
    """Whether the model's tokens see only those before them."""
    names = getattr(model.config, "architectures", None) or [type(model).__name__]
    return bool(getattr(model.config, "is_decoder", False)) or any(
        "CausalLM" in name or "GPT" in name for name in names
    )


class VectorEncoder:
    """Word vectors, by themselves: what a probe tells without any model. A word without a vector is noughts.

    Args:
        path: The file, as :func:`limbeck.models.vectors.open_vectors` reads it.
        words: The word list of an npy file; None looks beside it.
        name: What pages call it.
    """

    poolings: tuple[Pooling, ...] = ("mean", "max")

    def __init__(self, path: Path, words: Path | None = None, name: str = "word vectors") -> None:
        self.name, self.files = name, [path, *([] if words is None else [words])]
        self.vectors: WordVectors = open_vectors(path, words)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the files."""
        return fingerprint.of_value(["word vectors", *map(fingerprint.sha256, self.files)])

    @property
    def widths(self) -> tuple[int, ...]:
        """One layer."""
        return (self.vectors.dimension,)

    def read(self, sentences: Sequence[Words]) -> Iterator[tuple[NDArray[np.int64], States]]:
        """All sentences; a word is looked for as it is written, then in lower case."""
        index = self.vectors.index
        lengths = np.array([len(words) for words in sentences], dtype=np.int64)
        for rows in batches(lengths, 16_384):
            mask = torch.from_numpy(np.arange(lengths[rows].max()) < lengths[rows][:, None]).long()
            found = torch.zeros(*mask.shape, self.vectors.dimension)
            places = [
                (row, place, index.get(word, index.get(word.lower(), -1)))
                for row, number in enumerate(rows)
                for place, word in enumerate(sentences[number])
            ]
            known = np.array([each for each in places if each[2] >= 0], dtype=np.int64).reshape(-1, 3)
            found[known[:, 0], known[:, 1]] = torch.from_numpy(self.vectors.rows(known[:, 2].tolist()))
            yield rows, States((found,), Inputs(mask, mask, None, None, None))
