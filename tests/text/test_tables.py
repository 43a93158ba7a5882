"""Files as other people write them: what reads, at which lines, and what is refused in which words."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.text.tables import read_table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# CSV.


def test_quoted_line_breaks_keep_the_line_numbers_right(tmp_path):
    content = '\ufefftext,label\r\n"two\r\nlines, one row",a\r\n\r\n"say ""cheese""",b\r\nplain,c\r\n\r\n\r\n'
    table = read_table(write(tmp_path, "a.csv", content))
    assert table.column("text", "text") == ["two\nlines, one row", 'say "cheese"', "plain"]
    assert table.column("label", "label") == ["a", "b", "c"]
    assert table.lines == [2, 5, 6]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"])),
            st.sampled_from("abc"),
        ),
        min_size=1,
        max_size=8,
    ),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_reads_back(tmp_path, rows, delimiter, end):
    path = tmp_path / "any.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows([("text", "label"), *rows])
    table = read_table(path, wanted=("text", "label"))
    assert list(zip(table.column("text", "text"), table.column("label", "label"), strict=True)) == rows
    breaks = [text.count("\n") for text, _ in rows]
    assert table.lines == [2 + row + sum(breaks[:row]) for row in range(len(rows))]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_told_by_the_header(tmp_path, delimiter):
    path = write(tmp_path, "a.csv", f"text{delimiter}label\ngood, very{delimiter}1\n")
    assert read_table(path, wanted=("text", "label")).column("text", "text") == ["good, very"]


def test_a_headerless_file_with_semicolons_and_commas_in_the_text(tmp_path):
    path = write(tmp_path, "a.csv", "good, very;1\nbad;0\nplain, too, really;1\n")
    table = read_table(path, header=False, wanted=(0, 1))
    assert table.column(0, "text") == ["good, very", "bad", "plain, too, really"]
    assert table.lines == [1, 2, 3]


def test_backslash_quotes(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"he said \\"hi, you\\" twice",a\nplain,b\n')
    assert read_table(path).column("text", "text") == ['he said "hi, you" twice', "plain"]


def test_a_backslash_before_a_closing_quote_is_text_where_quotes_are_doubled(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"C:\\dir\\",a\nplain,b\n')
    assert read_table(path).column("text", "text") == ["C:\\dir\\", "plain"]


def test_text_after_a_closing_quote_is_let_pass_with_a_warning(tmp_path, listener):
    path = write(tmp_path, "a.csv", 'text,label\n"Great" film,a\nplain,b\n')
    assert read_table(path).column("text", "text") == ["Great film", "plain"]
    assert listener.warnings == ["a.csv:2: text goes on after a closing quotation mark; the mark was dropped"]


def test_a_quote_that_would_swallow_rows_is_refused(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"Tis great,a\n"Twas bad,b\n')
    with pytest.raises(
        LimbeckError, match=r"a\.csv:3: text goes on after a closing quotation mark\. Quote the"
    ):
        read_table(path)


def test_a_quote_that_is_never_closed(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"fine\nso far",a\n"Tis great,a\nbad,b\n')
    message = r"a\.csv:4: a quotation mark opens a field here that is never closed\. Quote the whole field"
    with pytest.raises(LimbeckError, match=message):
        read_table(path)


def test_a_ragged_row_is_named_by_its_line(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"a\nb",x\none, two,y\n')
    with pytest.raises(LimbeckError, match=r"a\.csv:4: 3 columns where the header has 2\. Quote fields"):
        read_table(path)
    path = write(tmp_path, "b.tsv", "a\tx\nb\n")
    with pytest.raises(LimbeckError, match=r"b\.tsv:2: 1 columns where line 1 has 2"):
        read_table(path, header=False)


def test_a_spreadsheets_empty_rows_and_old_line_ends(tmp_path):
    path = write(tmp_path, "a.csv", "text,label\rgood,1\rbad,0\r,\r")
    table = read_table(path)
    assert table.column("text", "text") == ["good", "bad"]
    assert table.lines == [2, 3]


def test_a_long_field(tmp_path):
    text = "word " * 40_000
    assert read_table(write(tmp_path, "a.csv", f'text,label\n"{text}",a\n')).column(0, "text") == [text]


# TSV.


def test_a_lone_quote_in_a_tsv_is_text(tmp_path):
    content = 'sentence\tlabel\n" it is good\t1\nso "so\t0\nend"\t1\n"whole"\t0\n'
    table = read_table(write(tmp_path, "a.tsv", content))
    assert table.column("sentence", "text") == ['" it is good', 'so "so', 'end"', '"whole"']
    assert table.lines == [2, 3, 4, 5]


def test_two_lone_quotes_that_a_csv_reader_would_take_for_one_field(tmp_path):
    content = 'sentence\tlabel\n"good\t1\nmiddle\t1\nend"\t0\n'
    assert len(read_table(write(tmp_path, "a.tsv", content))) == 3


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_a_tsv_that_a_writer_quoted(tmp_path, quoting):
    rows = [("text", "label"), ('say "cheese"', "a"), ("plain", "b"), ("more", "c")]
    path = tmp_path / "a.tsv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=quoting).writerows(rows)
    table = read_table(path)
    assert list(zip(table.column(0, "text"), table.column(1, "label"), strict=True)) == rows[1:]


def test_a_tsv_with_tabs_and_line_breaks_in_quotes(tmp_path):
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"a\ttab"\tx\n"two\nlines"\ty\nend\tz\n')
    table = read_table(path)
    assert table.column("text", "text") == ["a\ttab", "two\nlines", "end"]
    assert table.lines == [2, 3, 5]


def test_separators_that_are_no_line_ends_stay_in_the_text(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tlabel\na\u2028b\x85c\x0bd\t1\r\nnext\t0\r\n")
    table = read_table(path)
    assert table.column("text", "text") == ["a\u2028b\x85c\x0bd", "next"]
    assert table.lines == [2, 3]


# JSON, Parquet and plain text.


def test_json_lines_with_nested_and_missing_keys(tmp_path):
    rows = [
        {"text": "a", "meta": {"label": "x", "score": [0.1, 0.9]}},
        {"text": "b"},
        {"text": None, "more": 1},
    ]
    content = "\n\n".join(map(json.dumps, rows)) + "\n\n"
    table = read_table(write(tmp_path, "a.jsonl", content))
    assert table.column("meta.label", "label") == ["x", None, None]
    assert table.column("text", "text") == ["a", "b", None]
    assert table.column("meta.score", "text") == [[0.1, 0.9], None, None]
    assert table.column("meta", "text")[0] == rows[0]["meta"]
    assert table.lines == [1, 3, 5]


def test_a_json_list(tmp_path):
    path = write(tmp_path, "a.json", json.dumps([{"text": "a"}, {"text": "b"}], indent=1))
    assert read_table(path).column("text", "text") == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"text": "a"}\n{"text": \n',
            r"a\.jsonl:2: not JSON \(Expecting value\)\. JSON Lines has one whole object",
        ),
        ('{"text": "a"}\n\n"b"\n', r"a\.jsonl:3: not a JSON object\. Write"),
        ('[{"text": "a"}, 3]', r"a\.jsonl: item 2 of the list is not a JSON object"),
        ('[{"text": "a"},\n', r"a\.jsonl:2: not JSON"),
        ("", r"a\.jsonl: the file is empty"),
        ("\n \n", r"a\.jsonl: the file is empty"),
        ("[]", r"a\.jsonl: the file holds no rows"),
    ],
)
def test_bad_json(tmp_path, content, message):
    with pytest.raises(LimbeckError, match=message):
        read_table(write(tmp_path, "a.jsonl", content))


@pytest.mark.parametrize("indent", [None, 1])
def test_json_that_is_one_object(tmp_path, indent):
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
    table = read_table(write(tmp_path, "a.json", json.dumps({"version": "1", "data": rows}, indent=indent)))
    assert table.column("text", "text") == ["a", "b"]
    # A list under another name is a part of the only row.
    one = {"text": "a", "entities": [{"start": 0}]}
    assert read_table(write(tmp_path, "b.json", json.dumps(one, indent=indent))).column("text", "text") == [
        "a"
    ]
    columns = {"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}
    with pytest.raises(LimbeckError, match="one object of columns, not of rows. Write one object a line"):
        read_table(write(tmp_path, "c.json", json.dumps(columns, indent=indent)))


def test_a_spreadsheets_line_of_the_separator(tmp_path):
    table = read_table(write(tmp_path, "a.csv", "sep=;\ntext;label\na, b;x\n"))
    assert (table.column("text", "text"), list(table.lines)) == (["a, b"], [3])


def test_a_space_before_a_quoted_field(tmp_path):
    table = read_table(write(tmp_path, "a.csv", 'text, label\n"a, b", "pos, x"\nc, "neg"\n'))
    assert (table.column("text", "text"), table.column("label", "label")) == (
        ["a, b", "c"],
        ["pos, x", "neg"],
    )
    table = read_table(write(tmp_path, "b.csv", 'text,label\n "So" he said,pos\nc,neg\n'))
    assert table.column("text", "text") == [' "So" he said', "c"]


def test_parquet_with_two_columns_of_one_name(tmp_path):
    pq.write_table(
        pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"]), tmp_path / "a.parquet"
    )
    with pytest.raises(LimbeckError, match=r"a\.parquet: two columns are called 'text'\. Rename one of them"):
        read_table(tmp_path / "a.parquet")


def test_parquet_with_structs_categories_and_class_names(tmp_path):
    columns = {
        "text": ["a", "b", None],
        "label": pa.array([1, 0, -1]),
        "meta": [{"lang": "en"}, {"lang": "de"}, None],
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
    }
    table = pa.table(columns)
    noted = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "text": {}}}}
    path = tmp_path / "a.parquet"
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(noted)}), path)
    found = read_table(path)
    assert found.column("label", "label") == ["pos", "neg", None]
    assert found.column("meta.lang", "label") == ["en", "de", None]
    assert found.column("kind", "label") == ["x", "y", "x"]
    assert list(found.lines) == [0, 1, 2]


def test_bad_parquet(tmp_path):
    with pytest.raises(LimbeckError, match=r"a\.parquet: not a Parquet file"):
        read_table(write(tmp_path, "a.parquet", "text,label\n"))
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "b.parquet")
    with pytest.raises(LimbeckError, match=r"b\.parquet: the file holds no rows"):
        read_table(tmp_path / "b.parquet")


def test_plain_text(tmp_path):
    table = read_table(write(tmp_path, "a.txt", 'one, "two"\n\nthree\tfour\n'))
    assert table.column("text", "text") == ['one, "two"', "three\tfour"]
    assert table.lines == [1, 3]


# Encodings.


def test_text_that_is_not_utf8_names_the_line(tmp_path, listener):
    path = write(
        tmp_path, "a.csv", "\ufefftext,label\nfine,1\ncafé,0\n".encode().replace("é".encode(), b"\xe9")
    )
    message = (
        r"a\.csv:3: not UTF-8 \(byte 0xe9\)\. Give the file's 'encoding' \(cp1252 is common\), or 'undec"
    )
    with pytest.raises(LimbeckError, match=message):
        read_table(path)
    assert read_table(path, undecodable="replace").column(0, "text") == ["fine", "caf\ufffd"]
    path = write(tmp_path, "b.csv", "text,label\ncafé,0\n".encode("latin-1"))
    assert read_table(path, encoding="latin-1").column("text", "text") == ["café"]
    assert not listener.warnings


def test_windows_text_called_latin1_warns(tmp_path, listener):
    path = write(tmp_path, "a.csv", "text,label\nit’s,0\n".encode("cp1252"))
    read_table(path, encoding="latin-1")
    assert listener.warnings == ["a.csv holds bytes that Latin-1 gives no character; is its encoding cp1252?"]
    assert read_table(path, encoding="cp1252").column("text", "text") == ["it’s"]


def test_utf16_is_told_by_its_mark(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tlabel\r\ncafé\t1\r\n".encode("utf-16"))
    assert read_table(path).column("text", "text") == ["café"]


def test_utf16_without_its_mark_is_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\ngood,pos\n", encoding="utf-16-le")
    with pytest.raises(LimbeckError, match="every other character is a NUL.*Give the file's 'encoding'"):
        read_table(path)
    assert read_table(path, encoding="utf-16-le").column("text", "text") == ["good"]


def test_an_encoding_that_is_none(tmp_path):
    with pytest.raises(LimbeckError, match=r"a\.csv: there is no encoding 'utf-9'\. Try utf-8 or cp1252"):
        read_table(write(tmp_path, "a.csv", "text,label\na,b\n"), encoding="utf-9")


# What is refused.


@pytest.mark.parametrize(
    ("ask", "header", "message"),
    [
        (
            ("review", "text"),
            True,
            r"there is no column 'review'; there are: 'text', 'label'\. Set 'text' to one of",
        ),
        (
            ("label ", "label"),
            True,
            r"no column 'label '.*or to null for unlabelled text; if the first line is no h",
        ),
        ((2, "text"), True, r"there is no column number 2 \('text'\): the columns are 0 to 1"),
        ((-1, "text"), True, r"there is no column number -1"),
        (
            ("text", "text"),
            False,
            r"'text' names a column 'text' of a file without a header\. Give 'text' as a col",
        ),
    ],
)
def test_missing_columns(tmp_path, ask, header, message):
    path = write(tmp_path, "a.csv", " text , label\na,b\n")
    with pytest.raises(LimbeckError, match=message):
        read_table(path, header=header).column(*ask)


def test_two_columns_of_one_name(tmp_path):
    with pytest.raises(LimbeckError, match=r"two columns are called 'text'\. Rename one of them"):
        read_table(write(tmp_path, "a.csv", "text,text\na,b\n")).column("text", "text")


def test_many_columns_are_not_all_listed(tmp_path):
    path = write(tmp_path, "a.csv", ",".join(f"column{n}" for n in range(30)) + "\n" + "," * 28 + "x,\n")
    with pytest.raises(LimbeckError, match=r"'column11' and 18 more\."):
        read_table(path).column("text", "text")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_empty_files(tmp_path, name):
    with pytest.raises(LimbeckError, match=r"the file is empty"):
        read_table(write(tmp_path, name, ""))
    with pytest.raises(LimbeckError, match=r"the file is empty"):
        read_table(write(tmp_path, name, "\r\n\r\n"))


def test_a_header_alone(tmp_path):
    with pytest.raises(LimbeckError, match=r"the file holds no rows"):
        read_table(write(tmp_path, "a.csv", "text,label\n"))


def test_files_that_are_none(tmp_path):
    with pytest.raises(LimbeckError, match=r"a\.csv: no such file"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(LimbeckError, match=r": a folder, not a file"):
        read_table(tmp_path)
    with pytest.raises(
        LimbeckError,
        match=r"the ending '\.label' does not say how the file is written\. Give 'format' in a recipe",
    ):
        read_table(write(tmp_path, "a.label", "x"))
    with pytest.raises(
        LimbeckError, match=r"data: no ending says how the file is written\. Give 'format' in a recipe"
    ):
        read_table(write(tmp_path, "data", "x"))
