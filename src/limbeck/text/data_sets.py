"""Data sets: a name on the hub, a folder that ``datasets`` saved, or a folder of files; a split of it as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.tables import ENDINGS, Table, classes_of, ending_of, from_arrow, read_table

OF_ROWS = ("csv", "tsv", "jsonl")
"""Formats of files that are read here in folders, too, as they are by themselves: ``datasets`` takes ``NA`` for
nothing, ``01`` for 1 and a lone quotation mark for the beginning of a field."""
ALL = "all"
"""What the rows of a data set without splits are called in ids."""


def read_data_set(source: Source, place: Path | str) -> tuple[Table, str]:
    """One split of a data set, and its name.

    Args:
        source: Which split and subset, and the encoding of files.
        place: A folder that ``save_to_disk`` wrote, a folder of files, or a name on the hub.

    Raises:
        LimbeckError: There is no such data set or split, or it cannot be read.
    """
    if isinstance(place, Path) and (files := _files_of_rows(place, source)):
        split, mine = _split(files, source)
        return _joined(source, mine), split
    import datasets

    with _telling(source), _quiet():
        if isinstance(place, Path) and _was_saved(place):
            found = datasets.load_from_disk(str(place))
        else:
            found = datasets.load_dataset(str(place), source.subset)
    split, data = _split(found, source)
    if not len(data):
        raise LimbeckError("the data set holds no rows", where=source.path)
    arrow = data.with_format("arrow")[:]
    return from_arrow(source.path, arrow, classes_of(data.features.arrow_schema)), split


def _was_saved(folder: Path) -> bool:
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def _split(found: Any, source: Source) -> tuple[str, Any]:
    """The split that the source names, or the only one."""
    if not isinstance(found, dict):
        name = str(found.split or ALL)
        if source.split not in (None, name):
            what = f"there is no split '{source.split}': this is one data set without splits"
            raise LimbeckError(what, where=source.path, fix="Leave out 'split'")
        return name, found
    if source.split is None and len(found) == 1:
        return next((str(name), data) for name, data in found.items())
    if source.split is None or source.split not in found:
        what = "say which split" if source.split is None else f"there is no split '{source.split}'"
        fix = f"Set 'split' to one of: {', '.join(map(str, found))}"
        raise LimbeckError(what, where=source.path, fix=fix)
    return source.split, found[source.split]


# Folders of files.


def _files_of_rows(folder: Path, source: Source) -> dict[str, list[Path]]:
    """By split, the files of a folder that are read here; none where it says itself how, or has others too."""
    if source.subset is not None or _was_saved(folder) or (folder / "README.md").is_file():
        return {}
    from datasets.data_files import DataFilesDict, get_data_patterns

    with _telling(source):
        found = DataFilesDict.from_patterns(get_data_patterns(str(folder)), base_path=str(folder))
    files = {str(split): sorted(map(Path, names)) for split, names in found.items()}
    endings = {ENDINGS.get(ending_of(file)) for some in files.values() for file in some}
    return files if endings <= set(OF_ROWS) else {}


def _joined(source: Source, files: Sequence[Path]) -> Table:
    """Rows of files that have the same columns, numbered from 0."""
    tables = [
        read_table(file, header=source.header, encoding=source.encoding, undecodable=source.undecodable)
        for file in files
    ]
    names = tables[0].names
    for file, table in zip(files, tables, strict=True):
        if set(table.names) != set(names):
            what = f"the columns of {file.name} are not those of {files[0].name}"
            raise LimbeckError(what, where=source.path, fix="Name one of these files instead of the folder")
    columns = {name: [cell for table in tables for cell in table.columns[name]] for name in names}
    rows = range(sum(map(len, tables)))
    return Table(source.path, names, columns, rows, header=tables[0].header)


# What ``datasets`` says.


@contextmanager
def _telling(source: Source) -> Iterator[None]:
    """What ``datasets`` raises, in one sentence."""
    import datasets

    theirs = (
        datasets.exceptions.DatasetsError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        ImportError,
        RuntimeError,
    )
    try:
        yield
    except theirs as error:
        # The first error says that something went wrong, and the last of its causes says what.
        told: BaseException = error
        while told.__cause__ is not None:
            told = told.__cause__
        reason = str(told).strip().partition("\n")[0].rstrip(".:") or type(told).__name__
        fix = "Check the spelling; for a file, give its 'format'; a name on the hub needs the network once"
        raise LimbeckError(f"no data set can be read here ({reason})", where=source.path, fix=fix) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars of ``datasets``: progress is told in one voice."""
    import datasets

    shown = datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not shown:
            datasets.enable_progress_bars()
