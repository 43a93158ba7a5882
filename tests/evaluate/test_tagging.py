"""Taggers' evaluation.json and predictions.parquet: hand-counted scores, and what cannot be judged."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import read_json
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.entities import paired_tags
from limbeck.evaluate.judged import EVALUATION, PREDICTIONS
from limbeck.evaluate.kept import read_kept
from limbeck.evaluate.table import rows
from limbeck.evaluate.tagging import TagModel, evaluate_tagging

pytestmark = pytest.mark.unit
LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
FEW = Evaluation(resamples=300)
SENTENCES = (
    ("Ada Lovelace met Babbage", "B-PER I-PER O B-PER"),
    ("London is grey", "B-LOC O O"),
    ("New York , Bern", "B-LOC I-LOC O B-LOC"),
    ("nothing here", "O O"),
)
TEACHER = ("B-PER I-PER O B-PER", "B-LOC O O", "B-LOC I-LOC O B-LOC", "O B-PER")
CONTROL = ("B-PER O O O", "B-PER O O", "B-LOC I-LOC O O", "O O")
STUDENT_1 = ("B-PER I-PER O O", "B-LOC O O", "B-LOC O O B-LOC", "O O")
STUDENT_2 = ("B-PER I-PER O B-PER", "B-LOC O O", "B-LOC I-LOC O O", "O O")


def numbers(tags, labels=LABELS):
    return [np.array([labels.index(tag) for tag in one.split()]) for one in tags]


def said(name, role, seed, tags, dev=None):
    return TagModel(name, role, seed, numbers(tags), dev)


def example(n, words, tags):
    words = tuple(words.split())
    return Example(f"t:{n}", " ".join(words), origin=f"test.conll:{n}", words=words, tags=tuple(tags.split()))


@pytest.fixture
def examples():
    return [example(n, *sentence) for n, sentence in enumerate(SENTENCES)]


@pytest.fixture
def taggers():
    return [
        said("chain_posterior", "student", 1, STUDENT_1, 0.9),
        said("chain_posterior", "student", 2, STUDENT_2, 0.8),
        said("gold", "control", 1, CONTROL, 0.5),
        said("teacher", "teacher", None, TEACHER),
    ]


@pytest.fixture
def content(tmp_path, examples, taggers, costs):
    return evaluate_tagging(
        tmp_path, LABELS, examples, taggers, costs=costs, settings=FEW, truncated={"student": 1}
    )


def test_the_file_holds_what_is_returned_in_the_contracts_keys(tmp_path, content):
    assert read_json(tmp_path / EVALUATION) == content
    assert list(content) == [
        "task", "labels", "test", "models", "summary", "signatures", "gains", "cost", "types",
    ]  # fmt: skip
    assert content["task"] == "tagging"
    assert content["test"] == {"examples": 4, "words": 13, "truncated": {"student": 1}}
    assert next(row["times_faster"] for row in content["cost"]) == 1


def test_scores_are_those_of_a_hand_count(content):
    # Gold has five spans: Ada Lovelace, Babbage, London, New York, Bern.
    first, second, control, teacher = (row["scores"] for row in content["models"])
    assert teacher == pytest.approx(
        {"precision": 5 / 6, "recall": 1, "f1": 10 / 11, "token_accuracy": 12 / 13, "agreement": 1}
    )
    assert first == pytest.approx(
        # It finds Ada Lovelace, London and Bern, and New where New York is; two words are wrong, three not the teacher's.
        {"precision": 3 / 4, "recall": 3 / 5, "f1": 6 / 9, "token_accuracy": 11 / 13, "agreement": 10 / 13}
    )
    assert second == pytest.approx(
        {"precision": 1, "recall": 4 / 5, "f1": 8 / 9, "token_accuracy": 12 / 13, "agreement": 11 / 13}
    )
    assert control == pytest.approx(
        {"precision": 1 / 3, "recall": 1 / 5, "f1": 2 / 8, "token_accuracy": 9 / 13, "agreement": 8 / 13}
    )


def test_summary_keeps_f1_over_seeds(content):
    assert [row["name"] for row in content["summary"]] == ["teacher", "gold", "chain_posterior"]
    teacher, control, student = content["summary"]
    assert student["mean"]["f1"] == pytest.approx((6 / 9 + 8 / 9) / 2)
    assert student["deviation"]["f1"] == pytest.approx(np.std([6 / 9, 8 / 9], ddof=1))
    assert student["retention"] == pytest.approx(7 / 9 / (10 / 11))
    assert (teacher["retention"], control["retention"]) == pytest.approx((1, 0.25 / (10 / 11)))


def test_gains_are_those_of_the_paired_bootstrap_by_sentence(content):
    assert [(gain["of"], gain["over"], gain["metric"]) for gain in content["gains"]] == [
        ("chain_posterior", "gold", "f1"),
        ("chain_posterior", "gold", "precision"),
        ("chain_posterior", "gold", "recall"),
        ("chain_posterior", "gold", "token_accuracy"),
        ("chain_posterior", "teacher", "f1"),
        ("gold", "teacher", "f1"),
    ]
    tags = {
        "chain_posterior": [STUDENT_1, STUDENT_2],
        "gold": [CONTROL],
        "teacher": [TEACHER],
    }
    of = {name: [[one.split() for one in seed] for seed in seeds] for name, seeds in tags.items()}
    gold = [tags.split() for _, tags in SENTENCES]
    for gain in content["gains"]:
        expected = paired_tags(gold, of[gain["of"]], of[gain["over"]], metric=gain["metric"], resamples=300)
        for field, value in dataclasses.asdict(expected).items():
            assert gain[field] == pytest.approx(value)


def test_types_are_of_the_seed_that_is_best_on_dev(content):
    assert set(content["types"]) == {"teacher", "gold", "chain_posterior"}
    places, people = content["types"]["chain_posterior"]
    assert places == {
        "type": "LOC", "precision": pytest.approx(2 / 3), "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3), "support": 3, "predicted": 3, "correct": 2,
    }  # fmt: skip
    assert (people["type"], people["precision"], people["recall"], people["support"]) == ("PER", 1, 0.5, 2)


def test_signatures_say_what_was_counted(content):
    assert set(content["signatures"]) == set(content["models"][0]["scores"])
    assert content["signatures"]["f1"].startswith(
        "f1|spans:conlleval|average:micro|zero:0|examples:4|labels:5|limbeck:"
    )
    assert content["signatures"]["agreement"].startswith("agreement|with:teacher|unit:word|examples:4|")


def test_predictions_hold_each_models_tags(tmp_path, content):
    table = pq.read_table(tmp_path / PREDICTIONS)
    assert table.column_names == [
        "id", "words", "gold", "origin", "chain_posterior@1", "chain_posterior@2", "gold@1", "teacher",
    ]  # fmt: skip
    assert json.loads(table.schema.metadata[b"labels"]) == list(LABELS)
    assert table.column("words").to_pylist() == [words.split() for words, _ in SENTENCES]
    assert table.column("gold").to_pylist() == [tags.split() for _, tags in SENTENCES]
    assert table.column("chain_posterior@1").to_pylist() == [one.split() for one in STUDENT_1]
    assert table.column("teacher").to_pylist() == [one.split() for one in TEACHER]


def test_predictions_hold_how_sure_taggers_are(tmp_path, examples, taggers):
    sure = [np.linspace(0.5, 1, len(tags)) for tags in taggers[0].tags]
    sure[1][-1] = np.nan  # a word that it did not read
    first = dataclasses.replace(taggers[0], confidence=sure, entropy=[2 * one for one in sure])
    evaluate_tagging(tmp_path, LABELS, examples, [first, *taggers[1:]], settings=FEW)
    table = pq.read_table(tmp_path / PREDICTIONS)
    assert [name for name in table.column_names if ":" in name] == [
        "chain_posterior@1:confidence", "chain_posterior@1:entropy",
    ]  # fmt: skip
    kept = read_kept(tmp_path)
    assert "chain_posterior" not in kept.sure.get("confidence", {}), "its other seed tells none"
    column = table.column("chain_posterior@1:confidence").to_pylist()
    assert column[1][-1] is None and column[0] == pytest.approx(sure[0])
    assert set(kept.said) == {"teacher", "gold", "chain_posterior"}, "no column of sureness is a model"
    with pytest.raises(LimbeckError, match="'chain_posterior@1' tells not one confidence a word"):
        short = dataclasses.replace(first, confidence=sure[:-1])
        evaluate_tagging(tmp_path, LABELS, examples, [short, *taggers[1:]], settings=FEW)


def test_a_gold_tag_that_no_model_knows_is_an_error_of_all(tmp_path, examples, taggers):
    examples[3] = dataclasses.replace(examples[3], tags=("O", "B-MISC"))
    content = evaluate_tagging(tmp_path, LABELS, examples, taggers, settings=FEW)
    assert content["models"][1]["scores"]["recall"] == pytest.approx(4 / 6)
    assert content["models"][3]["scores"]["token_accuracy"] == pytest.approx(12 / 13)
    misc = next(one for one in content["types"]["teacher"] if one["type"] == "MISC")
    assert (misc["f1"], misc["support"], misc["predicted"]) == (0, 1, 0)


def test_tags_without_spans_have_token_accuracy_alone(tmp_path):
    labels = ("DET", "NOUN", "VERB")
    gold = [("the dog barks", "DET NOUN VERB"), ("dogs bark", "NOUN VERB")]
    models = [
        TagModel("teacher", "teacher", None, numbers(("DET NOUN VERB", "NOUN NOUN"), labels)),
        TagModel("gold", "control", 1, numbers(("DET NOUN NOUN", "NOUN NOUN"), labels)),
        TagModel("soft", "student", 1, numbers(("DET NOUN NOUN", "NOUN VERB"), labels)),
    ]
    tests = [example(n, *one) for n, one in enumerate(gold)]
    content = evaluate_tagging(tmp_path, labels, tests, models, settings=FEW)
    assert content["summary"][0]["mean"] == pytest.approx({"token_accuracy": 0.8, "agreement": 1})
    assert [row["retention"] for row in content["summary"]] == pytest.approx([1, 0.75, 1])
    assert {gain["metric"] for gain in content["gains"]} == {"token_accuracy"}
    nouns = next(one for one in content["types"]["soft"] if one["type"] == "NOUN")
    assert (nouns["precision"], nouns["recall"], nouns["support"]) == (pytest.approx(2 / 3), 1, 2)
    assert [row["token_accuracy"] for row in rows(content)] == pytest.approx([0.8, 0.6, 0.8])


def test_without_teacher_there_is_no_agreement_and_no_retention(tmp_path, examples, taggers):
    content = evaluate_tagging(tmp_path, LABELS, examples, taggers[:-1], settings=FEW)
    assert "agreement" not in content["models"][0]["scores"]
    assert [row["retention"] for row in content["summary"]] == [None, None]


def test_the_runs_table_is_headed_by_what_decides(content):
    from limbeck.evaluate.table import markdown

    table = rows(content)
    assert [row["metric"] for row in table] == ["f1"] * 3
    assert table[2]["gain"] == pytest.approx(7 / 9 - 0.25)
    head, _, teacher, control, student = markdown(table).splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")][:4] == [
        "model", "seeds", "F1", "gain over control",
    ]  # fmt: skip
    assert " 90.9 | " in teacher
    assert "77.8 ± 15.7 | +52.8 [" in student
    assert control.startswith("| gold (control) ")


def test_the_terminals_table_too(content):
    from rich.console import Console

    from limbeck.evaluate.table import terminal

    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal(rows(content)))
    shown = capture.get()
    assert " F1 " in shown.splitlines()[0]
    assert "accuracy" not in shown


def refused(tmp_path, examples, models, message):
    with pytest.raises(LimbeckError) as caught:
        evaluate_tagging(tmp_path, LABELS, examples, models, settings=FEW)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_judged(tmp_path, examples, taggers):
    refused(tmp_path, [], taggers, "the test set is empty.")
    refused(tmp_path, examples, [], "there are no models to evaluate.")
    message = "'gold@1' is there twice; each model and seed is judged once."
    refused(tmp_path, examples, [taggers[2]] * 2, message)
    untagged = [*examples[:3], dataclasses.replace(examples[3], tags=None)]
    message = "test.conll:3: test example 't:3' has no gold tags. Every test example needs one a word."
    refused(tmp_path, untagged, taggers, message)
    short = [*examples[:3], dataclasses.replace(examples[3], tags=("O",))]
    message = "test.conll:3: test example 't:3' has 2 words and 1 gold tags."
    refused(tmp_path, short, taggers, message)


def test_answers_that_do_not_fit_the_test_set(tmp_path, examples, taggers):
    one = taggers[2]
    refused(
        tmp_path, examples, [dataclasses.replace(one, tags=one.tags[:3])],
        "'gold@1' tagged 3 sentences, but the test set has 4.",
    )  # fmt: skip
    refused(
        tmp_path, examples, [dataclasses.replace(one, tags=[*one.tags[:3], np.array([0])])],
        "'gold@1' gave tags of the shape (1,) to test sentence 4, which has 2 words. "
        "Tag every word, those past the model's length as O.",
    )  # fmt: skip
    refused(
        tmp_path, examples, [dataclasses.replace(one, tags=[*one.tags[:3], np.array([0, 5])])],
        "'gold@1' gave test sentence 4 a tag that is not among the 5 labels.",
    )  # fmt: skip
