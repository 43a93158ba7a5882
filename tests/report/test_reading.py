"""Run folders in: what is there is read, what is missing is done without, what is damaged is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.report.reading import read_run

MakeRun = Callable[..., Path]


def test_a_whole_run(make_run: MakeRun) -> None:
    run = read_run(make_run("tweets", methods={"hard_labels": 0.86, "logit_regression": 0.876}))
    assert run.name == "tweets"
    assert [each.name for each in run.evaluation.summary] == [
        "teacher",
        "gold",
        "hard_labels",
        "logit_regression",
    ]
    assert run.teacher
    assert run.teacher.name == "teacher"
    assert run.control
    assert run.control.name == "gold"
    assert {(each.name, each.seed) for each in run.journals if each.seed} == {
        (name, seed) for name in ("gold", "hard_labels", "logit_regression") for seed in (1, 2, 3)
    }
    assert all(len(each.losses) >= 70 and len(each.dev) == 10 for each in run.journals)
    assert [term.name for term in run.doctors["logit_regression"]] == ["mse", "gold"]
    assert [each.engine for each in run.parity] == ["fp32", "int8"]
    assert [step.name for step in run.steps][:2] == ["prepared", "teacher"]
    assert run.interval == 0.95


def test_dev_and_not_test_chooses_the_headlines_student(make_run: MakeRun) -> None:
    folder = make_run("two", methods={"better_on_test": 0.95, "better_on_dev": 0.86})
    for seed in (1, 2, 3):
        line = {"kind": "dev", "step": 10, "epoch": 1.0, "scores": {"accuracy": 0.99}, "best": True}
        path = folder / "students" / "better_on_dev" / f"seed-{seed}" / "journal.jsonl"
        path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    run = read_run(folder)
    assert run.student
    assert run.student.name == "better_on_dev"


def test_one_student_is_timed_for_all_that_are_built_alike(make_run: MakeRun) -> None:
    run = read_run(make_run("two", methods={"hard_labels": 0.86, "soft_labels": 0.87}))
    assert {cost.name for cost in run.evaluation.cost} == {"teacher", "hard_labels"}
    for name in ("hard_labels", "soft_labels", "gold"):
        cost = run.deployed(name)
        assert cost
        assert cost.engine == "onnx-int8"
        assert cost.p50_ms == 0.351
    teacher = run.cost("teacher", "pytorch")
    assert teacher
    assert teacher.p50_ms == 14.4


def test_a_teacher_that_was_not_timed_borrows_nothing(make_run: MakeRun) -> None:
    run = read_run(make_run("answers", answers_file=True))
    assert run.teacher
    assert run.costs(run.teacher.name) == []


@pytest.mark.parametrize(
    "left_out",
    [
        {"teacher": None},
        {"control": None},
        {"methods": {}},
        {"journals": False, "seeds": (1,)},
        {"prepared": False, "bundle": False, "predictions": False},
    ],
)
def test_what_is_missing_is_done_without(make_run: MakeRun, left_out: dict[str, object]) -> None:
    run = read_run(make_run("some", **left_out))
    assert (run.teacher is None) == ("teacher" in left_out)
    assert (run.control is None) == ("control" in left_out)
    assert (run.student is None) == ("methods" in left_out)
    assert (run.disputes is None) == bool({"teacher", "methods", "predictions"} & left_out.keys())


def test_disputes_are_those_that_counting_one_by_one_finds(make_run: MakeRun) -> None:
    folder = make_run("tweets", examples=500)
    run = read_run(folder)
    assert run.disputes
    best = max(
        (run_.best("accuracy").scores["accuracy"], -run_.seed, run_.seed)
        for run_ in run.journals
        if run_.name == "logit_regression"
    )[2]
    assert run.disputes.student == f"logit_regression, seed {best}"
    rows = pq.read_table(folder / "evaluation" / "predictions.parquet").to_pylist()
    labels = run.evaluation.labels
    counts = {"both": 0, "neither": 0, "teacher_only": 0, "student_only": 0}
    losers: dict[str, list[tuple[float, str]]] = {"teacher_only": [], "student_only": []}
    for row in rows:
        teacher, student = (np.array(row[name]) for name in ("teacher", f"logit_regression@{best}"))
        right = tuple(labels[said.argmax()] == row["gold"] for said in (teacher, student))
        kind = {(True, True): "both", (False, False): "neither", (True, False): "teacher_only"}.get(
            right, "student_only"
        )
        counts[kind] += 1
        if kind in losers:
            losers[kind].append((float((student if kind == "teacher_only" else teacher).max()), row["id"]))
    assert {kind: getattr(run.disputes, kind) for kind in counts} == counts
    for kind, shown in (
        ("teacher_only", run.disputes.teacher_right),
        ("student_only", run.disputes.student_right),
    ):
        surest = sorted(losers[kind], key=lambda pair: -pair[0])[:25]
        assert [sentence.id for sentence in shown] == [name for _, name in surest]
    first = run.disputes.teacher_right[0]
    assert [opinion.role for opinion in first.opinions] == ["teacher", "student", "control"]
    assert first.opinions[0].right
    assert first.opinions[0].label == first.gold
    assert not first.opinions[1].right
    assert first.opinions[1].of_gold < first.opinions[1].confidence


# ---------------------------------------------------------------- what is wrong is told in a sentence


def told(folder: Path) -> str:
    with pytest.raises(LimbeckError) as caught:
        read_run(folder)
    return str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    assert told(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: no such run folder."


def test_not_evaluated(tmp_path: Path) -> None:
    said = told(tmp_path)
    assert said.startswith(f"{tmp_path}: this run has not been evaluated.")
    assert "limbeck evaluate" in said


def test_evaluation_that_lacks_something(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["summary"][1]["mean"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert told(folder) == f"{path}: 'summary.1.mean': field required."


def test_evaluation_that_is_cut_off(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "evaluation" / "evaluation.json"
    path.write_text(path.read_text(encoding="utf-8")[:200], encoding="utf-8")
    assert told(folder).startswith(f"{path}:1: not JSON")


def test_a_damaged_journal_names_its_line(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "students" / "gold" / "seed-2" / "journal.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[3] = lines[3][:20]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert told(folder) == f"{path}:4: not a line of a journal."


def test_a_recipe_that_is_not_yaml(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "recipe.yaml").write_text("name: [", encoding="utf-8")
    assert told(folder) == f"{folder / 'recipe.yaml'}: not valid YAML."


def test_a_list_where_an_object_belongs(make_run: MakeRun) -> None:
    folder = make_run()
    (folder / "prepared" / "prepared.json").write_text("[]", encoding="utf-8")
    assert "a JSON object is expected here" in told(folder)


def test_predictions_that_are_no_parquet(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "evaluation" / "predictions.parquet"
    path.write_bytes(b"PAR1 and no more")
    assert told(folder) == f"{path}: not a readable Parquet file."


def test_predictions_of_other_classes(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "evaluation" / "predictions.parquet"
    table = pq.read_table(path)
    short = pa.array([[0.5, 0.5]] * len(table), pa.list_(pa.float32()))
    pq.write_table(table.set_column(table.column_names.index("teacher"), "teacher", short), path)
    assert told(folder) == f"{path}: column 'teacher' does not hold 3 probabilities a row."


@pytest.mark.parametrize("column", ["id", "text", "gold"])
def test_predictions_without_a_column(make_run: MakeRun, column: str) -> None:
    folder = make_run()
    path = folder / "evaluation" / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    assert told(folder) == f"{path}: the column '{column}' is missing."


def test_gold_that_nobody_knows(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "evaluation" / "predictions.parquet"
    table = pq.read_table(path)
    strange = pa.array(["joy"] * len(table))
    pq.write_table(table.set_column(table.column_names.index("gold"), "gold", strange), path)
    assert told(folder).startswith(f"{path}: gold label 'joy' is not among the run's labels.")
