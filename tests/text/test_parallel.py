"""Parallel text to examples: files line by line, columns, data sets; and where files are not aligned."""

import gzip
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.text.parallel import language_of
from limbeck.text.readers import files_of, read


def translations(**source):
    return read(Source(**source), task="translation")


@pytest.fixture
def file(tmp_path):
    def write(name, *lines, end="\n"):
        path = tmp_path / name
        data = ("\n".join(lines) + end).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return write


# Text files.


def test_lines_are_paired_by_number_and_the_language_is_in_the_id(file):
    path = file("a.en.gz", " one ", "", "three", "four")
    german = file("a.de", "eins", "", "drei", "vier")
    more = file("b.de.gz", "ein", "", "", "4")
    found = translations(path=path, target_file=[german, more], language="de")
    assert found == [
        Example("a.en.gz:1/de", "one", origin="a.en.gz:1", targets=("eins", "ein")),
        Example("a.en.gz:3/de", "three", origin="a.en.gz:3", targets=("drei",)),
        Example("a.en.gz:4/de", "four", origin="a.en.gz:4", targets=("vier", "4")),
    ]
    assert language_of(found[0].id, {"de", "fr"}) == "de"
    assert language_of("a.de:1", {"de"}) is None
    assert files_of(Source(path=path, target_file=[german, more])) == (path, german, more)


def test_an_empty_line_of_the_translation_is_none(file):
    path, german = file("a.en", "one", "two", "three"), file("a.de", "eins", "", "drei", "", "")
    assert [e.targets for e in translations(path=path, target_file=german)] == [("eins",), (), ("drei",)]


def test_a_last_translation_may_be_empty(file):
    path = file("a.en", "one", "two")
    assert translations(path=path, target_file=file("a.de", "eins", ""))[1].targets == ()


def test_text_alone_is_untranslated(file):
    path = file("mono.en.gz", "one", "", "two")
    assert translations(path=path) == [
        Example("mono.en.gz:1", "one", origin="mono.en.gz:1"),
        Example("mono.en.gz:3", "two", origin="mono.en.gz:3"),
    ]
    assert [e.text for e in translations(path=file("mono.txt", "one"))] == ["one"]


def test_the_first_line_without_a_partner_is_named(file):
    three, two = file("a.en", "one", "two", "three"), file("a.de", "eins", "zwei")
    with pytest.raises(
        LimbeckError, match=r"a\.en:3: no line of .*a\.de belongs to this one: 3 lines here, and 2"
    ):
        translations(path=three, target_file=two)
    with pytest.raises(LimbeckError, match=r"a\.en:3: no line of .*a\.de belongs") as caught:
        translations(path=two, target_file=three)
    assert "3 lines here, and 2 there" in str(caught.value)
    assert (caught.value.where.name, caught.value.line) == ("a.en", 3)


def test_a_translation_of_nothing_means_that_files_are_shifted(file):
    path, german = file("a.en", "one", "", "two"), file("a.de", "eins", "zwei", "")
    with pytest.raises(
        LimbeckError, match=r"a\.en:2: the line is empty, and has a translation in .*a\.de\. A text"
    ):
        translations(path=path, target_file=german)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "a.en", "target_file": "gone.de"}, r"gone\.de: no such file"),
        (
            {"path": "a.csv", "format": "csv", "target_file": "a.de"},
            r"'target_file' goes with lines of text, and",
        ),
        ({"path": "empty.en"}, r"empty\.en: the file is empty"),
        ({"path": "broken.en.gz"}, r"broken\.en\.gz: damaged, or not compressed by gzip"),
        (
            {"path": "a.en", "format": "conll"},
            r"the format conll holds tagged words, which 'translation' has no",
        ),
        ({"path": "a.unknown"}, r"the ending '\.unknown' does not say how the file is written"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.en", "a.de", "a.csv", "a.unknown"):
        (tmp_path / name).write_text("one\n")
    (tmp_path / "empty.en").write_text("\n\n")
    (tmp_path / "broken.en.gz").write_bytes(gzip.compress(b"one\n" * 99)[:-9])
    with pytest.raises(LimbeckError, match=message):
        translations(**source)


def test_catalogues_are_for_translators(file):
    with pytest.raises(
        LimbeckError, match="the format po holds messages, which 'classification' has no use for"
    ):
        read(Source(path=file("a.po", "")))


# Columns.

ROWS = [("Hello", "Hallo", "Bonjour"), ("Bye", "", "Salut")]
PAIRS = [("Hello", ("Hallo", "Bonjour")), ("Bye", ("Salut",))]


@pytest.mark.parametrize("ending", ["csv", "tsv", "tsv.gz", "jsonl", "parquet"])
def test_columns_of_a_table(file, tmp_path, ending):
    names = ("en", "de", "fr")
    if ending == "parquet":
        path = str(tmp_path / "a.parquet")
        pq.write_table(pa.table({n: [row[k] or None for row in ROWS] for k, n in enumerate(names)}), path)
    elif ending == "jsonl":
        path = file("a.jsonl", *(json.dumps(dict(zip(names, row, strict=True))) for row in ROWS))
    else:
        between = "," if ending == "csv" else "\t"
        path = file(f"a.{ending}", *(between.join(row) for row in (names, *ROWS)))
    found = translations(path=path, text="en", target=["de", "fr"], language="x")
    assert [(e.text, e.targets) for e in found] == PAIRS
    assert all(e.id == f"{e.origin}/x" and e.gold is None for e in found)
    assert [e.targets for e in translations(path=path, text="en", target=None)] == [(), ()]
    with pytest.raises(LimbeckError, match="no column 'target'.*, or to null for untranslated text"):
        translations(path=path, text="en")


def test_columns_by_number_and_ids_of_their_own(file):
    path = file("a.tsv", "x1\tHello\tHallo", "x2\tBye\tTschüs")
    found = translations(path=path, header=False, text=1, target=2, id=0, language="de")
    assert [(e.id, e.origin) for e in found] == [("x1/de", "a.tsv:1"), ("x2/de", "a.tsv:2")]
    with pytest.raises(LimbeckError, match=r"no column number 3 \('target'\): the columns are 0 to 2"):
        translations(path=path, header=False, text=1, target=3)


@pytest.mark.parametrize("form", ["saved", "jsonl"])
def test_a_column_of_translations_by_language(tmp_path, form):
    values = [{"en": text, "de": german, "fr": french} for text, german, french in ROWS]
    if form == "saved":
        path = tmp_path / "set"
        split = datasets.Dataset.from_dict({"translation": values})
        datasets.DatasetDict({"train": split}).save_to_disk(path)
    else:
        path = tmp_path / "set.jsonl"
        path.write_text("".join(json.dumps({"translation": value}) + "\n" for value in values))
    found = translations(path=str(path), text="en", target=["de", "fr"])
    assert [(e.text, e.targets) for e in found] == PAIRS
    assert found[0].id == ("set/train:0" if form == "saved" else "set.jsonl:1")


# Real text.


@pytest.mark.data
def test_published_parallel_text(data):
    folder = data / "multi30k"
    source = {
        "path": f"{folder}/val.en.gz",
        "target_file": [f"{folder}/val.{one}.gz" for one in ("de", "fr")],
    }
    found = translations(**source)
    assert len(found) == 1014
    assert found[0].targets[0] == "Eine Gruppe von Männern lädt Baumwolle auf einen Lastwagen"
    with pytest.raises(
        LimbeckError, match=r"val\.en\.gz:1001: no line of .*test_2016_flickr\.cs\.gz belongs"
    ):
        translations(path=source["path"], target_file=f"{folder}/test_2016_flickr.cs.gz")
    rows = translations(
        path=str(data / "tatoeba_multi_en_de_fr_es/multi.tsv"), text="en", target="es", language="es"
    )
    assert (len(rows), rows[0].id, rows[0].targets) == (22350, "multi.tsv:2/es", ("¡Corre!",))
