"""Reading: the sources of a recipe to examples that are fit for use, with counts of what was dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Clean, Data, Source
from limbeck.core.tasks import Task
from limbeck.text.clean import DAMAGED, clean
from limbeck.text.readers import read
from limbeck.transfer.wording import count, told

HeldOut = Literal["test", "dev"]
HELD_OUT: tuple[HeldOut, ...] = ("test", "dev")
"""Cut in this order, so that another size of dev leaves test as it is."""
SUSPICIOUS = 0.2
"""Share of damaged rows above which a wrong encoding is likelier than bad text."""


def held_out_sources(data: Data) -> Iterator[tuple[HeldOut, Source]]:
    """Those of dev and test that have a source of their own."""
    for role in HELD_OUT:
        source = getattr(data, role)
        if isinstance(source, Source):
            yield role, source


def languages_of(data: Data) -> set[str]:
    """Those that translators' sources name."""
    sources = (*data.train, *(source for _, source in held_out_sources(data)), *data.unlabelled)
    return {source.language for source in sources if source.language}


def names_of(data: Data) -> dict[str, str]:
    """What stands for each source in ids: its name, with as many folders as tell it from the others."""
    held_out = [source for _, source in held_out_sources(data)]
    paths = {source.path: Path(source.path).parts for source in (*data.train, *held_out, *data.unlabelled)}

    def is_shared(tail: tuple[str, ...]) -> bool:
        return sum(parts[-len(tail) :] == tail for parts in paths.values()) > 1

    names = {}
    for path, parts in paths.items():
        depths = range(1, len(parts))
        depth = next((depth for depth in depths if not is_shared(parts[-depth:])), len(parts))
        names[path] = "/".join(parts[-depth:])
    return names


@dataclass(frozen=True)
class Reader:
    """How a recipe's sources are read: what stands for them in ids, for which task, and with how much context."""

    names: Mapping[str, str]
    task: Task
    context: int

    def read(self, source: Source) -> list[Example]:
        """The examples of a source; says how many."""
        examples = read(source, self.names[source.path], self.task, self.context)
        split = f" ({source.split})" if source.split else ""
        said = f"prepare   read {count(len(examples), 'row')} from {source.path}{split}"
        progress.say(said, rows=len(examples), source=source.path)
        return examples

    def read_text(self, source: Source) -> list[Example]:
        """The same without any gold, of which columns and files are not even looked at."""
        bare: dict[str, Any] = {"label": None, "target": [], "target_file": []}
        if source.target_file and self.task == "translation":
            bare["format"] = "txt"
        examples = self.read(source.model_copy(update=bare))
        return [example.without_gold for example in examples]


def cleaned(
    rows: list[Example], settings: Clean, role: str, path: str, report: dict[str, Any]
) -> list[Example]:
    """The examples of a set that are fit for use; ``path`` is told where none is."""
    kept, dropped = clean(rows, settings)
    report["read"][role] = len(rows)
    report["dropped"][role] = dict(dropped)
    if dropped:
        progress.say(f"prepare   dropped from {role}: {told(dropped)}", part=role, dropped=dict(dropped))
    if dropped[DAMAGED] > SUSPICIOUS * len(rows):
        share = dropped[DAMAGED] / len(rows)
        progress.warn(f"{share:.0%} of {role} is damaged text; was it read with the right 'encoding'?")
    if not kept:
        what = f"no row of {role} is left after cleaning ({told(dropped)})"
        raise LimbeckError(what, where=path)
    return kept


def published(source: Source, reader: Reader, role: str, report: dict[str, Any]) -> list[Example]:
    """A dev or test set as its publisher made it, so that scores compare; only empty texts go."""
    rows = reader.read(source)
    kept, dropped = clean(rows, Clean(damaged=False, duplicates=False))
    report["read"][role] = len(rows)
    report["dropped"][role] = dict(dropped)
    if dropped:
        progress.warn(f"prepare   dropped from {role}: {told(dropped)}", part=role, dropped=dict(dropped))
    if not kept:
        raise LimbeckError(f"no row of {role} has text", where=source.path)
    return kept
