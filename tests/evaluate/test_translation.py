"""Translators' evaluation.json and predictions.parquet: hand-counted faults, and what cannot be judged."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import sacrebleu

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import read_json
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.bleu import Scorer
from limbeck.evaluate.faults import length_bins
from limbeck.evaluate.judged import EVALUATION, PREDICTIONS
from limbeck.evaluate.kept import read_kept
from limbeck.evaluate.table import markdown, rows
from limbeck.evaluate.translation import TranslationModel, evaluate_translations

pytestmark = pytest.mark.unit
FEW = Evaluation(resamples=300)
PAIRS = (
    ("A dog runs fast .", ("Ein Hund rennt schnell .", "Ein Hund läuft schnell .")),
    ("Two children play in the garden .", ("Zwei Kinder spielen im Garten .",)),
    ("A man is reading a newspaper .", ("Ein Mann liest eine Zeitung .", "Ein Mann liest Zeitung .")),
    ("The woman sings .", ("Die Frau singt .",)),
)
TEACHER = (
    "Ein Hund läuft schnell .",
    "Zwei Kinder spielen im Garten .",
    "Ein Mann liest ein Buch .",
    "Die Frau singt .",
)
STUDENT_1 = (
    "Ein Hund Hund läuft schnell .",
    "Zwei Kinder spielen im Garten .",
    "Ein Mann liest ein Buch .",
    "Die Frau !",
)
STUDENT_2 = ("Ein Hund rennt schnell .", "Zwei zwei Kinder spielen . . .", "", "Die Frau singt .")
CONTROL = ("A dog  runs fast .", "Kinder im im im Garten", "", "  ")


@pytest.fixture
def examples():
    return [
        Example(f"t:{n}", text, origin=f"test.en:{n}", targets=these) for n, (text, these) in enumerate(PAIRS)
    ]


@pytest.fixture
def models():
    return [
        TranslationModel("sequence_level", "student", 1, STUDENT_1, 31.0, [5, 5, 5, 5]),
        TranslationModel("sequence_level", "student", 2, STUDENT_2, 30.0, [1, 1, 1, 2]),
        TranslationModel("gold", "control", 1, CONTROL, 12.0),
        TranslationModel("teacher", "teacher", None, TEACHER),
    ]


@pytest.fixture
def content(tmp_path, examples, models, costs):
    return evaluate_translations(
        tmp_path, examples, models, costs=costs, settings=FEW, truncated={"student": 1}
    )


def by_seed(content):
    return {(row["name"], row["seed"]): row for row in content["models"]}


def test_the_file_holds_what_is_returned_in_the_contracts_keys(tmp_path, content):
    assert read_json(tmp_path / EVALUATION) == content
    assert list(content) == [
        "task", "test", "models", "summary", "signatures", "gains", "cost", "intervals", "lengths", "faults",
    ]  # fmt: skip
    assert content["task"] == "translation"
    assert content["test"] == {
        "examples": 4, "words": 23, "references": 2, "language": "", "truncated": {"student": 1},
    }  # fmt: skip


def test_scores_are_sacrebleus(content):
    streams = [[these[0] for _, these in PAIRS], [these[1] if len(these) > 1 else None for _, these in PAIRS]]
    said = {
        ("sequence_level", 1): STUDENT_1,
        ("sequence_level", 2): STUDENT_2,
        ("gold", 1): CONTROL,
        ("teacher", None): TEACHER,
    }
    for key, texts in said.items():
        scores = by_seed(content)[key]["scores"]
        assert scores["bleu"] == pytest.approx(sacrebleu.corpus_bleu(list(texts), streams).score)
        assert scores["chrf"] == pytest.approx(sacrebleu.corpus_chrf(list(texts), streams).score)
        assert scores["teacher_bleu"] == pytest.approx(
            sacrebleu.corpus_bleu(list(texts), [list(TEACHER)]).score
        )
    assert [by_seed(content)[key]["scores"]["agreement"] for key in said] == [0.5, 0.25, 0.0, 1.0]
    assert content["signatures"]["bleu"].startswith("nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert content["signatures"]["chrf"].startswith(
        "nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|version:"
    )
    assert content["signatures"]["teacher_bleu"].startswith("nrefs:1|")
    assert content["signatures"]["teacher_bleu"].endswith("|with:teacher")


def test_gains_intervals_and_the_share_of_the_gap(content):
    scores = {key: row["scores"]["bleu"] for key, row in by_seed(content).items()}
    student = (scores["sequence_level", 1] + scores["sequence_level", 2]) / 2
    control, teacher = scores["gold", 1], scores["teacher", None]
    assert [(gain["of"], gain["over"], gain["metric"]) for gain in content["gains"]] == [
        ("sequence_level", "gold", "bleu"),
        ("sequence_level", "gold", "chrf"),
        ("sequence_level", "teacher", "bleu"),
        ("gold", "teacher", "bleu"),
    ]
    assert content["gains"][0]["gain"] == pytest.approx(student - control)
    found = {row["name"]: row for row in content["summary"]}
    assert found["sequence_level"]["closed"] == pytest.approx((student - control) / (teacher - control))
    assert found["sequence_level"]["retention"] == pytest.approx(student / teacher)
    assert found["teacher"]["closed"] is found["gold"]["closed"] is None
    intervals = {
        (row["name"], row["seed"], row["metric"]): (row["low"], row["high"]) for row in content["intervals"]
    }
    assert len(intervals) == 2 * 5 + 2
    for name, seed, score in (
        ("sequence_level", 1, scores["sequence_level", 1]),
        ("sequence_level", None, student),
    ):
        low, high = intervals[name, seed, "bleu"]
        assert 0 <= low < score < high <= 100


def test_without_a_teacher_or_a_control_nothing_is_said_of_them(tmp_path, examples, models):
    content = evaluate_translations(tmp_path, examples, models[:2], settings=FEW)
    assert content["gains"] == []
    assert [*content["models"][0]["scores"]] == ["bleu", "chrf"]
    assert content["summary"][0]["closed"] is None


def test_faults_are_those_of_a_hand_count(content):
    found = {(row["name"], row["seed"]): row for row in content["faults"]}
    assert next(iter(found)) == ("reference", None)
    assert found["reference", None]["length_ratio"] == 1
    first, second = found["sequence_level", 1], found["sequence_level", 2]
    # Words without marks: 5 + 5 + 5 + 2, once doubled; with marks 6 + 6 + 6 + 3 against 5 + 6 + 6 + 4.
    assert first["repeated"] == pytest.approx(1 / 17)
    assert first["length_ratio"] == pytest.approx(21 / 21)
    # 4 + 4 + 0 + 3 words, "Zwei zwei" doubled whatever the case, full stops are no words.
    assert second["repeated"] == pytest.approx(1 / 11)
    assert (first["empty"], second["empty"], first["copies"]) == (0, 0.25, 0)
    assert (first["passes"], second["passes"], found["gold", 1]["passes"]) == (5, 1.25, None)
    # An empty translation is no copy; spaces and case make no difference.
    assert (found["gold", 1]["copies"], found["gold", 1]["empty"]) == (0.25, 0.5)
    assert found["gold", 1]["repeated"] == pytest.approx(2 / 9)


def test_bins_of_length_hold_every_sentence_once():
    random = np.random.default_rng(0)
    sources = [" ".join(["word"] * n) for n in random.integers(3, 40, 500)]
    bins, of = length_bins(Scorer([("x",)]), sources)
    assert sum(each.examples for each in bins) == 500
    assert len(bins) == 6
    assert max(each.examples for each in bins) < 1.5 * min(each.examples for each in bins)
    for source, place in zip(sources, of, strict=True):
        assert bins[place].low <= len(source.split()) <= bins[place].high
    assert all(one.high < other.low for one, other in pairwise(bins))
    (only,), of = length_bins(Scorer([("x",)]), ["one two", "three four"])
    assert (only.low, only.high, only.examples, of.tolist()) == (2, 2, 2, [0, 0])


def test_bleu_by_length_is_that_of_the_bins_sentences(content):
    lengths = [len(text.split()) for text, _ in PAIRS]
    for row, each in enumerate(content["lengths"]["bins"]):
        members = [n for n, length in enumerate(lengths) if each["low"] <= length <= each["high"]]
        assert each["examples"] == len(members) > 0
        streams = [[PAIRS[n][1][0] for n in members], [PAIRS[n][1][-1] for n in members]]
        expected = sacrebleu.corpus_bleu([TEACHER[n] for n in members], streams).score
        assert content["lengths"]["bleu"]["teacher"][row] == pytest.approx(expected)
    assert [*content["lengths"]["bleu"]] == ["teacher", "gold", "sequence_level"]


def test_predictions_hold_texts_references_and_translations(tmp_path, content, examples):
    table = pq.read_table(tmp_path / PREDICTIONS)
    assert table.column_names == [
        "id", "text", "references", "origin", "sequence_level@1", "sequence_level@2", "gold@1", "teacher",
    ]  # fmt: skip
    assert table.column("references").to_pylist() == [list(example.targets) for example in examples]
    assert table.column("gold@1").to_pylist() == list(CONTROL)


def test_predictions_hold_how_sure_translators_are(tmp_path, examples, models):
    sure = {name: [-0.5 * seed, -1.0, None, -0.25] for name, seed in (("one", 1), ("two", 2))}
    first, second, *others = models
    models = [
        dataclasses.replace(first, log_probabilities=sure["one"]),
        dataclasses.replace(second, log_probabilities=sure["two"]),
        *others,
    ]
    evaluate_translations(tmp_path, examples, models, settings=FEW)
    kept = read_kept(tmp_path)
    assert kept.sure == {"log_probability": {"sequence_level": [*sure.values()]}}
    assert set(kept.said) == {"teacher", "gold", "sequence_level"}, "no column of sureness is a model"
    with pytest.raises(
        LimbeckError, match="'sequence_level@1' has 3 log-probabilities, but the test set has 4"
    ):
        short = dataclasses.replace(first, log_probabilities=sure["one"][:3])
        evaluate_translations(tmp_path, examples, [short], settings=FEW)


def test_the_table_shows_bleu_in_points(content):
    row = rows(content)[-1]
    assert row["metric"] == "bleu"
    student = np.mean([each["scores"]["bleu"] for each in content["models"][:2]])
    told = markdown(rows(content))
    assert " BLEU |" in told.splitlines()[0]
    assert f"{student:.1f} ± " in told
    assert f"+{content['gains'][0]['gain']:.1f} [" in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, m: (e, [TranslationModel("a", "student", 1, TEACHER[:3])]), "'a@1' has 3 translations, but the test set has 4"),
        (lambda e, m: (e, [TranslationModel("a", "student", 1, TEACHER, None, [1])]), "'a@1' has 1 numbers of passes"),
        (lambda e, m: ([*e[:3], Example("x", "No reference", origin="f:9")], m), "f:9: test example 'x' has no reference"),
        (lambda e, m: ([], m), "the test set is empty"),
        (lambda e, m: (e, []), "there are no models"),
        (lambda e, m: (e, [m[0], m[0]]), "'sequence_level@1' is there twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(tmp_path, examples, models, change, message):
    examples, models = change(examples, models)
    with pytest.raises(LimbeckError, match=message):
        evaluate_translations(tmp_path, examples, models, settings=FEW)
