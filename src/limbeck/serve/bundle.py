"""Bundle: an exported classifier that answers, from text to labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from limbeck.serve.exported import Exported, by_length, clean, refuse_one_string

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


class Bundle(Exported):
    """An exported classifier; arguments, attributes and errors are those of :class:`Exported`."""

    task = "classification"

    def predict(self, texts: Sequence[str], batch_size: int = 32) -> list[Prediction]:
        """The likeliest label of each text, and the probability of every label.

        Args:
            texts: Sentences; an empty one is answered too.
            batch_size: Sentences that go through the model at a time.

        Raises:
            LimbeckError: ``texts`` is one string, or holds something that is no string.
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

    def logits(self, texts: Sequence[str], batch_size: int = 32) -> NDArray[np.float32]:
        """Class scores of each text, ``(texts, classes)``; the arguments are those of :meth:`predict`."""
        if len(texts) == 1 and not isinstance(texts, str):
            ids = np.array([self._ids(texts[0])], dtype=np.int64)
            return self._run({"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return self._logits_of_many(texts, batch_size)

    def _logits_of_many(self, texts: Sequence[str], batch_size: int) -> NDArray[np.float32]:
        """Texts of like length go together; answers are in the texts' order."""
        refuse_one_string(texts)
        rows = self._ids_of_many(texts)
        logits = np.zeros((len(rows), len(self.labels)), dtype=np.float32)
        for chosen in by_length(np.array([len(row) for row in rows], dtype=np.int64), batch_size):
            longest = len(rows[chosen[-1]])
            ids = np.full((len(chosen), longest), self.card["pad_id"], dtype=np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(chosen):
                ids[place, : len(rows[row])] = rows[row]
                mask[place, : len(rows[row])] = 1
            logits[chosen] = self._run({"input_ids": ids, "attention_mask": mask})
        return logits

    def _ids(self, text: str) -> list[int]:
        """Token ids of a text, at least one."""
        try:
            ids: list[int] = self._tokeniser.encode(text).ids
        except TypeError:
            ids = self._tokeniser.encode(clean(text)).ids
        return ids or [self.card["unknown_id"]]

    def _ids_of_many(self, texts: Sequence[str]) -> list[list[int]]:
        try:
            encodings = self._tokeniser.encode_batch_fast(list(texts))
        except TypeError:
            encodings = self._tokeniser.encode_batch_fast([clean(text) for text in texts])
        return [encoding.ids or [self.card["unknown_id"]] for encoding in encodings]
