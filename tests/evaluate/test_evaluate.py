"""evaluation.json and predictions.parquet: every number in them, checked by other means."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics as oracle

from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.bootstrap import paired
from limbeck.evaluate.evaluate import EVALUATION, PREDICTIONS, Model, evaluate
from limbeck.evaluate.judged import Entrant, Judged, summary

pytestmark = pytest.mark.unit
LABELS = ("bad", "fine", "good")
FEW = Evaluation(resamples=300)


@pytest.fixture
def content(tmp_path, examples, models, costs):
    truncated = {"teacher": 0, "student": 3}
    return evaluate(tmp_path, LABELS, examples, models, costs=costs, settings=FEW, truncated=truncated)


def gold_of(examples):
    return np.array([LABELS.index(example.gold) for example in examples])


def test_the_file_holds_what_is_returned_in_the_contracts_keys(tmp_path, content):
    assert read_json(tmp_path / EVALUATION) == content
    assert list(content) == [
        "labels", "test", "models", "summary", "signatures", "gains", "cost", "calibration", "confusion",
    ]  # fmt: skip
    assert content["labels"] == list(LABELS)
    assert content["test"] == {"examples": 120, "truncated": {"teacher": 0, "student": 3}}


def test_scores_of_every_model_are_sklearns(content, examples, models):
    gold, teacher = gold_of(examples), models[-1].logits.argmax(axis=1)
    for row, model in zip(content["models"], models, strict=True):
        predicted = model.logits.argmax(axis=1)
        assert (row["name"], row["role"], row["seed"]) == (model.name, model.role, model.seed)
        assert_allclose(row["scores"]["accuracy"], oracle.accuracy_score(gold, predicted))
        assert_allclose(row["scores"]["macro_f1"], oracle.f1_score(gold, predicted, average="macro"))
        assert_allclose(row["scores"]["mcc"], oracle.matthews_corrcoef(gold, predicted))
        assert_allclose(row["scores"]["agreement"], np.mean(predicted == teacher))
        assert 0 <= row["scores"]["ece"] <= 1


def test_summary_is_teacher_control_methods_with_mean_deviation_and_retention(content):
    by_name = {}
    for row in content["models"]:
        by_name.setdefault(row["name"], []).append(row["scores"])
    assert [row["name"] for row in content["summary"]] == ["teacher", "gold", "soft_labels"]
    teacher = content["summary"][0]
    for row in content["summary"]:
        for metric, mean in row["mean"].items():
            values = [scores[metric] for scores in by_name[row["name"]]]
            assert_allclose(mean, np.mean(values))
            assert_allclose(row["deviation"][metric], np.std(values, ddof=1) if len(values) > 1 else 0)
        assert row["seeds"] == len(by_name[row["name"]])
        assert_allclose(row["retention"], row["mean"]["accuracy"] / teacher["mean"]["accuracy"])
    assert teacher["retention"] == 1
    assert teacher["mean"]["agreement"] == 1


def test_gains_are_those_of_the_paired_bootstrap(content, examples, models):
    gold = gold_of(examples)
    predicted = {name: [m.logits.argmax(axis=1) for m in models if m.name == name] for name in
                 ("soft_labels", "gold", "teacher")}  # fmt: skip
    assert [(gain["of"], gain["over"], gain["metric"]) for gain in content["gains"]] == [
        ("soft_labels", "gold", "accuracy"),
        ("soft_labels", "gold", "macro_f1"),
        ("soft_labels", "gold", "mcc"),
        ("soft_labels", "teacher", "accuracy"),
        ("gold", "teacher", "accuracy"),
    ]
    for gain in content["gains"]:
        expected = paired(
            gold,
            np.array(predicted[gain["of"]]),
            np.array(predicted[gain["over"]]),
            metric=gain["metric"],
            classes=3,
            resamples=300,
        )
        for field, value in dataclasses.asdict(expected).items():
            assert gain[field] == pytest.approx(value)


def test_calibration_and_confusion_are_of_the_seed_that_is_best_on_dev(content, examples, models):
    gold, best = gold_of(examples), models[1]
    expected = oracle.confusion_matrix(gold, best.logits.argmax(axis=1))
    assert content["confusion"]["soft_labels"] == expected.tolist()
    assert content["calibration"]["soft_labels"]["ece"] == content["models"][1]["scores"]["ece"]
    assert sum(one["count"] for one in content["calibration"]["gold"]["bins"]) == 120
    assert set(content["calibration"]) == set(content["confusion"]) == {"teacher", "gold", "soft_labels"}


def test_cost_rows_compare_with_the_teacher_in_pytorch(content):
    assert [row["times_faster"] for row in content["cost"]] == pytest.approx([1, 4, 25, 50])
    assert content["cost"][3] == {
        "name": "soft_labels", "engine": "onnx-int8", "parameters": 100, "bytes": 100,
        "p50_ms": 0.4, "p95_ms": 0.5, "per_second": 4000.0, "times_faster": pytest.approx(50),
    }  # fmt: skip


def test_costs_without_speed_are_none(tmp_path, examples, models, costs):
    bare = [dataclasses.replace(cost, speed=None) for cost in costs]
    rows = evaluate(tmp_path, LABELS, examples, models, costs=bare, settings=FEW)["cost"]
    assert [row["p50_ms"] for row in rows] == [row["times_faster"] for row in rows] == [None] * 4


def test_signatures_cover_every_score(content):
    assert set(content["signatures"]) == set(content["models"][0]["scores"])
    assert content["signatures"]["mcc"].startswith("mcc|examples:120|labels:3|limbeck:")


def test_predictions_hold_each_models_probabilities(tmp_path, content, examples, models):
    table = pq.read_table(tmp_path / PREDICTIONS)
    assert table.column_names == [
        "id", "text", "gold", "origin", "soft_labels@1", "soft_labels@2", "gold@1", "gold@2", "teacher",
    ]  # fmt: skip
    assert table.column("text").to_pylist() == [example.text for example in examples]
    assert table.column("origin").to_pylist()[0] == "test.csv:2"
    assert json.loads(table.schema.metadata[b"labels"]) == list(LABELS)
    assert str(table.schema.field("gold@1").type) in ("list<item: float>", "list<element: float>")
    stored = np.array(table.column("teacher").to_pylist())
    odds = np.exp(models[-1].logits.astype(float))
    assert_allclose(stored, odds / odds.sum(axis=1, keepdims=True), atol=1e-6)


def test_of_a_teacher_that_learnt_nothing_no_share_is_told():
    def judged(name, role, score):
        return Judged(Entrant(name, role, None), None, {"mcc": score, "bleu": 100 * score})

    for main, least in (("mcc", 0.05), ("bleu", 0.05)):
        for score, told in ((least, True), (0.9 * least, False), (0.0, False), (-0.2, False)):
            groups = {name: [judged(name, name, score)] for name in ("teacher", "student")}
            assert [row["retention"] == 1 for row in summary(groups, main)] == [told, told]


def test_without_teacher_there_is_no_agreement_and_no_retention(tmp_path, examples, models):
    content = evaluate(tmp_path, LABELS, examples, models[:-1], settings=FEW)
    assert "agreement" not in content["models"][0]["scores"]
    assert [row["retention"] for row in content["summary"]] == [None, None]
    assert {gain["over"] for gain in content["gains"]} == {"gold"}


def test_without_control_there_is_only_the_teacher_to_compare_with(tmp_path, examples, models):
    content = evaluate(tmp_path, LABELS, examples, [m for m in models if m.role != "control"], settings=FEW)
    assert [(gain["of"], gain["over"]) for gain in content["gains"]] == [("soft_labels", "teacher")]


def test_a_teacher_alone_can_be_judged(tmp_path, examples, models):
    content = evaluate(tmp_path, LABELS, examples, models[-1:], settings=FEW)
    assert content["gains"] == []
    assert content["summary"][0]["deviation"]["accuracy"] == 0


def test_a_probability_of_zero_from_a_file_of_answers_is_an_answer(tmp_path, examples, models):
    with np.errstate(divide="ignore"):
        sure = np.log(np.eye(3)[gold_of(examples)])
    content = evaluate(
        tmp_path, LABELS, examples, [*models[:-1], Model("teacher", "teacher", None, sure)], settings=FEW
    )
    assert content["summary"][0]["mean"]["ece"] == 0


def refused(tmp_path, examples, models, message):
    with pytest.raises(LimbeckError) as caught:
        evaluate(tmp_path, LABELS, examples, models, settings=FEW)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_an_empty_test_set(tmp_path, models):
    refused(tmp_path, [], models, "the test set is empty.")


def test_a_test_example_without_gold(tmp_path, examples, models):
    examples[7] = dataclasses.replace(examples[7], gold=None)
    message = "test.csv:9: test example 't:7' has no gold label. Every test example needs one."
    refused(tmp_path, examples, models, message)


def test_a_label_that_only_the_test_set_has(tmp_path, examples, models):
    examples[0] = dataclasses.replace(examples[0], gold="awful")
    message = (
        "test.csv:2: test example 't:0' has the label 'awful', which the models do not know. "
        "They know: bad, fine, good."
    )
    refused(tmp_path, examples, models, message)


def test_no_models(tmp_path, examples):
    refused(tmp_path, examples, [], "there are no models to evaluate.")


def test_one_seed_twice(tmp_path, examples, models):
    message = "'soft_labels@1' is there twice; each model and seed is judged once."
    refused(tmp_path, examples, [models[0], models[0]], message)


def test_answers_to_another_test_set(tmp_path, examples, models):
    wrong = dataclasses.replace(models[0], logits=models[0].logits[:-1])
    message = (
        "the answers of 'soft_labels@1' have the shape (119, 3), "
        "but the test set has 120 examples and 3 labels."
    )
    refused(tmp_path, examples, [wrong], message)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_no_numbers(tmp_path, examples, models, value):
    models[0].logits[3, 1] = value
    models[0].logits[5] = -np.inf
    message = (
        "2 answers of 'soft_labels@1' are not numbers (NaN or infinite). "
        "Train it anew with a lower learning rate, or mend the file of answers."
    )
    refused(tmp_path, examples, models, message)
