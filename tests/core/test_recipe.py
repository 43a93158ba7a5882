"""Recipes: what a person may write, and the sentence for what they may not."""

from pathlib import Path

import pytest

from limbeck.core import recipe
from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source

MINIMAL = """\
data:
  train: reviews.csv
teacher:
  model: some/encoder
"""


def written(folder: Path, text: str = MINIMAL) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_minimal_recipe_gets_every_default(tmp_path: Path) -> None:
    loaded = recipe.load(written(tmp_path))
    assert loaded.data.train[0].path == "reviews.csv"
    assert loaded.seeds == [1, 2, 3]
    assert [method.name for method in loaded.method] == ["logit_regression"]


def test_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    loaded = recipe.load(
        written(tmp_path), ["student={kind: static, dimension: 64}", "method=[gold, soft_labels]"]
    )
    recipe.save(loaded, tmp_path / "resolved.yaml")
    assert recipe.load(tmp_path / "resolved.yaml") == loaded


def test_overrides_reach_into_groups_and_lists(tmp_path: Path) -> None:
    changes = ["train.epochs=3", "seeds=2", "data.train=[{path: a.csv}, b.csv]", "data.train.0.text=tweet"]
    loaded = recipe.load(written(tmp_path), changes)
    assert (loaded.train.epochs, loaded.seeds) == (3, [1, 2])
    assert [(source.path, source.text) for source in loaded.data.train] == [
        ("a.csv", "tweet"),
        ("b.csv", "text"),
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("train.epohs=3", "unknown key 'train.epohs'. Did you mean 'epochs'?"),
        ("sead=3", "unknown key 'sead'. Did you mean 'seeds'?"),
        ("train.epochs=many", "'train.epochs': input should be a valid number"),
        ("data.dev={path: d.csv, txt: y}", "unknown key 'data.dev.txt'. Did you mean 'text'?"),
        ("data.dev=-1", "'data.dev': input should be greater than 0"),
        ("teacher.answers=a.jsonl", "'teacher': give one of 'model', 'scratch', 'answers' and 'ensemble'"),
        ("teacher=null", "'teacher'"),
        ("nonsense", "'nonsense' is not an override. Write key=value"),
        ("name=a/b", "'name': letters, digits, '_', '.' and '-' only"),
        ("data.train.path.x=1", "cannot be set"),
        ("data.seed=-1", "'data.seed': input should be greater than or equal to 0"),
        ("seeds=[1, -3]", "'seeds.1': input should be greater than or equal to 0"),
        ("seeds=0", "'seeds': at least one seed is needed"),
        ("seeds=[]", "'seeds': at least one seed is needed"),
        ("seeds=[1, 2, 1]", "'seeds': seed 1 is there twice"),
        ("student=bilstm", "'student': a group of keys is wanted here"),
    ],
)
def test_a_wrong_change_is_told_in_one_sentence(tmp_path: Path, change: str, sentence: str) -> None:
    with pytest.raises(LimbeckError) as caught:
        recipe.load(written(tmp_path), [change])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "method.temperature=4",
            "'method' is a list of 2. Say which, counted from 0, e.g. method.0.temperature",
        ),
        (
            "method.2.temperature=4",
            "'method' is a list of 2. Say which, counted from 0, e.g. method.0.temperature",
        ),
        ("seeds.5=3", "'seeds' is a list of 2. Say which, counted from 0, e.g. seeds.0"),
    ],
)
def test_a_change_that_misses_a_place_in_a_list_is_told(tmp_path: Path, change: str, sentence: str) -> None:
    lists = "method: [soft_labels, logit_regression]\nseeds: [1, 2]\n"
    with pytest.raises(LimbeckError) as caught:
        recipe.load(written(tmp_path, MINIMAL + lists), [change])
    assert str(caught.value) == f"'{change.partition('=')[0]}' cannot be set: {sentence}."


def test_a_misspelt_key_is_told_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL + "train:\n  epochs: 3\n  learningrate: 0.1\n")
    with pytest.raises(
        LimbeckError, match=r"recipe.yaml:7: unknown key 'train.learningrate'. Did you mean 'learning_rate'?"
    ):
        recipe.load(path)


def test_a_misspelt_key_is_told_before_what_is_then_missing(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL.replace("teacher:", "teecher:"))
    with pytest.raises(LimbeckError, match=r"recipe.yaml:3: unknown key 'teecher'. Did you mean 'teacher'?"):
        recipe.load(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"data: [", "not valid YAML"),
        (b"data: " + b"[" * 5000, "unreadable YAML"),
        (b"data: 2024-06-31", r"unreadable YAML \(day is out of range for month\)"),
        (b"data: \xff\xfe", "not UTF-8"),
        (b"- a\n- b\n", "a recipe is a mapping"),
        (b"", "a recipe is a mapping"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(LimbeckError, match=sentence):
        recipe.load(path)


def test_what_is_written_once_for_two_keys_is_set_for_one(tmp_path: Path) -> None:
    text = (
        "data:\n  dev: &held {path: d.csv, text: tweet}\n  test: *held\n  train: t.csv\nteacher: {model: m}\n"
    )
    loaded = recipe.load(written(tmp_path, text), ["data.dev.text=title"]).data
    assert isinstance(loaded.dev, Source) and isinstance(loaded.test, Source)
    assert (loaded.dev.text, loaded.test.text) == ("title", "tweet")


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match="no such recipe. 'limbeck init' writes one"):
        recipe.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("changes", "students", "teachers"),
    [
        ([], "accuracy", "accuracy"),
        (["task=tagging"], "f1", "f1"),
        (["task=tagging", "train.metric=recall"], "recall", "f1"),
        (["task=tagging", "teacher.fine_tune.metric=token_accuracy"], "f1", "token_accuracy"),
        (["train={metric: mcc}"], "mcc", "accuracy"),
    ],
)
def test_the_metric_is_the_tasks_own_unless_told(
    tmp_path: Path, changes: list[str], students: str, teachers: str
) -> None:
    loaded = recipe.load(written(tmp_path), ["teacher.fine_tune.epochs=2", *changes])
    assert loaded.teacher.fine_tune is not None
    assert (loaded.train.metric, loaded.teacher.fine_tune.metric) == (students, teachers)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["train.metric=f1"], "classification is not scored by f1; choose from accuracy, macro_f1, mcc"),
        (
            ["task=tagging", "train.metric=mcc"],
            "tagging is not scored by mcc; choose from f1, precision, recall",
        ),
    ],
)
def test_a_metric_of_another_task_is_refused(tmp_path: Path, changes: list[str], sentence: str) -> None:
    with pytest.raises(LimbeckError, match=sentence):
        recipe.load(written(tmp_path), changes)


def test_plain_tags_are_judged_by_token_accuracy() -> None:
    assert recipe.main_metric("tagging", "f1", spans=False) == "token_accuracy"
    assert recipe.main_metric("tagging") == "f1"
    assert recipe.main_metric("classification", spans=False) == "accuracy"
