"""Whether an evaluation is of what now stands in its run's folder, or of what stood there before.

A step that is done anew, with another recipe maybe, leaves the evaluation as it was: what is told of a run from both
would mix two runs. So an evaluation lists the steps that were finished when it was made.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.core.files import DONE, read_json, write_json
from limbeck.evaluate.judged import EVALUATION

STEPS = "steps.json"
"""Beside the evaluation: each finished step's folder, and a digest of what it was made from."""
PLACES = (
    *("prepared", "rewritten", "packed", "teacher", "teacher/member-*", "weights"),
    *("distilled/*/*", "successors/*/*", "students/*/seed-*", "bundle"),
)
"""Where the steps before the evaluation write, in the order of a run."""


def step_folders(run: Path) -> list[Path]:
    """The folders of a run's finished steps, in order; the evaluation is not among them."""
    return [path.parent for place in PLACES for path in sorted(run.glob(f"{place}/{DONE}"), key=_natural)]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Seed 2 before seed 10."""
    return [(int(number or 0), word) for word, number in re.findall(r"(\D+)(\d*)", path.as_posix())]


def note_steps(run: Path, evaluation: Path) -> None:
    """Write down what stands in the run's folder now, which the evaluation is of, where that is not written there."""
    steps, place = _steps(run), evaluation / STEPS
    if not (place.is_file() and read_json(place) == steps):
        write_json(place, steps)


def require_evaluated(run: Path) -> None:
    """Insist that a run is evaluated, and that no step of it was done anew since.

    A folder that was removed is no harm, and an evaluation that lists no steps is believed.

    Raises:
        LimbeckError: It is not, or one was.
    """
    if not run.is_dir():
        raise LimbeckError("no such run folder", where=run)
    evaluation = run / "evaluation"
    if not (evaluation / EVALUATION).is_file():
        fix = "Run 'limbeck evaluate' or 'limbeck distill' first"
        raise LimbeckError("this run has not been evaluated", where=run, fix=fix)
    if not (evaluation / STEPS).is_file():
        return
    known = read_json(evaluation / STEPS)
    anew = next((name for name, digest in _steps(run).items() if known.get(name) != digest), None)
    if anew is not None:
        what = f"'{anew}' was made after this run was evaluated, or from another recipe"
        raise LimbeckError(what, where=run, fix=f"Run 'limbeck distill {run}' to bring it up to date")


def _steps(run: Path) -> dict[str, str]:
    return {path.relative_to(run).as_posix(): _digest(path / DONE) for path in step_folders(run)}


def _digest(done: Path) -> str:
    """Of what a step was made from, whatever time it took."""
    told = json.dumps(read_json(done)["inputs"], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
