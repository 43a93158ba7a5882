"""Asking: every text once, ever; what was answered survives a kill; answers come back by id."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from killed_store import kill_after
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SignalName, Signals
from limbeck.transfer.ask import LiveAnswers, StoredAnswers, ask, choose, plan_bytes
from limbeck.transfer.store import AnswerStore
from limbeck.transfer.tables import digest_texts
from limbeck.transfer.teachers import LOGITS, FileTeacher

pytestmark = pytest.mark.unit
CPU = torch.device("cpu")


class Counter:
    """A teacher whose answer is a pure function of the text; it remembers what it was asked."""

    labels = ("bad", "good", "so-so")
    offers: frozenset[SignalName] = frozenset({"logits", "hidden"})
    fingerprint = "counter"
    name = "the counter"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        self.asked += [example.text for example in examples]
        logits = torch.tensor([[len(e.text), ord(e.text[-1]), -1.5] for e in examples], dtype=torch.float64)
        hidden = (logits[:, None].float(),) if "hidden" in needs else None
        return Signals(logits=logits, hidden=hidden)


def examples(*texts: str, start: int = 0) -> list[Example]:
    return [Example(f"id-{number}", text) for number, text in enumerate(texts, start)]


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "store", shard_rows=4)


@pytest.mark.parametrize("in_memory", [0, 2**20])
def test_answers_come_by_id_in_any_order(
    store: AnswerStore, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr("limbeck.transfer.ask.IN_MEMORY", in_memory)
    teacher = Counter()
    asked = examples(*(f"{'long ' * (number % 7)}text {number}" for number in range(30)))
    answers = ask(teacher, asked, LOGITS, store)
    assert isinstance(answers, StoredAnswers)
    order = np.random.default_rng(0).permutation(30)
    signals = answers.signals([asked[row].id for row in order], CPU)
    assert signals.logits is not None
    assert signals.logits.dtype == torch.float32
    expected = Counter().answer([asked[row] for row in order], LOGITS).logits
    assert expected is not None
    assert torch.equal(signals.logits, expected.float())
    assert signals.hidden is None


def test_a_text_is_asked_once_ever(store: AnswerStore, listener: Any) -> None:
    first, second = Counter(), Counter()
    ask(first, [*examples("a", "b", "a"), Example("other", "b")], LOGITS, store)
    assert sorted(first.asked) == ["a", "b"]
    later = ask(second, [Example("x", "c"), Example("y", "b"), Example("z", "c")], LOGITS, store)
    assert second.asked == ["c"]
    signals = later.signals(["y", "x", "z", "y"], CPU).logits
    assert signals is not None
    assert signals[:, 1].tolist() == [ord("b"), ord("c"), ord("c"), ord("b")]
    assert listener.said == ["ask       0 answers stored, 2 to ask", "ask       1 answers stored, 1 to ask"]


def test_nothing_is_asked_the_second_time(store: AnswerStore, listener: Any) -> None:
    asked = examples(*map(str, range(2000)))
    ask(Counter(), asked, LOGITS, store)
    again = Counter()
    ask(again, asked, LOGITS, store)
    assert again.asked == []
    assert listener.said[-1] == "ask       2,000 answers stored, 0 to ask"


class BrokenAt(Counter):
    def __init__(self, text: str, value: float) -> None:
        super().__init__()
        self.text, self.value = text, value

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        logits = super().answer(examples, needs).named("logits")
        assert isinstance(logits, torch.Tensor)
        for row, example in enumerate(examples):
            if example.text == self.text:
                logits[row, 1] = self.value
        return Signals(logits=logits)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_refused_with_the_examples_name(store: AnswerStore, value: float) -> None:
    asked = examples(*(f"t{number}" for number in range(10)))
    with pytest.raises(
        LimbeckError, match="the counter: the teacher's answer for 'id-6' holds NaN or infinity"
    ):
        ask(BrokenAt("t6", value), asked, LOGITS, store)
    table = store.open("counter", "logits", Counter.labels)
    assert (table.find(digest_texts(e.text for e in asked)) >= 0).tolist() == [True] * 4 + [False] * 6


def test_a_teacher_of_another_width_is_refused(store: AnswerStore) -> None:
    teacher = Counter()
    teacher.labels = ("bad", "good")  # type: ignore[assignment]
    with pytest.raises(LimbeckError, match=r"logits of shape \(1, 3\) instead of \(1, 2\)"):
        ask(teacher, examples("a"), LOGITS, store)


def test_a_signal_that_the_teacher_does_not_offer(store: AnswerStore) -> None:
    with pytest.raises(LimbeckError, match="the counter: this teacher does not give attention"):
        ask(Counter(), examples("a"), frozenset({"attention", "logits"}), store)


def test_two_texts_with_one_id(store: AnswerStore) -> None:
    asked = [Example("x", "a"), Example("x", "b", origin="b.csv:1")]
    with pytest.raises(
        LimbeckError, match=r"b\.csv:1: two texts have the id 'x'. Give every example its own id"
    ):
        ask(Counter(), asked, LOGITS, store)


def test_an_id_that_was_not_asked(store: AnswerStore) -> None:
    asked = examples("a")
    for needs in (LOGITS, frozenset[SignalName]({"hidden"})):
        with pytest.raises(LimbeckError, match="the teacher was not asked about 'id-9'"):
            ask(Counter(), asked, needs, store).signals(["id-0", "id-9"], CPU)


def test_answers_pruned_meanwhile(store: AnswerStore) -> None:
    table = store.open("counter", "logits", Counter.labels)
    with pytest.raises(LimbeckError, match="the answer for 'x' has gone from the store"):
        StoredAnswers(table, ["x"], digest_texts(["a"]))


# Stored or live.


def test_live_answers_ask_every_time(store: AnswerStore, listener: Any) -> None:
    teacher = Counter()
    answers = ask(teacher, examples("a", "bb"), frozenset({"logits", "hidden"}), store)
    assert isinstance(answers, LiveAnswers)
    assert teacher.asked == []
    for _ in range(2):
        signals = answers.signals(["id-1", "id-0"], CPU)
        assert signals.hidden is not None
        assert signals.hidden[0].shape == (2, 1, 3)
        assert signals.logits is not None
        assert signals.logits[:, 0].tolist() == [2, 1]
    assert teacher.asked == ["bb", "a"] * 2
    assert not store.folder.exists()
    assert "hidden: as large as the texts are long" in listener.said[0]


def test_the_choice_is_by_bytes() -> None:
    assert plan_bytes(1000, 1000, 3) == 1000 * (12 + 16)
    thousand = [Example(str(n), "text") for n in range(1000)]
    choice = choose(LOGITS, thousand, 3)
    assert (choice.stored, choice.bytes) == (True, 28_000)
    assert not choose(LOGITS, thousand, 3, limit=27_999).stored
    assert choose(LOGITS, thousand, 3, limit=28_000).stored
    assert choose(frozenset({"attention"}), thousand, 3).bytes is None


def test_planned_bytes_are_the_bytes_written(store: AnswerStore) -> None:
    asked = examples(*map(str, range(1024)))
    wide = AnswerStore(store.folder)
    ask(Counter(), asked, LOGITS, wide)
    written = wide.list()[0].bytes
    assert plan_bytes(1024, 1024, 3) < written < plan_bytes(1024, 1024, 3) + 2000


def test_a_file_is_its_own_store(tmp_path: Path, store: AnswerStore, listener: Any) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"text": "a", "bad": 0.25, "good": 0.75}\n{"text": "b", "bad": 1, "good": 0}\n')
    teacher = FileTeacher.load(path, ("bad", "good"))
    answers = ask(teacher, examples("b", "a"), LOGITS, store)
    logits = answers.signals(["id-1", "id-0"], CPU).logits
    assert logits is not None
    torch.testing.assert_close(logits.exp(), torch.tensor([[0.25, 0.75], [1, 1e-6]]))
    assert not store.folder.exists()
    assert listener.said == [f"ask       2 answers found in {path}"]
    with pytest.raises(
        LimbeckError, match="1 of the 3 examples asked have no answer here, the first is 'id-2'"
    ):
        ask(teacher, examples("b", "a", "c"), LOGITS, store)


# Killed.

SLOW = """
import sys, time
from pathlib import Path
import torch
from limbeck.core.example import Example
from limbeck.core.signals import Signals
from limbeck.transfer.ask import ask
from limbeck.transfer.store import AnswerStore

class Slow:
    labels, offers, fingerprint = ("bad", "good", "so-so"), frozenset({"logits"}), "counter"
    def answer(self, examples, needs):
        time.sleep(0.02)
        logits = [[len(e.text), ord(e.text[-1]), -1.5] for e in examples]
        with Path(sys.argv[2]).open("a") as log:
            log.write("".join(e.text + "\\n" for e in examples))
        return Signals(logits=torch.tensor(logits))

asked = [Example(f"id-{n}", str(n)) for n in range(64)]
ask(Slow(), asked, frozenset({"logits"}), AnswerStore(Path(sys.argv[1]), shard_rows=4))
"""


@pytest.mark.parametrize("shards_before", [1, 6])
def test_a_killed_process_loses_at_most_the_shard_in_progress(tmp_path: Path, shards_before: int) -> None:
    folder, log = tmp_path / "store", tmp_path / "asked.txt"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(folder), str(log)])
    kill_after(process, folder, shards_before)

    store, again = AnswerStore(folder, shard_rows=4), Counter()
    asked = examples(*map(str, range(64)))
    rows = store.open("counter", "logits", Counter.labels).find(digest_texts(e.text for e in asked))
    stored = {example.text for example, row in zip(asked, rows, strict=True) if row >= 0}
    assert len(stored) >= 4 * shards_before
    assert len(set(log.read_text().split()) - stored) <= 4
    answers = ask(again, asked, LOGITS, store)
    assert sorted(again.asked) == sorted({e.text for e in asked} - stored)
    expected = Counter().answer(asked, LOGITS).logits
    logits = answers.signals([e.id for e in asked], CPU).logits
    assert logits is not None
    assert expected is not None
    assert torch.equal(logits, expected.float())
    assert store.verify() == ()
