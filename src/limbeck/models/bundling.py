"""What all bundles' exports share: files that appear together, the tokeniser, and where a bundle comes from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.files import HOST, sweep, write_error
from limbeck.models.weights import learnt
from limbeck.serve.exported import CARD, FORMAT

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LIBRARIES = ("limbeck", "torch", "transformers", "tokenizers", "onnx", "onnxruntime")

T = TypeVar("T")


def spread(texts: Sequence[T], most: int) -> list[T]:
    """So many of the texts at most, spread evenly over all."""
    places = np.unique(np.linspace(0, len(texts) - 1, min(most, len(texts))).round().astype(int))
    return [texts[place] for place in places]


def save_tokeniser(tokeniser: PreTrainedTokenizerBase, path: Path) -> None:
    """The tokeniser by itself; how to cut and pad is said in bundle.json.

    Raises:
        LimbeckError: It is not of the tokenizers library.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    if not isinstance(tokeniser, PreTrainedTokenizerFast):
        what = (
            f"a {type(tokeniser).__name__} cannot be exported: serving reads files of the tokenizers library"
        )
        raise LimbeckError(what)
    backend = Tokenizer.from_str(tokeniser.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    backend.save(str(path), pretty=False)


def provenance(model: PreTrainedModel, folder: Path, card: Mapping[str, Any]) -> dict[str, Any]:
    """What every ``bundle.json`` says of its files, and of where it comes from.

    Args:
        model: What is exported.
        folder: Where the other files stand.
        card: Facts for the card.
    """
    files = [path for path in sorted(folder.iterdir()) if path.suffix != ".md"]
    return {
        "format": FORMAT,
        "model": type(model).__name__,
        "parameters": learnt(model),
        "files": {path.name: fingerprint.sha256(path) for path in files},
        "bytes": {path.name: path.stat().st_size for path in files},
        "card": dict(card),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
    }


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder to write into, whose files move to their place when the block ends well."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.{HOST}.{os.getpid()}.", dir=folder.parent))
    except OSError as error:
        raise write_error(error, folder) from error
    try:
        yield partial
        folder.mkdir(exist_ok=True)
        # The card last: without it, the rest is no bundle.
        for path in sorted(partial.iterdir(), key=lambda path: path.name == CARD):
            path.replace(folder / path.name)
    except OSError as error:
        raise write_error(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
