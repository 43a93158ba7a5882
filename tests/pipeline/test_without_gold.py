"""Whole runs on text without any gold: a ready teacher answers on it, and gold is in dev and test alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from limbeck.transfer.checks import check_learners
from pipeline.tagging_recipe import recipe as tagging_recipe

WORDS = ("lovely film", "dull story", "warm scene", "the plot was cold", "a funny end", "a hollow end")


def ready(auto: Any, encoder: Path, folder: Path, **head: Any) -> dict[str, Any]:
    """A teacher that is taken as it is."""
    torch.manual_seed(0)
    model = auto.from_pretrained(encoder, **head)
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return {"model": str(folder), "max_length": 32}


def written(path: Path, golds: list[Any]) -> str:
    """Texts, each of its own, with these labels; without any where there are none."""
    rows = [{"text": f"{WORDS[n % 6]} {path.stem}{n}", "label": gold} for n, gold in enumerate(golds)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("task", "golds", "head"),
    [
        ("classification", ["bad", "good"], {"id2label": {0: "bad", 1: "good"}}),
        ("regression", [0.5, 3.0], {"num_labels": 1}),
    ],
)
def test_a_ready_teacher_is_distilled_on_text_without_gold(
    tmp_path: Path, recipe_file: Callable[..., Path], encoder: Path, task: str, golds: list[Any], head: Any
) -> None:
    data = {
        "train": written(tmp_path / "train.jsonl", [None] * 60),
        "dev": written(tmp_path / "dev.jsonl", golds * 6),
        "test": written(tmp_path / "test.jsonl", golds * 8),
    }
    teacher = ready(AutoModelForSequenceClassification, encoder, tmp_path / "reviewer", **head)
    path = recipe_file(task=task, data=data, teacher=teacher, seeds=1)
    with pytest.raises(
        LimbeckError, match=r"train\.jsonl: no training example has a .*, from which the control would"
    ):
        plan(Run.of(load(path)))
    alone = ["control=false"]
    assert "0 labelled and 60 unlabelled" in plan(Run.of(load(path, alone))).text()
    result = distill(path, *alone)
    assert [one["role"] for one in result.evaluation["models"]] == ["teacher", "student"]
    assert analyse([result.folder]).content["missing"]
    with pytest.raises(LimbeckError, match="from which the control would learn"):  # though it is prepared
        distill(path)
    check_learners(
        Run.of(load(path, alone)).prepared.dev.examples[:1], "tagging", ["the control"]
    )  # some gold will do
    if task == "classification":
        with pytest.raises(LimbeckError, match="from which 'pretrain_then_tune' would learn"):
            distill(path, *alone, "method=pretrain_then_tune")


@pytest.mark.recipe
def test_a_ready_tagger_is_distilled_on_sentences_without_tags(tmp_path: Path, encoder: Path) -> None:
    tags = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    teacher = ready(
        AutoModelForTokenClassification, encoder, tmp_path / "tagger", id2label=dict(enumerate(tags))
    )
    path = tagging_recipe(tmp_path, encoder, teacher=teacher, control=False)
    values = load(path)
    columns = (tmp_path / "train.conll").read_text()
    (tmp_path / "train.conll").write_text("\n".join(line.split("\t")[0] for line in columns.splitlines()))
    result = distill(path, f'data.train={{"path": "{tmp_path}/train.conll", "tags": null}}')
    assert sorted(result.evaluation["labels"]) == sorted(tags)
    assert not Run.of(values).prepared.train.labelled
