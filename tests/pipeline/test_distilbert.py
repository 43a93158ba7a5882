"""A whole run of DistilBERT: raw text with masked tokens, then the task; and what is told before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForMaskedLM

from limbeck import distill
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.models.masked_lm import load_masked_lm
from limbeck.pipeline import Run, steps
from limbeck.pipeline.hearing import fitted
from limbeck.pipeline.inputs import student_inputs
from limbeck.pipeline.plan import plan
from limbeck.train import run as module

METHOD = {"name": "distilbert", "general_epochs": 4, "gold_weight": 0.3}
STUDENT = {"kind": "transformer", "from_teacher": [1], "max_length": 32}


@pytest.fixture
def masked_lm(encoder: Path, tmp_path: Path) -> Path:
    """The encoder with a masked-LM head, untrained as the rest of it."""
    folder = tmp_path / "masked_lm"
    load_masked_lm(encoder, fresh_head=0).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(
    recipe_file: Callable[..., Path], reviews: Path, tmp_path: Path, masked_lm: Path
) -> Callable[..., Path]:
    (tmp_path / "raw.txt").write_text(reviews.read_text().replace(",", " "))

    def write(**changes: Any) -> Path:
        data = {"train": str(reviews), "dev": 40, "test": 60, "labelled": 80}
        raw = {"raw": str(tmp_path / "raw.txt"), "raw_length": 24}
        tuned = {"epochs": 3, "learning_rate": 0.003, "evaluate": 2}
        values = {
            "data": {**data, **raw},
            "teacher": {"model": str(masked_lm), "fine_tune": tuned, "max_length": 32},
            "student": STUDENT,
            "method": METHOD,
            "seeds": 1,
        }
        return recipe_file(**{**values, **changes})

    return write


@pytest.mark.recipe
def test_a_run_from_raw_text_to_a_classifier(recipe: Callable[..., Path], masked_lm: Path) -> None:
    path = recipe()
    assert "15% of raw text masked" in plan(Run(load(path))).text()
    result = distill(path)
    assert {row["name"] for row in result.rows} >= {"distilbert", "gold", "teacher"}
    folder = result.folder / "students" / "distilbert" / "seed-1"
    general = folder / "general"
    trained = json.loads((general / "trained.json").read_text())
    assert trained["best_step"] == trained["steps"]
    journal = [json.loads(line) for line in (general / "journal.jsonl").open()]
    first, *_, last = (line["parts"] for line in journal if line["kind"] == "step")
    assert set(first) == {"soft", "masked_lm", "cosine"}
    assert last["masked_lm"] < first["masked_lm"]
    # The head began as the teacher's, and ends in the student's own embeddings.
    run, whole = Run(load(path)), load_masked_lm(masked_lm).state_dict()
    stage = next(run.stages())
    student = run.new_student(1, stage)
    head = fitted(run, stage, student, 1).objective.head.model.state_dict()
    assert all(torch.equal(head[name], value) for name, value in whole.items() if name.startswith("cls."))
    # The student began as layers of the teacher before it was fine-tuned.
    layer = "encoder.layer.{}.output.dense.weight"
    assert torch.equal(student.bert.state_dict()[layer.format(0)], whole[f"bert.{layer.format(1)}"])
    tuned = run.teacher_model.base_model.state_dict()
    assert not torch.equal(student.bert.state_dict()[layer.format(0)], tuned[layer.format(1)])
    learnt, after = (
        load_file(general / "objective.safetensors"),
        AutoModelForSequenceClassification.from_pretrained(general),
    )
    last_layer = learnt["head.model.cls.predictions.decoder.weight"]
    assert torch.equal(last_layer, after.get_input_embeddings().weight)
    assert not torch.equal(last_layer, whole["cls.predictions.decoder.weight"])
    # The task goes on from there, in a plain classifier.
    assert not (folder / "objective.safetensors").exists()
    finished = AutoModelForSequenceClassification.from_pretrained(folder)
    assert type(finished).__name__ == "BertForSequenceClassification"
    assert finished.config.num_hidden_layers == 1
    task = [json.loads(line) for line in (folder / "journal.jsonl").open()]
    assert set(task[0]["parts"]) == {"soft", "gold"}


@pytest.mark.recipe
def test_a_run_that_was_interrupted_in_each_of_its_stages_ends_as_one_in_peace(
    recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train = {"epochs": 2, "learning_rate": 0.01, "tokens_per_batch": 256, "checkpoint_seconds": 0}
    path = recipe(train=train, control=False)
    student = Path("tiny") / "students" / "distilbert" / "seed-1"
    distill(path, f"out={tmp_path / 'peace'}")
    step, left = module.Run.step, {"general": 9, "task": 3}

    def interrupted(self: module.Run, group: Any) -> None:
        if self.state.step == left.get(self.stage):
            raise KeyboardInterrupt
        step(self, group)

    monkeypatch.setattr(module.Run, "step", interrupted)
    for stage in ("general", "task"):
        with pytest.raises(KeyboardInterrupt):
            distill(path)
        del left[stage]
    distill(path)
    for name in ("general/model.safetensors", "general/objective.safetensors", "model.safetensors"):
        found, wanted = ((tmp_path / out / student / name).read_bytes() for out in ("runs", "peace"))
        assert found == wanted


@pytest.mark.recipe
def test_another_head_of_the_teacher_makes_another_student(
    recipe: Callable[..., Path], masked_lm: Path
) -> None:
    from limbeck.pipeline.inputs import student_inputs

    path = recipe()
    distill(path)
    whom = Run(load(path))
    assert whom.student_folder("distilbert", 1).is_done(student_inputs(whom, "distilbert", 1))
    model = BertForMaskedLM.from_pretrained(masked_lm)
    model.cls.predictions.bias.data.add_(1.0)
    model.save_pretrained(masked_lm)
    again = Run(load(path))
    assert not again.student_folder("distilbert", 1).is_done(student_inputs(again, "distilbert", 1))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"student": {"kind": "transformer", "layers": 1, "hidden_size": 8, "heads": 2, "max_length": 32}},
            "hidden states are 8 wide here and 16 in the teacher",
        ),
        (
            {"student": {"kind": "static", "embeddings": "random", "dimension": 8}},
            "the student is no transformer",
        ),
        ({"student": {**STUDENT, "tokeniser": "words"}}, "from_teacher"),
        (
            {"student": {"kind": "transformer", "layers": 1, "tokeniser": "words", "max_length": 32}},
            "compares teacher and student token by token",
        ),
        ({"method": {**METHOD, "cosine_wait": 1}}, "Did you mean 'cosine_weight'"),
        ({"method": {**METHOD, "masked_share": 1}}, "'method.masked_share': input should be less than 1"),
    ],
)
def test_what_cannot_be_taught_is_told_before_the_teacher_learns(
    recipe: Callable[..., Path], changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(LimbeckError, match=told):
        distill(recipe(**changes))
    assert not list((tmp_path / "runs").rglob("teacher*"))


def test_a_teacher_that_cannot_guess_is_told(
    recipe: Callable[..., Path], encoder: Path, masked_lm: Path, tmp_path: Path
) -> None:
    teacher = {"model": str(encoder), "fine_tune": {"epochs": 1}, "max_length": 32}
    for act in (distill, lambda path: plan(Run(load(path)))):
        with pytest.raises(LimbeckError, match="comes without a masked-LM head .*limbeck adapt ENCODER"):
            act(recipe(teacher=teacher))
    tokeniser = AutoTokenizer.from_pretrained(masked_lm)
    tokeniser.mask_token = None
    tokeniser.save_pretrained(masked_lm)
    with pytest.raises(LimbeckError, match="its tokeniser has no mask token"):
        distill(recipe())
    assert not list((tmp_path / "runs").rglob("teacher*"))


def test_without_raw_text_it_says_so(recipe: Callable[..., Path], reviews: Path) -> None:
    with pytest.raises(LimbeckError, match="'distilbert' has a stage on raw text .*'data.raw' names no text"):
        distill(recipe(data={"train": str(reviews), "dev": 40, "test": 60}))


def test_a_file_of_answers_has_no_layers(recipe: Callable[..., Path], reviews: Path, tmp_path: Path) -> None:
    texts = [line.rpartition(",")[0] for line in reviews.read_text().splitlines()[1:]]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"text": text, "good": 0.7, "bad": 0.3}) + "\n" for text in texts))
    student = {"kind": "transformer", "layers": 1, "hidden_size": 8, "heads": 2, "max_length": 32}
    with pytest.raises(LimbeckError, match="the teacher has no layers"):
        distill(recipe(teacher={"answers": str(answers)}, student=student))


@pytest.mark.recipe
def test_a_general_student_is_made_once_and_goes_on_for_a_task(
    recipe: Callable[..., Path], tmp_path: Path
) -> None:
    """A general stage by itself makes a folder that other recipes start from; where it changes, they begin anew."""
    method = {"name": "tinybert", "general_epochs": 1, "intermediate_epochs": 0, "prediction": None}
    general = Run(load(recipe(method=method, control=False, name="general")))
    for step in (steps.prepare, steps.pack, steps.teach, steps.train):
        step(general)
    encoder = general.student_folder("tinybert", 1).path
    student = {"kind": "transformer", "encoder": str(encoder), "max_length": 32}
    method = {"name": "tinybert", "intermediate_epochs": 1}
    task = Run(load(recipe(method=method, student=student, control=False, name="task")))
    for step in (steps.prepare, steps.teach):
        step(task)
    theirs = load_file(encoder / "model.safetensors")
    mine = task.new_student(1).state_dict()
    assert all(torch.equal(mine[name], value) for name, value in theirs.items() if name.startswith("bert."))
    before = student_inputs(task, "tinybert", 1)
    assert before == student_inputs(task, "tinybert", 1)
    (encoder / "config.json").write_text((encoder / "config.json").read_text() + "\n")
    assert before != student_inputs(task, "tinybert", 1)
