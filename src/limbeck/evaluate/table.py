"""The short table of a run, as plain rows and as text: for the command line, the report and the README.

Nothing here measures or computes; it reads the content of ``evaluation.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from limbeck.core.recipe import main_metric
from limbeck.core.tasks import as_share

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]
"""Headings, and how a row is shown under each."""

NOTHING = "–"
"""Stands where there is no number."""

DEPLOYED = ("onnx-int8", "onnx", "pytorch")
"""A student is shown on the first of these engines that it was measured on; a teacher, on the last."""


def percent(share: float | None, deviation: float | None = None) -> str:
    """A share of one as a percentage without its sign, e.g. ``87.6 ± 0.3``."""
    if share is None:
        return NOTHING
    return f"{100 * share:.1f}".replace("-", "−") + ("" if deviation is None else f" ± {100 * deviation:.1f}")


def points(gain: float | None, low: float | None = None, high: float | None = None) -> str:
    """A difference of shares in percentage points with its interval, e.g. ``+2.7 [+1.9, +3.5]``."""
    if gain is None:
        return NOTHING
    return _signed(gain) + ("" if low is None or high is None else f" [{_signed(low)}, {_signed(high)}]")


def milliseconds(value: float | None) -> str:
    """A time, e.g. ``0.35 ms``."""
    return NOTHING if value is None else f"{value:.{2 if value < 9.995 else 1}f} ms"


def times(factor: float | None) -> str:
    """A ratio, e.g. ``52×``; one below ten keeps a decimal."""
    return NOTHING if factor is None else f"{factor:.{1 if factor < 9.95 else 0}f}×"


def size(number: float | None) -> str:
    """Bytes in decimal units, e.g. ``3.1 MB``."""
    return _scaled(number, (" B", " kB", " MB", " GB"))


def many(number: float | None) -> str:
    """A large number of things, e.g. ``9.3M``."""
    return _scaled(number, ("", "k", "M", "B"))


def _scaled(number: float | None, units: Sequence[str]) -> str:
    """A number in the unit, a thousand times the one before, in which it has at most three digits before the point."""
    if number is None:
        return NOTHING
    for unit in units[:-1]:
        if number < 999.5:
            return f"{number:.{1 if unit != units[0] and number < 99.95 else 0}f}{unit}"
        number /= 1000
    return f"{number:.1f}{units[-1]}"


def _signed(share: float) -> str:
    """In points; the minus is as wide as the plus, and what rounds to zero has neither."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _name(row: Row) -> str:
    return f"{row['name']} (control)" if row["role"] == "control" else str(row["name"])


def of_score(row: Row, *keys: str) -> list[float | None]:
    """Numbers in the unit of the score that decides, as shares of one."""
    return [None if row[key] is None else as_share(row["metric"], row[key]) for key in keys]


QUALITY = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "mcc": "MCC",
    "binary_f1": "F1",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "micro_f1": "micro F1",
    "subset_accuracy": "exact match",
    "f1": "F1",
    "token_accuracy": "token accuracy",
    "precision": "precision",
    "recall": "recall",
    "bleu": "BLEU",
    "chrf": "chrF",
}
"""Headings of scores, by their names."""

COLUMNS: Columns = {
    "model": _name,
    "seeds": lambda row: str(row["seeds"]),
    "accuracy": lambda row: percent(*of_score(row, row["metric"], "deviation")),
    "gain over control": lambda row: points(*of_score(row, "gain", "low", "high")),
    "of teacher's": lambda row: NOTHING if row["retention"] is None else f"{percent(row['retention'])}%",
    "engine": lambda row: row["engine"] or NOTHING,
    "one sentence": lambda row: milliseconds(row["p50_ms"]),
    "times faster": lambda row: times(row["times_faster"]),
    "size": lambda row: size(row["bytes"]),
}
"""The columns of a run's table, of classifiers; :func:`columns_of` puts another task's score in its place."""

BRIEF: Columns = {
    "model": COLUMNS["model"],
    "accuracy": COLUMNS["accuracy"],
    "gain over control": COLUMNS["gain over control"],
    "kept": COLUMNS["of teacher's"],
    "faster": COLUMNS["times faster"],
    "size": COLUMNS["size"],
}
"""Those that fit into 80 characters."""

WORDS = frozenset({"model", "engine"})
"""Headings of columns that hold words and stand to the left; numbers stand to the right."""


def decisive(evaluation: Mapping[str, Any]) -> str:
    """The metric that decides in a run: what it says itself, or that of its task.

    Args:
        evaluation: The content of ``evaluation.json``.
    """
    if "metric" in evaluation:
        return str(evaluation["metric"])
    spans = any("f1" in one["mean"] for one in evaluation["summary"])
    return main_metric(evaluation.get("task", "classification"), spans=spans)


def columns_of(rows: Sequence[Row], columns: Columns = COLUMNS) -> Columns:
    """The columns under the headings of what was scored in these rows."""
    heading = QUALITY[rows[0]["metric"]] if rows else "accuracy"
    return {heading if name == "accuracy" else name: show for name, show in columns.items()}


def rows(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One flat row a model: teacher, control, then each method.

    Args:
        evaluation: The content of ``evaluation.json``.

    Returns:
        Rows with ``name, role, seeds``; ``metric``, the name of the score that decides, and under that name
        (``accuracy``; of taggers ``f1`` or ``token_accuracy``; of translators ``bleu``) its mean, with ``deviation``
        (shares of one, of BLEU points; no deviation of one seed); ``gain, low, high, p`` (of it, over the control);
        ``retention`` (share of the teacher's); ``engine, p50_ms, times_faster, bytes, parameters``; ``passes`` of a
        translator's decoder for a text, the mean. What was not measured is None.
    """
    metric = decisive(evaluation)
    control = next((one["name"] for one in evaluation["summary"] if one["role"] == "control"), None)
    gains = {
        gain["of"]: gain
        for gain in evaluation["gains"]
        if gain["over"] == control and gain["metric"] == metric
    }
    return [
        _row(one, metric, gains.get(one["name"], {}), _cost(evaluation, one))
        | {"passes": passes(evaluation, one["name"])}
        for one in evaluation["summary"]
    ]


def _row(one: Row, metric: str, gain: Row, cost: Row) -> dict[str, Any]:
    return {
        "name": one["name"],
        "role": one["role"],
        "seeds": one["seeds"],
        "metric": metric,
        metric: one["mean"][metric],
        "deviation": one["deviation"][metric] if one["seeds"] > 1 else None,
        **{key: gain.get(key) for key in ("gain", "low", "high", "p")},
        "retention": one["retention"],
        **{key: cost.get(key) for key in ("engine", "p50_ms", "times_faster", "bytes", "parameters")},
    }


def _cost(evaluation: Mapping[str, Any], one: Row) -> Row:
    """The cost row to show for a model.

    Students and control of one run have the same architecture, so that one of them may be timed for all.
    """
    teachers = {each["name"] for each in evaluation["summary"] if each["role"] == "teacher"}
    costs = [c for c in evaluation["cost"] if (c["name"] in teachers) == (one["role"] == "teacher")]
    own = [c for c in costs if c["name"] == one["name"]] or costs
    engines = DEPLOYED[::-1] if one["role"] == "teacher" else DEPLOYED
    return next((c for engine in engines for c in own if c["engine"] == engine), {})


def passes(evaluation: Mapping[str, Any], name: str) -> float | None:
    """How often a translator's decoder runs for a text, the mean over texts and seeds; None where nobody counted."""
    found = [one.get("passes") for one in evaluation.get("faults", ()) if one["name"] == name]
    counted = [each for each in found if each is not None]
    return sum(counted) / len(counted) if counted else None


def cells(rows: Sequence[Row], columns: Columns = COLUMNS) -> list[list[str]]:
    """The rows as text, one list a row, in the columns' order."""
    return [[show(row) for show in columns.values()] for row in rows]


def markdown(rows: Sequence[Row], columns: Columns = COLUMNS, words: frozenset[str] = WORDS) -> str:
    """The rows as a Markdown table without a final newline."""
    columns = columns_of(rows, columns) if columns is COLUMNS else columns
    return markdown_table([*columns], cells(rows, columns), words)


def markdown_table(
    headings: Sequence[str], lines: Sequence[Sequence[str]], words: frozenset[str] = frozenset()
) -> str:
    """A Markdown table without a final newline, lined up for plain text editors too.

    Args:
        headings: One a column.
        lines: The cells below them.
        words: Headings of columns that stand to the left; the others stand to the right.
    """
    table = [[cell.replace("|", "\\|") for cell in line] for line in (headings, *lines)]
    widths = [max(3, *(len(line[number]) for line in table)) for number in range(len(headings))]
    sides = ["<" if heading in words else ">" for heading in headings]
    shape = list(zip(sides, widths, strict=True))
    rule = ["-" * width if side == "<" else "-" * (width - 1) + ":" for side, width in shape]
    padded = [
        [f"{cell:{side}{width}}" for cell, (side, width) in zip(line, shape, strict=True)] for line in table
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (padded[0], rule, *padded[1:]))


def terminal(rows: Sequence[Row], columns: Columns = BRIEF) -> Table:
    """The rows as a table for the terminal, by default in the columns that fit into 80 characters.

    Where the columns do not fit, a model's name goes on in the next line.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = columns_of(rows, columns)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in columns:
        side: Literal["left", "right"] = "left" if heading in WORDS else "right"
        table.add_column(heading, justify=side, no_wrap=heading != "model", overflow="fold")
    for row, line in zip(rows, cells(rows, columns), strict=True):
        # Text, not markup: a name may hold brackets, as an interval does.
        table.add_row(*map(Text, line), style="bold" if row["role"] == "student" else None)
    return table
