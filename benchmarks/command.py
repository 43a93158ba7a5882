"""What the benchmarks' commands share: the flag, data sets, results to go on with, judged aims, the way out."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from results_file import Aim, ResultsFile

RESULTS = Path(__file__).parent / "results"


def shared(*parts: str) -> Path:
    """A file or folder of the shared data sets.

    Raises:
        LimbeckError: It is not there.
    """
    folder = os.environ.get("LIMBECK_DATA")
    path = Path(folder or "").joinpath(*parts)
    if not folder or not path.exists():
        what = f"LIMBECK_DATA names no folder that holds {'/'.join(parts)}"
        raise LimbeckError(what, fix="export LIMBECK_DATA=FOLDER")
    return path


def copied(source: Path, target: Path) -> None:
    """Copy a folder to where there is none; it is there whole or not at all."""
    if source.is_dir() and not target.exists():
        partial = target.with_name(f"{target.name}.copying")
        shutil.rmtree(partial, ignore_errors=True)  # what a killed copy left
        shutil.copytree(source, partial)
        partial.replace(target)


def asked_for_all(doc: str | None, arguments: Sequence[str] | None, full: str) -> bool:
    """Whether the command line says ``--full``; progress is shown from here on.

    Args:
        doc: The benchmark's docstring, whose first line is what help says of it.
        arguments: Of the command line; None reads them off it.
        full: What ``--full`` does.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help=full)
    progress.use(progress.RichReporter())
    return bool(parser.parse_args(arguments).full)


def opened(name: str, full: bool) -> ResultsFile:
    """The results of a benchmark, with the rows that are there already."""
    return ResultsFile(RESULTS / f"{name}.json", f"python benchmarks/{name}.py" + " --full" * full)


def judged(results: ResultsFile, aims: Sequence[Aim]) -> None:
    """Write down and say how far the aims are met."""
    for aim in results.finish(aims):
        met = "met    " if aim["met"] else "NOT MET"
        print(f"{met} {aim['what']}: {aim['measured']} ({aim['compare']} {aim['target']})")


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; what stops it is one sentence."""
    try:
        main()
    except LimbeckError as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
