"""Search: the likeliest translations, word by word, from what a decoder says of the next word. NumPy alone.

Axes: ``texts`` (of the batch, those still being translated), ``beams`` (unfinished translations of each),
``best`` (likeliest next tokens of a beam), ``length`` (tokens written so far).

A translation's score is its log-probability in nats over its length, its end token counted, to the power of the length
penalty. A text's translations are the same alone and in any batch: each is searched for by itself, and left out once
it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]

NEVER = np.float32("-inf")
"""Score of what must not be taken."""


class Found(NamedTuple):
    """A translation: token ids without start and end, its score, and how often the decoder ran for it."""

    tokens: tuple[int, ...]
    score: float
    passes: int


class Decoder(Protocol):
    """Reads a batch of texts; knows what it was given before."""

    def next(self, tokens: Ints, order: Ints, best: int) -> tuple[Floats, Ints]:
        """The likeliest next tokens.

        Args:
            tokens: The last ones, ``(texts, beams)``.
            order: Which row of the step before each continues, ``(texts * beams,)``.
            best: How many.

        Returns:
            Their log-probabilities, largest first, and the tokens, each ``(texts, beams, best)``.
        """

    def keep(self, texts: Ints) -> None:
        """Forget all texts but these; ``order`` still counts rows of the step before."""


class Limits(NamedTuple):
    """Where translations start and end.

    Attributes:
        start: The token that the decoder reads first.
        end: The token that ends a translation.
        longest: Tokens of a translation at most, its end included.
        length_penalty: The power of the length by which a log-probability is divided.
    """

    start: int
    end: int
    longest: int
    length_penalty: float = 1.0

    def score(self, likelihoods: Floats, length: int) -> Floats:
        """Of translations of one length."""
        return likelihoods / np.float32(length**self.length_penalty)


def greedy(decoder: Decoder, texts: int, limits: Limits) -> list[list[Found]]:
    """Of every text the translation that takes the likeliest token at each step.

    Args:
        decoder: Has read the texts.
        texts: How many.
        limits: Where translations start and end.
    """
    written = np.full((texts, limits.longest), limits.end, dtype=np.int64)
    likelihoods, scores = np.zeros((2, texts), dtype=np.float32)
    open_texts = np.arange(texts)
    tokens, order = np.full((texts, 1), limits.start, dtype=np.int64), np.arange(texts)
    for step in range(limits.longest):
        log_probabilities, ids = decoder.next(tokens, order, 1)
        chosen = ids[:, 0, 0]
        written[open_texts, step] = chosen
        likelihoods[open_texts] += log_probabilities[:, 0, 0]
        scores[open_texts] = limits.score(likelihoods[open_texts], step + 1)
        order = np.flatnonzero(chosen != limits.end)
        if not len(order):
            break
        if len(order) < len(open_texts):
            decoder.keep(order)
        open_texts, tokens = open_texts[order], chosen[order, None]
    return [[_found(row, score, limits)] for row, score in zip(written, scores, strict=True)]


def beam_search(decoder: Decoder, texts: int, limits: Limits, beams: int, keep: int = 1) -> list[list[Found]]:
    """Of every text the best translations.

    It is transformers' search: the ``2 * beams`` likeliest continuations of a text's beams are looked at; those that
    end, if among the ``beams`` first, are finished, and the ``beams`` best that do not end go on. A text is done when
    ``beams`` translations are finished, and no unfinished one has a better score at its present length. What is cut
    off at the greatest length counts as finished.

    Args:
        decoder: Has read the texts.
        texts: How many.
        limits: Where translations start and end.
        beams: Unfinished translations kept of each text.
        keep: Translations of each text that are given, best first.
    """
    state = _Beams(np.arange(texts), beams, limits)
    found: dict[int, list[Found]] = {}
    tokens, order = np.full((texts, beams), limits.start, dtype=np.int64), np.arange(texts * beams)
    while True:
        tokens, order, done = state.advance(*decoder.next(tokens, order, 2 * beams))
        for text in np.flatnonzero(done):
            found[int(state.texts[text])] = state.best(int(text), keep)
        if done.all():
            return [found[text] for text in range(texts)]
        if done.any():
            running = np.flatnonzero(~done)
            decoder.keep(running)
            state.keep(running)
            tokens, order = tokens[running], order.reshape(-1, beams)[running].reshape(-1)


class _Beams:
    """What beam search knows of each text: unfinished translations, best first, and finished ones, best first."""

    def __init__(self, texts: Ints, beams: int, limits: Limits) -> None:
        self.texts, self.beams, self.limits = texts, beams, limits
        size = (len(texts), beams)
        self.length = 0
        self.scores = np.full(size, NEVER, dtype=np.float32)
        self.scores[:, 0] = 0  # all beams start alike: only one of them is continued
        self.written = np.full((*size, limits.longest), limits.end, dtype=np.int64)
        self.finished = self.written.copy()
        self.finished_scores = np.full(size, NEVER, dtype=np.float32)
        self.rows = np.arange(len(texts))[:, None]

    def advance(self, gained: Floats, tokens: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """Write one more token.

        Args:
            gained: Log-probabilities of the likeliest next tokens, ``(texts, beams, best)``.
            tokens: Those tokens.

        Returns:
            The last tokens of the beams, ``(texts, beams)``; which rows they continue; and which texts are done.
        """
        best = gained.shape[2]
        scores = (self.scores[:, :, None] + gained).reshape(len(self.texts), -1)
        at = _largest(scores, 2 * self.beams)
        scores, tokens = scores[self.rows, at], tokens.reshape(len(self.texts), -1)[self.rows, at]
        parents = at // best  # (texts, 2 * beams)
        self.length += 1
        last = self.length == self.limits.longest
        ends = (tokens == self.limits.end) | last
        if ends.any():
            self._finish(scores, parents, tokens, ends)
        scores = np.where(ends, NEVER, scores)
        going = _largest(scores, self.beams)
        self.scores = scores[self.rows, going]
        parents, tokens = parents[self.rows, going], tokens[self.rows, going]
        self.written = self.written[self.rows, parents]
        self.written[:, :, self.length - 1] = tokens
        hoped_for = self.limits.score(self.scores[:, 0], self.length)
        # Until all are finished, the worst finished one is NEVER.
        done = (self.finished_scores[:, -1] >= hoped_for) | last
        return tokens, (self.rows * self.beams + parents).reshape(-1), done

    def _finish(self, scores: Floats, parents: Ints, tokens: Ints, ends: NDArray[np.bool_]) -> None:
        """Take up what ends now and is better than what has ended before."""
        ranked = self.limits.score(scores[:, : self.beams], self.length)
        ranked = np.where(ends[:, : self.beams], ranked, NEVER)
        written = self.written[self.rows, parents[:, : self.beams]]
        written[:, :, self.length - 1] = tokens[:, : self.beams]
        all_scores = np.concatenate((self.finished_scores, ranked), axis=1)
        at = _largest(all_scores, self.beams)
        self.finished_scores = all_scores[self.rows, at]
        self.finished = np.concatenate((self.finished, written), axis=1)[self.rows, at]

    def keep(self, texts: Ints) -> None:
        """Go on with these texts only."""
        for name in ("texts", "scores", "written", "finished", "finished_scores"):
            setattr(self, name, getattr(self, name)[texts])
        self.rows = np.arange(len(texts))[:, None]

    def best(self, text: int, keep: int) -> list[Found]:
        """Its finished translations, best first."""
        both = zip(self.finished[text, :keep], self.finished_scores[text, :keep], strict=True)
        return [_found(row, score, self.limits) for row, score in both if score > NEVER]


def _largest(scores: Floats, count: int) -> Ints:
    """Where the largest of each row stand, largest first, of equal ones the first: ``(rows, count)``."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def _found(row: Ints, score: np.float32, limits: Limits) -> Found:
    tokens = row.tolist()
    end = tokens.index(limits.end) if limits.end in tokens else len(tokens)
    return Found(tuple(tokens[:end]), float(score), min(end + 1, len(tokens)))
