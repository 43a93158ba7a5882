"""TinyBERT taken apart: which rows there are, what each trains, and that the table says what predictions say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.pipeline import Run
from limbeck.pipeline.ablate import ablate
from limbeck.pipeline.ablation_rows import design
from limbeck.pipeline.hearing import heard

STUDENT = {"kind": "transformer", "layers": 1, "hidden_size": 8, "heads": 2, "max_length": 32}
METHOD = {"name": "tinybert", "general_epochs": 1, "intermediate_epochs": 1}
MADE = ("prepared", "rewritten", "packed", "teacher", "students", "bundle", "evaluation")
SEEDS, RESAMPLES = (1, 2), 200


@pytest.fixture
def recipe(
    recipe_file: Callable[..., Path], reviews: Path, encoder: Path, tmp_path: Path
) -> Callable[..., Path]:
    raw = tmp_path / "raw.txt"
    raw.write_text("".join(line.partition(",")[0] + "\n" for line in reviews.read_text().splitlines()[1:]))
    data = {"train": str(reviews), "dev": 40, "test": 60, "labelled": 80, "raw": str(raw), "raw_length": 16}
    train = {
        "epochs": 2,
        "learning_rate": 0.01,
        "evaluate": 2,
        "tokens_per_batch": 256,
        "metric": "macro_f1",
    }
    teacher = {
        "model": str(encoder),
        "fine_tune": {"epochs": 12, "learning_rate": 0.01, "evaluate": 2},
        "max_length": 32,
    }
    evaluation = {"resamples": RESAMPLES, "latency_sentences": 5}
    given = {
        "data": data,
        "evaluate": evaluation,
        "teacher": teacher,
        "train": train,
        "student": STUDENT,
        "method": METHOD,
        "rewrite": {"name": "ngrams", "copies": 3},
    }
    return lambda **changes: recipe_file(**{**given, **changes})


def stamps(folder: Path) -> dict[Path, int]:
    paths = (path for step in MADE for path in (folder / step).rglob("*"))
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


def answers(folder: Path, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Gold, and what each seed predicted."""
    table = pq.read_table(folder / "evaluation" / "predictions.parquet")
    labels = json.loads(table.schema.metadata[b"labels"])
    gold = np.array([labels.index(each) for each in table["gold"].to_pylist()])
    return gold, np.array([np.array(table[f"{label}@{s}"].to_pylist()).argmax(1) for s in SEEDS])


def f1(gold: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of both classes' F1."""
    both = [(gold == label, predicted == label) for label in (0, 1)]
    return float(np.mean([2 * (true & said).sum() / max(1, true.sum() + said.sum()) for true, said in both]))


def check_table(folder: Path, over: str, places: dict[str, tuple[Path, str]]) -> None:
    """Every number of a table, found anew by a plain loop over predictions."""
    content = json.loads((folder / f"ablation-{over}.json").read_text())
    assert content["metric"] == "macro_f1"
    assert [row["name"] for row in content["rows"]] == [*places]
    whole = next(iter(places))
    gold, ours = answers(*places[whole])
    for row in content["rows"]:
        same, theirs = answers(*places[row["name"]])
        assert (same == gold).all()
        scores = [f1(gold, one) for one in theirs]
        assert row["mean"] == pytest.approx(np.mean(scores))
        assert row["deviation"] == pytest.approx(np.std(scores, ddof=1))
        assert row["seeds"] == len(SEEDS)
        if row["name"] == whole:
            assert row["difference"] is row["low"] is row["high"] is None
            continue
        generator, gains = np.random.default_rng(0), []
        for drawn in generator.integers(0, len(gold), (RESAMPLES, len(gold)), dtype=np.int32):
            means = [np.mean([f1(gold[drawn], one[drawn]) for one in each]) for each in (theirs, ours)]
            gains.append(means[0] - means[1])
        assert row["difference"] == pytest.approx(np.mean(scores) - np.mean([f1(gold, one) for one in ours]))
        assert [row["low"], row["high"]] == pytest.approx(np.quantile(gains, [0.025, 0.975]))
    text = (folder / f"ablation-{over}.md").read_text()
    assert all(f"\n| {name} " in text for name in places)
    assert "95% interval of a paired bootstrap over test sentences (200 resamples)" in text


def stages(folder: Path) -> list[str]:
    """What a student went through."""
    early = [each for each in ("general", "intermediate") if (folder / "seed-1" / each).is_dir()]
    last = json.loads((folder / "seed-1" / "journal.jsonl").read_text().splitlines()[0])["stage"]
    return [*early, last]


def taken(folder: Path) -> list[int]:
    """Steps of each stage that a student went through."""
    stages = ("general", "intermediate", ".")
    return [json.loads((folder / "seed-1" / each / "trained.json").read_text())["steps"] for each in stages]


def parts(folder: Path) -> set[str]:
    """What its inner stage compared."""
    line = (folder / "seed-1" / "intermediate" / "journal.jsonl").read_text().splitlines()[0]
    return set(json.loads(line)["parts"])


@pytest.mark.recipe
def test_the_three_tables(recipe: Callable[..., Path], tmp_path: Path) -> None:
    values = load(recipe())
    folder = tmp_path / "runs" / "tiny-ablation"
    students = folder / "students"

    ablate(design(values, "procedures"))
    labels = {"TinyBERT": "TinyBERT", "no GD": "no-GD", "no TD": "no-TD", "no DA": "no-DA"}
    check_table(folder, "procedures", {name: (folder, label) for name, label in labels.items()})
    assert stages(students / "TinyBERT") == ["general", "intermediate", "prediction"]
    assert stages(students / "no-GD") == ["intermediate", "prediction"]
    assert stages(students / "no-TD") == ["general", "gold"]
    assert stages(students / "no-DA") == ["general", "intermediate", "prediction"]
    assert taken(students / "no-DA") == taken(students / "TinyBERT")
    run = Run(design(values, "procedures").run_recipe)
    for title, text in (("TinyBERT", run.transfer_set), ("no-DA", run.prepared.train)):
        _, *stages_heard = run.stages_of(title)
        assert [heard(run, title, stage).ids for stage in stages_heard] == [text.ids] * 2
    assert len(run.transfer_set) > len(run.prepared.train)

    # The next tables share what is trained already; each gives the part that it left out.
    before = stamps(folder)
    found = ablate(design(values, "objectives"))
    assert [row["settings"] for row in found.rows][:2] == [{}, {"embeddings": False}]
    labels = {"TinyBERT": "TinyBERT"} | {
        f"no {x}": f"no-{x}" for x in ("Embd", "Pred", "Trm", "Attn", "Hidn")
    }
    check_table(folder, "objectives", {name: (folder, label) for name, label in labels.items()})
    assert parts(students / "TinyBERT") == {"embeddings", "hidden", "attention"}
    assert parts(students / "no-Embd") == {"hidden", "attention"}
    assert parts(students / "no-Trm") == {"embeddings"}
    assert parts(students / "no-Attn") == {"embeddings", "hidden"}
    assert parts(students / "no-Hidn") == {"embeddings", "attention"}
    assert stages(students / "no-Pred") == ["general", "intermediate", "gold"]
    ablate(design(values, "mappings"))
    labels = {"uniform": "TinyBERT", "top": "top", "bottom": "bottom"}
    check_table(folder, "mappings", {name: (folder, label) for name, label in labels.items()})
    after = stamps(folder)
    judged = {folder / "bundle", folder / "evaluation"}  # of one table at a time
    assert all(after[path] == when for path, when in before.items() if path.parent not in judged)

    # Once more: nothing is done, and the table is the same.
    table = (folder / "ablation-mappings.json").read_bytes()
    ablate(design(values, "mappings"))
    assert stamps(folder) == after
    assert (folder / "ablation-mappings.json").read_bytes() == table
    assert (folder / "ablation-procedures.md").is_file()


def test_rows_that_would_be_the_same_are_left_out(recipe: Callable[..., Path]) -> None:
    plain = design(load(recipe(method="tinybert", rewrite=[])), "procedures")
    assert [row.name for row in plain.rows] == ["TinyBERT", "no TD"]
    assert plain.left_out == {
        "no GD": "the recipe has no general stage",
        "no DA": "the recipe's TinyBERT hears no text that was made",
    }
    assert "left out: no GD, for the recipe has no general stage" in plain.text()
    assert plain.run_recipe.name == "tiny-ablation"
    bare = design(load(recipe(method={**METHOD, "attention": None, "prediction": "gold"})), "objectives")
    assert [row.name for row in bare.rows] == ["TinyBERT", "no Embd", "no Trm"]
    assert bare.left_out == {
        "no Pred": "it is the same as TinyBERT here",
        "no Attn": "it is the same as TinyBERT here",
        "no Hidn": "it is the same as no Trm here",
    }


def test_mappings_are_compared_with_the_recipes_own(recipe: Callable[..., Path]) -> None:
    def rows(mapping: Any) -> list[tuple[str, str]]:
        plan = design(load(recipe(method={**METHOD, "mapping": mapping})), "mappings")
        assert plan.run_recipe.method[0].settings["mapping"] == mapping
        return [(row.name, row.label) for row in plan.rows]

    assert rows("top") == [("top", "TinyBERT"), ("uniform", "uniform"), ("bottom", "bottom")]
    listed = [("TinyBERT", "TinyBERT"), *((name, name) for name in ("uniform", "top", "bottom"))]
    assert rows([2]) == listed


def test_other_methods_of_the_recipe_are_not_run(recipe: Callable[..., Path]) -> None:
    plan = design(load(recipe(method=["minilm", METHOD])), "procedures")
    assert {choice.name for choice in plan.run_recipe.method} == {"tinybert"}


@pytest.mark.parametrize(
    ("changes", "over", "told"),
    [
        ({"method": "minilm"}, "procedures", "takes 'tinybert' apart, and this recipe's method is minilm"),
        (
            {"method": [METHOD, {**METHOD, "label": "b"}]},
            "procedures",
            "the recipe lists 'tinybert' 2 times",
        ),
        (
            {"student": {"kind": "static"}},
            "mappings",
            "student.kind: the student is no transformer but of kind 'static'",
        ),
        (
            {"method": {"name": "tinybert", "intermediate_epochs": 0}},
            "objectives",
            "compares no inner states",
        ),
    ],
)
def test_what_cannot_be_taken_apart_is_told(
    recipe: Callable[..., Path], changes: dict[str, Any], over: Any, told: str, tmp_path: Path
) -> None:
    with pytest.raises(LimbeckError, match=told):
        design(load(recipe(**changes)), over)
    assert not (tmp_path / "runs").exists()
