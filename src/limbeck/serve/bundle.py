"""Bundle: an exported classifier that answers, from text to labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.serve.exported import Labeller, by_length, clean, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

Text = str | tuple[str, str]
"""A sentence, or a pair of texts."""
TYPES = "token_type_ids"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a student says about one text.

    Attributes:
        label: The likeliest class.
        score: Its probability.
        scores: The probability of every class, by name.
    """

    label: str
    score: float
    scores: dict[str, float]


class TextLabeller(Labeller):
    """What bundles of whole texts share: logits of each; arguments, attributes and errors are those of Labeller."""

    @property
    def reads_pairs(self) -> bool:
        """Whether it is asked about pairs of texts."""
        return bool(self.card.get("pairs", False))

    def logits(self, texts: Sequence[Text], batch_size: int = 32) -> NDArray[np.float32]:
        """What the model says of each text, ``(texts, labels)``.

        Args:
            texts: Sentences, an empty one is answered too; or pairs, where the student reads pairs.
            batch_size: Sentences that go through the model at a time.

        Raises:
            LimbeckError: ``texts`` is one string, or holds something else than it reads.
        """
        texts = listed(texts)
        rows = self._encoded(texts)
        lengths = np.array([len(ids) for ids, _ in rows], dtype=np.int64)
        if len(rows) == 1:
            return self._run(self._inputs(rows))
        logits = np.zeros((len(rows), len(self.labels)), dtype=np.float32)
        for chosen in by_length(lengths, batch_size):
            logits[chosen] = self._run(self._inputs([rows[row] for row in chosen]))
        return logits

    def _inputs(self, rows: Sequence[tuple[list[int], list[int]]]) -> dict[str, NDArray[np.int64]]:
        """What the model reads, padded to the longest row; token types where it is told of them."""
        longest = max(len(ids) for ids, _ in rows)
        ids = np.full((len(rows), longest), self.card["pad_id"], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.zeros_like(ids)}
        if TYPES in self.reads:
            inputs[TYPES] = np.zeros_like(ids)
        for place, (row, types) in enumerate(rows):
            ids[place, : len(row)] = row
            inputs["attention_mask"][place, : len(row)] = 1
            if TYPES in inputs:
                inputs[TYPES][place, : len(types)] = types
        return inputs

    def _encoded(self, texts: Sequence[Text]) -> list[tuple[list[int], list[int]]]:
        """Token ids of each text, at least one, and which of a pair's texts each token is of."""
        if self.reads_pairs:
            encodings = self._tokeniser.encode_batch([self._pair(text) for text in texts])
        else:
            encodings = self._encodings([self._single(text) for text in texts])
        return [(one.ids or [self.card["unknown_id"]], one.type_ids) for one in encodings]

    def _encodings(self, texts: Sequence[str]) -> list[Any]:
        if len(texts) == 1:  # without the price of threads
            return [self._tokeniser.encode(texts[0])]
        found: list[Any] = self._tokeniser.encode_batch_fast(texts)
        return found

    def _single(self, text: Text) -> str:
        if isinstance(text, tuple):
            raise LimbeckError(
                f"this student reads single texts, and this is a pair: {text!r}", where=self.folder
            )
        return clean(text)

    def _pair(self, text: Text) -> tuple[str, str]:
        if not isinstance(text, tuple | list) or len(text) != 2:
            what = f"this student reads pairs of texts, and this is none: {text!r}"
            raise LimbeckError(what, where=self.folder, fix="Give (first, second)")
        return clean(text[0]), clean(text[1])


class Bundle(TextLabeller):
    """An exported classifier; arguments, attributes and errors are those of :class:`Labeller`."""

    task = "classification"

    def predict(self, texts: Sequence[Text], batch_size: int = 32) -> list[Prediction]:
        """The likeliest label of each text, and the probability of every label.

        Args:
            texts: Sentences, an empty one is answered too; or pairs, where the student reads pairs.
            batch_size: Sentences that go through the model at a time.

        Raises:
            LimbeckError: ``texts`` is one string, or holds something else than it reads.
        """
        logits = self.logits(texts, batch_size)
        shares = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
        shares /= shares.sum(1, keepdims=True)
        return [
            Prediction(
                self.labels[int(row.argmax())],
                float(row.max()),
                dict(zip(self.labels, row.tolist(), strict=True)),
            )
            for row in shares
        ]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a student says about one text that may have several labels.

    Attributes:
        labels: Those whose probability is above one half, the likeliest first; perhaps none.
        scores: The probability of every label, by name; they need not sum to one.
    """

    labels: tuple[str, ...]
    scores: dict[str, float]


class LabelsBundle(TextLabeller):
    """An exported student of texts with several labels; see :class:`Labeller`."""

    task = "multilabel"

    def predict(self, texts: Sequence[Text], batch_size: int = 32) -> list[Labels]:
        """The labels of each text, and the probability of every label; arguments and errors as of :meth:`logits`."""
        shares = 0.5 * (1 + np.tanh(0.5 * self.logits(texts, batch_size).astype(np.float64)))  # sigmoid
        found = []
        for row in shares:
            likely = [self.labels[place] for place in np.argsort(-row, kind="stable") if row[place] > 0.5]
            found.append(Labels(tuple(likely), dict(zip(self.labels, row.tolist(), strict=True))))
        return found


class ScoreBundle(TextLabeller):
    """An exported student that gives each text (or pair) a score; see :class:`Labeller`."""

    task = "regression"

    def predict(self, texts: Sequence[Text], batch_size: int = 32) -> list[float]:
        """The score of each text, in the unit of the data; arguments and errors as of :meth:`logits`."""
        found: list[float] = self.logits(texts, batch_size)[:, 0].astype(np.float64).tolist()
        return found
