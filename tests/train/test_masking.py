"""Masking: as often as asked, another place at every step, the same for student and teacher, and told to the objective."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from train_task import WORDS, make_data, make_masked, make_settings, make_student, make_tokeniser, score
from transformers import BertForSequenceClassification

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD
from limbeck.models.masked_head import head_for
from limbeck.models.shapes import shape_of
from limbeck.models.transformer import copy_layers
from limbeck.text.encode import collate
from limbeck.train.lesson import Lesson
from limbeck.train.loop import Trained, train
from limbeck.train.masking import Masker
from limbeck.train.settled import seed_step
from limbeck.transfer.tokenwise import TokenAnswers

CPU = torch.device("cpu")
MASK = WORDS - 1


def masker(share: float) -> Masker:
    return Masker(make_masked(make_student())["tokeniser"], share)


@pytest.mark.parametrize("share", [0.15, 0.4])
def test_so_many_tokens_are_guessed_and_most_of_them_hidden(share: float) -> None:
    ids = torch.randint(0, WORDS, (200, 100), generator=torch.Generator().manual_seed(0))
    seed_step(1, 1, 0, CPU)
    shown, truth = masker(share)(ids)
    guessed = truth != NO_GOLD
    assert torch.equal(truth[guessed], ids[guessed])
    assert torch.equal(shown[~guessed], ids[~guessed])
    for special in (0, 1, MASK):  # padding, unknown, mask
        assert not guessed[ids == special].any()
    assert float(guessed.sum()) / int(((ids > 1) & (ids != MASK)).sum()) == pytest.approx(share, abs=0.01)
    of_guessed = shown[guessed]
    assert float((of_guessed == MASK).float().mean()) == pytest.approx(0.8 + 0.1 / WORDS, abs=0.02)
    assert float((of_guessed == ids[guessed]).float().mean()) == pytest.approx(0.1 + 0.1 / WORDS, abs=0.02)


def test_a_batch_is_masked_by_its_step_alone() -> None:
    batch = collate(make_data(12, seed=1), np.arange(12))
    hide = masker(0.3)

    def at(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        seed_step(1, step, 0, CPU)
        masked = hide.masked(batch)
        assert masked.truth is not None
        return masked.inputs["input_ids"], masked.truth

    once, again, later = at(3), at(3), at(4)
    assert all(map(torch.equal, once, again))
    assert not torch.equal(once[1], later[1])
    assert batch.truth is None


def test_student_teacher_and_objective_meet_over_the_same_masked_tokens() -> None:
    student = make_student(dropout=0.0)
    given = make_masked(student)
    objective, answers, read = given["objective"], given["answers"], []
    for model in (student, answers.model):
        model.register_forward_pre_hook(
            lambda module, args, kwargs: read.append(kwargs["input_ids"]), with_kwargs=True
        )
    data, rows, hide = make_data(12, seed=1), np.array([3, 1, 7]), Masker(given["tokeniser"], 0.3)
    lesson = Lesson(student, objective, data, answers, CPU, "fp32", hide)
    seed_step(1, 5, 0, CPU)
    loss = lesson.loss(rows)
    seed_step(1, 5, 0, CPU)
    masked = hide.masked(collate(data, rows))
    assert len(read) == 2
    assert all(torch.equal(each, masked.inputs["input_ids"]) for each in read)
    assert loss.count == int((masked.truth != NO_GOLD).sum()) > 0
    # By transformers' own code, from whole models over the same tokens.
    places = masked.truth != NO_GOLD
    with torch.no_grad():
        states = student.bert(**masked.inputs).last_hidden_state
        own, theirs = objective.head(states[places]), answers.model(**masked.inputs).logits[places]
        p, q = (each.div(2).log_softmax(-1) for each in (own, theirs))
        soft = 5 * 4 * (q.exp() * (q - p)).sum()
        truth = 2 * torch.nn.functional.cross_entropy(own, masked.truth[places], reduction="sum")
    assert float(loss.parts["soft"].detach()) == pytest.approx(float(soft), rel=1e-4)
    assert float(loss.parts["masked_lm"].detach()) == pytest.approx(float(truth), rel=1e-4)


def test_a_student_of_all_the_teachers_layers_has_true_tokens_alone_to_learn() -> None:
    teacher = make_masked(make_student(dropout=0.0))["answers"].model
    student = BertForSequenceClassification(teacher.config)
    copy_layers(teacher, student, range(teacher.config.num_hidden_layers))
    objective = methods.get("distilbert").stages({})[0].objective
    objective.fit(shape_of(student), shape_of(teacher))
    objective.take_head(head_for(student, teacher))
    answers, hide = TokenAnswers(teacher, objective.needs), masker(0.3)
    loss = Lesson(student, objective, make_data(12, seed=1), answers, CPU, "fp32", hide).loss(np.arange(12))
    assert loss.count > 5
    for name in ("soft", "cosine"):
        assert float(loss.parts[name].detach()) == pytest.approx(0, abs=1e-4)
    matched, weights = loss.parts["soft"] + loss.parts["cosine"], [*student.bert.encoder.parameters()]
    for one in torch.autograd.grad(matched, weights, retain_graph=True):
        assert float(one.abs().max()) < 1e-4
    assert any(float(one.abs().max()) > 0.01 for one in torch.autograd.grad(loss.total, weights))


def test_accumulation_changes_no_gradient(tmp_path: Path) -> None:
    """Two halves of a batch, masked alike, have the gradient of the whole."""
    student = make_student(dropout=0.0)
    given = make_masked(student)
    data, objective = make_data(12, seed=1), given["objective"]
    seed_step(1, 1, 0, CPU)
    whole = Masker(given["tokeniser"], 0.3).masked(collate(data, np.arange(12)))
    modules = torch.nn.ModuleList([student, objective])

    class Fixed:
        """The same tokens masked, whichever rows are asked for."""

        def __init__(self, rows: slice) -> None:
            self.rows = rows

        def masked(self, batch):
            width = batch.inputs["input_ids"].shape[1]
            shown, truth = (each[self.rows, :width] for each in (whole.inputs["input_ids"], whole.truth))
            return dataclasses.replace(batch, inputs={**batch.inputs, "input_ids": shown}, truth=truth)

    def gradient(*parts: slice) -> tuple[list[torch.Tensor], int]:
        modules.zero_grad()
        count = 0
        for rows in parts:
            lesson = Lesson(student, objective, data, given["answers"], CPU, "fp32", Fixed(rows))
            loss = lesson.loss(np.arange(12)[rows])
            loss.total.backward()
            count += loss.count
        return [one.grad.clone() for one in modules.parameters() if one.grad is not None], count

    (once, count), (twice, counts) = gradient(slice(0, 12)), gradient(slice(0, 5), slice(5, 12))
    assert count == counts
    for one, other in zip(once, twice, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def teach(folder: Path, **changes: object) -> tuple[Trained, dict[str, torch.Tensor]]:
    student = make_student()
    given = {**make_masked(student), **changes}
    trained = train(
        student,
        data=make_data(60, seed=1),
        dev=make_data(10, seed=2),
        settings=make_settings(epochs=10),
        folder=folder,
        seed=1,
        score=score,
        **given,
    )
    return trained, load_file(folder / "model.safetensors")


def test_training_learns_and_another_share_is_another_training(tmp_path: Path) -> None:
    first, weights = teach(tmp_path)
    assert (tmp_path / "objective.safetensors").is_file()
    steps = [line for line in map(json.loads, (tmp_path / "journal.jsonl").open()) if line["kind"] == "step"]
    assert steps[-1]["loss"] < steps[0]["loss"]
    learnt = load_file(tmp_path / "objective.safetensors")
    tied = learnt["head.model.cls.predictions.decoder.weight"]
    assert torch.equal(tied, weights["bert.embeddings.word_embeddings.weight"])
    again, same = teach(tmp_path)
    assert again == first
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    other, changed = teach(tmp_path, masked=0.5)
    assert other.key != first.key
    assert any(not torch.equal(weights[name], changed[name]) for name in weights)


def test_a_tokeniser_without_a_mask_token_is_told(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match="the tokeniser has no mask token"):
        teach(tmp_path, tokeniser=make_tokeniser())
