"""Stored answers are gathered once, in the order of the rows; precision goes by device and layers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from train_task import Dictionary, Distance, make_data, make_student

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import Signals
from limbeck.train.lesson import Lesson, uses_bf16
from limbeck.transfer.ask import StoredAnswers, ask
from limbeck.transfer.store import AnswerStore

CPU = torch.device("cpu")


class Lengths:
    """A teacher whose logits tell the text's length."""

    labels = ("short", "long")
    offers = frozenset({"logits"})
    fingerprint = "lengths"
    tokenisation = "none"

    def answer(self, examples: list[Example], needs: frozenset[str]) -> Signals:
        lengths = torch.tensor([float(len(example.text)) for example in examples])
        return Signals(logits=torch.stack([-lengths, lengths], dim=1))


def lesson(answers: object) -> Lesson:
    return Lesson(make_student(dropout=0.0), Distance(), make_data(12, seed=1), answers, CPU, "fp32")


def stored(folder: Path, ids: tuple[str, ...]) -> StoredAnswers:
    examples = [Example(id, "x" * (number + 1)) for number, id in enumerate(ids)]
    found = ask(Lengths(), examples, frozenset({"logits"}), AnswerStore(folder))
    assert isinstance(found, StoredAnswers)
    return found


def test_stored_answers_meet_their_rows_also_when_asked_in_another_order(tmp_path: Path) -> None:
    data = make_data(12, seed=1)
    answers = stored(tmp_path, tuple(reversed(data.ids)))
    rows = np.array([7, 0, 11])
    at_hand = lesson(answers).loss(rows)

    class Slow:
        def signals(self, ids: list[str], device: torch.device) -> Signals:
            return answers.signals(ids, device)

    torch.testing.assert_close(at_hand.total, lesson(Slow()).loss(rows).total)
    assert at_hand.count == 3


def test_example_without_an_answer_is_named(tmp_path: Path) -> None:
    answers = stored(tmp_path, make_data(12, seed=1).ids[:9])
    with pytest.raises(LimbeckError, match="the teacher was not asked about '1:9'"):
        lesson(answers)


def test_answer_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = stored(tmp_path, make_data(12, seed=1).ids)
    whole = answers.signals(make_data(12, seed=1).ids, CPU).logits
    assert whole is not None
    whole = whole.clone()
    whole[4, 1] = float("nan")
    monkeypatch.setattr(StoredAnswers, "signals", lambda self, ids, device: Signals(logits=whole))
    with pytest.raises(LimbeckError, match="the teacher's answer for example '1:4' is not finite"):
        lesson(answers)


def test_bf16_only_where_it_is_native_and_never_for_recurrent_layers_on_a_gpu() -> None:
    recurrent, gpu = nn.Sequential(nn.LSTM(2, 2)), torch.device("cuda")
    assert not uses_bf16("auto", CPU, nn.Linear(1, 1))
    assert uses_bf16("bf16", CPU, nn.Linear(1, 1))
    assert not uses_bf16("bf16", gpu, recurrent)
    assert uses_bf16("bf16", gpu, nn.Linear(1, 1))
    assert not uses_bf16("fp32", gpu, nn.Linear(1, 1))


def test_answers_of_a_dictionary_serve_too() -> None:
    assert torch.isfinite(lesson(Dictionary(make_data(12, seed=1))).loss(np.arange(4)).total)
