"""``limbeck measure``: which text is measured, and the table that tells of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.analyse.measures import Measures, TextMeasures
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.evaluate.table import NOTHING
from limbeck.text.parallel import read_lines
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from rich.table import Table

FORMS = "Name a transfer set (NAME.arrow), a folder that holds one, or two text files as SOURCE,TARGET"


def read_pairs(place: str) -> tuple[Example, ...]:
    """The pairs that a person names.

    Args:
        place: A transfer set (``NAME.arrow``), a folder with one (or with ``train.arrow``; a run's will do), or two
            text files with one sentence a line, plain or ``.gz``, with a comma between their names.

    Raises:
        LimbeckError: There is no such thing, it is damaged, two files are not aligned, or nothing is translated.
    """
    path = Path(place)
    if path.exists():
        examples = _transfer_set(path).examples
    elif place.count(",") == 1:
        examples = _parallel(*map(Path, place.split(",")))
    else:
        raise LimbeckError("no such file or folder", where=place, fix=FORMS)
    if not any(example.targets for example in examples):
        raise LimbeckError("there are no translations in it to measure", where=place)
    return examples


def _transfer_set(path: Path) -> TransferSet:
    if path.is_dir():
        path = _inside(path)
    if path.suffix != ".arrow":
        raise LimbeckError("this is no transfer set", where=path, fix=FORMS)
    return TransferSet.load(path.parent, path.stem)


def _inside(folder: Path) -> Path:
    """The one transfer set of a folder; where there are several, that to train on."""
    for place in (folder, folder / "prepared"):
        found = sorted(place.glob("*.arrow"))
        train = place / "train.arrow"
        if train in found or len(found) == 1:
            return train if train in found else found[0]
        if found:
            names = ", ".join(path.name for path in found)
            raise LimbeckError(
                f"the folder holds several transfer sets ({names})", where=place, fix="Name one"
            )
    raise LimbeckError("the folder holds no transfer set (NAME.arrow)", where=folder)


def _parallel(source: Path, target: Path) -> tuple[Example, ...]:
    return tuple(read_lines(source, Source(path=str(source), target_file=[str(target)]), source.name))


Value = Callable[[TextMeasures], str]

ROWS: dict[str, Value] = {
    "pairs": lambda one: f"{one.pairs:,}",
    "complexity C(d)": lambda one: _number(one.complexity, 3),
    "  each link alike": lambda one: _number(one.complexity_by_link, 3),
    "  over so many source words": lambda one: f"{one.vocabulary:,}",
    "fuzzy reordering (1: the source's order)": lambda one: _number(one.reordering, 3),
    "target words a source word": lambda one: _number(one.length_ratio, 3),
    "different target words": lambda one: f"{one.types:,}",
    "  a target word": lambda one: _number(one.type_token_ratio, 4),
    "copies of the source": lambda one: f"{one.copies:,}",
    "empty translations": lambda one: f"{one.empty:,}",
    "source words with a link": lambda one: _percent(one.linked),
}
"""What is told of each text."""


def table(measures: Measures) -> Table:
    """What was measured, for the terminal: a row a measure, a column a text."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("measure", no_wrap=True)
    shown.add_column("text", justify="right")
    columns = [measures.text]
    if measures.real is not None:
        shown.add_column("real", justify="right")
        columns.append(measures.real)
    for name, value in ROWS.items():
        shown.add_row(name, *map(value, columns))
    if measures.against is not None:
        shown.add_section()
        for name, told in _against(measures):
            shown.add_row(name, told, "")
    return shown


def _against(measures: Measures) -> list[tuple[str, str]]:
    """Rows of the comparison."""
    told = measures.against
    assert told is not None
    default, *others = told.faithfulness.items()
    return [
        (f"faithfulness F(d), {default[0]}", _number(default[1], 3)),
        *((f"  {name}", _number(value, 3)) for name, value in others),
        ("BLEU against real", _number(told.bleu, 1)),
        ("chrF against real", _number(told.chrf, 1)),
        ("target words a real one", _number(told.length, 3)),
        ("target words that real lacks", _percent(told.unseen)),
        ("  different ones", f"{told.unseen_types:,}"),
        ("pairs with a partner in real", f"{told.partners:,}"),
        ("  without", f"{told.without_partner:,}"),
    ]


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None or value != value else f"{value:.{digits}f}"


def _percent(share: float) -> str:
    return NOTHING if share != share else f"{100 * share:.1f}%"
