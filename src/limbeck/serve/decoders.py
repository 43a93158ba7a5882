"""Decoders: exported translators, run by ONNX Runtime, from token ids to token ids.

Axes: ``texts`` (of a batch), ``tokens`` (of the longest), ``beams`` (unfinished translations of each text), ``rows``
(texts times beams), ``heads``, ``length`` (tokens written so far), ``width`` (of a head).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.serve.passes import OnnxPasses, source_lengths
from limbeck.serve.search import Found, Limits, beam_search, greedy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from limbeck.core.decoding import Decoding
    from limbeck.serve.passes import Loop

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]

LAST = ("tokens", "order", "best")
"""What the decoder's graph reads of the search; all else is the source, or what it wrote before."""
CACHES = ("keys", "values")
"""Inputs of the decoder's graph that begin so are its cache, and outputs of these names after ``new_`` its growth."""


class Translating(Protocol):
    """Turns token ids into translations."""

    def __call__(self, input_ids: Ints, attention_mask: Ints, decoding: Decoding) -> list[list[Found]]:
        """Of every text its translations, best first.

        Args:
            input_ids: ``(texts, tokens)``.
            attention_mask: One where a token is real, ``(texts, tokens)``.
            decoding: How to search.
        """


class WordByWord:
    """An encoder, and a decoder with a cache of what it wrote.

    Args:
        encoder: ONNX Runtime's session of ``encoder.onnx``: it makes of the source all that the decoder looks at.
        decoder: Of ``decoder.onnx``.
        start: The token that the decoder reads first.
        end: The token that ends a translation.
        longest: Most tokens that it can write.
    """

    def __init__(self, encoder: Any, decoder: Any, start: int, end: int, longest: int) -> None:
        self.encoder, self.decoder = encoder, decoder
        self.start, self.end, self.longest = start, end, longest
        self.memory = [each.name for each in encoder.get_outputs()]
        caches = [each for each in decoder.get_inputs() if each.name.partition(".")[0] in CACHES]
        self.empty = {each.name: (each.shape[1], 0, each.shape[3]) for each in caches}
        self.outputs = ["scores", "ids", *(f"new_{name}" for name in self.empty)]

    def __call__(self, input_ids: Ints, attention_mask: Ints, decoding: Decoding) -> list[list[Found]]:
        """See :class:`Translating`.

        Raises:
            LimbeckError: It shall draw translations.
        """
        _refuse_draws(decoding)
        longest = min(decoding.max_length, self.longest)
        limits = Limits(self.start, self.end, longest, decoding.length_power)
        texts = len(input_ids)
        if decoding.search == "greedy" or decoding.beams == 1:  # which are the same
            return greedy(self.read(input_ids, attention_mask), texts, limits)
        steps = self.read(input_ids, attention_mask, decoding.beams)
        return beam_search(steps, texts, limits, decoding.beams, decoding.keep)

    def read(self, input_ids: Ints, attention_mask: Ints, beams: int = 1) -> Steps:
        """The decoder before its first step, for so many beams of each text."""
        memory = self.encoder.run(self.memory, {"input_ids": input_ids, "attention_mask": attention_mask})
        return Steps(self, dict(zip(self.memory, memory, strict=True)), len(input_ids) * beams)


class Steps:
    """The decoder on a batch; a :class:`limbeck.serve.search.Decoder`.

    Args:
        model: Whose decoder.
        memory: What its encoder made of the batch.
        rows: Translations that are written side by side.
    """

    def __init__(self, model: WordByWord, memory: dict[str, Floats], rows: int) -> None:
        self.model, self.memory = model, memory
        self.cache = {name: np.zeros((rows, *shape), dtype=np.float32) for name, shape in model.empty.items()}

    def next(self, tokens: Ints, order: Ints, best: int) -> tuple[Floats, Ints]:
        """The likeliest next tokens."""
        asked = dict(zip(LAST, (tokens, order, np.array(best)), strict=True))
        # ONNX Runtime hands its own memory over, both ways, so that nothing is copied here.
        scores, ids, *grown = self.model.decoder.run(
            self.model.outputs, {**asked, **self.memory, **self.cache}
        )
        self.cache = dict(zip(self.cache, grown, strict=True))
        return scores, ids

    def keep(self, texts: Ints) -> None:
        """Forget the sources of all others; their part of the cache goes with the next order."""
        self.memory = {name: value[texts] for name, value in self.memory.items()}


class AtOnce:
    """A parallel translator: one call of one graph.

    Args:
        model: ONNX Runtime's session of ``model.onnx``.
        padding: The token that stands where there is none.
        candidates: Most lengths that it can try.
        longest: Most tokens that it can write.
    """

    def __init__(self, model: Any, padding: int, candidates: int, longest: int) -> None:
        self.model, self.padding, self.candidates, self.longest = model, padding, candidates, longest

    def __call__(self, input_ids: Ints, attention_mask: Ints, decoding: Decoding) -> list[list[Found]]:
        """See :class:`Translating`.

        Raises:
            LimbeckError: Several translations of a text are asked for, or random ones.
        """
        _require_one(decoding)
        limits = {
            "candidates": np.array(min(decoding.candidates, self.candidates)),
            "longest": np.array(min(decoding.max_length - 1, self.longest)),
        }
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, **limits}
        tokens, scores = self.model.run(["tokens", "scores"], inputs)
        return [
            [Found(tuple(row[row != self.padding].tolist()), float(score), passes=1)]
            for row, score in zip(tokens, scores, strict=True)
        ]


class PassByPass:
    """A translator that writes all words at once, and once again, in several passes.

    Args:
        sessions: ONNX Runtime's, by the graphs' names.
        loop: How it goes from pass to pass.
    """

    def __init__(self, sessions: Mapping[str, Any], loop: Loop) -> None:
        self.sessions, self.loop = sessions, loop

    def __call__(self, input_ids: Ints, attention_mask: Ints, decoding: Decoding) -> list[list[Found]]:
        """See :class:`Translating`.

        Raises:
            LimbeckError: Several translations of a text are asked for, or random ones.
        """
        _require_one(decoding)
        passes = OnnxPasses(self.sessions, input_ids, attention_mask)
        return [[found] for found in self.loop(passes, source_lengths(attention_mask), decoding)]


def _refuse_draws(decoding: Decoding) -> None:
    if decoding.draws:
        what = "a bundle looks for the likeliest translations, and draws none"
        raise LimbeckError(what, fix="Choose search: beam or greedy")


def _require_one(decoding: Decoding) -> None:
    _refuse_draws(decoding)
    if decoding.keep > 1:
        what = "a translator that writes all words at once finds one translation of a text"
        raise LimbeckError(f"{what}, and 'keep' is {decoding.keep}")
