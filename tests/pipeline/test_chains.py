"""Whole runs of chains of models, of ensembles of teachers, and of fine-tuning before and after distilling."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

import ready
from limbeck import distill
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.models.outputs import predict
from limbeck.pipeline import Run, steps
from limbeck.pipeline.checks import check_student
from limbeck.pipeline.hearing import answers_for
from limbeck.pipeline.plan import plan

BILSTM = {"kind": "bilstm", "embeddings": "random", "dimension": 4, "hidden": 3, "relu": 3, "max_length": 32}
TRAIN = {"epochs": 2, "learning_rate": 0.01, "evaluate": 2, "tokens_per_batch": 256}
BORN = {"name": "born_again", "generations": 2, "ensemble": True, "epochs": 1}
QUICK = {"resamples": 50, "latency_sentences": 0}


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def said(run: Run, folder: Path) -> np.ndarray:
    """What a trained model says about the transfer set."""
    return predict(AutoModelForSequenceClassification.from_pretrained(folder).eval(), run.encoded_train)


@pytest.mark.recipe
def test_chains_pass_on_what_the_one_before_says(recipe_file: Callable[..., Path]) -> None:
    methods = [{"name": "assistant", "assistants": 2}, BORN]
    path = recipe_file(seeds=1, student=BILSTM, train=TRAIN, method=methods, evaluate=QUICK)
    text = plan(Run(load(path))).text()
    assert "assistant, assistant_2: a bilstm of" in text
    result = distill(path)
    run, folder = Run.open(result.folder), result.folder / "successors"
    sizes = [
        json.loads(path.read_text())["parameters"] for path in sorted(folder.glob("assistant/*/trained.json"))
    ]
    student = json.loads((result.folder / "students/assistant/seed-1/trained.json").read_text())
    assert len(sizes) == 2 and sizes[0] > sizes[1] > student["parameters"]
    stages = {(title, stage.name): stage for title in run.methods for stage in run.stages_of(title)}
    heard = {
        key: answers_for(run, key[0], stage).signals(run.transfer_set.ids, torch.device("cpu")).logits.numpy()
        for key, stage in stages.items()
        if stage.objective.needs
    }
    np.testing.assert_allclose(
        heard["assistant", "student"], said(run, folder / "assistant/assistant_2"), atol=1e-5
    )
    np.testing.assert_allclose(
        heard["assistant", "assistant_2"], said(run, folder / "assistant/assistant_1"), atol=1e-5
    )
    assert not np.allclose(heard["assistant", "assistant_1"], heard["assistant", "assistant_2"], atol=1e-2)
    generations = [softmax(said(run, folder / f"born_again/generation_{n}")) for n in (1, 2)]
    np.testing.assert_allclose(heard["born_again", "born_again"], np.log(np.mean(generations, 0)), atol=1e-5)
    # The chain is none of the student's budget.
    control = json.loads((result.folder / "students/gold/seed-1/trained.json").read_text())
    assert control["steps"] == student["steps"]
    for name in ("report.html", "report.md"):
        page = (result.folder / name).read_text()
        assert (
            "Before the student" in page
            and f"{sizes[0]:,}" in page
            and "successors/assistant/assistant" in page
        )


@pytest.mark.recipe
def test_a_chain_is_made_once_for_all_seeds(recipe_file: Callable[..., Path], listener: Any) -> None:
    method = {"name": "born_again", "epochs": 1}
    path = recipe_file(seeds=1, student=BILSTM, train=TRAIN, method=method, evaluate=QUICK, control=False)
    folder = distill(path).folder
    weights = folder / "successors/born_again/generation_1/model.safetensors"
    before = weights.stat().st_mtime_ns
    distill(path, "seeds=2")
    assert weights.stat().st_mtime_ns == before
    assert any("born_again, generation_1: trained before, skipped" in line for line in listener.said)
    distill(path, "method={name: born_again, epochs: 2}")
    assert weights.stat().st_mtime_ns != before


@pytest.mark.recipe
def test_a_killed_chain_goes_on(recipe_file: Callable[..., Path], tmp_path: Path) -> None:
    """Killed while the second of two assistants trains: the same models, byte by byte."""
    train = {**TRAIN, "epochs": 8, "checkpoint_seconds": 0}
    method = {"name": "assistant", "sizes": [{"hidden": 12}, {"hidden": 6}]}
    path = recipe_file(seeds=1, student=BILSTM, train=train, method=method, evaluate=QUICK, control=False)
    peace, run = tmp_path / "peace" / "tiny", tmp_path / "runs" / "tiny"
    distill(path, f"out={peace.parent}", f"store={tmp_path / 'apart'}")
    partial = run / "successors" / "assistant" / "assistant_2.partial"
    process = ready.start_command("--log", "quiet", "distill", path)
    while not (partial / "checkpoint" / "checkpoint.safetensors").exists():
        assert process.is_alive()
        time.sleep(0.01)
    ready.kill(process)
    assert partial.is_dir() and not partial.with_name("assistant_2").exists()
    distill(path)
    expected = {one.relative_to(peace): one.read_bytes() for one in peace.rglob("model.safetensors")}
    assert len(expected) == 4  # teacher, two assistants, student
    assert all((run / name).read_bytes() == content for name, content in expected.items())


@pytest.mark.recipe
def test_an_ensemble_teaches(recipe_file: Callable[..., Path], encoder: Path, listener: Any) -> None:
    fine_tune = {"epochs": 1, "learning_rate": 0.003, "evaluate": 1}
    several = {"ensemble": [{"model": str(encoder), "fine_tune": fine_tune, "members": 2, "max_length": 32}]}
    path = recipe_file(
        seeds=1, train=TRAIN, evaluate=QUICK, control=False, teacher={**several, "weights": "fitted"}
    )
    text = plan(Run(load(path))).text()
    assert text.count("| teach ") == 2 and "member-2" in text
    result = distill(path)
    weights = json.loads((result.folder / "weights/weights.json").read_text())["weights"]
    assert sum(weights) == pytest.approx(1) and min(weights) >= 0
    assert sum("on test, alone" in line for line in listener.said) == 2
    run = Run.open(result.folder)
    ids = run.prepared.test.ids
    members = [
        softmax(each.test_answers.signals(ids, torch.device("cpu")).logits.numpy()) for each in run.members
    ]
    mixed = run.test_answers.signals(ids, torch.device("cpu")).logits.numpy()
    np.testing.assert_allclose(softmax(mixed), np.tensordot(weights, members, 1), atol=1e-5)
    assert not np.allclose(*members, atol=1e-3)
    assert result.rows[0]["name"] == "teacher"
    # Other weights: no member is trained or asked again.
    listener.said.clear()
    distill(path, "teacher.weights=[1, 3]")
    assert sum("done before, skipped" in line and line.startswith("teach") for line in listener.said) == 2
    asked = [line for line in listener.said if line.startswith("ask")]
    assert len(asked) == 6 and all(line.endswith(" stored, 0 to ask") for line in asked)
    assert (result.folder / "recipe.yaml").read_text().count("ensemble:") >= 1


@pytest.mark.recipe
def test_gold_before_or_after_the_teacher(recipe_file: Callable[..., Path]) -> None:
    states = {"name": "pretrain_then_tune", "label": "states", "learns": "states"}
    methods = [
        "pretrain_then_tune",
        {"name": "pretrain_then_tune", "label": "last", "order": "tune_first"},
        states,
    ]
    result = distill(recipe_file(seeds=1, student=BILSTM, train=TRAIN, method=methods, evaluate=QUICK))
    students = result.folder / "students"
    for place, terms in {
        "pretrain_then_tune/seed-1/distil": {"soft"},
        "pretrain_then_tune/seed-1": {"gold"},
        "last/seed-1/tune": {"gold"},
        "last/seed-1": {"soft"},
        "states/seed-1/distil": {"hints"},
        "states/seed-1": {"gold"},
    }.items():
        lines = (json.loads(line) for line in (students / place / "journal.jsonl").open())
        steps = [line for line in lines if line["kind"] == "step"]
        assert steps[-1]["parts"].keys() == terms, place
    both = [students / "pretrain_then_tune/seed-1" / name / "trained.json" for name in ("distil", ".")]
    control = json.loads((students / "gold/seed-1/trained.json").read_text())["steps"]
    assert control == sum(json.loads(path.read_text())["steps"] for path in both)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"method": "assistant", "student": {"kind": "static", "embeddings": "random"}},
            "of the kind 'static'",
        ),
        ({"method": {"name": "assistant", "sizes": [{"hiden": 5}]}}, "unknown key 'method.sizes.hiden'"),
        (
            {"method": {"name": "assistant", "objectives": [{"name": "jacobian"}]}},
            "one of the objectives compares",
        ),
        ({"method": {"name": "assistant", "objectives": [{"name": "hints"}]}}, "'hints' has several stages"),
        (
            {"method": {"name": "born_again", "label_smoothing": 0.1}},
            "'label_smoothing' of 'born_again' is for",
        ),
        ({"method": {"name": "combined", "objectives": [{"name": "assistant"}]}}, "has several stages"),
    ],
)
def test_refusals(recipe_file: Callable[..., Path], changes: dict[str, object], told: str) -> None:
    with pytest.raises(LimbeckError, match=told):
        plan(Run(load(recipe_file(**{"student": BILSTM, **changes}))))


def test_refusals_of_ensembles(recipe_file: Callable[..., Path], encoder: Path) -> None:
    tuned = {"model": str(encoder), "fine_tune": {"epochs": 1}, "max_length": 32}
    cases = [
        ({**tuned, "weights": "fitted"}, "there is one teacher"),
        ({**tuned, "members": 2, "weights": [1]}, "1 'weights' for 2 members"),
        ({**tuned, "members": 2, "weights": [0, 0]}, "all 'weights' are nought"),
        ({"ensemble": [tuned, tuned], "answers": "x.csv"}, "give one of"),
        ({"ensemble": [{"ensemble": [tuned]}, tuned]}, "a member of 'ensemble' is a model or a file"),
    ]
    for teacher, told in cases:
        with pytest.raises(LimbeckError, match=told):
            load(recipe_file(teacher=teacher))
    path = recipe_file(teacher={**tuned, "members": 2}, task="tagging")
    with pytest.raises(LimbeckError, match="an ensemble of teachers is for whole texts or translation"):
        Run(load(path)).check()
    derived = Run(load(recipe_file(teacher={**tuned, "members": 2}, student=BILSTM, method="jacobian")))
    with pytest.raises(LimbeckError, match="an ensemble of teachers gives probabilities only"):
        steps.prepare(derived)
        check_student(derived)
