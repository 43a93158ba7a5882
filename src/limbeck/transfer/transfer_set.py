"""TransferSet: an ordered, fingerprinted collection of examples, kept in one Arrow file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import atomic_write

SCHEMA = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("gold", pa.string()), ("origin", pa.string())]
)
TAGGED = pa.schema([("words", pa.list_(pa.string())), ("tags", pa.list_(pa.string()))])
"""Columns that stand beside these where any example has words."""
PAIRED = pa.schema([("second", pa.string())])
"""The column that stands beside these where any example is a pair."""
AROUND = pa.schema([("before", pa.list_(pa.string())), ("after", pa.list_(pa.string()))])
"""Columns that stand beside those where any example has words of its document around it."""
TRANSLATED = pa.schema([("targets", pa.list_(pa.string()))])
"""The column that stands beside those where any example has translations."""
SCORED = pa.schema([("score", pa.float64())])
"""The column that stands beside those where any example has a score."""
SEVERAL = pa.schema([("labels", pa.list_(pa.string()))])
"""The column that stands beside those where any example has a set of labels."""
LABELS = b"limbeck.labels"
"""Key of the schema's metadata that holds the labels, as a JSON list."""


@dataclass(frozen=True)
class TransferSet:
    """The text on which the student hears the teacher; also what dev and test sets are kept as.

    Attributes:
        examples: In order; their ids differ.
        labels: Names of the classes, of the tags, or of the one score, in the order of every model's logits. Tags of a
            dev or test set may be others too: no model can find them, and each counts as its error.

    Raises:
        LimbeckError: Two examples have the same id, a gold label is not among the labels, or an example has
            another number of tags than of words.
    """

    examples: tuple[Example, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.ids)) != len(self.ids):
            twice, times = Counter(self.ids).most_common(1)[0]
            places = [example.origin for example in self.examples if example.id == twice and example.origin]
            raise LimbeckError(
                f"the id '{twice}' stands at {times} examples"
                + (f" ({', '.join(places[:3])})" if places else ""),
                fix="Give every example its own id, or leave out 'id' and let file name and line serve",
            )
        strangers = {example.gold for example in self.examples} - {None, *self.labels}
        strangers |= {label for example in self.examples for label in example.labels or ()} - set(self.labels)
        if strangers:
            named = ", ".join(sorted(map(str, strangers)))
            raise LimbeckError(f"gold labels that are not among {', '.join(self.labels)}: {named}")
        for example in self.examples:
            if example.tags is not None and len(example.tags) != len(example.words):
                what = f"example '{example.id}' has {len(example.words)} words and {len(example.tags)} tags"
                raise LimbeckError(what, where=example.origin or None)

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        """The examples, in order."""
        return iter(self.examples)

    @cached_property
    def _has_words(self) -> bool:
        return any(example.words for example in self.examples)

    @cached_property
    def has_pairs(self) -> bool:
        """Whether any example has a second text."""
        return any(example.second is not None for example in self.examples)

    @property
    def asked(self) -> list[str | tuple[str, ...]]:
        """What a student is asked of each example: a text, a sentence of words, or both texts of a set of pairs."""
        return [one.words or (one.text if one.second is None else one.texts) for one in self.examples]

    @cached_property
    def _has_context(self) -> bool:
        return any(example.before or example.after for example in self.examples)

    @cached_property
    def _has_targets(self) -> bool:
        return any(example.targets for example in self.examples)

    @cached_property
    def _has_scores(self) -> bool:
        return any(example.score is not None for example in self.examples)

    @cached_property
    def _has_sets(self) -> bool:
        return any(example.labels is not None for example in self.examples)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The examples' ids, in order."""
        return tuple(example.id for example in self.examples)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of ids, texts, words, gold of every kind and labels; where examples came from does not matter."""
        golds = ("" if example.gold is None else f"={example.gold}" for example in self.examples)
        texts = (example.text for example in self.examples)
        parts: list[object] = [
            fingerprint.of_strings(self.ids),
            fingerprint.of_strings(texts),
            fingerprint.of_strings(golds),
            self.labels,
        ]
        if self._has_words:
            words = (json.dumps(example.words) for example in self.examples)
            tags = (json.dumps(example.tags) for example in self.examples)
            parts += [fingerprint.of_strings(words), fingerprint.of_strings(tags)]
        if self.has_pairs:
            parts.append(fingerprint.of_strings(example.second or "" for example in self.examples))
        if self._has_context:
            parts.append(fingerprint.of_strings(json.dumps([e.before, e.after]) for e in self.examples))
        if self._has_targets:
            parts.append(fingerprint.of_strings(json.dumps(example.targets) for example in self.examples))
        if self._has_scores:
            parts.append(fingerprint.of_strings(json.dumps(example.score) for example in self.examples))
        if self._has_sets:
            parts.append(fingerprint.of_strings(json.dumps(example.labels) for example in self.examples))
        return fingerprint.of_value(parts)

    @cached_property
    def labelled(self) -> TransferSet:
        """The part that has gold."""
        return TransferSet(tuple(e for e in self.examples if e.labelled), self.labels)

    def save(self, folder: Path, name: str) -> None:
        """Write ``NAME.arrow``, atomically."""
        fields = pa.schema(
            [
                *SCHEMA,
                *(PAIRED if self.has_pairs else ()),
                *(TAGGED if self._has_words else ()),
                *(AROUND if self._has_context else ()),
                *(TRANSLATED if self._has_targets else ()),
                *(SCORED if self._has_scores else ()),
                *(SEVERAL if self._has_sets else ()),
            ]
        )
        columns = {
            field.name: pa.array((getattr(e, field.name) for e in self.examples), field.type)
            for field in fields
        }
        schema = fields.with_metadata({LABELS: json.dumps(self.labels).encode()})
        table = pa.table(columns, schema=schema)
        with atomic_write(folder / f"{name}.arrow", "wb") as file, pa.ipc.new_file(file, schema) as writer:
            writer.write_table(table)

    @classmethod
    def load(cls, folder: Path, name: str) -> TransferSet:
        """Read ``NAME.arrow``, memory-mapped.

        Raises:
            LimbeckError: It is missing, cut short, or no transfer set.
        """
        path = folder / f"{name}.arrow"
        try:
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                table = reader.read_all()
                labels = tuple(json.loads(table.schema.metadata[LABELS]))
                optional = [
                    field for part in (PAIRED, TAGGED, AROUND, TRANSLATED, SCORED, SEVERAL) for field in part
                ]
                there = [*SCHEMA, *(field for field in optional if field.name in table.column_names)]
                columns = {field.name: _values(table, field) for field in there}
                rows = zip(*columns.values(), strict=True)
                examples = tuple(Example(**dict(zip(columns, row, strict=True))) for row in rows)
        except FileNotFoundError:
            raise LimbeckError(
                "no such transfer set", where=path, fix="'limbeck prepare' writes it"
            ) from None
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            fix = "Delete it and run 'limbeck prepare' again"
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
            raise LimbeckError(f"a damaged transfer set ({reason})", where=path, fix=fix) from None
        return cls(examples, labels)


def _values(table: pa.Table, field: pa.Field) -> list[Any]:
    """A column as Python has it; lists become tuples."""
    values: list[Any] = table.column(field.name).to_pylist()
    if pa.types.is_list(field.type):
        return [None if one is None else tuple(one) for one in values]
    return values
