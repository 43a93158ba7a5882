"""Entity scores: against seqeval and a hand count; the bootstrap against a plain loop."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose
from seqeval import metrics as oracle
from seqeval.metrics.sequence_labeling import get_entities

from limbeck.core.errors import LimbeckError
from limbeck.evaluate.bootstrap import resampled
from limbeck.evaluate.entities import (
    TAG_METRICS,
    by_type,
    metrics_of,
    paired_tags,
    resampled_tags,
    span_counts,
    tag_counts,
    tag_score,
)
from limbeck.text.tags import spans, to_iob2

ANY_TAG = st.sampled_from(["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("X", "Y-Z", "W"))])
PAIR = st.lists(st.tuples(ANY_TAG, ANY_TAG), min_size=1, max_size=12)
SOURCE = st.lists(PAIR, min_size=1, max_size=6)


def apart(source, change=list):
    return [change([a for a, _ in one]) for one in source], [change([b for _, b in one]) for one in source]


@pytest.mark.unit
@given(SOURCE, st.sampled_from([list, to_iob2]))
@settings(deadline=None)
def test_scores_equal_seqevals(source, change):
    gold, said = (list(map(list, one)) for one in apart(source, change))
    total = tag_counts(gold, said).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {
            "f1": oracle.f1_score(gold, said),
            "precision": oracle.precision_score(gold, said),
            "recall": oracle.recall_score(gold, said),
            "token_accuracy": oracle.accuracy_score(gold, said),
        }
        told = oracle.classification_report(gold, said, output_dict=True) if total[1:3].any() else {}
    assert {name: float(metric(total)) for name, metric in TAG_METRICS.items()} == pytest.approx(theirs)
    for one in by_type(gold, said):
        expected = told[one.type]
        assert (one.precision, one.recall, one.f1, one.support) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"], expected["support"])
        )


@pytest.mark.unit
@given(st.lists(ANY_TAG, max_size=30))
def test_spans_equal_seqevals(tags):
    assert [(kind, start, end - 1) for kind, start, end in spans(tags)] == get_entities(tags)


GOLD = [
    ["O", "B-PER", "I-PER", "O", "B-LOC"],
    ["B-ORG", "I-ORG", "I-ORG", "O"],
    ["O", "O"],
    ["B-PER", "B-PER"],
]
SAID = [
    ["O", "B-PER", "I-PER", "O", "I-LOC"],
    ["B-ORG", "I-ORG", "O", "O"],
    ["O", "I-MISC"],
    ["B-PER", "I-PER"],
]


@pytest.mark.unit
def test_a_hand_count_as_conlleval_does_it():
    # Right: PER and LOC (an I- after O opens a span) of the first sentence. ORG is too short, MISC is none, and
    # two PER are not one.
    assert span_counts(GOLD, SAID).tolist() == [[2, 2, 2], [0, 1, 1], [0, 1, 0], [0, 1, 2]]
    assert tag_counts(GOLD, SAID)[:, 3:].tolist() == [[4, 5], [3, 4], [1, 2], [1, 2]]
    scores = {name: tag_score(name, GOLD, SAID, labels=9).value for name in TAG_METRICS}
    assert scores == pytest.approx(
        {
            "f1": 2 * 0.4 * 0.4 / 0.8,
            "precision": 2 / 5,
            "recall": 2 / 5,
            "token_accuracy": 9 / 13,
        }
    )
    rows = {
        one.type: (one.precision, one.recall, one.support, one.predicted, one.correct)
        for one in by_type(GOLD, SAID)
    }
    assert rows == {
        "LOC": (1, 1, 1, 1, 1),
        "MISC": (0, 0, 0, 1, 0),
        "ORG": (0, 0, 1, 1, 0),
        "PER": (0.5, pytest.approx(1 / 3), 3, 2, 1),
    }


@pytest.mark.unit
def test_a_score_says_how_it_was_counted():
    told = str(tag_score("f1", GOLD, SAID, labels=9))
    assert told.startswith("f1|spans:conlleval|average:micro|zero:0|examples:4|labels:9|limbeck:")
    assert tag_score("token_accuracy", GOLD, SAID, labels=9).signature.startswith(
        "token_accuracy|examples:4|"
    )


@pytest.mark.unit
def test_nothing_to_find_and_nothing_found_is_zero():
    assert [float(metric(tag_counts([["O"]], [["O"]]).sum(0))) for metric in TAG_METRICS.values()] == [
        0,
        0,
        0,
        1,
    ]
    assert [float(metric(tag_counts([], []).sum(0))) for metric in TAG_METRICS.values()] == [0, 0, 0, 0]
    assert by_type([["O"]], [["O"]]) == []


@pytest.mark.unit
def test_parts_of_speech_have_token_accuracy_alone():
    assert list(metrics_of(("NN", "VB"))) == ["token_accuracy"]
    assert list(metrics_of(("O", "B-X"))) == list(TAG_METRICS)
    assert tag_score("token_accuracy", [["NN", "VB"]], [["NN", "NN"]], labels=2).value == 0.5


@pytest.mark.unit
def test_gold_and_predictions_that_do_not_fit():
    with pytest.raises(LimbeckError, match=r"1 sentences have gold tags, and 2 were tagged"):
        tag_counts([["O"]], [["O"], ["O"]])
    with pytest.raises(
        LimbeckError, match=r"sentence 1 has 2 words with gold tags, and 1 were tagged\. Tag every"
    ):
        by_type([["O", "O"]], [["O"]])


# Paired bootstrap.


def plainly(gold, ours, theirs, name, resamples, seed):
    """Every gain by a loop: draw sentences, score each seed with seqeval, take means."""
    judge = {
        "f1": oracle.f1_score,
        "precision": oracle.precision_score,
        "recall": oracle.recall_score,
        "token_accuracy": oracle.accuracy_score,
    }[name]
    generator, n = np.random.default_rng(seed), len(gold)
    gains = []
    for rows in generator.integers(0, n, (resamples, n), dtype=np.int32):
        drawn = [
            [judge([gold[r] for r in rows], [one[r] for r in rows]) for one in models]
            for models in (ours, theirs)
        ]
        gains.append(np.mean(drawn[0]) - np.mean(drawn[1]))
    return np.array(gains)


def made(generator, sentences, flips):
    """Gold tags, and models' tags that are wrong that often."""
    tags = np.array(["O", "O", "O", "B-X", "I-X", "B-Y"])
    gold = [tags[generator.integers(0, 6, generator.integers(1, 8))] for _ in range(sentences)]
    models = []
    for share in flips:
        noise = [generator.random(len(one)) < share for one in gold]
        models.append(
            [
                np.where(n, tags[generator.integers(0, 6, len(n))], g).tolist()
                for g, n in zip(gold, noise, strict=True)
            ]
        )
    return [one.tolist() for one in gold], models


@pytest.mark.unit
@pytest.mark.parametrize("name", TAG_METRICS)
@pytest.mark.filterwarnings("ignore")
def test_resamples_equal_a_plain_loop(name):
    gold, models = made(np.random.default_rng(0), 15, (0.1, 0.2, 0.4))
    gains = plainly(gold, models[:2], models[2:], name, 25, seed=7)
    ours = paired_tags(gold, models[:2], models[2:], metric=name, resamples=25, interval=0.9, seed=7)
    assert_allclose([ours.low, ours.high], np.quantile(gains, [0.05, 0.95]), atol=1e-12)
    side = min((gains <= 1e-12).sum(), (gains >= -1e-12).sum())
    assert ours.p == pytest.approx(min(1, 2 * (side + 1) / 26))


@pytest.mark.unit
def test_the_draws_are_those_of_classifiers():
    generator = np.random.default_rng(1)
    gold, said = generator.integers(0, 2, 40), generator.integers(0, 2, (3, 40))
    right = np.zeros((3, 40, 5), dtype=np.int64)
    right[..., 3], right[..., 4] = said == gold, 1
    ours = resampled_tags(right, resamples=100, seed=5)
    theirs = resampled(gold, said, 2, resamples=100, seed=5)
    assert_allclose(ours.drawn["token_accuracy"], theirs.drawn["accuracy"])
    assert_allclose(ours.observed["token_accuracy"], theirs.observed["accuracy"])


@pytest.mark.unit
def test_who_gains_and_who_loses():
    gold, models = made(np.random.default_rng(2), 200, (0.05, 0.05, 0.5))
    there = paired_tags(gold, models[:2], models[2:], resamples=999)
    back = paired_tags(gold, models[2:], models[:2], resamples=999)
    assert there.low > 0
    assert_allclose([there.gain, there.low, there.high], [-back.gain, -back.high, -back.low], atol=1e-12)
    same = paired_tags(gold, models[:1], models[:1], resamples=99)
    assert (same.gain, same.low, same.high, same.p) == (0, 0, 0, 1)
