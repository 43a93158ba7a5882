"""The page of a comparison: every model of several runs in one table, with intervals and a plot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from limbeck import __version__
from limbeck.core.files import atomic_write
from limbeck.evaluate.comparison import Comparison
from limbeck.evaluate.table import WORDS, Row, cells
from limbeck.report import figures, words
from limbeck.report.filling import fill
from limbeck.report.svg import Scale
from limbeck.report.views import STYLES, plot


@dataclass(frozen=True)
class Line:
    """A model in the page's table.

    Attributes:
        name: The model's.
        style: Its class in the style sheet.
        cells: Headings and what stands under them.
        engine: What the model runs in, under its size.
        picture: Its interval, drawn; None of the model that the others are compared with.
        chosen: Whether it is that model.
    """

    name: str
    style: str
    cells: tuple[tuple[str, str], ...]
    engine: str
    picture: Markup | None
    chosen: bool


def write(found: Comparison, out: Path) -> Path:
    """Write the page.

    Args:
        found: What was compared.
        out: The file.

    Returns:
        The page's path.

    Raises:
        LimbeckError: It cannot be written.
    """
    with atomic_write(out) as file:
        file.write(render(found))
    return out


def render(found: Comparison) -> str:
    """The page's HTML."""
    styles = _styles(found)
    headings = [name for name in found.columns if name not in ("model", "engine")]
    return fill(
        "compared.html.jinja",
        title=f"{', '.join(found.runs)} compared",
        name=words.plural(len(found.runs), "run"),
        version=__version__,
        of=found,
        headline=_headline(found),
        headings=headings,
        left=WORDS,
        lines=list(_lines(found, styles)),
        plot=plot(list(_places(found, styles)), found.metric),
    )


def _styles(found: Comparison) -> dict[str, str]:
    """A class of the style sheet for each model: its role's for the only teacher or control, else one in turn."""
    several = [role for role, models in Counter(row["role"] for row in found.rows).items() if models > 1]
    alone = {row["name"]: row["role"] for row in found.rows if row["role"] not in (*several, "student")}
    others = [row for row in found.rows if row["name"] not in alone]
    students_first = sorted(others, key=lambda row: row["role"] != "student")
    numbered = [row["name"] for row in students_first]
    return alone | {name: f"s{number % STYLES + 1}" for number, name in enumerate(numbered)}


def _headline(found: Comparison) -> str:
    """How many models are better and worse than the one that they are compared with, beyond doubt."""
    others = [row for row in found.rows if row["name"] != found.over]
    better, worse = sum(row["low"] > 0 for row in others), sum(row["high"] < 0 for row in others)
    told = [
        f"{words.count(better)} clearly better than {found.over} in {words.in_text(found.metric)}",
        f"{words.count(worse)} clearly worse",
        f"{words.count(len(others) - better - worse)} too near to tell",
    ]
    return f"Of {words.plural(len(others), 'other model')} {', '.join(told)}."


def _lines(found: Comparison, styles: dict[str, str]) -> Iterator[Line]:
    reach = max(
        (abs(row[end]) for row in found.rows for end in ("low", "high") if row[end] is not None), default=0.0
    )
    scale = Scale(-(reach or 0.01), reach or 0.01, 6, 174)
    for row, texts in zip(found.rows, cells(found.rows, found.columns), strict=True):
        told = dict(zip(found.columns, texts, strict=True))
        shown, engine = told.pop("model"), told.pop("engine", "")
        picture = _interval(row, scale, found)
        yield Line(
            shown, styles[row["name"]], tuple(told.items()), engine, picture, row["name"] == found.over
        )


def _interval(row: Row, scale: Scale, found: Comparison) -> Markup | None:
    if row["difference"] is None:
        return None
    amount, low, high = (words.difference(found.metric, row[key]) for key in ("difference", "low", "high"))
    title = f"{row['name']} over {found.over}: {amount}, interval {low} to {high}"
    return figures.interval_bar(row["low"], row["difference"], row["high"], scale, title)


def _places(found: Comparison, styles: dict[str, str]) -> Iterator[figures.Place]:
    """Those models whose latency is known."""
    for row in found.rows:
        if row["p50_ms"]:
            yield figures.Place(
                row["name"],
                styles[row["name"]],
                row["engine"],
                row["p50_ms"],
                row[found.metric],
                row["deviation"],
                row["bytes"],
            )
