"""Prepare for translation: pairs cut, hidden, joined and counted; what is refused; real text."""

from collections import Counter

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.schema import validate
from limbeck.core.sources import Data
from limbeck.transfer.prepare import Prepared, prepare


@pytest.fixture
def table(tmp_path):
    """Writes a TSV of rows under a header, and gives its source with German translations."""

    def write(name, rows, **more):
        path = tmp_path / name
        lines = ["en\tde\tfr", *("\t".join([*row, "", ""][:3]) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"path": str(path), "text": "en", "target": "de", **more}

    return write


def prepared(**values):
    return prepare(validate(Data, values), task="translation")


def rows(word, count):
    return [(f"the {word} {n}", f"das {word} {n} hier", f"le {word} {n}") for n in range(count)]


def test_the_report_counts_pairs_words_references_and_languages(table, listener, tmp_path):
    train = [
        *rows("dog", 6),
        ("alone",),
        ("the dog 0", "das DOG 0 hier"),
        ("a b c d e f", "x"),
        ("bad", "\ufffd"),
    ]
    sources = [
        table("train.tsv", train, language="de"),
        table("train.tsv", train, language="fr", target="fr"),
    ]
    test = table("test.tsv", [*rows("cat", 2), ("the dog 3", "x")], target=["de", "fr"])
    more = table(
        "more.tsv", [("the cat 1", "gone"), ("new", "hidden"), ("NEW", "hidden"), ("the dog 1",)], target="no"
    )
    ours = prepared(
        train=sources, dev=table("dev.tsv", rows("bird", 1)), test=test, unlabelled=more, clean={"ratio": 3}
    )
    report = ours.report
    assert report["read"] == {"train": 20, "test": 3, "dev": 1, "unlabelled": 4}
    # The French column of the last two is empty: texts without translation, of which one of each stays.
    assert report["dropped"]["train"] == {"damaged": 1, "of unlike lengths": 1, "duplicate": 3}
    assert report["dropped"]["unlabelled"] == {"duplicate": 2, "in test": 1}
    assert report["pairs"] == {"train": 12, "dev": 1, "test": 3}
    assert report["sides"]["train"] == {"text": 36, "target": 42}
    assert report["length_ratio"]["train"] == 42 / 36
    assert report["references"] == {"train": 1, "dev": 1, "test": 2}
    assert report["languages"] == {"train": {"de": 6, "fr": 6}, "dev": {}, "test": {}}
    assert report["overlap"] == {"train and test": 2, "train and dev": 0}
    assert report["unlabelled"] == len(ours.train) - 12
    assert "labels" not in report
    assert ours.train.labels == ours.test.labels == ()
    assert [e.text for e in ours.train if not e.labelled] == ["alone", "a b c d e f", "bad", "new"]
    assert ours.test.examples[0].targets == ("das cat 0 hier", "le cat 0")
    assert ours.train.ids[0] == "train.tsv:2/de"
    assert listener.said[-1] == (
        "prepare   12 translated and 4 untranslated training texts, 1 dev, 3 test;"
        " 3.0 words to 3.5; 6 in de, 6 in fr"
    )
    assert listener.warnings == ["2 translated training texts also in test (3): its scores may flatter"]
    ours.save(tmp_path / "prepared")
    assert Prepared.load(tmp_path / "prepared") == ours


def test_dev_and_test_are_cut_off_with_all_translations_of_a_text(table):
    source = table("all.tsv", [*rows("dog", 40), ("alone",)])
    sources = [{**source, "target": one, "language": one} for one in ("de", "fr")]
    ours = prepared(train=sources, dev=10, test=7)
    assert (len(ours.test), len(ours.dev), len(ours.train)) == (8, 10, 80 - 18 + 1)
    assert ours.report["cut"] == {"test": 8, "dev": 10}
    assert ours.report["overlap"] == {"train and test": 0, "train and dev": 0}
    texts = [{e.text for e in part} for part in (ours.train, ours.dev, ours.test)]
    assert sum(map(len, texts)) == len(set.union(*texts))
    assert ours.report["languages"]["test"] == {"de": 4, "fr": 4}
    assert all(e.targets for e in (*ours.dev, *ours.test))
    assert prepared(train=sources, dev=10, test=7) == ours
    assert prepared(train=sources, dev=20, test=7).test == ours.test
    assert prepared(train=sources, dev=10, test=7, seed=1).test != ours.test
    assert len(prepared(train=sources[0], dev=0.1, test=0.25).test) == 10


def test_labelled_keeps_the_translations_of_so_many_pairs(table):
    source = table("all.tsv", rows("dog", 40))
    ours = prepared(train=source, dev=5, test=5, labelled=12)
    whole = prepared(train=source, dev=5, test=5)
    assert ours.train.ids == whole.train.ids
    assert sum(e.labelled for e in ours.train) == len(ours.train.labelled) == 12
    assert ours.report["cut"] == {"test": 5, "dev": 5, "hidden": 18}
    assert all(e.targets in ((), w.targets) for e, w in zip(ours.train, whole.train, strict=True))
    assert prepared(train=source, dev=5, test=5, limit=20).report["pairs"]["train"] == 10


def test_hidden_pairs_of_one_text_become_one_text(table):
    source = table("all.tsv", rows("dog", 40))
    sources = [{**source, "target": one, "language": one} for one in ("de", "fr")]
    ours = prepared(train=sources, dev=2, test=2, labelled=5)
    assert len(ours.train.labelled) == 5
    untranslated = Counter(e.text for e in ours.train if not e.labelled)
    assert max(untranslated.values()) == 1
    assert not untranslated.keys() & {e.text for e in ours.train if e.labelled}
    assert len({e.text for e in ours.train}) == 38
    assert ours.report["dropped"]["train"] == {"duplicate": 80 - 4 - len(ours.train)}


def test_unlabelled_parallel_files_are_read_without_their_translations(tmp_path, table):
    (tmp_path / "more.src").write_text("new\n\nnewer\n")
    more = {"path": str(tmp_path / "more.src"), "target_file": str(tmp_path / "gone.trg")}
    ours = prepared(train=table("all.tsv", rows("dog", 10)), dev=2, test=2, unlabelled=more)
    assert [(e.id, e.targets) for e in ours.train if not e.labelled] == [
        ("more.src:1", ()),
        ("more.src:3", ()),
    ]


@pytest.mark.parametrize(
    ("train", "values", "message"),
    [
        (
            [("one",), ("two",)],
            {},
            r"train\.tsv: no training text has a translation\. Name the columns of transl",
        ),
        (
            rows("a", 3),
            {"dev": 2, "test": 1},
            r"train\.tsv: too few rows: 2 for dev cannot be cut from 2 translated t",
        ),
        (
            rows("a", 9),
            {"labelled": 99},
            r"train\.tsv: 'labelled' asks for 99 labelled examples, and there are 7",
        ),
        (rows("a", 9), {"context": 3}, r"'data\.context': no training sentence has others around it"),
    ],
)
def test_training_text_that_is_refused(table, train, values, message):
    with pytest.raises(LimbeckError, match=message):
        prepared(train=table("train.tsv", train), **values)


@pytest.mark.parametrize("role", ["dev", "test"])
def test_dev_and_test_need_translations(table, role):
    held_out = table("held.tsv", [*rows("cat", 1), ("the bird",)])
    message = rf"held\.tsv:3: an example of {role} has no translation\. Every dev and test example needs one"
    with pytest.raises(LimbeckError, match=message):
        prepared(**{"train": table("train.tsv", rows("dog", 9)), role: held_out})


def test_published_sets_stay_as_they_are(table):
    test = table("test.tsv", [("same", "gleich"), ("same", "gleich"), ("a b c d e", "x"), ("bad", "\ufffd")])
    train = table("train.tsv", rows("dog", 9))
    assert len(prepared(train=train, test=test, dev=2, clean={"ratio": 2, "longest": 4}).test) == 4


@pytest.mark.data
def test_real_text_in_three_languages(data):
    path = str(data / "tatoeba_multi_en_de_fr_es/multi.tsv")
    source = {"path": path, "text": "en"}
    train = [{**source, "target": one, "language": one} for one in ("de", "fr", "es")]
    ours = prepared(train=train, dev=300, test=300)
    assert ours.report["read"]["train"] == 3 * 22350
    assert ours.report["languages"]["test"] == {"de": 100, "es": 100, "fr": 100}
    assert not {e.text.casefold() for e in ours.train} & {e.text.casefold() for e in ours.test}


def test_a_limit_keeps_all_translations_of_a_text_together(table):
    german = table("all.tsv", rows("dog", 60), language="de")
    ours = prepared(train=[german, german | {"target": "fr", "language": "fr"}], dev=4, test=4, limit=41)
    assert ours.report["cut"]["limit"] == 120 - 40  # the twenty-first text would have been one row too many
    for part in (ours.train, ours.dev, ours.test):
        assert set(Counter(example.text for example in part).values()) == {2}
