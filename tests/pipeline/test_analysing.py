"""Runs analysed: every task from what its evaluation kept, a whole run with its models, and a fault that was planted."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from conftest import BAD, GOOD, PLAIN
from finished_runs import WRITERS, without_sureness, write
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.evaluate.calibration import binned, ece
from limbeck.evaluate.kept import read_kept
from limbeck.pipeline import distill
from limbeck.pipeline.analysing import _side_by_side, analyse
from limbeck.pipeline.asking import _alike
from limbeck.pipeline.run import Run
from limbeck.report.page import write as write_report
from pipeline.tagging_recipe import recipe as tagging_recipe
from pipeline.translation_recipe import BEAM, SIZE, recipe as translation_recipe

ERRORS = {"teacher": 0.1, "gold": 0.4, "soft_labels": 0.25}


@pytest.mark.unit
@pytest.mark.parametrize("task", WRITERS)
def test_every_task_is_analysed_from_what_was_kept(task: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "one", task, ERRORS, examples=150)
    even = {"even": "id[-1] in ('0', '2', '4', '6', '8')", "web": "starts(origin, 'web')"}
    found = analyse([folder], slices=even, ask_models=False)
    content = json.loads((folder / "analysis" / "analysis.json").read_text())
    assert (
        content == json.loads(json.dumps(found.content))
        and found.page == folder / "analysis" / "analysis.html"
    )
    assert content["task"] == task
    assert {row["unit"] for row in content["slices"]["ranked"] if row["name"] == "even"} == {
        *content["overall"]
    }
    (web,) = {
        row["size"] for row in content["slices"]["ranked"] if row["name"] == "web" and row["unit"] != "entity"
    }
    assert web == 50
    sizes = {
        each["mean"]["both"] + each["mean"]["ours"] + each["mean"]["theirs"] + (each["mean"]["neither"] or 0)
        for each in content["cells"]
    }
    assert sizes == {150}
    told = set(content["missing"])
    assert ("flows" in told) == (task in ("regression", "multilabel", "translation"))
    assert ("sharpness" in told) == (task != "classification") and "calibration" in told
    for row in content["slices"]["ranked"]:
        gap = row["gaps"]["teacher"]
        assert gap["low"] <= gap["high"] and gap["p"] <= gap["adjusted"] <= 1
        assert row["size"] >= 20
    markdown = (folder / "analysis" / "analysis.md").read_text()
    assert markdown.startswith("# one: what was lost\n") and "## Slices" in markdown


@pytest.mark.unit
@pytest.mark.parametrize(
    ("task", "units"), [("tagging", {"sentence", "entity"}), ("translation", {"sentence"})]
)
def test_slices_by_how_sure_the_teacher_is(task: str, units: set[str], tmp_path: Path) -> None:
    folder = write(tmp_path / "one", task, ERRORS, examples=200)
    content = analyse([folder], slices={"unsure": "student_confidence < 0.6"}, ask_models=False).content
    found = {(row["feature"], row["unit"]) for row in content["slices"]["ranked"]}
    assert {("teacher's confidence", unit) for unit in units} <= found
    assert {unit for feature, unit in found if feature == "teacher's entropy"} == (
        units if task == "tagging" else set()
    )
    assert ("unsure", "sentence") in found and "confidence" not in content["missing"]
    assert not {"teacher's confidence", "teacher's entropy"} & set(content["slices"]["lacking"])
    assert all(0 < each <= 1 for one in content["reading"] for each in one["confidence"].values())
    assert "How sure" not in (folder / "analysis" / "analysis.md").read_text()


@pytest.mark.unit
@pytest.mark.parametrize("task", ["tagging", "translation"])
def test_older_evaluations_are_analysed_without(task: str, tmp_path: Path) -> None:
    folder = without_sureness(write(tmp_path / "one", task, ERRORS, examples=120))
    content = analyse([folder], ask_models=False).content
    assert content["missing"]["confidence"].startswith(
        f"the run was evaluated before {'taggers' if task == 'tagging' else 'translators'} said how sure they are"
    )
    assert "teacher's confidence" in content["slices"]["lacking"]
    assert ("teacher's entropy" in content["slices"]["lacking"]) == (task == "tagging")
    assert {one["confidence"] for one in content["reading"]} == {None}
    for ending in ("md", "html"):
        page = (folder / "analysis" / f"analysis.{ending}").read_text()
        assert "How sure models are is not known: the run was evaluated before" in page
    with pytest.raises(LimbeckError, match=r"analyse.slices.mine: 'confidence' is not known here"):
        analyse([folder], slices={"mine": "confidence < 0.5"}, ask_models=False)


@pytest.mark.unit
def test_translations_are_not_calibrated_and_that_is_said(tmp_path: Path) -> None:
    missing = analyse([write(tmp_path / "one", "translation", ERRORS)]).content["missing"]
    assert "nothing says of a translation whether it is right" in missing["calibration"]
    assert missing["sharpness"].startswith("of a translator's next tokens")


@pytest.mark.unit
def test_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", "tagging", ERRORS, examples=80)
    files = [folder / "analysis" / f"analysis.{ending}" for ending in ("json", "md", "html")]
    analyse([folder], ask_models=False)
    before = [file.read_bytes() for file in files]
    analyse([folder], ask_models=False)
    assert [file.read_bytes() for file in files] == before


@pytest.mark.unit
def test_slices_of_the_recipe_and_of_the_call(tmp_path: Path) -> None:
    own = {"slices": {"even": "text[-1] in ('0', '2', '4', '6', '8')"}, "smallest": 10}
    folder = write(tmp_path / "one", "classification", ERRORS, examples=120, analyse=own)
    content = analyse([folder], slices={"gold is good": "gold == 'good'"}, ask_models=False).content
    rows = {row["name"]: row for row in content["slices"]["ranked"]}
    assert rows["even"]["size"] == 60
    assert content["settings"]["slices"].keys() == {"even", "gold is good"}
    assert "gold is good" in rows
    assert "gold: good" not in rows, "the very same slice, and a person's own stands for it"
    assert content["slices"]["untested"] == []
    with pytest.raises(
        LimbeckError, match=r"recipe.yaml: unknown key 'analyse.slice'\. Did you mean 'slices'\?"
    ):
        analyse([write(tmp_path / "two", "classification", ERRORS, analyse={"slice": {}})])
    with pytest.raises(
        LimbeckError, match=r"analyse.slices.mine: 'entity' is not known here\. Columns that are there"
    ):
        analyse([folder], slices={"mine": "entity == 'x'"}, ask_models=False)


@pytest.mark.unit
def test_own_slices_of_taggers(tmp_path: Path) -> None:
    """By a function, which is asked of sentences, too; one that is too small is told by its name."""
    (tmp_path / "mine.py").write_text(
        "def per(row):\n    return None if row.type is None else row.type == 'PER'\n"
    )
    own = {
        "of persons": f"{tmp_path / 'mine.py'}:per",
        "the first": "ends(id, ':0')",
        "PER": "type == 'PER'",
    }
    folder = write(tmp_path / "one", "tagging", ERRORS, examples=150)
    content = analyse([folder], slices=own, ask_models=False).content
    found = {(row["name"], row["unit"]) for row in content["slices"]["ranked"]}
    assert ("of persons", "entity") in found and ("of persons", "sentence") not in found
    assert content["slices"]["untested"] == ["the first", "PER"]
    told = "Of your own slices “the first”, “PER” were not tested"
    markdown = (folder / "analysis" / "analysis.md").read_text()
    assert told in markdown and told in (folder / "analysis" / "analysis.html").read_text()
    assert "of persons (entity)" in markdown


@pytest.mark.unit
def test_several_runs_on_one_page(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "classification", ERRORS, examples=120)
    b = write(
        tmp_path / "b", "classification", {"teacher": 0.1, "gold": 0.4, "logit_regression": 0.2}, examples=120
    )
    found = analyse([a, b], ask_models=False)
    assert found.page == tmp_path / "analysis.html" and found.page.is_file()
    assert (a / "analysis" / "analysis.html").is_file() and (b / "analysis" / "analysis.html").is_file()
    assert found.content["students"] == ["a:soft_labels", "b:logit_regression"]
    assert "b:teacher" not in found.content["agreement"]["models"], "it is a's, and told once"
    one = json.loads((a / "analysis" / "analysis.json").read_text())
    row = found.content["slices"][0]
    same = next(each for each in one["slices"]["ranked"] if each["name"] == row["name"])
    assert row["gaps"]["a:soft_labels"] == same["gaps"]["teacher"]
    assert {(each["of"], each["over"]) for each in found.content["overlap"]} == {
        ("a:soft_labels", "b:logit_regression"),
        ("b:logit_regression", "a:soft_labels"),
    }


@pytest.mark.unit
def test_agreement_of_scores_that_never_change_is_a_number() -> None:
    kept: Any = SimpleNamespace(task="regression", labels=("score",))
    said = np.array([0.1, 0.2, 0.3])
    every = np.ones(3, dtype=bool)
    assert _alike(kept, [np.ones(3)], said, every) == 0
    assert _alike(kept, [said], said, every) == pytest.approx(1)
    assert _alike(kept, [said], said, np.array([True, False, False])) is None


@pytest.mark.unit
def test_slices_of_runs_are_one_where_their_units_are() -> None:
    def run(members: str) -> dict[str, Any]:
        gaps = {"teacher": {"gap": -0.1}}
        row = {"name": "rare words", "unit": "text", "members": members, "size": 9, "gaps": gaps}
        return {"slices": {"ranked": [row]}}

    assert len(_side_by_side([run("x"), run("x")], ["a", "b"])) == 1
    assert _side_by_side([run("x"), run("y")], ["a", "b"]) == []


@pytest.mark.unit
def test_what_cannot_be_analysed(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", "classification", ERRORS)
    other = write(tmp_path / "other", "classification", ERRORS, examples=40)
    with pytest.raises(LimbeckError, match="no such run folder"):
        analyse([tmp_path / "nowhere"])
    with pytest.raises(LimbeckError, match="tested on 40 examples, and one on 60"):
        analyse([folder, other])
    with pytest.raises(LimbeckError, match=r"no student is called 'teacher'\. Choose from soft_labels"):
        analyse([folder], student="teacher")


@pytest.mark.unit
def test_a_run_whose_models_are_gone_is_told_so(tmp_path: Path, listener: Any) -> None:
    folder = write(tmp_path / "one", "classification", ERRORS)
    missing = analyse([folder]).content["missing"]
    assert missing["calibration"].startswith("the run's models cannot be asked (")
    assert missing["training"] == "the run's folder holds no training text any more"
    assert any("cannot be asked" in warning for warning in listener.warnings)


# A whole run.


@pytest.mark.recipe
def test_a_run_with_its_models(recipe_file: Callable[..., Path], tmp_path: Path, listener: Any) -> None:
    method = {"name": "soft_labels", "temperature": 3.0}
    rewrite = [{"name": "rules", "n_iter": 1}]
    run = Run.of(load(recipe_file(method=method, rewrite=rewrite)))
    distill(run)
    page = write_report([run.folder])
    assert "analysis.html" not in page.read_text()
    content = analyse([run.folder]).content
    assert content["missing"] == {}
    assert {row["source"] for row in content["sources"]} == {"gold", "unlabelled", "rules", "test"}
    assert [row["temperature"] for row in content["sharpness"] if row["in_recipe"]] == [3.0]
    assert {row["name"]: len(row["temperature"]) for row in content["calibration"]} == {
        "teacher": 1,
        "soft_labels": 2,
        "gold": 2,
    }
    names = {row["feature"] for row in content["slices"]["ranked"]}
    assert "length in words" in names and content["slices"]["lacking"] == []
    on_test = content["sources"][-1]
    agree = content["agreement"]
    place = [agree["models"].index(name) for name in ("soft_labels", "teacher")]
    assert on_test["texts"] == 60 and on_test["student"] == pytest.approx(agree["share"][place[0]][place[1]])
    # Answers were asked once, and are kept.
    kept = run.folder / "analysis" / "answers" / "dev.parquet"
    before = kept.stat().st_mtime_ns
    assert analyse([run.folder], ask_models=False).content == content and kept.stat().st_mtime_ns == before
    # The report leads there, until the run is evaluated anew.
    assert 'href="analysis/analysis.html"' in page.read_text()
    elsewhere = write_report([run.folder], tmp_path / "pages" / "report.html")
    assert 'href="../runs/tiny/analysis/analysis.html"' in elsewhere.read_text()
    evaluation = run.folder / "evaluation" / "evaluation.json"
    evaluation.write_text(evaluation.read_text() + " ")
    assert "analysis.html" not in write_report([run.folder]).read_text()


@pytest.mark.recipe
def test_a_tagger_with_its_models(tmp_path: Path, encoder: Path) -> None:
    path = tagging_recipe(
        tmp_path, encoder, method=["chain_posterior"], seeds=2, export={"int8": False, "changed": 1}
    )
    folder = distill(
        path, "evaluate.latency_sentences=0", "train.epochs=2", "teacher.fine_tune.epochs=6"
    ).folder
    kept = read_kept(folder / "evaluation")
    words = [len(example.words) for example in kept.examples]
    for what, most in (("confidence", 1.0), ("entropy", math.log2(len(kept.labels)))):
        assert {name: len(seeds) for name, seeds in kept.sure[what].items()} == {
            "teacher": 1,
            "gold": 2,
            "chain_posterior": 2,
        }
        for said in (one for seeds in kept.sure[what].values() for one in seeds):
            assert [len(row) for row in said] == words
            assert all(0 <= value <= most + 1e-6 for row in said for value in row)
    content = analyse([folder]).content
    assert not {"calibration", "sharpness", "confidence"} & set(content["missing"])
    student, teacher = (
        {row["name"]: row for row in content["calibration"]}[n] for n in ("chain_posterior", "teacher")
    )
    assert len(student["temperature"]) == 2 and len(teacher["temperature"]) == 1
    assert sum(each["count"] for each in student["before"]["bins"]) == sum(words)
    # What evaluation kept is what models say when they are asked again.
    flat = [value for row in kept.sure["confidence"]["chain_posterior"][0] for value in row]
    right = [
        said == tag
        for row, example in zip(kept.said["chain_posterior"][0], kept.examples, strict=True)
        for said, tag in zip(row, example.tags, strict=True)
    ]
    assert student["before"]["ece"][0] == pytest.approx(
        ece(binned(np.array(flat), np.array(right))), abs=1e-4
    )
    plain = next(row for row in content["sharpness"] if row["temperature"] == 1)
    said = [value for row in kept.sure["confidence"]["teacher"][0] for value in row]
    assert plain["confidence"] == pytest.approx(np.mean(said), abs=1e-5)
    # Answers were asked once, and are kept.
    assert analyse([folder], ask_models=False).content == content
    page = (folder / "analysis" / "analysis.html").read_text()
    assert "calibration error" in page and "Counted are the words" in page


@pytest.mark.recipe
def test_a_translator_says_how_sure_it_is(tmp_path: Path) -> None:
    sizes = {
        "resamples": 50,
        "latency_sentences": 0,
        "measures": False,
        "decoding": {**BEAM, "length_penalty": 0.5},
    }
    values = translation_recipe(
        tmp_path, evaluate=sizes, student={"kind": "autoregressive", **SIZE, "max_length": 16}
    )
    folder = distill(values, "teacher.fine_tune.epochs=2", "train.epochs=1").folder
    kept = read_kept(folder / "evaluation")
    told = kept.sure["log_probability"]
    assert set(told) == {"teacher", "gold", "sequence_level"}
    assert all(value < 0 for seeds in told.values() for value in seeds[0])
    content = analyse([folder], slices={"unsure": "confidence < student_confidence"}).content
    assert "confidence" not in content["missing"]
    assert "calibration" in content["missing"]


# A fault that was planted.


def reviews(count: int, seed: int) -> list[tuple[str, str]]:
    """Different reviews of one opinion each, a third of which is negated (and so turned around)."""
    generator, found = random.Random(seed), {}
    while len(found) < count:
        label = generator.choice(("bad", "good"))
        negated = generator.random() < 0.35
        opinion = generator.choice(GOOD if (label == "good") != negated else BAD)
        words = [*generator.choices(PLAIN, k=generator.randint(4, 9)), opinion]
        generator.shuffle(words)
        if negated:
            words.insert(words.index(opinion), "not")
        found[" ".join(words)] = label
    return list(found.items())


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A recipe whose teacher is a file of answers: right on test, and turned around on negated training text."""
    train, test = reviews(900, 1), reviews(300, 2)
    known = dict(test)
    train = [(text, label) for text, label in train if text not in known]
    for name, rows in (("train", train), ("test", test)):
        with (tmp_path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    with (tmp_path / "answers.jsonl").open("w", encoding="utf-8") as file:
        for text, label in (*train, *test):
            turned = text not in known and "not" in text.split()
            good = 0.95 if (label == "good") != turned else 0.05
            file.write(json.dumps({"text": text, "good": good, "bad": 1 - good}) + "\n")
    values = {
        "name": "damaged",
        "data": {"train": str(tmp_path / "train.csv"), "dev": 80, "test": str(tmp_path / "test.csv")},
        "teacher": {"answers": str(tmp_path / "answers.jsonl")},
        "student": {"kind": "forest", "trees": 30},
        "method": "soft_labels",
        "seeds": 2,
        "evaluate": {"resamples": 1000, "latency_sentences": 0},
        "out": str(tmp_path / "runs"),
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.mark.recipe
def test_a_planted_fault_is_found(damaged: Path) -> None:
    run = Run.of(load(damaged))
    distill(run)
    content = analyse([run.folder]).content
    first, second = content["slices"]["ranked"][:2]
    gap = first["gaps"]["teacher"]
    assert first["name"] == "negation"
    assert gap["gap"] < -0.4 and gap["excess_high"] < -0.3 and gap["excess_adjusted"] < 0.001
    assert second["gaps"]["teacher"]["excess_high"] > gap["excess_high"] + 0.1, "and nothing comes near it"
    words = [word["text"] for word in content["words"][0]["lost"]]
    assert words[0] == "not"
    lost = [one for one in content["reading"] if one["kind"] == "lost"]
    assert np.mean(["not" in one["text"].split() for one in lost]) > 0.9
