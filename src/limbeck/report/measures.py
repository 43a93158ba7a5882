"""Measures of the texts that students learned from, arranged in tables: what ``limbeck measure`` wrote beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from limbeck.report import words

Content = Mapping[str, Any]
"""A ``measures.json``: ``text``, ``real`` and ``against`` (None where there was nothing to compare), ``reading``."""


@dataclass(frozen=True)
class Table:
    """Names of the columns, and of each text its name and its numbers, as they are shown."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class MeasureView:
    """What was measured.

    Attributes:
        measures: A row a text, the real one first.
        smoothings: F(d) under every smoothing; None where nothing was compared.
        reading: How the texts were read.
    """

    measures: Table
    smoothings: Table | None
    reading: str


def measure_view(found: Mapping[str, Content]) -> MeasureView | None:
    """All measures of a run.

    Args:
        found: The files' contents, by the folder in the run's that each lies in.

    Returns:
        None where nothing was measured.
    """
    texts = {folder: content for folder, content in found.items() if content.get("text")}
    if not texts:
        return None
    named = _named(texts)
    rows = [*_real(named).items(), *named.items()]
    kept = [head for head, show in COLUMNS.items() if any(show(of) != words.MISSING for _, of in rows)]
    table = tuple((name, tuple(COLUMNS[head](of) for head in kept)) for name, of in rows)
    return MeasureView(Table(tuple(kept), table), _smoothings(named), _reading(next(iter(texts.values()))))


def _named(texts: Mapping[str, Content]) -> dict[str, Content]:
    """Texts by the last part of their folder, or by all of it where several share that."""
    short = {folder: PurePosixPath(folder).name or folder for folder in texts}
    unique = len(set(short.values())) == len(short)
    return {short[folder] if unique else folder: content for folder, content in texts.items()}


def _real(named: Mapping[str, Content]) -> dict[str, Content]:
    """The real text that the others were held against; of several different ones, each beside its text."""
    found: dict[str, Content] = {}
    for name, content in named.items():
        real = content.get("real")
        if real and all(real != other["text"] for other in found.values()):
            found[f"real text of {name}" if found else "real text"] = {"text": real}
    return found


def _smoothings(named: Mapping[str, Content]) -> Table | None:
    of = {name: (content.get("against") or {}).get("faithfulness") or {} for name, content in named.items()}
    heads = list(dict.fromkeys(head for values in of.values() for head in values))
    if not heads:
        return None
    rows = [
        (name, tuple(words.fixed(values.get(head), 3) for head in heads))
        for name, values in of.items()
        if values
    ]
    return Table(tuple(heads), tuple(rows))


def _reading(content: Content) -> str:
    """How words were cut and aligned, and F(d) smoothed, in a sentence or two."""
    reading, against = content.get("reading") or {}, content.get("against") or {}
    told = [
        f"Words are cut as {'BLEU cuts them' if reading.get('words') == '13a' else reading['words']}"
        if reading.get("words")
        else "",
        f"aligned by {reading['aligner']}" if reading.get("aligner") else "",
        f"both directions made one by {reading['symmetrised']}" if reading.get("symmetrised") else "",
    ]
    first = next(iter(against.get("faithfulness") or {}), None)
    smoothed = f" F(d) needs tables without noughts: smoothing {first}." if first else ""
    return ", ".join(part for part in told if part) + "." * any(told) + smoothed


def _of(part: str, key: str, show: Callable[[Any], str]) -> Callable[[Content], str]:
    """Shows one number of one part; a dash where there is none."""

    def shown(content: Content) -> str:
        value = (content.get(part) or {}).get(key)
        return words.MISSING if value is None else show(value)

    return shown


def _share(key: str) -> Callable[[Content], str]:
    """Shows a count as a share of the pairs, in per cent."""

    def shown(content: Content) -> str:
        text = content.get("text") or {}
        return words.share(text[key] / text["pairs"]) if text.get("pairs") and key in text else words.MISSING

    return shown


def _decimals(digits: int) -> Callable[[Any], str]:
    return lambda value: words.fixed(value, digits)


COLUMNS: Mapping[str, Callable[[Content], str]] = {
    "Pairs": _of("text", "pairs", words.count),
    "C(d)": _of("text", "complexity", _decimals(3)),
    "F(d)": _of("against", "faithfulness", lambda by: words.fixed(next(iter(by.values()), None), 3)),
    "Reordering": _of("text", "reordering", _decimals(3)),
    "BLEU": _of("against", "bleu", _decimals(1)),
    "chrF": _of("against", "chrf", _decimals(1)),
    "Length ratio": _of("against", "length", _decimals(3)),
    "Different words": _of("text", "types", words.count),
    "Unknown to real, %": _of("against", "unseen", words.share),
    "Copies, %": _share("copies"),
    "Empty, %": _share("empty"),
}
"""Headings, and how a text's number is shown under each."""
