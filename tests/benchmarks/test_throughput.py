"""benchmarks/throughput.py: reading, the budget that makes batches equal, and what rows say."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.text.batching import batches

pytestmark = pytest.mark.unit

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import throughput
finally:
    sys.path.pop(0)


@pytest.fixture
def setting():
    """Of ten sentences and three epochs; nothing here asks the models."""
    return throughput.Setting(
        teacher=None,
        tokeniser=None,
        examples=(None,) * 10,
        dev=(),
        tokens_per_batch=64,
        epochs=3,
        device="cpu",
    )


def rounds(setting, *seconds):
    """Rows as they are written, from each contender's seconds for an epoch in each round."""
    return [
        {
            "kind": "round", "student": "BiLSTM", "device": "cpu", "contender": title, "round": number, "load": number,
            **throughput.times([0, 2 * epoch, 3 * epoch, 4 * epoch, 4 * epoch], setting),
        }
        for number, of_round in enumerate(seconds, 1)
        for title, epoch in zip(throughput.CONTENDERS, of_round, strict=True)
    ]  # fmt: skip


def test_sst5_is_read_without_its_neutral_class():
    lines = ["0 A bad film .", "2 A film .", "4 A good film , 2 of 5 .", "1 Poor .", "3 Fine ."]
    read = [(one.id, one.text, one.gold) for one in throughput.parse(lines, "train")]
    assert read == [
        ("train:1", "A bad film .", "negative"),
        ("train:3", "A good film , 2 of 5 .", "positive"),
        ("train:4", "Poor .", "negative"),
        ("train:5", "Fine .", "positive"),
    ]


def test_without_the_data_one_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    with pytest.raises(LimbeckError, match="LIMBECK_DATA names no folder that holds sst5"):
        throughput.read("train")


@given(st.lists(st.integers(1, 80), min_size=1, max_size=200), st.integers(1, 40))
def test_the_budget_is_the_least_that_gives_no_more_batches(lengths, sentences):
    lengths = np.array(lengths)
    wanted = -(-len(lengths) // sentences)
    found = throughput.budget(lengths, sentences)
    assert len(batches(lengths, found, seed=0)) <= wanted
    assert found == 1 or len(batches(lengths, found - 1, seed=0)) > wanted


def test_lengths_like_those_of_text_give_as_many_steps_as_batches_of_sentences():
    lengths = np.random.default_rng(0).integers(4, 60, 1536)
    found = throughput.budget(lengths, 32)
    assert len(batches(lengths, found, seed=1, epoch=3)) == 48


def test_a_row_takes_the_whole_distillation_and_its_parts_make_it_up(setting):
    row = throughput.times([100.0, 108.0, 110.0, 113.0, 114.0], setting)
    assert row["per_second"] == pytest.approx(10 * 3 / 14)
    assert row["first_epoch_seconds"] == 8
    assert row["later_epoch_seconds"] == 3
    assert row["first_epoch_seconds"] + 2 * row["later_epoch_seconds"] == row["seconds"]
    with pytest.raises(ValueError, match="4 marks for 3 epochs"):
        throughput.times([0, 1, 2, 3], setting)


def test_the_summary_takes_medians_over_rounds(setting):
    row = throughput.summary(rounds(setting, (1, 4, 2), (2, 4, 2), (1, 3, 2)))
    assert (row["kind"], row["student"], row["device"], row["rounds"]) == ("summary", "BiLSTM", "cpu", 3)
    assert row["limbeck_per_second"] == pytest.approx(7.5)
    assert row["textbrewer_per_second"] == pytest.approx(7.5 / 4)
    assert row["times_faster"] == pytest.approx(4)
    assert row["times_faster"] == row["limbeck_per_second"] / row["textbrewer_per_second"]
    assert (row["times_faster_least"], row["times_faster_most"]) == pytest.approx((2, 4))
    assert row["times_faster_first_epoch"] == pytest.approx(4)
    assert row["times_faster_than_caching"] == pytest.approx(2)
    assert row["load_most"] == 3
    assert all(isinstance(value, str | int | float) for value in row.values())


def test_aims_read_their_own_student_and_stand_unmet_without_it(setting):
    row = throughput.summary(rounds(setting, (1, 4, 2)))
    judged = [aim.judge([*rounds(setting, (1, 4, 2)), row]) for aim in throughput.AIMS]
    assert [one["met"] for one in judged] == [True, False, False]
    assert judged[0]["measured"] == pytest.approx(4)
    assert judged[1]["measured"] is None


def test_every_student_can_be_built_from_its_keys():
    for keys in throughput.STUDENTS.values():
        kind = keys["kind"]
        throughput.models.settings_for(kind, {k: v for k, v in keys.items() if k != "kind"})


def test_the_warm_up_is_small(setting):
    many = dataclasses.replace(setting, examples=(None,) * 1000)
    small = throughput.warm_up(many)
    assert (len(small.examples), small.epochs, small.tokens_per_batch) == (64, 1, 64)
