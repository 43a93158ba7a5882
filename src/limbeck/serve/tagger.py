"""TaggerBundle: an exported tagger that answers, from text or words to tags and spans.

The model gives emissions; the chain in ``bundle.json`` and NumPy do the rest (:mod:`limbeck.structure.decode`).

Axes: ``batch, words, tags``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.serve.exported import CARD, Labeller, Precision, by_length, clean, listed
from limbeck.structure.decode import Links, Trellis, forward_backward, viterbi
from limbeck.text.offsets import tokens_of
from limbeck.text.pieces import Cutter, Pieces, padded_spelling, spelling_of
from limbeck.text.ragged import padded, places
from limbeck.text.tags import OUTSIDE, spans

if TYPE_CHECKING:
    from numpy.typing import NDArray


_Asked = tuple[str, tuple[str, ...], tuple[tuple[int, int], ...]]
"""A text, its words, and where each starts and has ended."""


@dataclass(frozen=True, slots=True)
class TaggedSpan:
    """Words that belong together, and what they are.

    Attributes:
        type: E.g. ``PER``; empty where tags name none.
        start: Its first word.
        end: The word after its last.
        start_character: Where it begins in the text.
        end_character: Where it has ended.
        text: The characters between.
        score: The probability that its words bear these very tags, whatever the others bear: exact, by
            forward-backward, of the chain as it decodes.
    """

    type: str
    start: int
    end: int
    start_character: int
    end_character: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a tagger says about one text.

    Attributes:
        text: As given; of words, these with a space between them.
        words: What was tagged.
        places: Where each word starts in the text, and where it has ended.
        tags: One a word, those of the best path; a word that the maximum length cut off gets ``O``.
        scores: The probability of each word's tag by itself (its marginal); nought for a word that was cut off.
        spans: What the tags mark, in order, as conlleval counts it; none where tags mark words alone, as parts of
            speech do.
    """

    text: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    tags: tuple[str, ...]
    scores: tuple[float, ...]
    spans: tuple[TaggedSpan, ...]


class TaggerBundle(Labeller):
    """An exported tagger; arguments, other attributes and errors are those of :class:`Labeller`.

    Attributes:
        links: The chain's transitions, start and end; minus infinity where a tag must not stand.
    """

    task = "tagging"

    def __init__(self, folder: Path | str, precision: Precision = "int8", threads: int | None = None) -> None:
        super().__init__(folder, precision, threads)
        self.links = self._load_links()
        self._inputs = {each.name for each in self._session.get_inputs()}
        unknown: int = self.card["unknown_id"]
        self._cutter = Cutter(self._tokeniser, self._tokeniser.id_to_token(unknown) or "", unknown)
        # What predict_tags() gives, too.
        self._default = self.labels.index(OUTSIDE) if OUTSIDE in self.labels else 0

    def predict(self, texts: Sequence[str | Sequence[str]], batch_size: int = 32) -> list[Tagged]:
        """Tags and spans of each text.

        Args:
            texts: Each a string, of which words and punctuation marks are tagged, or a list of words. An empty one
                is answered too.
            batch_size: Texts that go through the model at a time.

        Raises:
            LimbeckError: ``texts`` is one string, or holds something that is neither text nor a list of words.
        """
        texts = listed(texts)
        asked = [_split(text) for text in texts]
        told: dict[int, Tagged] = {}
        for rows, emissions, kept in self._batches([words for _, words, _ in asked], batch_size):
            _, paths = viterbi(emissions, kept, self.links)
            trellis = forward_backward(emissions, kept, self.links)
            marginals = trellis.marginals()
            for place, row in enumerate(rows):
                path = paths[place, : kept[place]]
                scores = marginals[place, np.arange(len(path)), path].tolist()
                told[int(row)] = self._told(asked[row], path, scores, trellis, place)
        return [told[row] for row in range(len(asked))]

    def tags(self, sentences: Sequence[Sequence[str]], batch_size: int = 32) -> list[NDArray[np.int64]]:
        """The best tags of each sentence of words: indices of ``labels``, one a word; as :meth:`predict`."""
        found: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)] * len(sentences)
        for rows, emissions, kept in self._batches(sentences, batch_size):
            _, paths = viterbi(emissions, kept, self.links)
            for place, row in enumerate(rows):
                found[row] = self._filled(paths[place, : kept[place]], len(sentences[row]))
        return found

    def emissions(
        self, sentences: Sequence[Sequence[str]], batch_size: int = 32
    ) -> list[NDArray[np.float32]]:
        """Scores of tags of each sentence, ``(words, tags)``, for the words that were not cut off."""
        found: list[NDArray[np.float32]] = [np.zeros((0, len(self.labels)), np.float32)] * len(sentences)
        for rows, emissions, kept in self._batches(sentences, batch_size):
            for place, row in enumerate(rows):
                found[row] = emissions[place, : kept[place]]
        return found

    def _told(
        self, asked: _Asked, path: NDArray[np.int64], scores: list[float], trellis: Trellis, row: int
    ) -> Tagged:
        """What is said of one text.

        Args:
            asked: The text.
            path: The best tags of the words that were kept.
            scores: Their marginals.
            trellis: All paths of the batch.
            row: Of the text in it.
        """
        text, words, where = asked
        filled = self._filled(path, len(words))
        tags = tuple(self.labels[tag] for tag in filled)
        found = []
        for kind, start, end in spans(tags[: len(path)]):
            first, last = where[start][0], where[end - 1][1]
            score = trellis.probability(row, start, filled[start:end])
            found.append(TaggedSpan(kind, start, end, first, last, text[first:last], score))
        cut_off = [0.0] * (len(words) - len(path))
        return Tagged(text, words, where, tags, (*scores, *cut_off), tuple(found))

    def _filled(self, path: NDArray[np.int64], words: int) -> NDArray[np.int64]:
        """The tags of all words, of those that were cut off too."""
        filled = np.full(words, self._default, dtype=np.int64)
        filled[: len(path)] = np.where(path < 0, self._default, path)
        return filled

    def _batches(
        self, sentences: Sequence[Sequence[str]], batch_size: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]]:
        """Rows of each batch, their emissions ``(batch, words, tags)``, and how many words of each were kept."""
        for words in sentences:
            if not isinstance(words, list | tuple):
                told = f"{type(words).__name__}: {words!r}"
                raise LimbeckError(f"a sentence is a list of words, and this is a {told}")
        if not len(sentences):
            return
        cleaned, pieces = self._pieces(sentences)
        spells = "word_bytes" in self._inputs
        spelling = spelling_of([word for words in cleaned for word in words]) if spells else None
        for rows in by_length(pieces.lengths, batch_size):
            inputs = self._inputs_of(pieces, spelling, rows)
            yield rows, self._run(inputs), pieces.kept[rows]

    def _pieces(self, sentences: Sequence[Sequence[str]]) -> tuple[Sequence[Sequence[str]], Pieces]:
        """The sentences, cleaned where they must be, and their tokens."""
        try:
            return sentences, self._cutter.cut(sentences)
        except (TypeError, UnicodeEncodeError):
            cleaned = [[clean(word, "a word") for word in sentence] for sentence in sentences]
            return cleaned, self._cutter.cut(cleaned)

    def _inputs_of(
        self,
        pieces: Pieces,
        spelling: tuple[NDArray[np.uint8], NDArray[np.int64]] | None,
        rows: NDArray[np.int64],
    ) -> dict[str, NDArray[np.int64]]:
        """What the model reads of a batch, padded on the right."""
        mask, at = places(pieces.offsets[rows], pieces.lengths[rows])  # (batch, tokens)
        real, words_at = places(pieces.word_offsets[rows], pieces.kept[rows])  # (batch, words)
        inputs = {
            "input_ids": padded(pieces.tokens, mask, at, self.card["pad_id"]),
            "attention_mask": mask.astype(np.int64),
            "word_starts": padded(pieces.starts, real, words_at, -1),
        }
        if "word_ends" in self._inputs:
            inputs["word_ends"] = padded(pieces.ends, real, words_at, -1)
        if spelling is not None:
            inputs["word_bytes"] = padded_spelling(*spelling, real, words_at)
        return inputs

    def _load_links(self) -> Links:
        try:
            chain = self.card["chain"]
            parts = (_scores(chain[name]) for name in ("transitions", "start", "end"))
            links = Links(*parts)
            if len(links.start) != len(self.labels):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            fix = "Export the bundle again, or copy it again"
            what = f"the card's chain is damaged: it does not score {len(self.labels)} tags"
            raise LimbeckError(what, where=self.folder / CARD, fix=fix) from None
        return links


def _scores(listed: Any) -> NDArray[np.float64]:
    """Scores as they stand in JSON, where null is minus infinity: the forbidden."""
    array = np.array(listed, dtype=np.float64)  # None becomes NaN
    return np.where(np.isnan(array), -np.inf, array)


def _split(text: object) -> _Asked:
    """A text, cut into words where it is not yet.

    Raises:
        LimbeckError: It is neither a string nor a list of strings.
    """
    if isinstance(text, str):
        found = tokens_of(text)
        return (
            text,
            tuple(text[start:end] for start, end in found),
            tuple((start, end) for start, end in found),
        )
    if not isinstance(text, list | tuple):
        told = f"{type(text).__name__}: {text!r}"
        raise LimbeckError(f"a text is a string or a list of words, and this is a {told}")
    for word in text:
        clean(word, "a word")
    ends = np.cumsum([len(word) + 1 for word in text]).tolist()
    where = tuple((end - 1 - len(word), end - 1) for word, end in zip(text, ends, strict=True))
    return " ".join(text), tuple(text), where
