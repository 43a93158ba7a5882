"""Words that go with lost texts, temperatures, and the texts worth reading."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import log_softmax, softmax

from finished_runs import without_sureness, write
from limbeck.analyse.mistakes import log_odds, reading, sharpness, temperature
from limbeck.analyse.mistakes.rows import Background, rows_of
from limbeck.analyse.mistakes.tempered import Answers
from limbeck.analyse.mistakes.units import cast_of, units_of
from limbeck.core.recipe import Analysis
from limbeck.evaluate.calibration import ece, reliability
from limbeck.evaluate.kept import read_kept

pytestmark = pytest.mark.unit


# Words.


def test_log_odds_by_the_paper() -> None:
    lost, kept, background = np.array([8.0, 2, 0]), np.array([1.0, 15, 4]), np.array([20.0, 70, 10])
    delta, z = log_odds.log_odds(lost, kept, background, mass=30.0)
    for word in range(3):
        alpha = 30 * background[word] / 100
        ours, theirs = lost[word] + alpha, kept[word] + alpha
        odds = ours / (10 + 30 - ours), theirs / (20 + 30 - theirs)
        wanted = math.log(odds[0]) - math.log(odds[1])
        assert delta[word] == pytest.approx(wanted)
        assert z[word] == pytest.approx(wanted / math.sqrt(1 / ours + 1 / theirs))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=8))
def test_turned_around_only_the_sign_changes(counts: list[tuple[int, int, int]]) -> None:
    lost, kept, background = np.array(counts, dtype=np.float64).T
    delta, z = log_odds.log_odds(lost, kept, background, mass=5.0)
    turned, z_turned = log_odds.log_odds(kept, lost, background, mass=5.0)
    assert np.allclose(delta, -turned) and np.allclose(z, -z_turned)


def test_a_prior_without_end_says_that_nothing_differs() -> None:
    lost, kept, background = np.array([9.0, 1]), np.array([1.0, 9]), np.array([1.0, 1])
    _, z = log_odds.log_odds(lost, kept, background, mass=1e12)
    assert np.abs(z).max() < 1e-3


def test_words_and_ngrams_that_stand_in_lost_texts_come_first() -> None:
    texts = [("not", "a", "good", "film")] * 6 + [("a", "good", "film", "!")] * 30
    lost = np.array([1.0] * 6 + [0.0] * 30)
    single, pairs, three = log_odds.telling_words(texts, lost, 1 - lost, [("a", "very", "good", "film")])
    assert single["lost"][0]["text"] == "not"
    assert pairs["lost"][0]["text"] == "not a" and three["lost"][0]["text"] == "not a good"
    assert single["lost"][0] == pytest.approx({**single["lost"][0], "lost": 6, "kept": 0})
    told = {word["text"] for side in ("lost", "kept") for word in single[side]}
    assert told == {"not", "a", "good", "film"}, "no marks, and nothing that is not in the test text"


def test_a_word_counts_once_a_text_and_by_the_share_of_seeds() -> None:
    texts = [("no", "no", "no"), ("no", "yes"), ("no", "yes"), ("yes",)]
    (found,) = log_odds.telling_words(
        texts, np.array([1, 0.5, 0, 0.0]), np.array([0, 0.5, 1, 1.0]), orders=(1,)
    )
    no = next(word for side in ("lost", "kept") for word in found[side] if word["text"] == "no")
    assert (no["lost"], no["kept"]) == (1.5, 1.5)


def test_without_lost_texts_there_is_nothing_to_tell() -> None:
    assert log_odds.telling_words([("a",)] * 5, np.zeros(5), np.ones(5)) == []


# Temperatures.


def logits_of(seed: int, texts: int = 400, scale: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and gold drawn by what they truly say: then they are calibrated as they are."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=scale, size=(texts, 3))
    said = softmax(logits, axis=1)
    return logits, np.array([random.choice(3, p=row) for row in said])


@pytest.mark.parametrize("too_sure", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_planted_is_found(too_sure: float) -> None:
    logits, gold = logits_of(0, texts=4000)
    found = temperature.fitted(Answers.of(softmax(too_sure * logits, axis=1), gold))
    assert found == pytest.approx(too_sure, rel=0.07)


def test_no_temperature_nearby_is_better() -> None:
    logits, gold = logits_of(1)
    found = temperature.fitted(Answers.of(softmax(2 * logits, axis=1), gold))

    def loss(t: float) -> float:
        return -log_softmax(2 * logits / t, axis=1)[np.arange(len(gold)), gold].mean()

    assert loss(found) <= min(loss(found * 0.99), loss(found * 1.01))


def test_calibration_before_and_after() -> None:
    dev_logits, dev_gold = logits_of(2)
    logits, gold = logits_of(3)
    dev, test = (softmax(3 * each, axis=1) for each in (dev_logits, logits))
    (row,) = temperature.calibrated({"m": [Answers.of(dev, dev_gold)]}, {"m": [Answers.of(test, gold)]})
    (fitted,) = row["temperature"]
    after = softmax(3 * logits / fitted, axis=1)
    assert row["before"]["ece"] == [pytest.approx(ece(reliability(test, gold)))]
    assert row["after"]["ece"] == [pytest.approx(ece(reliability(after, gold)), abs=1e-6)]
    assert row["after"]["nll"] == [pytest.approx(-np.log(after[np.arange(400), gold]).mean(), rel=1e-5)]
    assert row["after"]["ece"][0] < row["before"]["ece"][0] and fitted > 2
    assert sum(bin_["count"] for bin_ in row["after"]["bins"]) == 400


def test_sharpness_is_that_of_tempered_logits() -> None:
    logits, _ = logits_of(4)
    rows = sharpness.sharpness(Answers.of(softmax(logits, axis=1), np.zeros(len(logits), dtype=int)), [3.0])
    assert [row["temperature"] for row in rows] == [1, 2, 3, 5, 10]
    assert [row["in_recipe"] for row in rows] == [False, False, True, False, False]
    for row in rows:
        said = softmax(logits / row["temperature"], axis=1)
        bits = -(said * np.log2(said)).sum(1).mean()
        assert row["confidence"] == pytest.approx(said.max(1).mean(), rel=1e-6)
        assert row["entropy"] == pytest.approx(bits, rel=1e-6) and row["classes"] == pytest.approx(2**bits)
        assert row["bins"] == np.histogram(said.max(1), 10, (0, 1 + 1e-6))[0].tolist()
    assert all(a["entropy"] < b["entropy"] for a, b in pairwise(rows))


def test_a_probability_of_nought_has_a_logit_all_the_same() -> None:
    rows = sharpness.sharpness(Answers.of(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0])))
    assert all(np.isfinite(row["entropy"]) for row in rows) and rows[0]["entropy"] == 0.5


# Reading.


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression", "tagging", "translation"])
def test_fifty_texts_at_most_and_each_is_what_its_heading_says(task: str, tmp_path: Path) -> None:
    run = read_kept(
        write(tmp_path / "run", task, {"teacher": 0.2, "gold": 0.3, "s": 0.4}, examples=240) / "evaluation"
    )
    units, cast = units_of(run, Analysis())[0], cast_of(run)
    found = reading.most_telling(run, units, cast, rows_of(run, units, cast, Background()))
    ids = [one["id"] for one in found]
    assert len(found) == 50 == len(set(ids)), "none is told twice"
    kinds = [one["kind"] for one in found]
    assert kinds == sorted(kinds, key=[*reading.QUOTAS].index)
    place = {example.id: n for n, example in enumerate(run.examples)}
    teacher, student, control = (units.quality[name] for name in ("teacher", "s", "gold"))
    beats = units.measure.beats
    for one in found:
        n = place[one["id"]]
        lost = beats(teacher[0, n], student[:, n]).mean()
        if one["kind"] == "lost":
            assert one["seeds"] == lost > 0
        elif one["kind"] == "lost to the control":
            assert lost == 0 and beats(control[:, n].mean(), student[:, n]).mean() == one["seeds"] > 0
        elif one["kind"] == "doubtful":
            assert max(each[:, n].max() for each in (teacher, student, control)) == 0
        else:
            assert beats(student[:, n], teacher[0, n]).mean() == one["seeds"] > 0


@pytest.mark.parametrize("task", ["classification", "tagging", "translation"])
def test_the_surest_error_under_all_seeds_comes_first(task: str, tmp_path: Path) -> None:
    run = read_kept(
        write(tmp_path / "run", task, {"teacher": 0.1, "gold": 0.3, "s": 0.4}, examples=200) / "evaluation"
    )
    units, cast = units_of(run, Analysis())[0], cast_of(run)
    found = [
        (one["seeds"], one["confidence"]["student"])
        for one in reading.most_telling(run, units, cast, rows_of(run, units, cast, Background()))
        if one["kind"] == "lost"
    ]
    assert found == sorted(found, reverse=True) and len(found) >= 30


def test_without_confidence_those_come_first_that_are_farthest_apart(tmp_path: Path) -> None:
    errors = {"teacher": 0.1, "gold": 0.3, "s": 0.4}
    folder = without_sureness(write(tmp_path / "run", "tagging", errors, examples=100))
    run = read_kept(folder / "evaluation")
    units, cast = units_of(run, Analysis())[0], cast_of(run)
    found = reading.most_telling(run, units, cast, rows_of(run, units, cast, Background()))
    assert {one["confidence"] for one in found} == {None}
    place = {example.id: n for n, example in enumerate(run.examples)}
    apart = [
        sum(a != b for a, b in zip(run.said["s"][0][n], run.said["teacher"][0][n], strict=True))
        for n in (place[one["id"]] for one in found if one["kind"] == "lost" and one["seeds"] == 1)
    ]
    assert apart == sorted(apart, reverse=True) and apart
