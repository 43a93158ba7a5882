"""Predictions: the file of an evaluation with what each model says of each test example, a column a model.

Beside a model's column there may be others, of how sure it is, each called ``MODEL:WHAT``; no model has a colon in its
name. A tagger's are ``confidence`` and ``entropy``, a list of a number a word; a translator's is ``log_probability``, a
number a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from limbeck.core.example import Example
from limbeck.core.files import atomic_write

CONFIDENCE, ENTROPY, LOG_PROBABILITY = "confidence", "entropy", "log_probability"
"""What columns beside a model's hold: of a tagger, of each word, the posterior marginal of the tag that it gave, and
the entropy of the posterior in bits, both null where it did not read the word; of a translator, of each translation,
the mean log-probability of its tokens in nats, null where it tells none."""


def beside(column: str, what: str) -> str:
    """Name of a column beside a model's."""
    return f"{column}:{what}"


def write_predictions(path: Path, labels: Sequence[str], columns: Mapping[str, pa.Array]) -> None:
    """Write Parquet; the labels are a JSON list under ``labels`` in the schema's metadata.

    Args:
        path: The file.
        labels: Names of the labels (of a tagger, the tags), in the order of what models say.
        columns: The examples', and one a model, each with a value an example.
    """
    metadata = {"labels": json.dumps(list(labels), ensure_ascii=False)}
    with atomic_write(path, "wb") as file:
        pq.write_table(pa.table(dict(columns)).replace_schema_metadata(metadata), file)


def columns_of(examples: Sequence[Example], gold: pa.Array) -> dict[str, pa.Array]:
    """The columns of whole texts, beside those of models."""
    fields = {"id": "id", "text": "shown", "origin": "origin"}
    told = {
        name: pa.array([getattr(one, field) for one in examples], pa.string())
        for name, field in fields.items()
    }
    return {"id": told["id"], "text": told["text"], "gold": gold, "origin": told["origin"]}


def column_of(said: NDArray[Any]) -> pa.Array:
    """What a model says as float32: a number an example, ``(examples,)``, or a list of them, ``(examples, labels)``."""
    values = pa.array(said.astype(np.float32).ravel())
    if said.ndim == 1:
        return values
    offsets = pa.array(np.arange(len(said) + 1, dtype=np.int32) * said.shape[1])
    return pa.ListArray.from_arrays(offsets, values)


def ragged(rows: Sequence[NDArray[np.floating]]) -> pa.Array:
    """A list of float32 numbers an example; NaN becomes null."""
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    flat = np.concatenate([np.empty(0), *rows]).astype(np.float32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat, from_pandas=True))
