"""Compare: every model of several finished runs in one table, whatever they do, if they answered the same test set.

Scores are found anew from what the runs' evaluations kept of every model and seed, all on the same resamples; sizes and
latencies are those that each run measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Evaluation
from limbeck.evaluate import table
from limbeck.evaluate.compared import differences
from limbeck.evaluate.comparison import Comparison
from limbeck.evaluate.current import require_evaluated
from limbeck.evaluate.kept import Kept, Said, read_kept
from limbeck.report.reading import read_recipe

COSTS = ("engine", "parameters", "bytes", "p50_ms", "times_faster", "passes")
"""What is taken of a run's table as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A finished run.

    Attributes:
        name: What the table calls it.
        folder: Its folder.
        recipe: The resolved recipe's values.
        kept: What its evaluation has kept.
    """

    name: str
    folder: Path
    recipe: Mapping[str, Any]
    kept: Kept


@dataclass(slots=True, eq=False)
class Model:
    """A row of the table.

    Attributes:
        run: Whose it is; of a teacher of several runs, the first of them.
        row: What the run's own table says of it.
        said: What it said, of each seed.
        shared: Other runs that have this very teacher.
    """

    run: Judged
    row: Mapping[str, Any]
    said: Sequence[Said]
    shared: list[str]

    @property
    def name(self) -> str:
        """What ``--over`` calls it."""
        return f"{self.run.name}:{self.row['name']}"

    @property
    def names(self) -> list[str]:
        """All that ``--over`` may call it."""
        return [self.name, *(f"{run}:{self.row['name']}" for run in self.shared)]


def compare(folders: Sequence[Path], over: str | None = None, metric: str | None = None) -> Comparison:
    """Compare all models of some runs with one of them.

    Args:
        folders: Of runs that are evaluated.
        over: RUN:MODEL, the model that the others are compared with; by default the first run's first student.
        metric: The score; by default the one that decides in all of them.

    Raises:
        LimbeckError: A folder is no evaluated run or named twice, predictions are missing, the runs differ in task,
            test set or metric, or there is no such model or metric.
    """
    runs = read_runs(folders)
    check_same_test(runs)
    metric = metric or _metric(runs)
    models = list(_models(runs))
    base = _base(models, over)
    first, settings = runs[0], evaluation_of(runs[0].recipe)
    resample = first.kept.resampling(metric, _positive(runs) if metric == "binary_f1" else None)
    scores = resample([said for model in models for said in model.said], settings.resamples)
    if metric not in scores.observed:
        fix = f"Choose from {', '.join(scores.observed)}"
        raise LimbeckError(f"{first.kept.task} is not scored by '{metric}' here", where="--metric", fix=fix)
    found = differences(scores, _rows(models), base.name, metric, settings.interval)
    return Comparison(
        metric=metric,
        over=base.name,
        runs={run.name: str(run.folder) for run in runs},
        examples=len(first.kept.examples),
        resamples=settings.resamples,
        interval=settings.interval,
        rows=[_row(model, told, metric) for model, told in zip(models, found, strict=True)],
    )


def read_runs(folders: Sequence[Path]) -> list[Judged]:
    """The runs, under names of their own."""
    twice = [path for path, times in Counter(folder.resolve() for folder in folders).items() if times > 1]
    if twice:
        raise LimbeckError("this run is named twice", where=twice[0])
    for folder in folders:
        require_evaluated(folder)
    recipes = [read_recipe(folder / "recipe.yaml")[1] for folder in folders]
    names = [
        str(recipe.get("name") or folder.resolve().name)
        for folder, recipe in zip(folders, recipes, strict=True)
    ]
    # Runs of one recipe with changes share its name; their folders differ.
    shown = names if len(set(names)) == len(names) else [folder.as_posix() for folder in folders]
    kept = [read_kept(folder / "evaluation") for folder in folders]
    return [Judged(*each) for each in zip(shown, folders, recipes, kept, strict=True)]


def check_same_test(runs: Sequence[Judged]) -> None:
    """Insist that all runs answered the same test set, and in the same classes.

    Raises:
        LimbeckError: One of them did not.
    """
    first, fix = runs[0], "Compare runs whose recipes name the same data"
    for run in runs[1:]:
        ours, theirs = first.kept, run.kept
        if (ours.task, ours.language) != (theirs.task, theirs.language):
            what = f"it is {_task(theirs)}, and {first.name} is {_task(ours)}"
            raise LimbeckError(what, where=run.folder, fix=fix)
        if len(ours.examples) != len(theirs.examples):
            what = f"it was tested on {len(theirs.examples):,} examples, and {first.name} on {len(ours.examples):,}"
            raise LimbeckError(what, where=run.folder, fix=fix)
        pairs = enumerate(zip(ours.examples, theirs.examples, strict=True), 1)
        other = next((row for row, (one, same) in pairs if _asked(one) != _asked(same)), None)
        if other is not None:
            what = f"it was tested on other examples than {first.name} (example {other:,} of them differs)"
            raise LimbeckError(what, where=run.folder, fix=fix)
        if ours.task != "tagging" and ours.labels != theirs.labels:
            raise LimbeckError(f"it knows other labels than {first.name}", where=run.folder, fix=fix)


def _task(kept: Kept) -> str:
    return f"{kept.task} into '{kept.language}'" if kept.language else kept.task


def _asked(example: Any) -> tuple[Any, ...]:
    """Text and gold; ids may tell of another folder."""
    return (example.content, example.truth, example.targets)


def _metric(runs: Sequence[Judged]) -> str:
    """The one that decides in all runs.

    Raises:
        LimbeckError: There is no such one.
    """
    decisive = {run.name: table.decisive(run.kept.content) for run in runs}
    if len(set(decisive.values())) > 1:
        told = ", ".join(f"{metric} in {name}" for name, metric in decisive.items())
        raise LimbeckError(f"other scores decide in other runs: {told}", fix="Name one with --metric")
    return next(iter(decisive.values()))


def _positive(runs: Sequence[Judged]) -> str | None:
    """Of two classes the one whose F1 is meant.

    Raises:
        LimbeckError: It is another one in another run.
    """
    found = {run.recipe.get("positive") for run in runs}
    if len(found) > 1:
        raise LimbeckError("the runs mean F1 of different classes ('positive' of their recipes)")
    one = found.pop()
    return None if one is None else str(one)


def _models(runs: Sequence[Judged]) -> Iterator[Model]:
    """Those of each run: teacher, control, students; a teacher that another run has told already is not told again."""
    teachers: list[Model] = []
    for run in runs:
        for row in table.rows(run.kept.content):
            model = Model(run, row, run.kept.said[row["name"]], [])
            if row["role"] == "teacher":
                same = next((one for one in teachers if _is_same(one, model)), None)
                if same is not None:
                    same.shared.append(run.name)
                    continue
                teachers.append(model)
            yield model


def _is_same(one: Model, other: Model) -> bool:
    """Whether two teachers said the very same, and are as large."""
    return one.row["parameters"] == other.row["parameters"] and one.said == other.said


def _base(models: Sequence[Model], over: str | None) -> Model:
    """The model that the others are compared with.

    Raises:
        LimbeckError: There is none of that name.
    """
    if over is None:
        first = [model for model in models if model.run is models[0].run]
        return min(first, key=lambda model: ("student", "control", "teacher").index(model.row["role"]))
    found = next((model for model in models if over in model.names), None)
    if found is None:
        fix = f"Choose from {', '.join(name for model in models for name in model.names)}"
        raise LimbeckError(f"no model is called '{over}'", where="--over", fix=fix)
    return found


def evaluation_of(recipe: Mapping[str, Any]) -> Evaluation:
    """Resamples and interval of a run; leniently, for another version's recipe may have other keys."""
    told = recipe.get("evaluate") or {}
    return Evaluation(**{key: told[key] for key in ("resamples", "interval") if key in told})


def _rows(models: Sequence[Model]) -> dict[str, list[int]]:
    """Of each model the places of its seeds."""
    places: dict[str, list[int]] = {}
    start = 0
    for model in models:
        places[model.name] = list(range(start, start + len(model.said)))
        start += len(model.said)
    return places


def _row(model: Model, told: Mapping[str, Any], metric: str) -> dict[str, Any]:
    return {
        "name": model.name,
        "run": model.run.name,
        "model": model.row["name"],
        "role": model.row["role"],
        "seeds": told["seeds"],
        "shared": model.shared,
        "metric": metric,
        metric: told["mean"],
        **{key: told[key] for key in ("deviation", "difference", "low", "high", "p")},
        **{key: model.row[key] for key in COSTS},
    }
