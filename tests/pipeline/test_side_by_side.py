"""Students trained side by side: their processes end with the one that started them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Listener
from limbeck import distill
from limbeck.core import progress
from limbeck.core.recipe import load
from limbeck.pipeline import steps
from limbeck.pipeline.run import Run

SCRIPT = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor

from limbeck.pipeline.side_by_side import _begin

if __name__ == "__main__":
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (1, [])) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600)
        time.sleep(600)
"""


@pytest.mark.recipe
def test_no_process_trains_on_when_the_run_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    worker = int(run.stdout.readline())
    assert is_running(worker)
    run.kill()
    run.wait()
    end = time.monotonic() + 30
    while is_running(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_running(worker)


@pytest.mark.recipe
def test_students_of_a_moved_run_are_trained_where_it_stands_now(
    recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    labels = [{"name": "hard_labels", "label": "x"}, {"name": "gold", "label": "y"}]
    path = recipe_file(method=labels, jobs=2, seeds=1, control=False)
    run = Run.of(load(path))
    for step in (steps.prepare, steps.teach):
        step(run)
    moved = shutil.move(run.folder, tmp_path / "moved")
    again = Run.open(Path(moved))
    steps.train(again)
    assert all(again.student_folder(title, 1).finished() for title in ("x", "y"))
    assert not run.folder.exists()


@pytest.mark.recipe
def test_scores_stand_under_the_names_that_methods_have_now(recipe_file: Callable[..., Path]) -> None:
    """Swapped labels are other students under the same names, and another label is another name."""

    def scores(*names: str) -> dict[str, float]:
        methods = ("hard_labels", "gold")
        told = [{"name": method, "label": name} for method, name in zip(methods, names, strict=True)]
        found = distill(recipe_file(method=told, seeds=1, control=False)).evaluation
        return {one["name"]: one["scores"]["mcc"] for one in found["models"] if one["role"] == "student"}

    first, swapped, renamed = scores("x", "y"), scores("y", "x"), scores("y", "first")
    assert (swapped["y"], swapped["x"]) == (first["x"], first["y"]) and first["x"] != first["y"]
    assert renamed == {"y": first["x"], "first": first["y"]}


class Bars(Listener):
    """Hears how far long steps come, too."""

    def __init__(self) -> None:
        super().__init__()
        self.done: dict[str, list[float]] = {}

    @contextmanager
    def task(self, what: str, total: float) -> Iterator[progress.Task]:
        steps = self.done.setdefault(what, [])

        class Bar(progress.SilentTask):
            def advance(self, amount: float = 1) -> None:
                steps.append(amount)

        yield Bar()


@pytest.mark.recipe
def test_what_students_say_side_by_side_is_what_they_say_one_by_one(
    recipe_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far they are shows on the way; words and the doctor's warnings come with each student's end."""

    def told(jobs: int) -> Bars:
        heard = Bars()
        monkeypatch.setattr(progress, "_reporter", heard)
        faint = {
            "name": "combined",
            "objectives": [{"name": "soft_labels", "weight": 1}, {"name": "gold", "weight": 1e-9}],
        }
        run = Run.of(
            load(recipe_file(method=faint, jobs=jobs, control=False, out=str(tmp_path / f"runs-{jobs}")))
        )
        for step in (steps.prepare, steps.teach, steps.ask, steps.train):
            step(run)
        return heard

    alone, together = told(1), told(2)
    trained = [
        [re.sub(r"\d+ s$", "", text) for text in one.told if "train " in text] for one in (alone, together)
    ]
    assert sorted(trained[0]) == sorted(trained[1])
    assert len(alone.warnings) == 2 and "of the gradient: give it more weight" in " ".join(together.warnings)
    bar = together.done["train     2 students, 2 at a time"]
    assert sum(bar) == pytest.approx(2) and min(bar) >= 0


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.recipe
def test_the_script_of_the_readme_trains_side_by_side(
    recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    student = {"kind": "bilstm", "embeddings": "random", "dimension": 8, "pooling": "max"}
    recipe_file(student=student, jobs=2)
    told = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    rows = [line.split() for line in told.stdout.splitlines()]
    assert [row[0] for row in rows[:3]] == ["teacher", "gold", "logit_regression"]
    assert rows[3][0] in ("good", "bad") and "'label'" in " ".join(rows[4])
    assert len([*tmp_path.glob("runs/tiny/students/logit_regression/seed-*")]) == 5
