"""What all bundles share: the folder and its card, files that are what was exported, tokeniser and model.

A bundle is a folder: ``bundle.json`` (task, length, digests of the other files; of a classifier or tagger its labels,
of a tagger the chain, of a translator how it decodes), ``tokenizer.json``, ``model.onnx`` and ``model.int8.onnx``; of a
translator that decodes word by word ``encoder`` and ``decoder`` for ``model``, of one that makes several passes
``encoder`` and the graphs of a pass. Nothing in this room, and nothing that
it imports, needs PyTorch or transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

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
ENDINGS = {"fp32": ".onnx", "int8": ".int8.onnx"}
"""Of a model's files, by precision."""
MODELS = {precision: f"model{ending}" for precision, ending in ENDINGS.items()}

KEYS = ("max_length", "pad_id", "unknown_id", "files")
"""What every card says."""

Precision = Literal["fp32", "int8"]
Given = TypeVar("Given")


class Exported:
    """An exported student, ready to run; its kinds say how it is asked.

    In int8, activations are scaled by the largest in the batch (or in a thread's part of it), so that a sentence's
    scores differ a little (about as much as int8 differs from fp32) with the sentences that share its batch, and with
    the number of threads; in fp32 they do not.

    Args:
        folder: What ``limbeck export`` wrote.
        precision: ``int8`` is smaller and faster; without it in the bundle, fp32 is taken.
        threads: Of ONNX Runtime; None leaves it to that. One is best for one sentence at a time.

    Attributes:
        precision: The one taken.
        card: What ``bundle.json`` says.

    Raises:
        LimbeckError: No such precision, the folder is no bundle, or one of another kind, or a file of it is
            missing, cut short or changed.
    """

    task: ClassVar[str]
    """What ``bundle.json`` calls this kind."""
    keys: ClassVar[tuple[str, ...]] = ()
    """What its card says beside what every card does."""

    def __init__(self, folder: Path | str, precision: Precision = "int8", threads: int | None = None) -> None:
        if precision not in ENDINGS:
            raise LimbeckError(f"no precision '{precision}'", fix=f"There are: {', '.join(ENDINGS)}")
        self.folder = Path(folder)
        self.card = read_card(self.folder)
        if task_of(self.card) != self.task:
            raise LimbeckError(
                f"this is a bundle for {task_of(self.card)}, and one for {self.task} was asked for",
                where=self.folder,
                fix="Open it with limbeck.open_bundle, which tells them apart",
            )
        require_keys(self.card, self.keys, self.folder)
        has_it = any(name.endswith(ENDINGS[precision]) for name in self.card["files"])
        self.precision: Precision = precision if has_it else "fp32"
        self._threads = threads
        self._tokeniser = self._load_tokeniser(TOKENISER)
        self._tokeniser.enable_truncation(self.card["max_length"])

    def _load_tokeniser(self, name: str) -> Tokenizer:
        path = self._checked(name)
        try:
            tokeniser = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
            raise LimbeckError(f"the tokeniser cannot be read ({error})", where=path) from None
        tokeniser.no_padding()
        return tokeniser

    def _load_session(self, name: str = "model") -> Any:
        """One of the bundle's models, in the precision taken."""
        path = self._checked(f"{name}{ENDINGS[self.precision]}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
            options.inter_op_num_threads = self._threads
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


class Labeller(Exported):
    """What classifiers and taggers share: scores of labels, by one model.

    Attributes:
        labels: Names of the classes (or tags), in the order of the scores.
        reads: Names of the model's inputs.
    """

    keys = ("labels",)

    def __init__(self, folder: Path | str, precision: Precision = "int8", threads: int | None = None) -> None:
        super().__init__(folder, precision, threads)
        self.labels = tuple(self.card["labels"])
        self._session = self._load_session()
        self.reads = frozenset(each.name for each in self._session.get_inputs())

    def _run(self, inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """What the model makes of a batch."""
        scores: NDArray[np.float32] = run(self._session, inputs, self.folder)[0]
        return scores


def run(session: onnxruntime.InferenceSession, inputs: Mapping[str, Any], where: Path) -> list[NDArray[Any]]:
    """What a graph makes of its inputs.

    Raises:
        LimbeckError: ONNX Runtime cannot run it on them.
    """
    try:
        found: list[NDArray[Any]] = session.run(None, inputs)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no class but this
        reason = str(error).strip().splitlines()[0]
        raise LimbeckError(f"ONNX Runtime cannot run it ({reason})", where=where) from None
    return found


def read_card(folder: Path) -> dict[str, Any]:
    """What ``bundle.json`` says.

    Raises:
        LimbeckError: There is none, it cannot be read, or it lacks what every card says.
    """
    if not (folder / CARD).is_file():
        fix = "Give a folder that 'limbeck export' wrote"
        raise LimbeckError(f"not a bundle (it holds no {CARD})", where=folder, fix=fix)
    card = read_json(folder / CARD)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else None
        raise LimbeckError(
            f"a bundle of format {found}, and this Limbeck reads {FORMAT}", where=folder / CARD
        )
    require_keys(card, KEYS, folder)
    return card


def require_keys(card: dict[str, Any], keys: Sequence[str], folder: Path) -> None:
    """Insist that a card says all that it should.

    Raises:
        LimbeckError: It does not.
    """
    lacking = [key for key in keys if key not in card]
    if lacking:
        raise LimbeckError(f"the bundle's card lacks {', '.join(lacking)}", where=folder / CARD)


def task_of(card: dict[str, Any]) -> str:
    """What a bundle is for; cards of the first bundles, which were all classifiers', do not say."""
    return str(card.get("task", "classification"))


def by_length(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Rows of each batch: texts of like length together, to waste little on padding.

    Args:
        lengths: Tokens of each text.
        batch_size: Texts of a batch.

    Raises:
        LimbeckError: There are none in a batch.
    """
    if batch_size < 1:
        raise LimbeckError(f"'batch_size' is {batch_size}", fix="Give 1 or more")
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def clean(text: object, what: str = "a text") -> str:
    """A text without halves of surrogate pairs, which no tokeniser takes.

    Raises:
        LimbeckError: It is no text.
    """
    if not isinstance(text, str):
        raise LimbeckError(f"{what} is a string, and this is a {type(text).__name__}: {text!r}")
    return text.encode("utf-8", "replace").decode("utf-8")


def listed(texts: Sequence[Given]) -> list[Given]:
    """The texts as a list, whatever they came in: a tuple, an array, a column of a table.

    Raises:
        LimbeckError: It is one text.
    """
    if isinstance(texts, str):
        raise LimbeckError("one string was given for a list of texts", fix="Put it into a list: [text]")
    return list(texts)
