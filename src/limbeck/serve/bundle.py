"""Bundle: an exported student that answers, from text to labels.

A bundle is a folder: ``bundle.json`` (labels, length, digests of the other files), ``tokenizer.json``,
``model.onnx`` and ``model.int8.onnx``. Nothing here, and nothing that this imports, needs PyTorch or
transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
"""Of bundle.json; a bundle with another number is from another Limbeck."""

CARD = "bundle.json"
TOKENISER = "tokenizer.json"
MODELS = {"fp32": "model.onnx", "int8": "model.int8.onnx"}

Precision = Literal["fp32", "int8"]


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


class Bundle:
    """An exported student.

    In int8, activations are scaled by the largest in the batch, so that a sentence's scores differ a little
    (about as much as int8 differs from fp32) with the sentences that share its batch; in fp32 they do not.

    Args:
        folder: What ``limbeck export`` wrote.
        precision: ``int8`` is smaller and faster; without it in the bundle, fp32 is taken.
        threads: Of ONNX Runtime; None leaves it to that. One is best for one sentence at a time.

    Attributes:
        labels: Names of the classes, in the order of the logits.
        precision: The one taken.
        card: What ``bundle.json`` says.

    Raises:
        LimbeckError: No such precision, the folder is no bundle, or a file of it is missing, cut short or changed.
    """

    def __init__(self, folder: Path | str, precision: Precision = "int8", threads: int | None = None) -> None:
        if precision not in MODELS:
            raise LimbeckError(f"no precision '{precision}'", fix=f"There are: {', '.join(MODELS)}")
        self.folder = Path(folder)
        self.card = _read_card(self.folder)
        self.labels = tuple(self.card["labels"])
        self.precision: Precision = precision if MODELS[precision] in self.card["files"] else "fp32"
        self._tokeniser = self._load_tokeniser()
        self._session = self._load_session(threads)

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
            return self._run(ids, np.ones_like(ids))
        return self._logits_of_many(texts, batch_size)

    def _logits_of_many(self, texts: Sequence[str], batch_size: int) -> NDArray[np.float32]:
        """Texts of like length go together, to waste little on padding; answers are in the texts' order."""
        if isinstance(texts, str):
            raise LimbeckError("one string was given for a list of texts", fix="Put it into a list: [text]")
        rows = self._ids_of_many(texts)
        logits = np.zeros((len(rows), len(self.labels)), dtype=np.float32)
        order = np.argsort([len(row) for row in rows], kind="stable")
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            longest = len(rows[chosen[-1]])
            ids = np.full((len(chosen), longest), self.card["pad_id"], dtype=np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(chosen):
                ids[place, : len(rows[row])] = rows[row]
                mask[place, : len(rows[row])] = 1
            logits[chosen] = self._run(ids, mask)
        return logits

    def _run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(batch, tokens) -> (batch, classes)``."""
        logits: NDArray[np.float32] = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    def _ids(self, text: str) -> list[int]:
        """Token ids of a text, at least one."""
        try:
            ids: list[int] = self._tokeniser.encode(text).ids
        except TypeError:
            ids = self._tokeniser.encode(_clean(text)).ids
        return ids or [self.card["unknown_id"]]

    def _ids_of_many(self, texts: Sequence[str]) -> list[list[int]]:
        try:
            encodings = self._tokeniser.encode_batch_fast(list(texts))
        except TypeError:
            encodings = self._tokeniser.encode_batch_fast([_clean(text) for text in texts])
        return [encoding.ids or [self.card["unknown_id"]] for encoding in encodings]

    def _load_tokeniser(self) -> Tokenizer:
        path = self._checked(TOKENISER)
        try:
            tokeniser = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
            raise LimbeckError(f"the tokeniser cannot be read ({error})", where=path) from None
        tokeniser.no_padding()
        tokeniser.enable_truncation(self.card["max_length"])
        return tokeniser

    def _load_session(self, threads: int | None) -> Any:
        path = self._checked(MODELS[self.precision])
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = threads
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no class but this
            reason = str(error).strip().splitlines()[0]
            raise LimbeckError(f"ONNX Runtime cannot load it ({reason})", where=path) from None

    def _checked(self, name: str) -> Path:
        """A file of the bundle, found to be what was exported."""
        path = self.folder / name
        fix = "Export the bundle again, or copy it again"
        if not path.is_file():
            raise LimbeckError("the bundle lacks this file", where=path, fix=fix)
        if fingerprint.sha256(path) != self.card["files"].get(name):
            raise LimbeckError("the file is damaged: it is not what was exported", where=path, fix=fix)
        return path


def _read_card(folder: Path) -> dict[str, Any]:
    if not (folder / CARD).is_file():
        fix = "Give a folder that 'limbeck export' wrote"
        raise LimbeckError(f"not a bundle (it holds no {CARD})", where=folder, fix=fix)
    card = read_json(folder / CARD)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else None
        raise LimbeckError(
            f"a bundle of format {found}, and this Limbeck reads {FORMAT}", where=folder / CARD
        )
    lacking = [key for key in ("labels", "max_length", "pad_id", "unknown_id", "files") if key not in card]
    if lacking:
        raise LimbeckError(f"the bundle's card lacks {', '.join(lacking)}", where=folder / CARD)
    return card


def _clean(text: object) -> str:
    """A text without halves of surrogate pairs, which no tokeniser takes.

    Raises:
        LimbeckError: It is no text.
    """
    if not isinstance(text, str):
        raise LimbeckError(f"a text is a string, and this is a {type(text).__name__}: {text!r}")
    return text.encode("utf-8", "replace").decode("utf-8")
