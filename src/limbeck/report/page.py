"""The report: run folders to one self-contained HTML page, with the same tables as Markdown beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.report import markdown, words
from limbeck.report.analysed import of_run
from limbeck.report.facts import Run
from limbeck.report.figures import Place
from limbeck.report.filling import fill, write_both
from limbeck.report.joined import joined
from limbeck.report.reading import read_run
from limbeck.report.translators import group_title
from limbeck.report.views import STYLES, Plot, RunView, place_of, plot, view


def write(run_folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of one run, or of several side by side; Markdown goes beside it under the same name.

    Args:
        run_folders: Folders of evaluated runs.
        out: The page, or a folder for ``report.html``; by default the run's folder, of several runs the one
            that the first lies in.

    Returns:
        The page's path.

    Raises:
        LimbeckError: No folder is given, one is no evaluated run, a file in it is damaged, or the page cannot
            be written.
    """
    if not run_folders:
        raise LimbeckError("there is no run folder to report on")
    runs = [read_run(folder) for folder in run_folders]
    path = _path(run_folders, out)
    views = [
        replace(view(run, f"run{number}-" if len(runs) > 1 else ""), analysis=of_run(run.folder, path))
        for number, run in enumerate(runs, 1)
    ]
    return write_both(path, render(views, path), markdown.render(views, page=path.name))


def renew(run_folder: Path) -> None:
    """Write a run's report anew, for it links to pages that came after it; a run without one stays without."""
    if (run_folder / "report.html").is_file():
        write([run_folder])


def render(views: Sequence[RunView], page: Path | None = None) -> str:
    """The page's HTML.

    Args:
        views: The runs.
        page: Where it will lie, for links to pages that lie in the runs' folders.
    """
    name = views[0].run.name if len(views) == 1 else words.plural(len(views), "run")
    return fill(
        "page.html.jinja",
        title=name if len(views) == 1 else f"{name} compared",
        name=name,
        version=views[0].run.versions.get("limbeck"),
        views=views,
        joined={} if page is None else {each.key: joined(each.run.folder, page) for each in views},
        several=len(views) > 1,
        together=_together(views),
        comparable=_comparable([each.run for each in views]),
        compared=markdown.compared,
        scored=markdown.scored(views),
        in_percent=all(each.run.main in words.IN_PERCENT for each in views),
        engines=words.ENGINES,
        group_title=group_title,
    )


def _path(run_folders: Sequence[Path], out: Path | None) -> Path:
    if out is None:
        out = run_folders[0] if len(run_folders) == 1 else run_folders[0].resolve().parent
    return out if out.suffix.lower() in (".html", ".htm") else out / "report.html"


def _together(views: Sequence[RunView]) -> Plot | None:
    """All runs in one plot: each student as it is deployed, each teacher in PyTorch."""
    metrics = {each.run.main for each in views}
    if len(views) < 2 or len(metrics) > 1:
        return None
    students: list[Place | None] = []
    teachers: dict[object, Place | None] = {}
    for number, run in enumerate(each.run for each in views):
        style = f"s{number % STYLES + 1}"
        if run.student and (cost := run.deployed(run.student.name)):
            students.append(place_of(run, run.student, cost, style, run.name))
        if run.teacher and (cost := run.cost(run.teacher.name, "pytorch")):
            # Runs may share a teacher: one that scored the same and weighs the same is drawn once.
            same = (run.teacher.mean.get(run.main), cost.bytes)
            teachers.setdefault(same, place_of(run, run.teacher, cost, "teacher", f"{run.name}, teacher"))
    found = [
        replace(each, name="teacher") if each and len(teachers) == 1 else each for each in teachers.values()
    ]
    return plot([place for place in (*found, *students) if place], metrics.pop())


def _comparable(runs: Sequence[Run]) -> bool:
    """Whether all runs were tested on the same sentences, as far as their folders tell."""
    tests = {
        str(
            (run.data.get("fingerprints") or {}).get(
                "test", (run.evaluation.test.examples, run.evaluation.labels)
            )
        )
        for run in runs
    }
    return len(tests) == 1
