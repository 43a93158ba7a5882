"""What prepare read, dropped and cut, in the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.report import words
from limbeck.report.facts import Run
from limbeck.report.measures import Table
from limbeck.report.translators import pair_table


@dataclass(frozen=True)
class DataTable:
    """What prepare read and dropped, by set; how often each set has each label, type of span or tag (``counted``).

    Of translators, ``pairs`` and their words by set.
    """

    read: tuple[tuple[str, int | None, tuple[tuple[str, int], ...]], ...]
    notes: tuple[str, ...]
    sets: tuple[str, ...]
    counted: str
    labels: tuple[tuple[str, tuple[int, ...]], ...]
    largest: int
    pairs: Table | None


def data_table(run: Run) -> DataTable | None:
    """``prepared.json`` in rows; None where there is none."""
    report = run.data
    if not report:
        return None
    read, dropped = report.get("read") or {}, report.get("dropped") or {}
    labels = report.get("spans") or report.get("labels") or {}
    names = dict.fromkeys((*read, *dropped))
    types = sorted({kind for of in labels.values() for kind in of}) if report.get("spans") else []
    counts = [
        (label or "span", tuple(int(of.get(label, 0)) for of in labels.values()))
        for label in types or run.evaluation.labels
    ]
    return DataTable(
        read=tuple((name, read.get(name), tuple((dropped.get(name) or {}).items())) for name in names),
        notes=tuple(_notes(run, report)),
        sets=tuple(labels),
        counted="Spans" if types else "Words" if run.tagging else "Label",
        labels=tuple(counts) if labels else (),
        largest=max((value for _, each in counts for value in each), default=1) or 1,
        pairs=pair_table(report),
    )


CUTS = {
    "limit": "{} of train left out by 'limit'.",
    "dev": "{} of train cut off for dev.",
    "test": "{} of train cut off for test.",
    "hidden": "The gold of {} of train hidden by 'labelled'.",
}
"""What the counts under ``cut`` mean."""


def _notes(run: Run, report: Mapping[str, Any]) -> Iterator[str]:
    for name, of in (report.get("scores") or {}).items():
        if of:
            ends = f"from {words.significant(of['least'])} to {words.significant(of['most'])}"
            yield f"Scores of {name} go {ends}, {words.significant(of['mean'])} on average."
    if report.get("unlabelled"):
        without = words.plural(report["unlabelled"], "sentence")
        yield f"{without} without gold, on which only the teacher speaks."
    for what, number in (report.get("cut") or {}).items():
        yield CUTS.get(what, f"{{}}: {what}.").format(words.plural(number, "sentence"))
    for pair, number in (report.get("overlap") or {}).items():
        if number:
            flatter = f"scores on {pair.rpartition(' ')[2]} flatter every model"
            yield f"{words.plural(number, 'text')} shared by labelled {pair}: {flatter}."
    for name, tags in (report.get("unseen") or {}).items():
        if tags:
            lacking = f"Tags of {name} that train lacks, errors of every model"
            yield f"{lacking}: {words.listed((tag, number) for tag, number in tags.items())}."
    if truncated := run.evaluation.test.truncated:
        cut = ", ".join(f"{who} {words.count(number)}" for who, number in truncated.items())
        of = words.plural(run.evaluation.test.examples, "test sentence")
        yield f"Cut short by max_length, of {of}: {cut}."
