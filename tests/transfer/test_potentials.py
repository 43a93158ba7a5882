"""A tagger's answers: as many rows as a sentence has words, and transitions that all share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SignalName, Signals
from limbeck.structure.chain import Chain
from limbeck.transfer import shards
from limbeck.transfer.ask import StoredAnswers, ask, choose, count_missing
from limbeck.transfer.shards import Block
from limbeck.transfer.store import AnswerStore
from limbeck.transfer.tables import digest_texts

TAGS = ("O", "B-X", "I-X")
POTENTIALS: frozenset[SignalName] = frozenset({"potentials"})


class Teacher:
    """Emissions that tell the word and its place."""

    labels = TAGS
    offers = POTENTIALS
    fingerprint = "tagger"
    name = "a tagger"

    def __init__(self) -> None:
        self.asked = 0
        self.transitions = torch.arange(9.0).view(3, 3)

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        assert needs == POTENTIALS
        self.asked += len(examples)
        lengths = torch.tensor([len(example.words) for example in examples])
        emissions = torch.zeros(len(examples), int(lengths.max()), 3)
        for row, example in enumerate(examples):
            for place, word in enumerate(example.words):
                emissions[row, place] = torch.tensor([len(word), place, -1.0])
        return Signals(potentials=Chain(emissions, self.transitions, lengths, torch.tensor([1.0, 2, 3])))


def example(*words: str) -> Example:
    return Example(" ".join(words), " ".join(words), words=words)


EXAMPLES = (example("a"), example("bb", "c", "dddd"), example("ee", "f"))


def check(chain: Chain | None, asked: Sequence[Example]) -> None:
    assert chain is not None
    wanted = Teacher().answer(asked, POTENTIALS).potentials
    assert (
        wanted is not None and wanted.start is not None and chain.start is not None and chain.end is not None
    )
    assert chain.lengths.tolist() == wanted.lengths.tolist()
    torch.testing.assert_close(chain.emissions, wanted.emissions)
    torch.testing.assert_close(chain.transitions, wanted.transitions)
    torch.testing.assert_close(chain.start, wanted.start)
    assert chain.end.tolist() == [0, 0, 0]


def test_potentials_are_stored_and_come_back_by_id(tmp_path: Path) -> None:
    teacher, store = Teacher(), AnswerStore(tmp_path, shard_rows=2)
    answers = ask(teacher, EXAMPLES, POTENTIALS, store)
    assert isinstance(answers, StoredAnswers)
    assert teacher.asked == 3
    for asked in (EXAMPLES, EXAMPLES[::-1], EXAMPLES[1:2]):
        check(answers.signals([one.id for one in asked], torch.device("cpu")).potentials, asked)
    again = ask(teacher, EXAMPLES, POTENTIALS, AnswerStore(tmp_path))
    assert teacher.asked == 3
    check(again.signals(["ee f"], torch.device("cpu")).potentials, EXAMPLES[2:])
    assert count_missing(teacher, (*EXAMPLES, example("g")), store, "potentials") == 1
    assert not store.verify()


def test_words_cut_otherwise_are_another_question(tmp_path: Path) -> None:
    teacher = Teacher()
    one, other = Example("1", "a b", words=("a", "b")), Example("2", "a b", words=("a b",))
    answers = ask(teacher, (one, other), POTENTIALS, AnswerStore(tmp_path))
    found = answers.signals(["1", "2"], torch.device("cpu")).potentials
    assert found is not None and found.lengths.tolist() == [2, 1]


def test_the_choice_counts_words() -> None:
    choice = choose(POTENTIALS, EXAMPLES, 3)
    assert choice.stored and choice.bytes == 6 * 3 * 4 + 3 * 16
    assert "of potentials" in choice.why


def test_damage_is_found_and_told(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    ask(Teacher(), EXAMPLES, POTENTIALS, store)
    (offsets,) = tmp_path.glob("*/shard-*/offsets.npy")
    np.save(offsets, np.array([0, 1, 1], np.int64))
    assert [problem.path.name for problem in store.verify()] == ["offsets.npy"]
    with pytest.raises(LimbeckError, match="does not cut rows into 3 answers"):
        store.open("tagger", "potentials", TAGS)


def test_a_teacher_that_answers_nonsense_is_named(tmp_path: Path) -> None:
    class Broken(Teacher):
        def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
            said = super().answer(examples, needs)
            assert said.potentials is not None
            said.potentials.emissions[-1, 0, 0] = torch.nan
            return said

    with pytest.raises(LimbeckError, match=r"answer for 'bb c dddd' holds NaN"):
        ask(Broken(), EXAMPLES, POTENTIALS, AnswerStore(tmp_path))


def test_classifiers_tables_are_of_the_format_that_older_versions_read(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    store.open("t", "logits", ("a", "b")).add(digest_texts(["x"]), Block(np.zeros((1, 2), np.float32)))
    (manifest,) = tmp_path.glob("*/manifest.json")
    assert '"format": 1' in manifest.read_text() and "ragged" not in manifest.read_text()
    assert shards.read_manifest(manifest.parent).format == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 7), st.randoms())
def test_any_rows_are_gathered_in_any_order(tmp_path_factory, lengths: list[int], size: int, random) -> None:  # type: ignore[no-untyped-def]
    table = AnswerStore(tmp_path_factory.mktemp("store")).open("t", "potentials", TAGS)
    answers = [
        np.full((n, 3), number, np.float32) + np.arange(n)[:, None] / 10 for number, n in enumerate(lengths)
    ]
    for start in range(0, len(answers), size):
        some = answers[start : start + size]
        offsets = np.cumsum([0, *map(len, some)])
        names = [str(number) for number in range(start, start + len(some))]
        rows = np.concatenate(some).astype(np.float32)
        table.add(digest_texts(names), Block(rows, offsets, np.zeros((5, 3), np.float32)))
    table.refresh()
    order = list(range(len(answers)))
    random.shuffle(order)
    found = table.gather(table.find(digest_texts(map(str, order))))
    assert found.offsets is not None
    np.testing.assert_array_equal(np.diff(found.offsets), [lengths[number] for number in order])
    np.testing.assert_array_equal(
        found.rows, np.concatenate([answers[number].astype(np.float32) for number in order])
    )
