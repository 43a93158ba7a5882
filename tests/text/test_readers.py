"""Sources to examples: ids, labels, data sets by folder, and what is refused."""

import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.text.readers import read


def test_texts_and_labels_lose_spaces_and_ids_say_file_and_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n" good ", pos \n"two\nlines",\nbad,neg\n')
    assert read(Source(path=str(path))) == [
        Example("a.csv:2", "good", "pos", "a.csv:2"),
        Example("a.csv:3", "two\nlines", None, "a.csv:3"),
        Example("a.csv:5", "bad", "neg", "a.csv:5"),
    ]
    assert read(Source(path=str(path)), "train/a.csv")[0].id == "train/a.csv:2"


def test_columns_by_number_and_ids_of_their_own(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("x1\t0\t\tgood\nx2\t1\t*\tbad\n")
    source = Source(path=str(path), header=False, text=3, label=1, id=0, labels={"0": "no", "1": "yes"})
    assert read(source) == [Example("x1", "good", "no", "a.tsv:1"), Example("x2", "bad", "yes", "a.tsv:2")]


def test_labels_of_every_type_become_names(tmp_path):
    path = tmp_path / "a.jsonl"
    labels = [1, 1.0, "1", 0, 2.5, True, None, "  ", "a b "]
    path.write_text("\n".join(json.dumps({"text": "t", "label": label}) for label in labels))
    golds = [example.gold for example in read(Source(path=str(path)))]
    assert golds == ["1", "1", "1", "0", "2.5", "true", None, None, "a b"]
    pq.write_table(pa.table({"text": ["a", "b"], "label": [1.0, float("nan")]}), tmp_path / "b.parquet")
    assert [example.gold for example in read(Source(path=str(tmp_path / "b.parquet")))] == ["1", None]


def test_whole_numbers_read_alike_however_a_table_writes_them(tmp_path):
    """A table with gaps in a column of whole numbers is often written with 1.0 for 1."""
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,1.0\nb,-2.00\nc,\nd,1\ne,2.5\nf,v1.0\n")
    assert [one.gold for one in read(Source(path=str(path)))] == ["1", "-2", None, "1", "2.5", "v1.0"]
    path.write_text("text,label\na,1.0\nb,0.0\n")
    for one, nought in (("1", "0"), ("1.0", "0.0")):
        named = read(Source(path=str(path), labels={one: "yes", nought: "no"}))
        assert [each.gold for each in named] == ["yes", "no"]


def test_texts_that_are_numbers_nothing_or_half_characters(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": 12}\n{"text": null}\n{"text": "half \\ud83d, whole \\ud83d\\ude00"}\n{"label": "x"}'
    )
    assert [e.text for e in read(Source(path=str(path)))] == ["12", "", "half \ufffd, whole 😀", ""]


def test_a_txt_file_is_unlabelled_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo\n")
    assert read(Source(path=str(path))) == [
        Example("a.txt:1", "one", None, "a.txt:1"),
        Example("a.txt:3", "two", None, "a.txt:3"),
    ]


def test_names_for_labels_that_no_row_has_warn(tmp_path, listener):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,no\nb,yes\n")
    read(Source(path=str(path), labels={"0": "neg", "1": "pos"}))
    assert listener.warnings == ["a.csv: 'labels' renames 0, 1, and no row is labelled so"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": ["a", "b"], "label": "x"}, r"a\.jsonl:2: the text is a list, not a sentence"),
        ({"text": {"en": "a"}, "label": "x"}, r"a\.jsonl:2: the text is an object, not a sentence"),
        ({"text": "a", "label": ["x"]}, r"a\.jsonl:2: the label is a list; an example has one label"),
        (
            {"text": "a", "label": "x", "id": "1"},
            r"a\.jsonl:2: the id '1' stands here again, after line 1\. Give",
        ),
        ({"text": "a", "label": "x"}, r"a\.jsonl:2: the id is empty"),
    ],
)
def test_rows_that_are_refused(tmp_path, row, message):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "fine", "label": "x", "id": 1}) + "\n" + json.dumps(row))
    with pytest.raises(LimbeckError, match=message):
        read(Source(path=str(path), id="id"))


def test_bytes_are_no_text(tmp_path):
    pq.write_table(pa.table({"text": [b"a"], "label": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(LimbeckError, match=r"the text is bytes, not a sentence"):
        read(Source(path=str(tmp_path / "a.parquet")))


def test_sources_that_are_not_there(tmp_path):
    for path in (tmp_path / "a.csv", tmp_path / "nothing", "./train.jsonl", "a/b/c"):
        with pytest.raises(LimbeckError, match=r": no such file"):
            read(Source(path=str(path)))


# Data sets.

ROWS = {"text": ["good", "bad", "?"], "label": [1, 0, -1]}
FEATURES = datasets.Features(
    {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def test_a_data_set_that_was_saved_to_disk(tmp_path):
    data = datasets.Dataset.from_dict(ROWS, features=FEATURES)
    data.select([1, 0, 2]).save_to_disk(tmp_path / "mine")
    examples = read(Source(path=str(tmp_path / "mine")))
    assert [(e.text, e.gold) for e in examples] == [("bad", "neg"), ("good", "pos"), ("?", None)]
    assert examples[2].id == "mine/all:2"


def test_splits_that_were_saved_to_disk(tmp_path):
    data = datasets.Dataset.from_dict(ROWS, features=FEATURES)
    datasets.DatasetDict(train=data, test=data.select([0])).save_to_disk(tmp_path / "mine")
    assert read(Source(path=str(tmp_path / "mine"), split="test"))[0] == Example(
        "mine/test:0", "good", "pos", "mine/test:0"
    )
    with pytest.raises(LimbeckError, match=r"mine: say which split\. Set 'split' to one of: train, test"):
        read(Source(path=str(tmp_path / "mine")))
    with pytest.raises(
        LimbeckError, match=r"mine: there is no split 'dev'\. Set 'split' to one of: train, test"
    ):
        read(Source(path=str(tmp_path / "mine"), split="dev"))
    with pytest.raises(LimbeckError, match=r"no column 'sentence'; there are: 'text', 'label'\. Set 'text'"):
        read(Source(path=str(tmp_path / "mine"), split="test", text="sentence"))


def test_folders_of_files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "train.csv").write_text("text,label\ngood,pos\nbad,neg\n")
    (folder / "test.csv").write_text("text,label\nso so,neg\n")
    found = read(Source(path=str(folder), split="test"))
    assert found == [Example("files/test:0", "so so", "neg", "files/test:0")]
    tables = tmp_path / "tables"
    tables.mkdir()
    datasets.Dataset.from_dict(ROWS, features=FEATURES).to_parquet(tables / "train.parquet")
    assert [e.gold for e in read(Source(path=str(tables)))] == ["pos", "neg", None]
    # The same file by itself keeps the names too.
    assert [e.gold for e in read(Source(path=str(tables / "train.parquet")))] == ["pos", "neg", None]


def test_files_in_folders_are_read_as_they_are_by_themselves(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    text = 'text\tlabel\n"Hello\t01\nNA\tnull\nfine "\tNone\n'
    (folder / "train.tsv").write_text(text)
    (folder / "test.tsv").write_bytes("text\tlabel\ncaf\xe9\t02\n".encode("cp1252"))
    alone = read(Source(path=str(folder / "train.tsv")))
    found = read(Source(path=str(folder), split="train"))
    assert [(e.text, e.gold) for e in found] == [(e.text, e.gold) for e in alone]
    assert [(e.text, e.gold) for e in found] == [('"Hello', "01"), ("NA", "null"), ('fine "', "None")]
    assert read(Source(path=str(folder), split="test", encoding="cp1252"))[0].text == "caf\xe9"
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "train-1.jsonl").write_text('{"text": "b", "label": "x"}')
    (shards / "train-0.csv").write_text("label,text\ny,a\n")
    assert [(e.id, e.text, e.gold) for e in read(Source(path=str(shards)))] == [
        ("shards/train:0", "a", "y"),
        ("shards/train:1", "b", "x"),
    ]
    (shards / "train-2.csv").write_text("text,class\nc,y\n")
    with pytest.raises(LimbeckError, match=r"the columns of train-2\.csv are not those of train-0\.csv"):
        read(Source(path=str(shards)))


def test_one_data_set_has_no_splits_to_choose_from(tmp_path):
    datasets.Dataset.from_dict(ROWS, features=FEATURES).save_to_disk(tmp_path / "mine")
    with pytest.raises(
        LimbeckError, match="there is no split 'test': this is one data set.*Leave out 'split'"
    ):
        read(Source(path=str(tmp_path / "mine"), split="test"))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_labels_that_are_all_minus_one_are_none(tmp_path, listener, task):
    path = tmp_path / "test.jsonl"
    path.write_text('{"text": "a", "label": -1.0}\n{"text": "b", "label": -1}\n')
    assert not any(example.labelled for example in read(Source(path=str(path)), task=task))
    assert "every label is -1" in listener.warnings[0]
    path.write_text('{"text": "a", "label": -1}\n{"text": "b", "label": 1}\n')
    assert all(example.labelled for example in read(Source(path=str(path)), task=task))


@pytest.mark.parametrize(
    ("cells", "golds"), [(["n", "p"], ["n", "p"]), ([1.0, None], ["p", None]), ([1, -1], ["p", None])]
)
def test_columns_of_classes_that_somebody_changed(tmp_path, cells, golds):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["n", "p"])}
    )
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=features).to_parquet(path)
    table = pq.read_table(path)
    changed = table.set_column(1, "label", pa.array(cells)).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed, path)
    assert [example.gold for example in read(Source(path=str(path)))] == golds


def test_classes_inside_structs_have_their_names(tmp_path):
    inner = {"label": datasets.ClassLabel(names=["n", "p"])}
    features = datasets.Features({"text": datasets.Value("string"), "of": inner})
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_dict({"text": ["a"], "of": [{"label": 1}]}, features=features).to_parquet(path)
    assert read(Source(path=str(path), label="of.label"))[0].gold == "p"


def test_data_sets_that_are_none(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (str(tmp_path / "empty"), "no-such/data-set"):
        with pytest.raises(LimbeckError, match=r": no data set can be read here \(.*\)\. Check the spelling"):
            read(Source(path=path))
    (tmp_path / "ragged").mkdir()
    (tmp_path / "ragged" / "train.csv").write_text("text,label\na,b\na,b,c\n")
    with pytest.raises(LimbeckError, match=r"train\.csv:3: 3 columns where the header has 2"):
        read(Source(path=str(tmp_path / "ragged")))


def test_a_split_without_rows(tmp_path):
    data = datasets.Dataset.from_dict(ROWS, features=FEATURES)
    datasets.DatasetDict(train=data, test=data.filter(lambda row: False)).save_to_disk(tmp_path / "none")
    with pytest.raises(LimbeckError, match=r"none: the data set holds no rows"):
        read(Source(path=str(tmp_path / "none"), split="test"))
