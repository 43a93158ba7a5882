"""Models of several runs in one table, as plain rows and as text, for the terminal and for a page of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from limbeck.core.tasks import IN_POINTS
from limbeck.evaluate import table
from limbeck.evaluate.table import NOTHING, QUALITY, Columns, Row


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every model of some runs, compared with one of them.

    Attributes:
        metric: The score.
        over: The model that the others are compared with, by its name in the rows.
        runs: Folders of the runs, by their names.
        examples: How many test examples there are.
        resamples: Of the paired bootstrap.
        interval: How sure an interval is.
        rows: One a model: ``name`` (RUN:MODEL), ``run``, ``model``, ``role``, ``seeds``, ``shared`` (other runs with
            the very same teacher); ``metric``, and under that name its mean, with ``deviation`` (None of one seed);
            ``difference`` from the model ``over``, its interval from ``low`` to ``high`` and ``p`` (None of that
            model itself); ``engine``, ``parameters``, ``bytes``, ``p50_ms`` and ``times_faster`` than the run's
            teacher in PyTorch, ``passes``. What was not measured is None.
    """

    metric: str
    over: str
    runs: Mapping[str, str]
    examples: int
    resamples: int
    interval: float
    rows: Sequence[Row]

    @property
    def columns(self) -> Columns:
        """Those in which some model has something to tell."""
        return {
            QUALITY[self.metric] if name == "accuracy" else name: show
            for name, show in COLUMNS.items()
            if name == "model" or any(show(row) != NOTHING for row in self.rows)
        }

    @property
    def brief(self) -> Columns:
        """Of these, those for a narrow terminal."""
        return {name: show for name, show in self.columns.items() if name not in LONG}

    @property
    def timed(self) -> list[str]:
        """The runs that measured speed."""
        return list(dict.fromkeys(row["run"] for row in self.rows if row["p50_ms"] is not None))

    def notes(self) -> Iterator[str]:
        """What the numbers are, a sentence or two each."""
        unit = "points" if self.metric in IN_POINTS else "points of a hundred"
        yield (
            f"Scores on the {self.examples:,} test examples of these runs, in {unit}: mean ± deviation over seeds. "
            f"Differences from {self.over}, in brackets the {100 * self.interval:g}% interval of a paired bootstrap "
            f"over test examples ({self.resamples:,} resamples): it speaks of other test sets, not of other seeds."
        )
        if self.timed:
            yield "Times are of one text at a time on one thread; times faster: than the run's own teacher in PyTorch."
        if len(self.timed) > 1:
            yield (
                "The runs were timed each by itself, perhaps on other machines: latencies of different runs were not "
                "taken side by side."
            )
        if any(row["passes"] is not None for row in self.rows):
            yield "Passes: how often the decoder ran for a text, the mean."
        for row in self.rows:
            if row["shared"]:
                others = ", ".join(row["shared"])
                yield f"{row['name']} is the teacher of {others} too; its costs are those in {row['run']}."

    def markdown(self) -> str:
        """The table, and what its numbers are, without a final newline."""
        return "\n\n".join([table.markdown(self.rows, self.columns), " ".join(self.notes())])

    def as_json(self) -> dict[str, Any]:
        """All of it as a JSON object."""
        return asdict(self) | {"notes": list(self.notes())}


COLUMNS: Columns = {
    "model": table.COLUMNS["model"],
    "seeds": table.COLUMNS["seeds"],
    "accuracy": table.COLUMNS["accuracy"],
    "difference": lambda row: table.points(*table.of_score(row, "difference", "low", "high")),
    "parameters": lambda row: table.many(row["parameters"]),
    "size": table.COLUMNS["size"],
    "engine": table.COLUMNS["engine"],
    "one text": table.COLUMNS["one sentence"],
    "times faster": table.COLUMNS["times faster"],
    "passes": lambda row: NOTHING if row["passes"] is None else f"{row['passes']:.1f}",
}
"""The columns of a comparison; the score stands in the place of ``accuracy``."""
LONG = frozenset({"seeds", "parameters", "engine", "one text"})
"""Columns that a narrow terminal goes without."""
