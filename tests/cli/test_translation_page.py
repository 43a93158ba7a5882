"""What ``docs/translation.md`` says to write into a recipe can be written there; so can the demo's recipe."""

import re
from pathlib import Path

import pytest
import yaml

from limbeck.core import recipe
from limbeck.pipeline.run import Run

ROOT = Path(__file__).parents[2]
BASE = """
task: translation
data: {train: {path: a.en, target_file: a.de}}
teacher: {scratch: {kind: autoregressive}, fine_tune: {epochs: 1}}
student: {kind: vanilla}
method: sequence_level
"""
FRAGMENTS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "translation.md").read_text(), re.DOTALL)


def test_there_are_fragments() -> None:
    assert len(FRAGMENTS) >= 6


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_fragments_are_parts_of_recipes(fragment: str, tmp_path: Path) -> None:
    said = yaml.safe_load(fragment)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(yaml.safe_load(BASE) | said))
    run = Run.of(recipe.load(tmp_path / "recipe.yaml"))
    run.check()
    stages = [method.stages(settings) for method, settings in run.methods.values()]
    assert len(stages) == len(run.recipe.method) + 1
    assert all(stages)
    assert run.student_settings


def test_the_demo_is_a_recipe() -> None:
    run = Run.of(recipe.load(ROOT / "examples" / "translation.yaml"))
    run.check()
    assert [*run.methods] == ["sequence_level", "gold"]
    teacher, student = run.recipe.teacher.scratch, run.recipe.student
    assert teacher is not None
    shape = teacher.settings.keys() - {"dropout"}
    assert {student.settings[key] == teacher.settings[key] for key in shape} == {True}  # it starts from there
