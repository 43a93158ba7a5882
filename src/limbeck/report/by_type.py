"""A tagger's scores by type of span (or by tag, where tags are plain), arranged in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limbeck.report.facts import Run, TypeScore


@dataclass(frozen=True)
class TypeTable:
    """Scores by type, models side by side.

    Attributes:
        models: Names for people, each with its class in the style sheet.
        rows: Of each type its name, its gold spans, and the models' scores (None where a model has none), the
            commonest type first.
    """

    models: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, int, tuple[TypeScore | None, ...]], ...]


def type_tables(run: Run, styles: Mapping[str, str]) -> tuple[TypeTable, ...]:
    """First teacher, control and the headline's student; then the other methods three by three."""
    chosen = [each.name for each in (run.teacher, run.control, run.student) if each]
    known = [name for name in chosen if name in run.evaluation.types]
    others = [name for name in run.evaluation.types if name not in chosen and name in styles]
    groups = [known, *(others[start : start + 3] for start in range(0, len(others), 3))]
    return tuple(_table(run, styles, names) for names in groups if names)


def _table(run: Run, styles: Mapping[str, str], names: Sequence[str]) -> TypeTable:
    scores = [{one.type: one for one in run.evaluation.types[name]} for name in names]
    support = {kind: one.support for of in scores for kind, one in of.items()}
    ordered = sorted(support, key=lambda kind: (-support[kind], kind))
    return TypeTable(
        models=tuple((run.shown(name), styles[name]) for name in names),
        rows=tuple((kind or "span", support[kind], tuple(of.get(kind) for of in scores)) for kind in ordered),
    )
