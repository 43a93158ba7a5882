"""Scores and sets of labels in tables: read, and refused with file and line."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.readers import read

pytestmark = pytest.mark.unit


def sets(path, **keys):
    return [e.labels for e in read(Source(path=str(path), **keys), task="multilabel")]


def test_scores_of_a_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,second,label\na,b,4.25\nc,d,3\ne,f,\n")
    found = read(Source(path=str(path), second="second"), task="regression")
    assert [e.score for e in found] == [4.25, 3.0, None]
    assert [e.labelled for e in found] == [True, True, False]
    assert all(e.gold is None for e in found)


@pytest.mark.parametrize("bad", ["much", "nan", "inf", "true", "3,5"])
def test_a_bad_score_is_told_with_its_line(tmp_path, bad):
    path = tmp_path / "a.tsv"
    path.write_text(f"text\tlabel\na\t1.0\nb\t{bad}\n")
    with pytest.raises(LimbeckError, match=f"a.tsv:3: the score is '{bad}', not a number"):
        read(Source(path=str(path)), task="regression")


def test_lists_of_labels_in_json_parquet_and_csv(tmp_path):
    rows = [{"text": "a", "label": ["joy", "love"]}, {"text": "b", "label": []}, {"text": "c", "label": None}]
    wanted = [("joy", "love"), (), None]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert sets(path) == wanted
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert sets(tmp_path / "a.parquet") == wanted
    path = tmp_path / "a.csv"
    path.write_text('text,label\na,"[""love"", ""joy"", ""joy""]"\nb,[]\nc,\n')
    assert sets(path) == wanted


def test_labels_with_a_separator(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,joy | love\nb,fear\nc,\nd,|\n")
    renamed = {"fear": "terror"}
    assert sets(path, separator="|", labels=renamed) == [("joy", "love"), ("terror",), None, ()]
    with pytest.raises(LimbeckError, match=r"a.csv:2: 'joy | love' does not say where .* Set 'separator'"):
        sets(path)


def test_cells_that_have_none_of_the_labels_and_that_nobody_looked_at(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,joy|love\nb,[]\nc,-1\nd,-1.0\n")
    assert sets(path, separator="|") == [("joy", "love"), (), None, None]
    path.write_text('text,label\na,"[""joy""]"\nb,[]\nc,-1\n')
    assert sets(path) == [("joy",), (), None]
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": ["joy"]}\n{"text": "b", "label": -1}\n')
    assert sets(path) == [("joy",), None]


def test_one_column_a_label(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,toxic,insult\na,1,0\nb,0,0\nc,1.0,true\nd,-1,-1\n")
    columns = ["toxic", "insult"]
    assert sets(path, label=columns) == [("toxic",), (), ("insult", "toxic"), None]
    path.write_text("text,toxic,insult\na,1,maybe\n")
    with pytest.raises(LimbeckError, match="a.csv:2: 'maybe' in the column of the label 'insult' is neither"):
        sets(path, label=columns)
    with pytest.raises(
        LimbeckError, match="'label' lists 2 columns.*Name one column, or set 'task: multilabel'"
    ):
        read(Source(path=str(path), label=columns))
