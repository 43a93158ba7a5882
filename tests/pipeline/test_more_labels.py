"""Whole runs of teachers as they are that know more labels than the data: five stars for two classes, and MISC."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from limbeck import distill
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.pipeline.analysing import analyse
from limbeck.pipeline.plan import plan
from limbeck.pipeline.run import Run
from pipeline.tagging_recipe import recipe

STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
CLASSES = {"1 star": "bad", "2 stars": "bad", "3 stars": None, "4 stars": "good", "5 stars": "good"}
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
STUDENT = {"kind": "bilstm", "embeddings": "random", "dimension": 8, "hidden": 6, "relu": 5, "max_length": 32}


def saved(auto: Any, encoder: Path, labels: tuple[str, ...], folder: Path) -> str:
    torch.manual_seed(0)
    model = auto.from_pretrained(encoder, num_labels=len(labels), id2label=dict(enumerate(labels)))
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return str(folder)


@pytest.mark.recipe
def test_five_stars_teach_two_classes(
    recipe_file: Callable[..., Path], encoder: Path, tmp_path: Path
) -> None:
    """By stored answers, by states and logits that are kept, and by derivatives; then analysed."""
    folder = saved(AutoModelForSequenceClassification, encoder, STARS, tmp_path / "reviewer")
    selective = {"name": "neuron_selectivity", "weight": 1.0}
    methods = [
        "logit_regression",
        "jacobian",
        {"name": "combined", "objectives": [{"name": "soft_labels"}, selective]},
    ]
    path = recipe_file(
        teacher={"model": folder, "max_length": 32, "labels": CLASSES},
        seeds=1,
        student=STUDENT,
        method=methods,
        inner_states="kept",
    )
    result = distill(path)
    table = pq.read_table(result.folder / "evaluation" / "predictions.parquet")
    found = np.array(table.column("teacher").to_pylist())
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = AutoTokenizer.from_pretrained(folder)(
        table.column("text").to_pylist(), padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        theirs = model(**texts).logits.double().softmax(-1).numpy()
    kept = theirs[:, [0, 1, 3, 4]]
    wanted = np.stack([kept[:, :2].sum(1), kept[:, 2:].sum(1)], 1) / kept.sum(1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    analysed = analyse([result.folder])
    assert "sources" not in analysed.content["missing"] and "calibration" not in analysed.content["missing"]
    assert "done" in plan(Run.of(load(path))).text()


@pytest.mark.recipe
def test_a_tagger_of_more_entities_teaches_those_of_the_data(tmp_path: Path, encoder: Path) -> None:
    folder = saved(AutoModelForTokenClassification, encoder, TAGS, tmp_path / "tagger")
    path = recipe(tmp_path, encoder, teacher={"model": folder, "max_length": 32}, method=["chain_posterior"])
    with pytest.raises(
        LimbeckError,
        match=r'the data has no B-MISC, I-MISC. Say what they become: teacher.labels=\{"B-MISC": O, "I-MISC": O\}',
    ):
        distill(path)
    result = distill(path, 'teacher.labels={"B-MISC": O, "I-MISC": O}', "train.epochs=2")
    found = pq.read_table(result.folder / "evaluation" / "predictions.parquet").column("teacher").to_pylist()
    assert len({tag for tags in found for tag in tags}) > 1
    assert result.evaluation["labels"] == sorted(TAGS[:5], key=result.evaluation["labels"].index)
    left_out = load(path, ['teacher.labels={"B-MISC": null, "I-MISC": null}'])
    assert Run.of(left_out).recipe.teacher.labels == {"B-MISC": None, "I-MISC": None}
