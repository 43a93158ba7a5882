"""What ``limbeck init`` sees in parallel text: where texts and translations stand, and how much there is of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.text.readers import CATALOGUE_ENDINGS, LANGUAGE_ENDING, read
from limbeck.text.tables import ENDINGS, ending_of, read_table

CODE = re.compile(r"(?!id$)[a-z]{2}(?:[-_][A-Za-z]{2,4})?")
"""A column called so holds a language; one called ``id`` holds something else."""
NESTED = "translation."
"""What columns of a table with a ``translation`` column begin with."""
TEXTS = ("text", "source", "src", "sentence")
"""What else a column of texts may be called."""
TAGGED = "seq.in"
"""A file of words, whose tags are in another; no text in the language ``in``."""
RATIO = 4
"""Pairs of which one side has so many times the words of the other are not each other's translations."""
MANY = 10_000
"""Pairs from which fixed numbers are cut for dev and test; of fewer, shares."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Parallel text that was found.

    Attributes:
        source: How a recipe names it.
        examples: Texts with their translations.
    """

    source: Source
    examples: Sequence[Example]

    @property
    def name(self) -> str:
        """What the file is called, and of which languages it is where that is known: ``train.en-de``."""
        path = Path(self.source.path)
        text, target = _language(ending_of(path)) or str(self.source.text), self.source.language
        return _stem(path) + (f".{text}-{target}" if target and CODE.fullmatch(text) else "")

    @property
    def told(self) -> str:
        """How much it is, in words between spaces."""
        texts, targets = zip(*self._words(), strict=True)
        return (
            f"{len(texts):,} pairs, {sum(texts):,} words and {sum(targets):,} in their translations, "
            f"{median(texts):g} and {median(targets):g} in the median one"
        )

    @property
    def has_spaces(self) -> bool:
        """Whether both sides have about as many words: languages without spaces are not to be cleaned by that."""
        unlike = sum(max(pair) >= RATIO * min(pair) for pair in self._words())
        return unlike <= len(self.examples) / 10

    @property
    def is_small(self) -> bool:
        """Whether dev and test are shares of it."""
        return len(self.examples) < MANY

    def _words(self) -> list[tuple[int, int]]:
        return [(len(one.text.split()), len(one.targets[0].split())) for one in self.examples]


def find_pairs(data: Path, target: str | None = None, encoding: str = "utf-8") -> Pairs | None:
    """How a file's texts and translations are read, and they; None for a file that is not one of parallel text.

    Args:
        data: Texts, one a line; a table of texts and translations; or a catalogue of messages.
        target: The file of translations, or their column (its number, from 0, where the file has no header). None
            looks for a file beside this one, of the same name and in another language, or for columns of languages.
        encoding: Of text files.

    Raises:
        LimbeckError: The target is missing, or is one of several; the files are not aligned; nothing is translated.
    """
    source = _source_of(data, target, encoding)
    if source is None:
        return None
    examples = [example for example in read(source, task="translation") if example.targets]
    if not examples:
        raise LimbeckError("no text here has a translation", where=data)
    return Pairs(source, examples)


def _source_of(data: Path, target: str | None, encoding: str) -> Source | None:
    ending = ending_of(data)
    keys: dict[str, object] = {"path": str(data), "encoding": encoding}
    if ending in CATALOGUE_ENDINGS:
        return Source.model_validate(keys)
    if ending not in ENDINGS or ENDINGS[ending] == "txt":
        file = _file_of(data, target)
        if file is None:
            return None
        return Source.model_validate(
            keys | {"target_file": str(file), "language": _language(ending_of(file))}
        )
    columns = _columns_of(data, target, encoding)
    return None if columns is None else Source.model_validate(keys | columns)


# Files.


def _file_of(data: Path, target: str | None) -> Path | None:
    """The file of translations: the one that is named, or the only one beside a file that ends in a language."""
    if target is not None:
        if not Path(target).is_file():
            fix = "--target names the file of translations of a text file, or a column of a table"
            raise LimbeckError("no such file", where=target, fix=fix)
        return Path(target)
    if not data.is_file() or not _language(ending_of(data)) or data.name == TAGGED:
        return None
    found = {ending_of(path): path for path in sorted(data.parent.iterdir()) if _stem(path) == _stem(data)}
    others = [path for ending, path in found.items() if ending != ending_of(data) and _language(ending)]
    if len(others) != 1:
        shown = ", ".join(path.name for path in others)
        what = f"translations may be in {shown}" if others else "no file of translations is beside it"
        raise LimbeckError(what, where=data, fix="Name the file of translations: --target FILE")
    return others[0]


def _stem(path: Path) -> str:
    """A file's name without its language, and without the ending of a compressed one."""
    return Path(path.name.removesuffix(".gz")).stem


def _language(ending: str) -> str | None:
    is_one = LANGUAGE_ENDING.fullmatch(ending) and ending not in ENDINGS
    return ending.removeprefix(".") if is_one else None


# Tables.


def _columns_of(data: Path, target: str | None, encoding: str) -> dict[str, object] | None:
    """Which columns hold texts and translations; None where nothing says that any do."""
    table = read_table(data, encoding=encoding)
    named = {name.removeprefix(NESTED): name for name in table.names}
    coded = [name for name in named if CODE.fullmatch(name)]
    if target is None:
        return _keys(*coded) if len(coded) == 2 else None
    if target.isdecimal() and target not in named:
        return {"header": False, "text": 1 if target == "0" else 0, "target": int(target)}
    others = [name for name in named if name not in (target, "id", "translation")]
    if not others:
        raise LimbeckError(f"no column of texts is beside '{target}'", where=data)
    likely = [name for name in others if name.lower() in TEXTS] or [name for name in others if name in coded]
    filled = {name: sum(map(bool, table.column(named[name], "text"))) for name in others}
    return _keys(max(likely or others, key=filled.__getitem__), target)


def _keys(text: str, target: str) -> dict[str, object]:
    return {"text": text, "target": target, "language": target if CODE.fullmatch(target) else None}
