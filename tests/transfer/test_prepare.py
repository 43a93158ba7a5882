"""Prepare, on small files: what is read, dropped, cut and hidden; every refusal in its words; real data."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.schema import validate
from limbeck.core.sources import Clean, Data, Source
from limbeck.transfer import cutting
from limbeck.transfer.prepare import Prepared, prepare


@pytest.fixture
def file(tmp_path):
    """Writes a CSV of (text, label) rows, and gives its path."""

    def write(name, rows, header="text,label"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
        return str(path)

    return write


def numbered(word, counts):
    """Rows of so many different texts for each label."""
    return [(f"{word} {label} {n}", label) for label, count in counts.items() for n in range(count)]


def golds(examples):
    return Counter(example.gold for example in examples)


def data(**values):
    return validate(Data, values)


# What comes out.


def test_dev_and_test_are_cut_in_proportion_and_the_same_every_time(file):
    path = file("all.csv", numbered("t", {"a": 60, "b": 30, "c": 10}))
    ours = prepare(data(train=path, dev=0.1, test=20))
    assert golds(ours.test) == {"a": 12, "b": 6, "c": 2}
    assert golds(ours.dev) == {"a": 6, "b": 3, "c": 1}
    assert golds(ours.train) == {"a": 42, "b": 21, "c": 7}
    everything = sorted(ours.train.ids + ours.dev.ids + ours.test.ids)
    assert everything == sorted(f"all.csv:{line}" for line in range(2, 102))
    again = prepare(data(train=path, dev=0.1, test=20))
    assert again == ours
    assert prepare(data(train=path, dev=0.1, test=20, seed=1)).test.ids != ours.test.ids
    # Test does not move when dev does.
    assert prepare(data(train=path, dev=0.3, test=20)).test == ours.test
    lines = [int(one.rpartition(":")[2]) for one in ours.train.ids]
    assert lines == sorted(lines)


def test_the_report_counts_everything(file, listener, tmp_path):
    rows = [
        *numbered("t", {"a": 8, "b": 8}),
        ("", "a"),
        ("bad\ufffd", "b"),
        ("T a  0", "a"),
        ("so", "a"),
        ("so", "b"),
    ]
    train = file("train.csv", rows)
    dev = file("dev.csv", numbered("dev", {"a": 2, "b": 2}))
    test = file("test.csv", [*numbered("test", {"a": 3, "b": 1}), ("t b 1", "b"), ("", "a")])
    more = [("test a 1",), ("DEV a 1",), ("t a 3",), ("new",), ("New",), ("also new",)]
    unlabelled = file("more.csv", more, header="text")
    ours = prepare(data(train=train, dev=dev, test=test, unlabelled=unlabelled))
    assert ours.report["read"] == {"train": 21, "dev": 4, "test": 6, "unlabelled": 6}
    assert ours.report["dropped"] == {
        "train": {"empty": 1, "damaged": 1, "duplicate": 1, "contradictory": 2},
        "dev": {},
        "test": {"empty": 1},
        "unlabelled": {"duplicate": 2, "in test": 1, "in dev": 1},
    }
    assert ours.report["cut"] == {}
    assert ours.report["labels"] == {
        "train": {"a": 8, "b": 8},
        "dev": {"a": 2, "b": 2},
        "test": {"a": 3, "b": 2},
    }
    assert ours.report["unlabelled"] == 2
    assert ours.report["overlap"] == {"train and test": 1, "train and dev": 0}
    assert ours.report["fingerprints"]["train"] == ours.train.fingerprint
    assert [e.text for e in ours.train if e.gold is None] == ["new", "also new"]
    assert f"prepare   read 21 rows from {train}" in listener.said
    assert "prepare   dropped from train: 1 empty, 1 damaged, 1 duplicate, 2 contradictory" in listener.said
    assert (
        "prepare   dropped from the unlabelled text of unlabelled: 1 in test, 1 in dev, 1 duplicate"
        in listener.said
    )
    assert listener.said[-1] == (
        "prepare   16 labelled and 2 unlabelled training examples, 4 dev, 5 test; labels: a, b"
    )
    assert listener.warnings == [
        "prepare   dropped from test: 1 empty",
        "1 labelled training text also in test (5): its scores may flatter",
    ]
    ours.save(tmp_path / "prepared")
    assert Prepared.load(tmp_path / "prepared") == ours
    names = sorted(path.name for path in (tmp_path / "prepared").iterdir())
    assert names == ["dev.arrow", "prepared.json", "test.arrow", "train.arrow"]


def test_published_test_sets_stay_as_they_are(file):
    train = file("train.csv", numbered("t", {"a": 8, "b": 8}))
    test = file("test.csv", [("same", "a"), ("same", "a"), ("odd", "a"), ("odd", "b"), ("bad\ufffd", "a")])
    assert len(prepare(data(train=train, test=test)).test) == 5


def test_labelled_hides_gold_in_balance(file):
    path = file("all.csv", numbered("t", {"a": 50, "b": 20, "c": 4}))
    ours = prepare(data(train=path, dev=6, test=6, labelled=15))
    assert golds(ours.train.labelled) == {"a": 6, "b": 5, "c": 4}
    assert ours.report["cut"] == {"test": 6, "dev": 6, "hidden": 47}
    assert len(ours.train) == 62
    whole = prepare(data(train=path, dev=6, test=6))
    assert (whole.dev, whole.test, whole.train.ids) == (ours.dev, ours.test, ours.train.ids)
    assert all(e.gold in (None, w.gold) for e, w in zip(ours.train, whole.train, strict=True))


def test_labels_stay_known_where_none_of_their_gold_would_be_seen(file):
    path = file("all.csv", numbered("t", {"a": 6, "b": 6, "c": 6}))
    ours = prepare(data(train=path, dev=3, test=3, labelled=3))
    assert golds(ours.train.labelled) == {"a": 1, "b": 1, "c": 1}


def test_hidden_texts_of_the_test_set_are_not_heard(file):
    train = file("train.csv", numbered("t", {"a": 5, "b": 5}))
    test = file("test.csv", numbered("t", {"a": 5, "b": 5}))
    ours = prepare(data(train=train, test=test, dev=2, labelled=4))
    assert len(ours.train) == 4
    assert ours.report["dropped"]["train"] == {"in test": 4}
    assert ours.report["overlap"]["train and test"] == 4


def test_limit_draws_rows_for_quick_trials(file):
    path = file("all.csv", numbered("t", {"a": 60, "b": 40}))
    ours = prepare(data(train=path, limit=30, dev=5, test=5))
    assert len(ours.train) == 20
    assert ours.report["cut"] == {"limit": 70, "test": 5, "dev": 5}
    assert prepare(data(train=path, limit=1000)).report["cut"].keys() == {"test", "dev"}


def test_an_empty_label_means_unlabelled_and_is_never_cut(file):
    rows = [*numbered("t", {"a": 10, "b": 10}), *((f"free {n}", "") for n in range(20))]
    ours = prepare(data(train=file("all.csv", rows), dev=0.2, test=0.2))
    assert golds(ours.train) == {"a": 6, "b": 6, None: 20}
    assert golds(ours.test) == {"a": 2, "b": 2}
    assert ours.report["unlabelled"] == 20


def test_labels_of_unlabelled_sources_are_hidden_and_need_not_exist(file):
    train = file("train.csv", numbered("t", {"a": 8, "b": 8}))
    labelled = file("more.csv", [("new", "zebra"), ("newer", "")])
    ours = prepare(data(train=train, unlabelled=[labelled, file("x.csv", [("newest",)], header="text")]))
    assert ours.train.labels == ("a", "b")
    assert [e.gold for e in ours.train if e.text.startswith("new")] == [None] * 3


@pytest.mark.parametrize(
    ("names", "order"),
    [(["10", "9", "-1"], ("-1", "9", "10")), (["10", "9", "x"], ("10", "9", "x")), (["b", "A"], ("A", "b"))],
)
def test_labels_stand_in_the_order_of_numbers_or_names(file, names, order):
    ours = prepare(data(train=file("all.csv", numbered("t", dict.fromkeys(names, 5))), dev=2, test=2))
    assert ours.train.labels == ours.dev.labels == ours.test.labels == order


def test_files_of_one_name_are_told_apart_by_their_folders(file):
    one = file("en/part.csv", numbered("t", {"a": 5, "b": 5}))
    two = file("de/part.csv", numbered("u", {"a": 5, "b": 5}))
    ours = prepare(data(train=[one, two], dev=2, test=2))
    assert {one.rpartition(":")[0] for one in ours.train.ids} == {"en/part.csv", "de/part.csv"}


@pytest.mark.parametrize("duplicates", [True, False])
def test_the_training_file_given_as_unlabelled_too_adds_nothing(file, duplicates):
    path = file("all.csv", numbered("t", {"a": 8, "b": 8}))
    ours = prepare(data(train=path, unlabelled=path, clean={"duplicates": duplicates}, dev=2, test=2))
    assert len(ours.train) == 12
    assert ours.report["dropped"]["unlabelled"] == {"in test": 2, "in dev": 2, "duplicate": 12}


def test_doubtful_data_is_warned_of(file, listener):
    rows = [*numbered("t", {"a": 9, "b": 6}), *((f"x\ufffd{n}", "a") for n in range(9))]
    test = file("test.csv", numbered("u", {"a": 3}))
    prepare(data(train=file("all.csv", rows), dev=3, test=test))
    assert listener.warnings == [
        "38% of train is damaged text; was it read with the right 'encoding'?",
        "test has no example of b",
    ]
    prepare(data(train=file("few.csv", numbered("t", {"a": 9, "b": 2})), dev=1, test=1))
    assert listener.warnings[-1] == "fewer than 5 labelled training examples of b"


# What is refused. Each is one sentence, with the place.


@pytest.mark.parametrize(
    ("rows", "values", "message"),
    [
        (
            [("x", "a"), ("y", "a")],
            {},
            r"all\.csv: every example has the same label, 'a'\. A classifier",
        ),
        ([("x", ""), ("y", "")], {}, r"all\.csv: no training example has a label\. Name their column"),
        (
            [("", "a"), ("\x00", "b")],
            {},
            r"all\.csv: no row of train is left after cleaning \(1 empty, 1 damaged\)",
        ),
        (
            numbered("t", {"a": 2, "b": 2}),
            {"dev": 2, "test": 1},
            r"all\.csv: too few rows: 2 for dev cannot be cut",
        ),
        (
            [(f"t {n}", f"label {n}") for n in range(40)],
            {},
            r"too few rows: 4 for test cannot be cut from 40 labelled examples with 40 labels, one of "
            r"each to stay for training\. Give test a file of its own or a smaller number; or is 'label' "
            r"the wrong column\?$",
        ),
        (
            numbered("t", {"a": 9, "b": 9}),
            {"labelled": 99},
            r"all\.csv: 'labelled' asks for 99 labelled examples, a",
        ),
        (
            numbered("t", {"a": 9, "b": 9}),
            {"labelled": 1},
            r"'labelled' keeps 1 examples, too few for 2 labels\. K",
        ),
    ],
)
def test_training_data_that_is_refused(file, rows, values, message):
    with pytest.raises(LimbeckError, match=message):
        prepare(data(train=file("all.csv", rows), **values))


def test_a_training_text_without_labels_takes_them_from_dev_and_test_where_nobody_learns_from_gold(
    file, listener
):
    parts = {
        "train": file("train.csv", [(f"t {n}", "") for n in range(9)]),
        "dev": file("dev.csv", numbered("d", {"b": 2})),
        "test": file("test.csv", [*numbered("u", {"a": 1, "c": 2}), ("t 3", "a")]),
    }
    ours = prepare(data(**parts))
    assert ours.train.labels == ours.dev.labels == ("a", "b", "c")
    assert len(ours.train) == 8 and not ours.train.labelled  # and nobody hears the teacher on a text of test
    assert sorted(listener.warnings) == ["dev has no example of a, c", "test has no example of b"]
    with pytest.raises(LimbeckError, match="has a label, from which the teacher and 'gold' would learn"):
        prepare(data(**parts), learners=["the teacher", "'gold'"])
    with pytest.raises(LimbeckError, match="no training example has a label"):
        prepare(data(**(parts | {"test": 2})))
    same = {role: file(f"same-{role}.csv", numbered(role, {"a": 3})) for role in ("dev", "test")}
    with pytest.raises(LimbeckError, match="every example has the same label, 'a'"):
        prepare(data(**(parts | same)))


def test_labels_that_only_dev_or_test_has(file):
    train = file("train.csv", numbered("t", {"a": 8, "b": 8}))
    other = file("other.csv", [("fine", "a"), ("two", "c")])
    for role in ("dev", "test"):
        message = (
            rf"{other}:3: the label 'c' is in {role} but not in train, which has a, b\. Rename labels with"
        )
        with pytest.raises(LimbeckError, match=message) as caught:
            prepare(data(**{"train": train, role: other}))
        assert (caught.value.where, caught.value.line) == (other, 3)


def test_a_dev_or_test_example_without_label(file):
    train = file("train.csv", numbered("t", {"a": 8, "b": 8}))
    test = file("test.csv", [("fine", "a"), ("two", "")])
    with pytest.raises(
        LimbeckError, match=rf"{test}:3: an example of test has no label\. Every dev and test"
    ):
        prepare(data(train=train, test=test))
    with pytest.raises(LimbeckError, match=r"blank\.csv: no row of dev has text"):
        prepare(data(train=train, dev=file("blank.csv", [("", "a")])))


def test_bad_files_name_file_and_line(file, tmp_path):
    good = file("good.csv", numbered("t", {"a": 8, "b": 8}))
    bad = tmp_path / "bad.csv"
    for content, message in {
        b"": r"bad\.csv: the file is empty",
        b"text,label\nx,a\ncaf\xe9,b\n": r"bad\.csv:3: not UTF-8 \(byte 0xe9\)",
        b"text,label\nx,a\ny,b,c\n": r"bad\.csv:3: 3 columns where the header has 2",
        b"sentence,label\nx,a\n": r"bad\.csv: there is no column 'text'; there are: 'sentence', 'label'",
    }.items():
        bad.write_bytes(content)
        for values in (
            {"train": str(bad)},
            {"train": good, "test": str(bad)},
            {"train": good, "unlabelled": str(bad)},
        ):
            with pytest.raises(LimbeckError, match=message):
                prepare(data(**values))


def test_checksums_come_first(file):
    path = file("all.csv", numbered("t", {"a": 8, "b": 8}))
    with pytest.raises(LimbeckError, match=r"its SHA-256 is"):
        prepare(data(train=path), {path: "0" * 64})


def test_ids_of_two_files_that_clash(file):
    header = "text,label,id"
    one = file("one.csv", [(f"t {n}", "ab"[n % 2], str(n)) for n in range(20)], header)
    two = file("two.csv", [("other", "a", "0")], header)
    sources = [{"path": one, "id": "id"}, {"path": two, "id": "id"}]
    with pytest.raises(LimbeckError, match=r"the id '0' stands at 2 examples \(one\.csv:2, two\.csv:2\)"):
        prepare(data(train=sources, dev=2, test=2))


# Draws.

COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 20), min_size=2)


def made(counts):
    return [Example(f"{label}{n}", "t", label) for label, count in counts.items() for n in range(count)]


@given(counts=COUNTS, share=st.floats(0, 1), seed=st.integers(0, 5))
def test_a_cut_takes_what_is_asked_and_leaves_every_label(counts, share, seed):
    examples = made(counts)
    room = len(examples) - len(counts)
    wanted = round(share * room)
    stays, off = cutting.cut(examples, wanted, "dev", seed)
    assert len(off) == wanted
    assert sorted(e.id for e in stays + off) == sorted(e.id for e in examples)
    assert set(golds(stays)) == set(counts)
    for label, count in counts.items():
        # In proportion to what may go, to the nearest whole.
        assert abs(golds(off)[label] - (wanted * (count - 1) / room if room else 0)) < 1


@given(counts=COUNTS, share=st.floats(0, 1), seed=st.integers(0, 5))
def test_hiding_shows_labels_alike(counts, share, seed):
    examples = made(counts)
    shown = len(counts) + round(share * (len(examples) - len(counts)))
    after = cutting.hide(examples, shown, seed)
    seen = golds(after)
    assert [e.id for e in after] == [e.id for e in examples]
    assert sum(seen[label] for label in counts) == shown
    # No label has two more than another that still hides some.
    hides = [seen[label] for label, count in counts.items() if seen[label] < count]
    assert max(seen[label] for label in counts) <= min(hides, default=shown) + 1


# Real data.

SHARED = os.environ.get("LIMBECK_DATA", "")
needs_data = pytest.mark.skipif(
    not Path(SHARED).is_dir() or not SHARED, reason="LIMBECK_DATA names no folder"
)


@pytest.mark.data
@needs_data
@pytest.mark.parametrize(
    ("source", "rows", "labels"),
    [
        (Source(path="sst2/train.tsv", text="sentence"), 67349, ("0", "1")),
        (Source(path="cola/train.tsv", header=False, text=3, label=1), 7250, ("0", "1")),
        (Source(path="rte/train.tsv", text="sentence1"), 2127, ("entailment", "not_entailment")),
        (Source(path="qqp/dev.txt", format="tsv", header=False, text=0, label=2), 10000, ("0", "1")),
        (Source(path="scicite/train.jsonl"), 7320, ("background", "method", "result")),
    ],
)
def test_published_files_read_whole(source, rows, labels):
    source = source.model_copy(update={"path": f"{SHARED}/{source.path}"})
    ours = prepare(Data(train=[source], clean=Clean(damaged=False, duplicates=False)))
    assert ours.report["read"]["train"] == rows == len(ours.train) + len(ours.dev) + len(ours.test)
    assert ours.train.labels == labels
