"""TranslatorBundle: an exported translator, from text to translations.

One that writes word by word has an encoder and a decoder, and is searched by :mod:`limbeck.serve.search`; a parallel
one is one model, or one that reads and some that are run pass after pass by a loop (:mod:`limbeck.serve.loops`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limbeck.core.decoding import Decoding
from limbeck.core.schema import validate
from limbeck.serve import loops
from limbeck.serve.decoders import AtOnce, PassByPass, Translating, WordByWord
from limbeck.serve.exported import (
    CARD,
    Exported,
    Precision,
    by_length,
    clean,
    listed,
    require_keys,
)
from limbeck.serve.passes import READER
from limbeck.text.ragged import padded, places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limbeck.serve.search import Found

TARGET_TOKENISER = "target_tokenizer.json"
"""Of the translations' language, where it has pieces of its own."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A translation.

    Attributes:
        text: As a person reads it.
        score: Its log-probability over its length, the end counted, to the power of ``decoding.length_power``; of a
            parallel translator the mean log-probability of a token (flowseq's with that of the length, levenshtein's of
            the tokens filled in last); in nats.
        tokens: Its token ids, without start and end.
        passes: How often the decoder ran for it.
    """

    text: str
    score: float
    tokens: tuple[int, ...]
    passes: int


class TranslatorBundle(Exported):
    """An exported translator; arguments, other attributes and errors are those of :class:`Exported`.

    Attributes:
        decoding: How it searches where nothing else is asked for.
        parallel: Whether it writes all tokens at once, in one pass or several.
        model: Translates token ids.
    """

    task = "translation"
    keys = ("decoding", "longest", "split_special_tokens")

    def __init__(self, folder: Path | str, precision: Precision = "int8", threads: int | None = None) -> None:
        super().__init__(folder, precision, threads)
        self.decoding: Decoding = validate(Decoding, self.card["decoding"], where=self.folder / CARD)
        # Whether a text that spells a special token is text; tokenizer.json does not say it.
        self._tokeniser.encode_special_tokens = self.card["split_special_tokens"]
        self._special = self._tokeniser.num_special_tokens_to_add(is_pair=False)
        own = TARGET_TOKENISER in self.card["files"]
        self._target = self._load_tokeniser(TARGET_TOKENISER) if own else self._tokeniser
        self.parallel = "candidates" in self.card or "loop" in self.card
        self.model = self._load_model()

    def translate(
        self, texts: Sequence[str], decoding: Decoding | None = None, batch_size: int = 32
    ) -> list[str]:
        """The best translation of each text, as :meth:`predict` finds it."""
        return [found.text for found in self.predict(texts, decoding, batch_size)]

    def predict(
        self, texts: Sequence[str], decoding: Decoding | None = None, batch_size: int = 32
    ) -> list[Translation]:
        """The best translation of each text, in the order of the texts.

        Args:
            texts: Any, an empty one is answered too.
            decoding: How to search; None is as the bundle says.
            batch_size: Texts that are translated at a time.

        Raises:
            LimbeckError: ``texts`` is one string, or holds something else, or translations shall be drawn.
        """
        return [self._told(found[0]) for found in self._found(texts, decoding, batch_size)]

    def k_best(
        self, texts: Sequence[str], decoding: Decoding | None = None, batch_size: int = 32
    ) -> list[list[Translation]]:
        """Of each text the ``decoding.keep`` best translations, best first; of a parallel one there is one.

        The arguments and errors are those of :meth:`predict`.
        """
        found = self._found(texts, decoding, batch_size)
        return [[self._told(each) for each in translations] for translations in found]

    def _told(self, found: Found) -> Translation:
        text = self._target.decode(list(found.tokens), skip_special_tokens=True)
        return Translation(text.strip(), found.score, found.tokens, found.passes)

    def _found(self, texts: Sequence[str], decoding: Decoding | None, batch_size: int) -> list[list[Found]]:
        texts = listed(texts)
        chosen = decoding or self.decoding
        rows = [np.array(row, dtype=np.int64) for row in self._encoded(texts)]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        found: dict[int, list[Found]] = {}
        for batch in by_length(lengths, batch_size):
            inputs = self._inputs([rows[row] for row in batch], lengths[batch])
            found.update(zip(batch.tolist(), self.model(*inputs, chosen), strict=True))
        return [found[row] for row in range(len(rows))]

    def _inputs(
        self, rows: Sequence[NDArray[np.int64]], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token ids and mask, each ``(texts, tokens)``, padded to the longest."""
        mask, at = places(np.cumsum(lengths) - lengths, lengths)
        return padded(np.concatenate(rows), mask, at, self.card["pad_id"]), mask.astype(np.int64)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; where nothing is left of it, the unknown token stands for it."""
        cleaned = [clean(text) for text in texts]
        if len(cleaned) == 1:  # without the price of threads
            encodings = [self._tokeniser.encode(cleaned[0])]
        else:
            encodings = self._tokeniser.encode_batch_fast(cleaned)
        unknown = [self.card["unknown_id"]]
        return [each.ids if len(each.ids) > self._special else [*unknown, *each.ids] for each in encodings]

    def _load_model(self) -> Translating:
        card = self.card
        if "loop" in card:
            require_keys(card, ("graphs",), self.folder)
            sessions = {name: self._load_session(name) for name in (READER, *card["graphs"])}
            return PassByPass(sessions, loops.opened(card["loop"], self.folder / CARD))
        if self.parallel:
            return AtOnce(self._load_session(), card["pad_id"], card["candidates"], card["longest"])
        require_keys(card, ("start_id", "end_id"), self.folder)
        encoder, decoder = self._load_session("encoder"), self._load_session("decoder")
        return WordByWord(encoder, decoder, card["start_id"], card["end_id"], card["longest"])
