"""Costs of a run: what is timed, and what happens where something cannot be."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from limbeck import distill, models
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Export
from limbeck.models.export import export
from limbeck.models.outputs import predict_tags
from limbeck.pipeline.costs import Timed, costs, tagging
from limbeck.text.words import encode_words
from limbeck.transfer.transfer_set import TransferSet


@pytest.mark.recipe
def test_a_teacher_that_onnx_cannot_express_is_timed_in_pytorch(
    recipe_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Listener(progress.Reporter):
        def warn(self, text: str, **facts: Any) -> None:
            told.append(text)

    def cannot(*_: Any, **__: Any) -> None:
        raise LimbeckError("the exporter cannot express this model")

    monkeypatch.setattr(progress, "_reporter", Listener())
    monkeypatch.setattr("limbeck.pipeline.costs.export", cannot)
    result = distill(recipe_file(seeds=1, control=False))
    timed = {(cost["name"], cost["engine"]): cost for cost in result.evaluation["cost"]}
    assert set(timed) == {
        ("teacher", "pytorch"),
        *(("logit_regression", e) for e in ("pytorch", "onnx", "onnx-int8")),
    }
    assert all(cost["p50_ms"] > 0 for cost in timed.values())
    assert any("timed in PyTorch only" in text for text in told)


@pytest.mark.recipe
def test_no_speed_is_measured_unless_asked_for(recipe_file: Callable[..., Path]) -> None:
    result = distill(recipe_file(seeds=1, control=False, evaluate={"latency_sentences": 0, "resamples": 100}))
    assert all(cost["p50_ms"] is None and cost["bytes"] > 0 for cost in result.evaluation["cost"])
    assert [row["times_faster"] for row in result.rows] == [None, None]


SENTENCES = [("a", "good", "film"), ("bad",), ("the", "story", "was", "long", ",", "not", "good"), ("film",)]
TAGS = ("O", "B-X", "I-X")


def tagging_examples() -> list[Example]:
    return [Example(str(n), " ".join(words), words=words) for n, words in enumerate(SENTENCES)]


def tagger(seed: int, **settings: Any) -> tuple[Any, Any]:
    """A model and its tokeniser."""
    chosen = models.settings_for(
        "bilstm",
        {"embeddings": "random", "dimension": 8, "hidden": 6, "tokeniser": "words", **settings},
        task="tagging",
    )
    texts = [" ".join(words) for words in SENTENCES]
    tokeniser = models.tokeniser_for(chosen, teacher_tokeniser=None, texts=texts, task="tagging")
    model = models.build(
        "bilstm", chosen, labels=TAGS, tokeniser=tokeniser, teacher=None, seed=seed, task="tagging"
    )
    return model, tokeniser


@pytest.fixture
def tagging_run(tmp_path: Path) -> Any:
    """What costs() reads of a run whose models are taggers."""
    torch.set_num_threads(1)
    teacher, teachers = tagger(1, layers=2, spelling="cnn", constrain=True)
    student, students = tagger(2)
    folder = tmp_path / "bundle"
    settings = Export(changed=1)
    export(student, students, folder, texts=SENTENCES, max_length=12, settings=settings, card={})
    part = TransferSet(tuple(tagging_examples()), tuple(TAGS))
    return SimpleNamespace(
        recipe=SimpleNamespace(
            task="tagging",
            evaluate=SimpleNamespace(latency_sentences=4),
            student=SimpleNamespace(max_length=12),
        ),
        teacher=SimpleNamespace(model=teacher, tokeniser=teachers, labels=TAGS, max_length=10),
        prepared=SimpleNamespace(dev=part, test=part),
        best=("student", 1),
        load_student=lambda title, seed: student,
        tokeniser=students,
        bundle_folder=SimpleNamespace(path=folder),
    )


def test_taggers_are_timed_from_words_to_tags_on_every_engine(tagging_run: Any) -> None:
    found = {(cost.name, cost.engine): cost for cost in costs(tagging_run)}
    engines = ("pytorch", "onnx", "onnx-int8")
    assert set(found) == {(name, engine) for name in ("teacher", "student") for engine in engines}
    assert all(cost.speed is not None and cost.speed.p50_ms > 0 for cost in found.values())
    assert found["teacher", "onnx"].parameters > found["student", "onnx"].parameters
    tagging_run.recipe.evaluate.latency_sentences = 0
    unmeasured = [cost for cost in costs(tagging_run) if cost.name == "student"]
    assert [cost.speed for cost in unmeasured] == [None] * 3


def test_every_engine_of_a_tagger_gives_the_tags_that_are_scored(tagging_run: Any) -> None:
    run = tagging_run
    model = run.load_student("student", 1)
    timed = Timed("student", [model], tagging(model, run.tokeniser, 12), run.bundle_folder.path)
    expected = predict_tags(model, encode_words(run.tokeniser, tagging_examples(), None, 12))
    for engine, size, answer in timed.engines():
        assert size > 0
        for found, wanted in zip(answer(SENTENCES), expected, strict=True):
            if engine != "onnx-int8":
                np.testing.assert_array_equal(np.asarray(found)[: len(wanted)], wanted)
