"""``limbeck data``: which files are looked at, and the table that tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from limbeck.cli.columns import KNOWN, called
from limbeck.cli.outcomes import Found, find_columns, find_format
from limbeck.cli.tagged import find_tagged
from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.core.tasks import Task
from limbeck.evaluate.table import NOTHING
from limbeck.text.readers import CONLL_ENDINGS, USES, form_of, table_of
from limbeck.text.summary import Lengths, Summary
from limbeck.text.tables import ENDINGS, ending_of

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 12
"""Labels that have a row of their own; the others are counted together."""
TABLES = ("csv", "tsv", "jsonl", "parquet", "dataset")
OF_WORDS = {"words", "tags", "spans"}
"""Columns of tagged words."""
TRANSLATED = {"target", "target_file"}
"""Where translations are."""


def looked_at(files: Sequence[str], form: str, keys: Sequence[str]) -> tuple[list[Source], Task]:
    """The files as sources, and what the first looks made for.

    Columns that nobody names are guessed, as ``limbeck init`` does; other files have those of the first, if they can.

    Args:
        files: Files, folders or data sets.
        form: Their format.
        keys: Other keys of a source, each as ``KEY=VALUE``.

    Raises:
        LimbeckError: There is no such format or key, a file cannot be read, or the first holds translations.
    """
    more = dict(map(_pair, keys))
    known = get_args(Source.model_fields["format"].annotation)
    if form not in known:
        raise LimbeckError(
            f"there is no format '{form}'", where="--format", fix=f"It is one of {', '.join(known)}"
        )
    try:
        sources = [Source.model_validate({"path": file, "format": form, **more}) for file in files]
    except ValidationError as error:
        wrong = error.errors()[0]
        key = ".".join(map(str, wrong["loc"]))
        fix = f"Keys of a source are {', '.join(Source.model_fields)}"
        raise LimbeckError(f"'{key}': {wrong['msg']}", where="--set", fix=fix) from None
    if not TRANSLATED.isdisjoint(more):
        raise _of_translations(sources[0])
    if not OF_WORDS.isdisjoint(more):
        return sources, "tagging"
    first, *others = sources
    found = _found(first)
    if found is None or not {"text", "label"}.isdisjoint(more):
        return sources, _task_of(first, found)
    first = first.model_copy(update=found.keys)
    return [first, *(_like(found.keys, other) for other in others)], found.task


def _task_of(source: Source, found: Found | None) -> Task:
    """Of a source whose columns are named, or whose format has none."""
    if found is not None and found.task != "tagging":
        named = source.label if isinstance(source.label, str) else None
        return found.task if found.keys.get("label", named) == named else "classification"
    form = "conll" if _is_conll(source) else source.format
    uses = USES[form][1] if form != "auto" and form in USES else ("classification",)
    if "translation" in uses:
        raise _of_translations(source)
    return "classification" if "classification" in uses else "tagging"


def _of_translations(source: Source) -> LimbeckError:
    fix = "Of translations, 'limbeck measure' tells"
    return LimbeckError("this is text with translations", where=source.path, fix=fix)


def _found(source: Source) -> Found | None:
    """What a labelled format, tagged words or a table hold; None of others."""
    if (found := find_format(source)) is not None:
        return found
    if (tagged := find_tagged(source)) is not None:
        keys = {} if tagged[0].format == "auto" else {"format": tagged[0].format}
        return Found("tagging", None, keys, False, None, "tagged words")
    return find_columns(source) if _is_table(source) else None


def _is_table(source: Source) -> bool:
    """Whether it is a table or a data set; not where its ending does not tell."""
    path = Path(source.path)
    if source.format != "auto":
        return source.format in TABLES
    if not path.is_file():
        return True
    return ending_of(path) in ENDINGS and form_of(source) in TABLES


def _like(keys: dict[str, Any], source: Source) -> Source:
    """The source with columns of these names; where it has none such, with those that look like them."""
    if not _is_table(source):
        found = find_format(source)
        return source if found is None else source.model_copy(update=found.keys)
    mine = _found(source)
    if mine is None or mine.task == "tagging":
        return source if mine is None else source.model_copy(update=mine.keys)
    source = source.model_copy(update={"header": _has_header(keys, mine, source)})
    table = table_of(source)
    here = set(range(len(table.names)) if table.header is False else table.names)
    texts = {keys[name] for name in ("text", "second") if name in keys}
    if not texts or not texts <= here:
        return source.model_copy(update=mine.keys)
    label = keys.get("label")
    wanted = label if isinstance(label, list) else [label]
    return source.model_copy(update=keys if here.issuperset(wanted) else {**keys, "label": None})


def _has_header(keys: dict[str, Any], mine: Found, source: Source) -> bool:
    """Whether another file has a header: as it looks by itself, and else as the first has it."""
    first, own = keys.get("header", True), mine.keys.get("header", True)
    if first == own:
        return bool(first)
    names = table_of(source).names
    return keys.get("text") in names if first else called(names, KNOWN) is not None


def _is_conll(source: Source) -> bool:
    return source.format == "auto" and ending_of(Path(source.path)) in CONLL_ENDINGS


def _pair(told: str) -> tuple[str, Any]:
    import yaml

    key, sign, value = told.partition("=")
    if not sign:
        raise LimbeckError(
            f"'{told}' is not KEY=VALUE", where="--set", fix="Write, for example, text=sentence"
        )
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        return key, value


# The table.


def table(sources: Sequence[Source], found: Sequence[Summary]) -> Table:
    """What was found, for the terminal: a row a figure, a column a file."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("", no_wrap=True)
    for one in found:
        shown.add_column(Path(one.path).name, justify="right", overflow="fold")
    shown.add_row("format", *(one.format for one in found))
    shown.add_row("columns", *map(_columns, sources, found))
    shown.add_row("examples", *(f"{one.examples:,}" for one in found))
    shown.add_section()
    for name, cells in _labels(found):
        shown.add_row(name, *cells)
    if any(one.scores for one in found):
        shown.add_row("scores: least, mean, most", *map(_scores, found))
    shown.add_section()
    shown.add_row("words: least", *(_length(one.lengths, "least") for one in found))
    shown.add_row("  median", *(_length(one.lengths, "median") for one in found))
    shown.add_row("  95% have at most", *(_length(one.lengths, "most_of_95") for one in found))
    shown.add_row("  most", *(_length(one.lengths, "most") for one in found))
    shown.add_section()
    for name in ("duplicates", "contradictory", "empty", "damaged"):
        shown.add_row(name, *(_share(getattr(one, name), one.examples) for one in found))
    if len(found) > 1:
        shown.add_row(
            f"also in {Path(found[0].path).name}", *(_share(one.overlap, one.examples) for one in found)
        )
    return shown


def _columns(source: Source, found: Summary) -> str:
    """What a row has; of a table, which of its columns that is."""
    if found.format not in TABLES:
        return ", ".join(found.columns)
    names = {"text": source.text, "second": source.second, "label": source.label, "score": source.label}
    shown = [role if names.get(role, role) == role else f"{role}: {names[role]}" for role in found.columns]
    return ", ".join(shown)


def _labels(found: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """Rows of the labels, in the order of the first file, and of those without one."""
    names = list(dict.fromkeys(name for one in found for name in one.labels))
    shown, others = (names, []) if len(names) <= SHOWN + 1 else (names[:SHOWN], names[SHOWN:])
    rows = [
        (f"'{name}'", [_share(one.labels.get(name, 0), _labelled(one)) for one in found]) for name in shown
    ]
    if others:
        counts = [sum(one.labels.get(name, 0) for name in others) for one in found]
        told = [_share(count, _labelled(one)) for count, one in zip(counts, found, strict=True)]
        rows.append((f"{len(others):,} other labels", told))
    return [*rows, ("unlabelled", [_share(one.unlabelled, one.examples) for one in found])]


def _scores(one: Summary) -> str:
    return NOTHING if one.scores is None else ", ".join(f"{value:.4g}" for value in one.scores)


def _labelled(one: Summary) -> int:
    return sum(one.labels.values())


def _share(count: int | None, whole: int) -> str:
    if count is None:
        return NOTHING
    return f"{count:,} ({100 * count / whole:.1f}%)" if count and whole else f"{count:,}"


def _length(lengths: Lengths | None, key: str) -> str:
    return NOTHING if lengths is None else f"{getattr(lengths, key):,.10g}"
