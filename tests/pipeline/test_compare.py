"""Runs compared: by plain loops over predictions, by what each run said of itself, and what cannot be compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from finished_runs import INTERVAL, LABELS, RESAMPLES, WRITERS, write
from limbeck.core.errors import LimbeckError
from limbeck.evaluate.table import rows
from limbeck.pipeline.compare import compare

pytestmark = pytest.mark.unit
FIRST = {"teacher": 0.05, "gold": 0.4, "soft_labels": 0.2}
SECOND = {"teacher": 0.05, "gold": 0.5, "logit_regression": 0.1}


def evaluation(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    return content


def right(folder: Path, name: str, seeds: tuple[int, ...] = (1, 2)) -> np.ndarray:
    """Whether a classifier's answers are right, ``(seeds, examples)``."""
    table = pq.read_table(folder / "evaluation" / "predictions.parquet")
    gold = np.array([LABELS.index(label) for label in table["gold"].to_pylist()])
    columns = [name] if name == "teacher" else [f"{name}@{seed}" for seed in seeds]
    return np.array([np.array(table[column].to_pylist()).argmax(1) == gold for column in columns])


def test_every_number_is_that_of_a_plain_loop(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "classification", FIRST), write(tmp_path / "b", "classification", SECOND)
    found = compare([a, b], over="b:logit_regression")
    assert [row["name"] for row in found.rows] == [
        "a:teacher", "a:gold", "a:soft_labels", "b:gold", "b:logit_regression",
    ]  # fmt: skip
    base = right(b, "logit_regression")
    draws = np.random.default_rng(0).integers(0, base.shape[1], (RESAMPLES, base.shape[1]), dtype=np.int32)
    for row in found.rows:
        mine = right(a if row["run"] == "a" else b, row["model"])
        scores = mine.mean(axis=1)
        assert row["accuracy"] == pytest.approx(scores.mean())
        assert row["seeds"] == len(scores)
        assert row["deviation"] == (None if row["role"] == "teacher" else pytest.approx(scores.std(ddof=1)))
        if row["name"] == found.over:
            assert row["difference"] is row["low"] is row["high"] is row["p"] is None
            continue
        gains = [mine[:, drawn].mean() - base[:, drawn].mean() for drawn in draws]
        assert row["difference"] == pytest.approx(mine.mean() - base.mean())
        tail = (1 - INTERVAL) / 2
        assert [row["low"], row["high"]] == pytest.approx(np.quantile(gains, [tail, 1 - tail]))


@pytest.mark.parametrize("task", WRITERS)
def test_within_a_run_it_says_what_the_run_says(task: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "one", task, FIRST)
    told, found = evaluation(folder), compare([folder], over="one:gold")
    summary = {row["name"]: row for row in told["summary"]}
    gains = {
        gain["of"]: gain for gain in told["gains"] if (gain["over"], gain["metric"]) == ("gold", found.metric)
    }
    assert [row["model"] for row in found.rows] == [*summary] == ["teacher", "gold", "soft_labels"]
    for row, own in zip(found.rows, rows(told), strict=True):
        assert row[found.metric] == pytest.approx(summary[row["model"]]["mean"][found.metric], rel=1e-5)
        assert all(
            row[key] == own[key] for key in ("parameters", "bytes", "p50_ms", "times_faster", "engine")
        )
    student = found.rows[2]
    gain = gains["soft_labels"]
    assert [student[key] for key in ("difference", "low", "high", "p")] == pytest.approx(
        [gain[key] for key in ("gain", "low", "high", "p")], rel=1e-4
    )


def test_the_first_student_of_the_first_run_is_what_others_are_compared_with(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "tagging", FIRST), write(tmp_path / "b", "tagging", SECOND)
    assert compare([a, b]).over == "a:soft_labels"
    assert compare([b, a]).over == "b:logit_regression"
    assert compare([write(tmp_path / "alone", "tagging", {"gold": 0.3})]).over == "alone:gold"


def test_one_teacher_of_several_runs_is_told_once_under_any_name(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "translation", FIRST), write(tmp_path / "b", "translation", SECOND)
    other = write(tmp_path / "c", "translation", {**SECOND, "teacher": 0.06})
    found = compare([a, b, other], over="b:teacher")
    assert found.over == "a:teacher"
    teachers = {row["name"]: row["shared"] for row in found.rows if row["role"] == "teacher"}
    assert teachers == {"a:teacher": ["b"], "c:teacher": []}
    assert "a:teacher is the teacher of b too; its costs are those in a." in found.markdown()


def test_passes_of_translators_and_latencies_that_were_not_taken_side_by_side(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "translation", FIRST)
    b = write(tmp_path / "b", "translation", {"soft_labels": 0.1}, p50=None)
    found = compare([a, b])
    passes = {row["name"]: row["passes"] for row in found.rows}
    # Seed n takes n and n + 1 passes in turn.
    assert passes == {"a:teacher": None, "a:gold": 2.0, "a:soft_labels": 2.0, "b:soft_labels": 2.0}
    assert {"passes", "one text", "times faster"} <= found.columns.keys()
    text = found.markdown()
    assert "Passes: how often the decoder ran for a text, the mean." in text
    assert "side by side" not in text  # one of them measured no speed
    c = write(tmp_path / "c", "translation", SECOND)
    assert "latencies of different runs were not taken side by side" in compare([a, c]).markdown()
    plain = compare([write(tmp_path / "d", "classification", {"soft_labels": 0.1}, p50=None)])
    assert not {"passes", "one text", "times faster", "difference"} & plain.columns.keys()
    assert plain.columns.keys() == {"model", "seeds", "accuracy", "parameters", "size", "engine"}


def test_another_metric_and_runs_of_one_name(tmp_path: Path) -> None:
    a, b = (
        write(tmp_path / "x" / "run", "translation", FIRST),
        write(tmp_path / "y" / "run", "translation", SECOND),
    )
    found = compare([a, b], metric="chrf")
    summary = {row["name"]: row["mean"]["chrf"] for row in evaluation(b)["summary"]}
    assert found.rows[-1]["chrf"] == pytest.approx(summary["logit_regression"])
    assert "chrF" in found.columns
    assert found.over == f"{a}:soft_labels"
    assert found.runs == {str(a): str(a), str(b): str(b)}


def drop_column(folder: Path) -> None:
    path = folder / "evaluation" / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["logit_regression@2"]), path)


def other_gold(folder: Path) -> None:
    path = folder / "evaluation" / "predictions.parquet"
    table = pq.read_table(path)
    gold = table["gold"].to_pylist()
    gold[4] = "fine" if gold[4] != "fine" else "bad"
    pq.write_table(table.set_column(table.column_names.index("gold"), "gold", [gold]), path)


def other_metric(folder: Path) -> None:
    path = folder / "evaluation" / "evaluation.json"
    path.write_text(json.dumps(evaluation(folder) | {"metric": "macro_f1"}))


def other_labels(folder: Path) -> None:
    path = folder / "evaluation" / "evaluation.json"
    path.write_text(json.dumps(evaluation(folder) | {"labels": [*LABELS, "more"]}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda run: shutil.rmtree(run / "evaluation"), "b: this run has not been evaluated"),
        (
            lambda run: (run / "evaluation" / "predictions.parquet").unlink(),
            "predictions are not there. Delete the",
        ),
        (
            drop_column,
            "the predictions of 'logit_regression@2' are not there. Delete the run's folder 'evaluation'",
        ),
        (other_gold, r"b: it was tested on other examples than a \(example 5 of them differs\)"),
        (
            other_metric,
            "other scores decide in other runs: accuracy in a, macro_f1 in b. Name one with --metric",
        ),
        (other_labels, "b: it knows other labels than a"),
    ],
)
def test_what_cannot_be_compared_is_told(tmp_path: Path, spoil: Callable[[Path], None], told: str) -> None:
    a, b = write(tmp_path / "a", "classification", FIRST), write(tmp_path / "b", "classification", SECOND)
    spoil(b)
    with pytest.raises(LimbeckError, match=told):
        compare([a, b])


def test_other_tasks_sizes_names_and_metrics_are_refused(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "classification", FIRST)
    with pytest.raises(LimbeckError, match="b: it is translation into 'de', and a is classification"):
        compare([a, write(tmp_path / "b", "translation", SECOND)])
    with pytest.raises(LimbeckError, match="c: it was tested on 50 examples, and a on 60"):
        compare([a, write(tmp_path / "c", "classification", SECOND, examples=50)])
    with pytest.raises(LimbeckError, match="a: this run is named twice"):
        compare([a, tmp_path / "c" / ".." / "a"])
    with pytest.raises(
        LimbeckError, match="--over: no model is called 'a:glod'. Choose from a:teacher, a:gold"
    ):
        compare([a], over="a:glod")
    with pytest.raises(
        LimbeckError, match="--metric: classification is not scored by 'bleu' here. Choose from accur"
    ):
        compare([a], metric="bleu")


def test_f1_of_one_class_is_of_the_same_in_all_runs(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "classification", FIRST), write(tmp_path / "b", "classification", SECOND)
    (b / "recipe.yaml").write_text(yaml.safe_dump({"name": "b", "positive": "bad"}))
    with pytest.raises(LimbeckError, match="the runs mean F1 of different classes"):
        compare([a, b], metric="binary_f1")
