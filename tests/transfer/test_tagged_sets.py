"""Tagged sentences on their way to a transfer set: kept, cleaned, cut, and what is told of them."""

from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Recipe
from limbeck.core.schema import validate
from limbeck.core.sources import Clean, Data
from limbeck.text.clean import clean
from limbeck.transfer import cutting
from limbeck.transfer.prepare import Prepared, prepare
from limbeck.transfer.transfer_set import TransferSet

LABELS = ("O", "B-X", "I-X")


@pytest.fixture
def file(tmp_path):
    """Writes a conll file of sentences, each ``word/TAG word/TAG``, and gives its path."""

    def write(name, sentences):
        path = tmp_path / name
        blocks = ["\n".join(pair.replace("/", "\t") for pair in one.split()) for one in sentences]
        path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
        return {"path": str(path), "format": "conll"}

    return write


def tagged(one, text, tags):
    words = tuple(text.split())
    return Example(one, text, None, "", words, None if tags is None else tuple(tags.split()))


def prepared(**values):
    return prepare(validate(Data, values), task="tagging")


# Transfer sets.


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.lists(
            st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(LABELS)), max_size=4
        )
    ),
    untagged=st.integers(0, 3),
)
def test_what_is_saved_comes_back(tmp_path, rows, untagged):
    examples = [
        Example(
            str(n),
            "t",
            None,
            "",
            tuple(w for w, _ in row),
            tuple(t for _, t in row) if n >= untagged else None,
        )
        for n, row in enumerate(rows)
    ]
    ours = TransferSet(tuple(examples), LABELS)
    ours.save(tmp_path, "train")
    again = TransferSet.load(tmp_path, "train")
    if any(e.words for e in examples):
        assert again == ours
        assert again.fingerprint == ours.fingerprint
        assert again.labelled.examples == tuple(examples[untagged:])


def test_columns_of_taggers_are_written_for_taggers_alone(tmp_path):
    TransferSet((Example("a", "b", "x"),), ("x",)).save(tmp_path, "plain")
    TransferSet((tagged("a", "b", "O"),), LABELS).save(tmp_path, "tagged")
    names = {}
    for name in ("plain", "tagged"):
        with pa.memory_map(str(tmp_path / f"{name}.arrow")) as mapped, pa.ipc.open_file(mapped) as reader:
            names[name] = reader.schema.names
    assert names["plain"] == ["id", "text", "gold", "origin"]
    assert names["tagged"] == ["id", "text", "gold", "origin", "words", "tags"]


def test_the_fingerprint_hears_words_and_tags():
    one = tagged("a", "b c", "O O")
    others = [
        one,
        replace(one, words=("b c",), tags=("O",)),
        replace(one, tags=("O", "B-X")),
        replace(one, tags=None),
        replace(one, words=(), tags=None),
    ]
    assert len({TransferSet((other,), LABELS).fingerprint for other in others}) == len(others)


def test_as_many_tags_as_words():
    with pytest.raises(LimbeckError, match=r"example 'a' has 2 words and 1 tags"):
        TransferSet((tagged("a", "b c", "O"),), LABELS)


# Cleaning.


def test_duplicates_are_equal_in_every_word():
    given = [
        tagged("0", "Apple fell", "B-X O"),
        tagged("1", "apple fell", "O O"),  # a capital is a sign
        tagged("2", "Apple fell", "B-X O"),
        tagged("3", "Apple fell", None),
        tagged("4", "so so", "O O"),
        tagged("5", "so so", "B-X O"),
        tagged("6", "bad\ufffd", "O"),
        tagged("7", "", ""),
    ]
    kept, dropped = clean(given, Clean())
    assert [e.id for e in kept] == ["0", "1"]
    assert dropped == {"duplicate": 2, "contradictory": 2, "damaged": 1, "empty": 1}


# Cutting.


@given(st.integers(2, 40), st.integers(1, 39), st.integers(0, 3))
def test_sentences_are_cut_and_hidden_at_random(number, wanted, seed):
    wanted = min(wanted, number - 1)
    examples = [tagged(str(n), f"w{n}", LABELS[n % 3]) for n in range(number)] + [tagged("u", "w", None)]
    stays, off = cutting.cut(examples, wanted, "dev", seed)
    assert len(off) == wanted and all(e.tags for e in off)
    assert sorted(e.id for e in stays + off) == sorted(e.id for e in examples)
    assert cutting.cut(examples, wanted, "dev", seed) == (stays, off)
    after = cutting.hide(examples, wanted, seed)
    assert [e.id for e in after] == [e.id for e in examples]
    assert sum(e.tags is not None for e in after) == wanted
    assert cutting.labels_of(examples) == tuple(tag for tag in LABELS if tag in LABELS[:number])


# Prepare.


def test_a_tag_of_test_that_train_lacks_is_told_and_stops_nothing(file, listener, tmp_path):
    train = file("train.txt", [f"a{n}/O b/B-X c/I-X" for n in range(30)])
    test = file("test.txt", ["a1/O b/B-X c/I-X", "x/B-Y y/I-Y z/O", "b/B-X ./O"])
    ours = prepared(train=train, test=test, dev=5, labelled=20)
    assert ours.train.labels == LABELS
    assert ours.report["unseen"] == {"train": {}, "dev": {}, "test": {"B-Y": 1, "I-Y": 1}}
    assert ours.report["labels"] == {
        "train": {"O": 20, "B-X": 20, "I-X": 20},
        "dev": {"O": 5, "B-X": 5, "I-X": 5},
        "test": {"O": 3, "B-X": 2, "I-X": 1},
    }
    assert ours.report["spans"]["test"] == {"X": 2, "Y": 1}
    assert ours.report["words"] == {"train": 3 * len(ours.train), "dev": 15, "test": 8}
    assert (
        "tags of test that train lacks count as errors of every model: B-Y (1), I-Y (1)" in listener.warnings
    )
    # Words of test are heard from no teacher; those with gold are counted.
    in_train = [e for e in ours.train if e.words == ("a1", "b", "c")]
    overlap = ours.report["overlap"]["train and test"]
    assert sum(e.labelled for e in in_train) == len(in_train) == overlap
    ours.save(tmp_path)
    assert Prepared.load(tmp_path) == ours


def test_tags_of_unlabelled_text_are_hidden_and_doubles_go(file):
    train = file("train.txt", [f"a{n}/O b/B-X" for n in range(20)])
    more = file("more.txt", ["a3/O b/O", "new/B-X words/O", "new/B-X words/O"])
    ours = prepared(train=train, unlabelled=[more], dev=2, test=2)
    new = [e for e in ours.train if not e.labelled]
    assert [(e.words, e.tags) for e in new] == [(("new", "words"), None)]
    assert ours.report["unlabelled"] == 1
    assert len(ours.train.labelled) == 16


def test_parts_of_speech_are_labels_by_name(file):
    ours = prepared(train=file("train.txt", [f"a{n}/NN b/VB" for n in range(10)]), dev=2, test=2)
    assert ours.train.labels == ("NN", "VB")
    assert "spans" not in ours.report


@pytest.mark.parametrize(
    ("train", "more", "message"),
    [
        (
            ["a", "b"],
            {},
            r"train\.txt: no training example has tags\. Name their column in 'tags' \(a file with one",
        ),
        (["a/O", "b/O"], {"dev": 1}, r"train\.txt: every word has the tag 'O'"),
        (
            ["a/O", "b/B-X"],
            {"dev": 2},
            r"too few rows: 2 for dev cannot be cut from 1 tagged sentences, one to stay",
        ),
        (
            ["a/O", "b/B-X", "c/O"],
            {"dev": 1, "test": 1, "labelled": 9},
            r"'labelled' asks for 9 labelled examples",
        ),
    ],
)
def test_what_is_refused(file, train, more, message):
    with pytest.raises(LimbeckError, match=message):
        prepared(train=file("train.txt", train), **({"test": 1} | more))


def test_test_sentences_need_tags(file):
    train = file("train.txt", [f"a{n}/O b/B-X" for n in range(10)])
    with pytest.raises(
        LimbeckError, match=r"test\.txt:1: an example of test has no tags\. Every dev and test"
    ):
        prepared(train=train, dev=2, test=file("test.txt", ["a", "b"]))


def test_the_recipe_knows_the_task():
    values = {"data": {"train": "a"}, "teacher": {"model": "m"}}
    assert validate(Recipe, values).task == "classification"
    assert validate(Recipe, values | {"task": "tagging"}).task == "tagging"
    with pytest.raises(LimbeckError, match="'task'"):
        validate(Recipe, values | {"task": "parsing"})
