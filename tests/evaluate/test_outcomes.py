"""Judging scores and sets of labels: metrics against scikit-learn, and what is written down."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import expit
from sklearn.metrics import accuracy_score, f1_score

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.evaluate import Model, evaluate
from limbeck.evaluate.outcomes import evaluate_outcomes
from limbeck.evaluate.sets import SET_METRICS, by_label, set_counts
from limbeck.evaluate.table import decisive, rows

pytestmark = pytest.mark.unit
FEW = Evaluation(resamples=50)
LABELS = ("joy", "love", "fear", "none-ever")


@pytest.fixture
def bits() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    gold = random.random((60, 4)) < 0.4
    gold[:, 3] = False
    return gold, np.where(random.random((60, 4)) < 0.8, gold, ~gold) & (np.arange(4) < 3)


def test_metrics_of_sets_are_scikit_learns(bits) -> None:
    gold, said = bits
    counts = set_counts(gold, said[None])[0].sum(0)
    found = {name: float(metric(counts)) for name, metric in SET_METRICS.items()}
    assert found["micro_f1"] == pytest.approx(f1_score(gold, said, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(gold, said, average="macro", zero_division=0))
    assert found["subset_accuracy"] == pytest.approx(accuracy_score(gold, said))
    each = f1_score(gold, said, average=None, zero_division=0)
    assert [one.f1 for one in by_label(counts, LABELS)] == pytest.approx(each.tolist())


def models(gold: np.ndarray) -> list[Model]:
    random = np.random.default_rng(1)
    logits = np.stack([3 * (2.0 * gold - 1) + random.normal(size=gold.shape) * n for n in (1, 3, 5)])
    return [
        Model("teacher", "teacher", None, logits[0]),
        Model("soft_labels", "student", 1, logits[1], 0.5),
        Model("gold", "control", 1, logits[2], 0.4),
    ]


def test_sets_of_labels_are_judged_and_written(bits, tmp_path) -> None:
    gold, _ = bits
    examples = [
        Example(str(n), f"text {n}", labels=tuple(sorted(np.array(LABELS)[row].tolist())))
        for n, row in enumerate(gold)
    ]
    judged = models(gold)
    found = evaluate_outcomes("multilabel", tmp_path, LABELS, examples, judged, settings=FEW)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == found
    assert decisive(found) == "micro_f1"
    teacher, student, _ = found["models"]
    said = judged[1].logits > 0
    assert student["scores"]["micro_f1"] == pytest.approx(f1_score(gold, said, average="micro"))
    assert student["scores"]["agreement"] == pytest.approx((said == (judged[0].logits > 0)).all(1).mean())
    assert teacher["scores"]["agreement"] == 1
    assert sum(one["count"] for one in found["calibration"]["teacher"]["bins"]) == gold.size
    assert [row["type"] for row in found["types"]["teacher"]] == list(LABELS)
    table = pq.read_table(tmp_path / "predictions.parquet")
    np.testing.assert_allclose(table.column("soft_labels@1").to_pylist(), expit(judged[1].logits), rtol=1e-5)
    assert table.column("gold")[0].as_py() == list(examples[0].labels)
    gain = next(one for one in found["gains"] if one["metric"] == "micro_f1" and one["over"] == "gold")
    assert gain["low"] <= gain["gain"] <= gain["high"]


def test_scores_are_judged_and_written(tmp_path) -> None:
    gold = np.random.default_rng(0).uniform(0, 5, 30)
    examples = [Example(str(n), "a", score=float(one), second="b") for n, one in enumerate(gold)]
    judged = models(gold[:, None] / 5)
    found = evaluate_outcomes("regression", tmp_path, ("score",), examples, judged, settings=FEW)
    teacher, student, _ = found["models"]
    assert student["scores"]["pearson"] == pytest.approx(np.corrcoef(gold, judged[1].logits[:, 0])[0, 1])
    assert student["scores"]["rmse"] == pytest.approx(np.sqrt(((gold - judged[1].logits[:, 0]) ** 2).mean()))
    assert teacher["scores"]["teacher_pearson"] == pytest.approx(1)
    assert "calibration" not in found and "confusion" not in found
    assert {gain["metric"] for gain in found["gains"]} == {"pearson", "spearman"}
    assert rows(found)[0]["metric"] == "pearson"
    table = pq.read_table(tmp_path / "predictions.parquet")
    assert table.column("gold").to_pylist() == pytest.approx(gold.tolist())
    with pytest.raises(LimbeckError, match="test example '0' has no gold score"):
        evaluate_outcomes("regression", tmp_path, ("score",), [Example("0", "a")], judged, settings=FEW)


def test_a_classifier_may_be_decided_by_the_f1_of_one_class(tmp_path) -> None:
    random = np.random.default_rng(0)
    gold = random.integers(0, 2, 50)
    labels = ("duplicate", "other")
    examples = [Example(str(n), "a", labels[one]) for n, one in enumerate(gold)]
    logits = random.normal(size=(50, 2)) + np.eye(2)[gold]
    for positive, number in ((None, 1), ("duplicate", 0)):
        found = evaluate(
            tmp_path, labels, examples, [Model("m", "student", 1, logits)], settings=FEW,
            metric="binary_f1", positive=positive,
        )  # fmt: skip
        wanted = f1_score(gold, logits.argmax(1), pos_label=number)
        assert found["models"][0]["scores"]["binary_f1"] == pytest.approx(wanted)
        assert decisive(found) == "binary_f1"
    with pytest.raises(LimbeckError, match="no class is called 'same'; there are duplicate and other"):
        evaluate(
            tmp_path,
            labels,
            examples,
            [Model("m", "student", 1, logits)],
            metric="binary_f1",
            positive="same",
        )
