"""Decoded: the translations that a translator finds, kept in the answer store; a text is decoded once, ever.

There is one table a translator, way of decoding and engine. An answer is a JSON list of translations and scores, best
first, found under the digest of its text: so texts may be decoded in any order, by several processes and on several
machines, and come back in the order that they are asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from limbeck.core import progress
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.text.ragged import offsets_of
from limbeck.transfer import filling
from limbeck.transfer.shards import BYTE, Block, Digests
from limbeck.transfer.store import AnswerStore
from limbeck.transfer.tables import AnswerTable, digest_texts

Translations = tuple[tuple[str, float], ...]
"""Of one text: translations with their scores, best first."""
Shard = tuple[int, int]
"""Which part of the texts, and of how many: ``(1, 4)`` is the first of four."""

READ = {
    "beam": ("beams", "length_penalty"),
    "greedy": (),
    "sampling": ("temperature", "top_k", "seed"),
    "importance": ("latents", "samples", "temperature", "seed"),
}
"""The settings of decoding that each search reads, beside those that all do."""


class Translator(Protocol):
    """Who translates.

    Attributes:
        fingerprint: Digest of all that translations depend on but the way of decoding.
        name: What a person calls it.
        engine: What it computes with: others round otherwise.
    """

    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def engine(self) -> str: ...  # noqa: D102

    def decode(self, examples: Sequence[Example], decoding: Decoding) -> list[Translations]:
        """Translations of each example, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a translator found.

    Attributes:
        translations: By example id, in the order of the examples.
        by: Who found them, and how, as a phrase.
    """

    translations: dict[str, Translations]
    by: str

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.translations)

    def __iter__(self) -> Iterator[str]:
        """The ids, in order."""
        return iter(self.translations)

    def __getitem__(self, id: str) -> Translations:
        """The translations of an example.

        Raises:
            LimbeckError: It was not decoded.
        """
        try:
            return self.translations[id]
        except KeyError:
            raise LimbeckError(
                f"'{id}' was not translated by {self.by}", fix="Decode the whole transfer set"
            ) from None


def decode(
    translator: Translator,
    examples: Sequence[Example],
    decoding: Decoding,
    store: AnswerStore,
    shard: Shard | None = None,
) -> Decoded:
    """Translations of all examples; texts that the store holds none of are decoded now.

    They are stored shard by shard: what an interrupted run decoded, the next one need not.

    Args:
        translator: Who translates.
        examples: What is translated; equal ids must mean equal texts.
        decoding: How translations are searched for.
        store: Where they are kept.
        shard: Decode, and return, this part of the texts only, chosen by their digests: when all parts have been
            decoded, by whatever processes into this store, a call without ``shard`` finds everything.

    Raises:
        LimbeckError: A score is not finite, two texts have one id, there is no such shard, or the store is damaged
            or cannot be written.
    """
    distinct = list(filling.by_id(examples).values())
    table = _table(translator, decoding, store)
    digests = digest_texts(example.content for example in distinct)
    if shard is not None:
        mine = _in_shard(digests, shard)
        distinct, digests = [distinct[row] for row in mine], digests[mine]
    missing = filling.missing(table, digests)
    stored = len(np.unique(digests)) - len(missing)
    part = "" if shard is None else f" (shard {shard[0]} of {shard[1]})"
    progress.say(f"ask       {stored:,} translations stored, {len(missing):,} texts to translate{part}")
    answer = partial(_block, translator, decoding=decoding)
    filling.fill(
        table, [distinct[row] for row in missing], digests[missing], answer, "ask       translations"
    )
    ids = [example.id for example in distinct]
    return Decoded(_read(table, ids, digests), f"{_called(translator.name)}, {describe(decoding)}")


def count_undecoded(
    translator: Translator, examples: Sequence[Example], decoding: Decoding, store: AnswerStore
) -> int:
    """How many texts :func:`decode` would decode: those that the store holds no translations of."""
    digests = digest_texts(example.content for example in examples)
    return len(filling.missing(_table(translator, decoding, store), digests))


def describe(decoding: Decoding) -> str:
    """A way of decoding as a phrase, e.g. ``beam 5, length penalty 0.6``."""
    how = {
        "beam": f"beam {decoding.beams}",
        "greedy": "greedy",
        "sampling": "sampling" + (f" among {decoding.top_k}" if decoding.top_k else ""),
        "importance": f"importance weighted, {decoding.latents} latent sequences, {decoding.samples} samples",
    }[decoding.search]
    if decoding.length_power != 1:
        how += f", length penalty {decoding.length_penalty:g}"
    if decoding.draws and decoding.temperature != 1:
        how += f", temperature {decoding.temperature:g}"
    return how


def _called(name: str) -> str:
    """A translator's name; of a folder its last part, so that texts say the same wherever a run lies."""
    return Path(name).name if Path(name).is_dir() else name


def _table(translator: Translator, decoding: Decoding, store: AnswerStore) -> AnswerTable:
    read = ("search", *READ[decoding.search], "keep", "max_length", "candidates")
    settings: dict[str, Any] = {key: getattr(decoding, key) for key in read}
    settings |= {"engine": translator.engine}
    if decoding.passes != Decoding().passes:  # the usual number is no key: most translators read none
        settings["passes"] = decoding.passes
    return store.open(translator.fingerprint, "translations", (), translator.name, settings=settings)


def _in_shard(digests: Digests, shard: Shard) -> NDArray[np.int64]:
    """Places of the texts that belong to a shard, whatever the store holds already."""
    number, count = shard
    if not 1 <= number <= count:
        raise LimbeckError(f"there is no shard {number} of {count}", fix="Shards are counted from 1")
    words = np.ascontiguousarray(digests).view("<u8").reshape(-1, 2)
    return np.flatnonzero(words[:, 0] % np.uint64(count) == number - 1)


def _block(translator: Translator, examples: Sequence[Example], decoding: Decoding) -> Block:
    """The translations of some texts, as the store keeps them, checked."""
    found = translator.decode(examples, decoding)
    for example, translations in zip(examples, found, strict=True):
        if not translations or not all(math.isfinite(score) for _, score in translations):
            raise LimbeckError(
                f"no translation with a finite score was found for '{example.id}' ('{example.text[:60]}')",
                where=translator.name,
                fix="Its weights are broken, or overflow; nothing of this answer was stored",
            )
    texts = [json.dumps(each, ensure_ascii=False).encode("utf-8", "surrogatepass") for each in found]
    return Block(np.frombuffer(b"".join(texts), BYTE), offsets_of([len(text) for text in texts]))


def _read(table: AnswerTable, ids: Sequence[str], digests: Digests) -> dict[str, Translations]:
    """The translations of all texts, by example id."""
    rows = table.find(digests)
    if (rows < 0).any():
        what = f"the translations of '{ids[int(np.argmin(rows))]}' have gone from the store"
        raise LimbeckError(what, where=table.folder, fix="Did another process prune it? Decode again")
    block = table.gather(rows)
    assert block.offsets is not None
    content, ends = block.rows.tobytes(), block.offsets.tolist()
    found: dict[str, Translations] = {}
    for id, start, end in zip(ids, ends, ends[1:], strict=False):
        try:
            pairs = json.loads(content[start:end].decode("utf-8", "surrogatepass"))
            found[id] = tuple((str(text), float(score)) for text, score in pairs)
        except (ValueError, TypeError):
            store, key = table.folder.parent, table.folder.name
            fix = f"'limbeck store verify {store}' finds the shard; 'limbeck store prune {store} --damaged' drops it"
            what = f"the translations of '{id}' in the table {key} cannot be read"
            raise LimbeckError(what, where=table.folder, fix=fix) from None
    return found
