"""Models compared with one of them, by the predictions that an evaluation kept."""

from __future__ import annotations

import numpy as np
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.compared import compare, read_predicted
from limbeck.evaluate.evaluate import evaluate, gold_numbers
from limbeck.evaluate.yardstick import yardstick

LABELS = ("bad", "fine", "good")
BY = yardstick("classification", LABELS)


@pytest.mark.unit
def test_what_was_kept_is_what_was_said(tmp_path, examples, models):
    settings = Evaluation(resamples=300, interval=0.8)
    content = evaluate(tmp_path, LABELS, examples, models, settings=settings)
    said = {
        name: read_predicted(tmp_path, examples, name, [1, 2][:seeds], BY)
        for name, seeds in (("soft_labels", 2), ("gold", 1))
    }
    by_column = {model.column: model.logits.argmax(1) for model in models}
    for name, seeds in said.items():
        for seed, predicted in seeds.items():
            assert (predicted == by_column[f"{name}@{seed}"]).all()
    both = {
        "soft_labels": said["soft_labels"],
        "gold": read_predicted(tmp_path, examples, "gold", [1, 2], BY),
    }
    ours, theirs = compare(BY, examples, both, "gold", "mcc", settings)
    # As the run itself tells the gain over its control.
    (gain,) = (g for g in content["gains"] if (g["over"], g["metric"]) == ("gold", "mcc"))
    assert [ours[key] for key in ("difference", "low", "high")] == pytest.approx(
        [gain[key] for key in ("gain", "low", "high")]
    )
    assert theirs["difference"] is theirs["low"] is theirs["high"] is None
    (row,) = (one for one in content["summary"] if one["name"] == "gold")
    assert (theirs["mean"], theirs["deviation"]) == (row["mean"]["mcc"], row["deviation"]["mcc"])
    # A model of one seed has no deviation; the difference is one of means.
    _, alone = compare(BY, examples, said, "soft_labels", "accuracy", settings)
    gold = gold_numbers(examples, LABELS)
    right = [float(np.mean(one == gold)) for each in said.values() for one in each.values()]
    assert alone["deviation"] is None and alone["seeds"] == 1
    assert alone["difference"] == pytest.approx(right[2] - (right[0] + right[1]) / 2)


@pytest.mark.unit
def test_predictions_of_another_test_set_are_refused(tmp_path, examples, models):
    evaluate(tmp_path, LABELS, examples, models, settings=Evaluation(resamples=10))
    with pytest.raises(LimbeckError, match="the predictions are about another test set"):
        read_predicted(tmp_path, examples[::-1], "gold", [1], BY)
