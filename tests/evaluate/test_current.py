"""An evaluation knows the steps it is of: what was made anew since is told apart from what was only removed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.files import StepFolder, write_json
from limbeck.evaluate.current import STEPS, note_steps, require_evaluated, step_folders

pytestmark = pytest.mark.unit
NAMES = (
    "prepared",
    "teacher",
    "teacher/member-1",
    "students/soft_labels/seed-1",
    "students/soft_labels/seed-10",
)


def do(run: Path, name: str, seconds_and_more: object = 0) -> None:
    with StepFolder(run / name).writing({"made of": seconds_and_more}):
        pass


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in NAMES:
        do(tmp_path, name)
    write_json(tmp_path / "evaluation" / "evaluation.json", {})
    note_steps(tmp_path, tmp_path / "evaluation")
    return tmp_path


def test_steps_stand_in_the_order_of_a_run(run: Path) -> None:
    do(run, "students/soft_labels/seed-2")
    do(run, "bundle")
    do(run, "analysis")  # no step before the evaluation
    told = [folder.relative_to(run).as_posix() for folder in step_folders(run)]
    assert told == [*NAMES[:-1], "students/soft_labels/seed-2", NAMES[-1], "bundle"]


@pytest.mark.parametrize(
    "harmless",
    [
        lambda run: None,
        lambda run: do(run, "prepared"),  # anew from the same
        lambda run: shutil.rmtree(run / "students"),
        lambda run: do(run, "analysis", 2),
        lambda run: ((run / "evaluation" / STEPS).unlink(), do(run, "prepared", 2)),
    ],
)
def test_what_is_as_it_was_or_gone_is_no_harm(run: Path, harmless: Callable[[Path], object]) -> None:
    harmless(run)
    require_evaluated(run)


@pytest.mark.parametrize(
    "name", [*NAMES, "bundle", "students/hints/seed-1", "successors/born_again/generation-1"]
)
def test_what_was_made_since_is_named(run: Path, name: str) -> None:
    do(run, name, "something else")
    with pytest.raises(LimbeckError) as told:
        require_evaluated(run)
    what = f"'{name}' was made after this run was evaluated, or from another recipe"
    assert str(told.value) == f"{run}: {what}. Run 'limbeck distill {run}' to bring it up to date."
    note_steps(run, run / "evaluation")
    require_evaluated(run)
