"""Candidates: for each word of a text, the words that may stand in its place.

Those of a word that a masked language model knows as a single piece are the model's best guesses with that word
masked, one at a time; those of any other word are the nearest by word vectors (Jiao et al. 2020, TinyBERT, section
3.2 and algorithm 1). Stop words, special tokens, pieces of words, and the word itself are never among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from limbeck.core.objective import NO_GOLD
from limbeck.models.masked_lm import load_masked_lm, logits_at, mask_id
from limbeck.models.outputs import tokens_at_a_time
from limbeck.models.student import longest_input
from limbeck.text.batching import batches
from limbeck.text.encode import Encoded, collate, first_id, truncating
from limbeck.text.letters import is_word, word_spans
from limbeck.text.ragged import joined, offsets_of
from limbeck.text.tokeniser import load_tokeniser, whole_words

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from limbeck.models.vectors import WordVectors

QUERIES = 64
"""Words whose neighbours are sought at a time: their similarities to all words are in memory."""


class Slot(NamedTuple):
    """A word of a text, and what may stand in its place, in the order of the alphabet.

    Attributes:
        start: Where it starts, in characters.
        end: Where it ends.
        candidates: Words; at least one.
    """

    start: int
    end: int
    candidates: tuple[str, ...]


class Lexicon:
    """Words that may be put in, each with its column in a table of scores.

    Args:
        columns: Words to columns; what is no run of letters is left out.
        stop_words: Left out too, in any case.
    """

    def __init__(self, columns: Mapping[str, int], stop_words: frozenset[str]) -> None:
        kept = {word: c for word, c in columns.items() if is_word(word) and word.casefold() not in stop_words}
        self.words = tuple(kept)
        self.columns = torch.tensor(list(kept.values()), dtype=torch.int64)
        alike = Counter(word.casefold() for word in kept)
        self.spellings = max(alike.values(), default=0)
        """Most words that are equal but for case."""

    def best(self, scores: Tensor, asked: Sequence[str], count: int) -> list[tuple[str, ...]]:
        """The words of highest score for each word that is asked about, but for that word itself in any case.

        Args:
            scores: ``(asked, words)``, a column for each word of the lexicon.
            asked: Words to replace.
            count: Words wanted for each; fewer where the lexicon has no more.
        """
        top = scores.topk(min(count + self.spellings, len(self.words))).indices.tolist()
        return [
            # Sorted, so that rounding, which varies with the batch, cannot change their order.
            tuple(sorted([self.words[n] for n in row if self.words[n].casefold() != word.casefold()][:count]))
            for row, word in zip(top, asked, strict=True)
        ]


class Guesses:
    """A masked language model's best guesses.

    Args:
        model: See :func:`limbeck.models.masked_lm.logits_at`.
        tokeniser: Its tokeniser.
        mask: Id of its mask token.
        stop_words: See :class:`Lexicon`.
        max_length: Tokens read of a text, special tokens included; words past it have no guesses.
        tokens_per_batch: Tokens that the model is asked about at a time, padding included; None is what suits the
            device.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokeniser: PreTrainedTokenizerFast,
        mask: int,
        stop_words: frozenset[str],
        max_length: int,
        tokens_per_batch: int | None = None,
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.eval().to(self.device)
        self.tokeniser, self.mask = tokeniser, mask
        self.lexicon = Lexicon(whole_words(tokeniser), stop_words)
        self.columns = self.lexicon.columns.to(self.device)
        self.max_length = min(max_length, longest_input(model) or max_length)
        self.tokens_per_batch = tokens_per_batch or tokens_at_a_time(self.device)

    @classmethod
    def load(
        cls, reference: str, stop_words: frozenset[str], max_length: int, tokens_per_batch: int | None
    ) -> Guesses:
        """Those of a folder, ``package:NAME/FOLDER``, or a name on the hub.

        Raises:
            LimbeckError: There is no masked language model with its head, or no tokeniser with a mask token.
        """
        tokeniser = load_tokeniser(reference)
        mask = mask_id(tokeniser, reference)
        return cls(load_masked_lm(reference), tokeniser, mask, stop_words, max_length, tokens_per_batch)

    def find(
        self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], count: int
    ) -> list[list[tuple[str, ...] | None]]:
        """For each text and word of it the best guesses; None for a word that is no single piece.

        Args:
            texts: Each is read by itself.
            spans: Where words stand in each text.
            count: Guesses wanted for each.
        """
        encoded, places = self._encode(texts, spans)
        found: list[list[tuple[str, ...] | None]] = [
            [() if place == PAST else None for place in row] for row in places
        ]
        pairs = [(text, word, p) for text, row in enumerate(places) for word, p in enumerate(row) if p >= 0]
        where = np.array(pairs, dtype=np.int64).reshape(-1, 3)  # (pairs, text word position)
        for rows in batches(encoded.lengths[where[:, 0]], self.tokens_per_batch):
            scores = self._scores(encoded, where[rows, 0], where[rows, 2])
            asked = [texts[text][slice(*spans[text][word])] for text, word, _ in where[rows]]
            for (text, word, _), best in zip(
                where[rows], self.lexicon.best(scores, asked, count), strict=True
            ):
                found[text][word] = best
        return found

    @torch.inference_mode()
    def _scores(self, encoded: Encoded, texts: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """Scores of the lexicon at one position of each text, masked there, ``(texts, words)``."""
        inputs = dict(collate(encoded, texts).inputs)
        places = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
        places[torch.arange(len(texts)), torch.from_numpy(positions)] = True
        inputs["input_ids"][places] = self.mask
        moved = {name: value.to(self.device) for name, value in inputs.items()}
        return logits_at(self.model, moved, places.to(self.device))[:, self.columns]

    def _encode(
        self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> tuple[Encoded, list[list[int]]]:
        """The texts, and the position of each word, or ``SEVERAL`` or ``PAST``."""
        backend = self.tokeniser.backend_tokenizer
        with truncating(backend, self.max_length):
            encodings = backend.encode_batch(list(texts))
        rows = [np.array(one.ids, dtype=np.int32) for one in encodings]
        places = [
            _positions(text, row, one.ids, one.offsets, self.tokeniser.unk_token_id)
            for text, row, one in zip(texts, spans, encodings, strict=True)
        ]
        encoded = Encoded(
            ids=tuple(map(str, range(len(texts)))),
            tokens=joined(rows, np.int32),
            offsets=offsets_of([len(row) for row in rows]),
            gold=np.full(len(texts), NO_GOLD),
            pad_id=first_id(self.tokeniser.pad_token_id),
            truncated=sum(bool(one.overflowing) for one in encodings),
        )
        return encoded, places


SEVERAL, PAST = -1, -2
"""In the place of a position: a word of several pieces, or one that the model does not know; one that was cut off."""


def _positions(
    text: str,
    spans: Sequence[tuple[int, int]],
    ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    unknown: int | None,
) -> list[int]:
    """The position of each word that is one token and nothing but it."""
    found, first = [], 0
    for start, end in spans:
        while first < len(ids) and offsets[first][1] <= start:
            first += 1
        inside = [n for n in range(first, len(ids)) if offsets[n][0] < end and offsets[n][1] > start]
        if not inside:
            found.append(PAST)
        elif len(inside) == 1 and ids[inside[0]] != unknown:
            a, b = offsets[inside[0]]
            found.append(inside[0] if text[a:b].strip() == text[start:end] else SEVERAL)
        else:
            found.append(SEVERAL)
    return found


class Neighbours:
    """The nearest words by the cosine of their vectors.

    Args:
        vectors: A file of word vectors.
        stop_words: See :class:`Lexicon`.
        vocabulary: Take the file's first so many words, most frequent first as such files go; None is all of them.
    """

    def __init__(
        self, vectors: WordVectors, stop_words: frozenset[str], vocabulary: int | None = None
    ) -> None:
        count = min(len(vectors.words), vocabulary or len(vectors.words))
        matrix = torch.from_numpy(vectors.rows(range(count)))
        self.matrix = torch.nn.functional.normalize(matrix, dim=1)  # (words, dimension)
        self.index = {word: row for word, row in vectors.index.items() if row < count}
        self.lexicon = Lexicon(self.index, stop_words)
        self.among = self.matrix[self.lexicon.columns]

    def find(self, words: Iterable[str], count: int) -> dict[str, tuple[str, ...]]:
        """The nearest words of each word that has a vector, its own or that of its lower case."""
        rows = {word: self.index.get(word, self.index.get(word.lower())) for word in words}
        asked = [word for word, row in rows.items() if row is not None]
        found: dict[str, tuple[str, ...]] = {}
        for start in range(0, len(asked), QUERIES):
            part = asked[start : start + QUERIES]
            cosines = self.matrix[[rows[word] for word in part]] @ self.among.T  # (words, lexicon)
            found |= zip(part, self.lexicon.best(cosines, part, count), strict=True)
        return found


def find_slots(
    texts: Sequence[str],
    guesses: Guesses | None,
    neighbours: Neighbours | None,
    stop_words: frozenset[str],
    count: int,
) -> list[list[Slot]]:
    """The words of each text that can be replaced, with their candidates.

    Args:
        texts: Each is read by itself.
        guesses: For words of a single piece; None leaves all words to the neighbours.
        neighbours: For all others; None leaves these as they are.
        stop_words: Words that are not replaced, in lower case.
        count: Candidates wanted for each word.
    """
    spans = [replaceable(text, stop_words) for text in texts]
    found: list[list[tuple[str, ...] | None]] = [[None] * len(row) for row in spans]
    if guesses is not None:
        found = guesses.find(texts, spans, count)
    words = [[text[start:end] for start, end in row] for text, row in zip(texts, spans, strict=True)]
    others = {
        word: None
        for n, row in enumerate(words)
        for word, guess in zip(row, found[n], strict=True)
        if guess is None
    }
    near = {} if neighbours is None else neighbours.find(others, count)
    return [
        [
            Slot(start, end, candidates)
            for (start, end), word, guess in zip(*each, strict=True)
            if (candidates := near.get(word, ()) if guess is None else guess)
        ]
        for each in zip(spans, words, found, strict=True)
    ]


def replaceable(text: str, stop_words: frozenset[str]) -> list[tuple[int, int]]:
    """Where the words of a text stand that are no stop words."""
    return [(start, end) for start, end in word_spans(text) if text[start:end].casefold() not in stop_words]
